"""One drift library, run in an environment of its own: compares two files of rows once for every line it is sent.

``python peer.py NAME REFERENCE.npy CURRENT.npy`` prints "ready", then the processor seconds of each comparison. It
imports nothing of labkit, because the libraries want other versions of what labkit stands on.
"""

import sys
import time
import warnings

import numpy as np


def evidently(reference, current):
    """Return a comparison by Evidently's preset with the Kolmogorov-Smirnov test for each column."""
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    tables = [pd.DataFrame(rows, columns=[f"f{i}" for i in range(rows.shape[1])]) for rows in (current, reference)]
    return lambda: Report([DataDriftPreset(method="ks")]).run(*tables).dict()


def nannyml(reference, current):
    """Return a comparison by NannyML's univariate calculator; the reference is fitted once, as it is meant to be."""
    import nannyml as nml
    import pandas as pd

    names = [f"f{i}" for i in range(reference.shape[1])]
    calculator = nml.UnivariateDriftCalculator(
        column_names=names, continuous_methods=["kolmogorov_smirnov"], chunk_number=1
    ).fit(pd.DataFrame(reference, columns=names))
    table = pd.DataFrame(current, columns=names)
    return lambda: calculator.calculate(table)


def alibi(reference, current):
    """Return a comparison by alibi-detect's KSDrift."""
    from alibi_detect.cd import KSDrift

    detector = KSDrift(reference, p_val=0.05)
    return lambda: detector.predict(current)


def frouros(reference, current):
    """Return a comparison by frouros's KSTest for each column."""
    from frouros.detectors.data_drift import KSTest

    detectors = []
    for column in reference.T:
        detector = KSTest()
        detector.fit(X=column)
        detectors.append(detector)
    return lambda: [detector.compare(X=column) for detector, column in zip(detectors, current.T, strict=True)]


PEERS = {"evidently": evidently, "nannyml": nannyml, "alibi-detect": alibi, "frouros": frouros}


def main():
    """Serve comparisons."""
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever the library prints is no answer
    compare = PEERS[sys.argv[1]](np.load(sys.argv[2]), np.load(sys.argv[3]))
    compare()
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        before = time.process_time()
        compare()
        print(time.process_time() - before, file=answers, flush=True)


if __name__ == "__main__":
    main()
