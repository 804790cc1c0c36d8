"""What a comparison of two samples costs: against sorting them, scipy's loop, and the libraries that people use.

Processor time, so that what else runs on the machine counts less. Each peer runs in an environment of its own, made on
the first run in the user's cache; one that cannot be installed is named as missing.
"""

import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from scipy.stats import ks_2samp

from labkit.observe.drift import Reference

__all__ = ["benchmark_large_samples", "benchmark_windows"]

N_FEATURES = 20
ROUNDS = 5
REQUIREMENTS = {
    "evidently": ["evidently==0.7.23", "pandas<3"],
    "nannyml": ["nannyml==0.13.1", "statsmodels"],
    "alibi-detect": ["alibi-detect"],
    "frouros": ["frouros"],
}


def benchmark_large_samples() -> Iterator[dict[str, object]]:
    """Compare 100,000 and 1,000,000 rows of 20 features with as many, some drifted, and with none drifted."""
    goals = {"sorting": "at most 2.5", "scipy": "1/10", "evidently": "1/80", "nannyml": "1/2"}
    reference, current = samples(100_000, drifts=True)
    yield from against("100,000 x 20", reference, current, goals, fitted=False)
    quiet = samples(100_000, drifts=False)
    yield from against("100,000 x 20, no drift", *quiet, {"scipy": "1/4"}, fitted=False)
    reference, current = samples(1_000_000, drifts=True)
    yield from against("1,000,000 x 20", reference, current, {"sorting": "at most 2.5", "scipy": "1/10"}, fitted=False)


def benchmark_peak_memory() -> Iterator[dict[str, object]]:
    """Compare the peak memory of 1,000,000 rows of 20 features, each measured in a process of its own."""
    ours, peer = (peak_bytes(code) for code in (_OURS, _SCIPYS))
    yield row("1,000,000 x 20, peak memory above the data, against scipy", [(ours, peer)], "at most 1.5", "MB", 1e-6)


def benchmark_windows() -> Iterator[dict[str, object]]:
    """Compare a window of 500 rows of 20 features with a reference of 100,000 that was fitted once."""
    reference, current = samples(100_000, drifts=True)
    goals = {"scipy": "1/100", "alibi-detect": "1/100", "evidently": "1/2000", "nannyml": "1/6", "frouros": "none"}
    yield from against("a window of 500 x 20", reference, current[:500], goals, fitted=True)


def samples(n_rows: int, *, drifts: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draw a reference and current rows; where it drifts, half of the features move by 0 to 0.5 standard deviations."""
    rng = np.random.default_rng(0)
    shift = np.linspace(0, 0.5, N_FEATURES) * (np.arange(N_FEATURES) % 2) if drifts else np.zeros(N_FEATURES)
    return rng.normal(size=(n_rows, N_FEATURES)), rng.normal(size=(n_rows, N_FEATURES)) + shift


def against(
    name: str, reference: np.ndarray, current: np.ndarray, goals: dict[str, str], *, fitted: bool
) -> Iterator[dict[str, object]]:
    """Yield a row for each peer: medians of interleaved rounds of ours and theirs."""
    kept = Reference(reference, feature_names=[f"f{i}" for i in range(reference.shape[1])])

    def ours() -> object:
        made = kept if fitted else Reference(reference, feature_names=[f"f{i}" for i in range(reference.shape[1])])
        return made.compare(current)

    for peer, goal in goals.items():
        with served(peer, reference, current) as theirs:
            if theirs is None:
                print(f"missing: {peer} could not be installed or does not run here", file=sys.stderr)  # noqa: T201
                continue
            ours()
            measured = [(seconds(ours), theirs()) for _ in range(ROUNDS)]
        yield row(f"{name}, against {peer}", measured, goal)


def seconds(call: Callable[[], object]) -> float:
    before = time.process_time()
    call()
    return time.process_time() - before


@contextmanager
def served(peer: str, reference: np.ndarray, current: np.ndarray) -> Iterator[Callable[[], float] | None]:
    """Give a function that lets the peer compare once and returns its seconds; None where it is missing."""
    if peer == "sorting":
        yield lambda: seconds(lambda: (np.sort(reference, axis=0), np.sort(current, axis=0)))
    elif peer == "scipy":
        pairs = [(first, second) for first, second in zip(reference.T, current.T, strict=True)]
        yield lambda: seconds(lambda: [ks_2samp(*pair, method="asymp") for pair in pairs])
    else:
        with TemporaryDirectory() as folder:
            paths = [Path(folder, f"{name}.npy") for name in ("reference", "current")]
            for path, rows in zip(paths, (reference, current), strict=True):
                np.save(path, rows)
            yield from spoken_to(peer, paths)


def spoken_to(peer: str, paths: list[Path]) -> Iterator[Callable[[], float] | None]:
    script = Path(__file__).with_name("peer.py")
    python = environment(peer)
    if python is None:
        yield None
        return
    process = subprocess.Popen(
        [python, script, peer, *paths],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        ready = process.stdout.readline().strip() == "ready"

        def once() -> float:
            process.stdin.write("\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        yield once if ready else None
    finally:
        process.stdin.close()
        process.wait(60)


def environment(peer: str) -> Path | None:
    """Return the Python of the peer's environment, made now if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "labkit-benchmarks" / peer
    if not (cache / "complete").exists():
        venv.create(cache, with_pip=True, clear=True)
        command = [cache / "bin" / "python", "-m", "pip", "install", "--quiet", *REQUIREMENTS[peer]]
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
            return None
        (cache / "complete").touch()
    return cache / "bin" / "python"


_DATA = """
import resource, numpy as np
from scipy.stats import ks_2samp
from labkit.observe.drift import Reference
rng = np.random.default_rng(0)
first, second = rng.normal(size=(1_000_000, 20)), rng.normal(0.2, size=(1_000_000, 20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{call}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
_OURS = _DATA.format(call="Reference(first, feature_names=[f'f{i}' for i in range(20)]).compare(second)")
_SCIPYS = _DATA.format(call="[ks_2samp(a, b, method='asymp') for a, b in zip(first.T, second.T)]")


def peak_bytes(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def row(name: str, measured: list[tuple[float, float]], goal: str, unit: str = "ms", scale: float = 1e3) -> dict:
    ours, peer = (median(column) for column in zip(*measured, strict=True))
    ratio = median(mine / theirs for mine, theirs in measured)
    return {
        "name": name,
        "ours": f"{ours * scale:.4g} {unit}",
        "peer": f"{peer * scale:.4g} {unit}",
        "ratio": ratio,
        "goal": goal,
    }
