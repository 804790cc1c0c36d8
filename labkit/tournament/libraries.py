"""Drift detectors of other libraries at their defaults: those that are installed take part.

Each compares the rows of the last hour with the reference, every quarter of an hour: it cannot do so every minute.
"""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from labkit.tournament.detector import Detector
from labkit.tournament.streams import Stream, world

__all__ = ["LIBRARIES", "installed_libraries", "looks"]

Compare = Callable[[np.ndarray], bool]
_WINDOW_MINUTES, _EVERY_MINUTES, _FEWEST_ROWS = 60, 15, 30
_CHUNK_ROWS = 1_000
_FEW_SEEDS = 3


def looks(prepare: Callable[[np.ndarray], Compare]) -> Callable[[Stream], np.ndarray]:
    """Make a detector's ``alarms`` of a function that takes the reference ``(m, f)`` and gives the comparison with it.

    The comparison takes rows ``(n, f)`` without missing values, which these libraries refuse or drop, and says whether
    they drifted. An alarm stands in the minute of the look.
    """

    def alarms(stream: Stream) -> np.ndarray:
        drifted = prepare(world().rows)
        found = np.zeros(stream.n_minutes, dtype=bool)
        for last in range(_EVERY_MINUTES - 1, stream.n_minutes, _EVERY_MINUTES):
            rows = stream.rows[(stream.minute <= last) & (stream.minute > last - _WINDOW_MINUTES)]
            rows = rows[~np.isnan(rows).any(axis=1)]
            found[last] = len(rows) >= _FEWEST_ROWS and bool(drifted(rows))
        return found

    return alarms


def installed_libraries() -> tuple[Detector, ...]:
    """Return the detectors of the libraries that are installed here."""
    return tuple(
        Detector(name, "inputs", f"{name}, its defaults, an hour's rows every 15 min", looks(prepare), _FEW_SEEDS)
        for name, (module, prepare) in LIBRARIES.items()
        if find_spec(module)
    )


def _alibi_detect(reference: np.ndarray) -> Compare:
    from alibi_detect.cd import KSDrift

    detector = KSDrift(reference)
    return lambda rows: bool(detector.predict(rows)["data"]["is_drift"])


def _evidently(reference: np.ndarray) -> Compare:
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    known = pd.DataFrame(reference).add_prefix("feature_")

    def drifted(rows: np.ndarray) -> bool:
        result = Report([DataDriftPreset()]).run(pd.DataFrame(rows).add_prefix("feature_"), known).dict()
        columns = next(each for each in result["metrics"] if each["metric_name"].startswith("DriftedColumnsCount"))
        return columns["value"]["share"] >= columns["config"]["drift_share"]

    return drifted


def _nannyml(reference: np.ndarray) -> Compare:
    import nannyml
    import pandas as pd

    names = [f"feature_{i}" for i in range(reference.shape[1])]
    # Its thresholds are three standard deviations of the reference's own chunks: those to judge must be as large.
    calculator = nannyml.UnivariateDriftCalculator(names, chunk_size=_CHUNK_ROWS)
    calculator.fit(pd.DataFrame(reference, columns=names))

    def drifted(rows: np.ndarray) -> bool:
        if len(rows) < _CHUNK_ROWS:
            return False
        latest = pd.DataFrame(rows[-_CHUNK_ROWS:], columns=names)
        found = calculator.calculate(latest).filter(period="analysis").to_df()
        return bool(found[[column for column in found if column[-1] == "alert"]].to_numpy().any())

    return drifted


LIBRARIES: dict[str, tuple[str, Callable[[np.ndarray], Compare]]] = {
    "alibi-detect": ("alibi_detect", _alibi_detect),
    "Evidently": ("evidently", _evidently),
    "NannyML": ("nannyml", _nannyml),
}
