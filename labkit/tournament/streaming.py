"""Streaming detectors of river, fed row by row."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np

from labkit.tournament.detector import Detector
from labkit.tournament.streams import Stream, world

__all__ = ["rivals"]

_EVERY = 50  # KSWIN takes a millisecond a value: it gets one row of fifty, and few seeds
_FEW_SEEDS = 3


def rivals() -> tuple[Detector, ...]:
    """Return river's detectors, none where it is missing."""
    if not find_spec("river"):
        return ()
    from river import drift

    def adwin() -> Any:
        return drift.ADWIN()

    def page_hinkley() -> Any:
        return drift.PageHinkley()

    def tuned() -> Any:
        return drift.PageHinkley(min_instances=1, delta=0.1, threshold=61.0, alpha=1.0)

    def kswin() -> Any:
        return drift.KSWIN(seed=1)

    return (
        Detector("ADWIN", "inputs", "river, its defaults, each feature", _on_features(adwin)),
        Detector("Page-Hinkley", "inputs", "river, its defaults, each feature", _on_features(page_hinkley)),
        Detector("Page-Hinkley, tuned", "inputs", "river, delta 0.1, threshold 61 (CUSUM)", _on_features(tuned)),
        Detector(
            "KSWIN",
            "inputs",
            "river, its defaults, each feature, one row of 50",
            _on_features(kswin, _EVERY),
            _FEW_SEEDS,
        ),
        Detector("ADWIN on answers", "labels", "river, its defaults, right and wrong", _on_errors(adwin)),
        Detector("Page-Hinkley on answers", "labels", "river, its defaults, right and wrong", _on_errors(page_hinkley)),
    )


def _on_features(make: Callable[[], Any], every: int = 1) -> Callable[[Stream], np.ndarray]:
    """Watch each feature in standard deviations of the reference."""

    def alarms(stream: Stream) -> np.ndarray:
        mean, spread = world().rows.mean(axis=0), world().rows.std(axis=0)
        found = np.zeros(stream.n_minutes, dtype=bool)
        for column in range(stream.rows.shape[1]):
            values = (stream.rows[::every, column] - mean[column]) / spread[column]
            known = ~np.isnan(values)
            fired = _fired(make(), values[known].tolist())
            found[stream.minute[::every][known][fired]] = True
        return found

    return alarms


def _on_errors(make: Callable[[], Any]) -> Callable[[Stream], np.ndarray]:
    """Watch wrong answers, in the order in which their labels arrive."""

    def alarms(stream: Stream) -> np.ndarray:
        order = np.argsort(stream.labelled_minute, kind="stable")
        order = order[stream.labelled_minute[order] < stream.n_minutes]
        found = np.zeros(stream.n_minutes, dtype=bool)
        fired = _fired(make(), (~stream.correct[order]).astype(float).tolist())
        found[stream.labelled_minute[order][fired]] = True
        return found

    return alarms


def _fired(detector: Any, values: Iterable[float]) -> list[int]:
    """Return the places at which a detector of river saw drift."""
    fired = []
    for place, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            fired.append(place)
    return fired
