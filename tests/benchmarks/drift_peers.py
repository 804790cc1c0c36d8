"""Peers of drift detection, each in an environment of its own, made on demand in the user's cache.

Run as a script by such an environment's Python, it compares two files of rows as often as it is told to.
"""

import subprocess
import sys
import time
import venv
from contextlib import suppress
from pathlib import Path

PACKAGES = {
    "evidently": ["evidently", "pandas<3"],
    "nannyml": ["nannyml", "statsmodels"],
    "alibi-detect": ["alibi-detect"],
    "frouros": ["frouros"],
}
FOLDER = Path.home() / ".cache" / "labkit" / "peers"


class Peer:
    """A running peer: ``seconds`` tells it to compare once and returns its processor time."""

    def __init__(self, name: str, reference: Path, current: Path) -> None:
        python = environment(name)
        self._process = subprocess.Popen(
            [python, __file__, name, reference, current],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def seconds(self) -> float:
        """Compare once; raises RuntimeError when the peer has ended."""
        with suppress(BrokenPipeError):
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("seconds "):
                return float(line.split()[1])
        raise RuntimeError("the peer has ended")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def environment(name: str) -> str:
    """Return the Python of the peer's environment, made and filled where it is not yet."""
    folder = FOLDER / name
    python = str(folder / "bin" / "python")
    if not (folder / ".ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES[name]]
        subprocess.run(command, check=True, capture_output=True)
        (folder / ".ready").touch()
    return python


def comparison(name: str, reference, current):
    """Return a function that compares once, prepared as far as the peer can be."""
    names = [f"f{i}" for i in range(reference.shape[1])]
    if name == "alibi-detect":
        from alibi_detect.cd import KSDrift

        detector = KSDrift(reference, p_val=0.05)
        return lambda: detector.predict(current)
    if name == "frouros":
        from frouros.detectors.data_drift import KSTest

        detectors = [KSTest() for _ in names]
        for detector, column in zip(detectors, reference.T, strict=True):
            detector.fit(column)
        return lambda: [each.compare(column) for each, column in zip(detectors, current.T, strict=True)]
    import pandas as pd

    reference, current = pd.DataFrame(reference, columns=names), pd.DataFrame(current, columns=names)
    if name == "nannyml":
        import nannyml

        methods = ["kolmogorov_smirnov"]
        calculator = nannyml.UnivariateDriftCalculator(names, chunk_number=1, continuous_methods=methods).fit(reference)
        return lambda: calculator.calculate(current)
    from evidently import Report
    from evidently.presets import DataDriftPreset

    return lambda: Report([DataDriftPreset(method="ks")]).run(current, reference).dict()


def main(name: str, *files: str) -> None:
    """Compare once for each line of the input and print the processor time of it."""
    import numpy as np

    compare = comparison(name, *map(np.load, files))
    for _ in sys.stdin:
        started = time.process_time()
        compare()
        sys.stdout.write(f"seconds {time.process_time() - started}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
