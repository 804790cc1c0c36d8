"""Detectors that see one value at a time, all asked alike: ``update(value)`` says whether there is drift now.

A value that is missing or infinite tells nothing about a level: it is counted in ``skipped`` and changes nothing.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from labkit.errors import ConfigurationError, InputError
from labkit.observe.drift import Reference

__all__ = ["ADWIN", "Detector", "PageHinkley", "WindowedTest"]


class Detector(Protocol):
    """What all detectors of a stream have in common."""

    def update(self, value: Any) -> bool:
        """Take the next value; True where it completes the evidence for a drift."""
        ...


class _River:
    """One of river's detectors behind the protocol; it starts anew after each drift, as river's do."""

    def __init__(self, detector: Any) -> None:
        self._detector = detector
        self.skipped = 0

    def update(self, value: float) -> bool:
        """Take the next number; True when the level has changed. Raises InputError for what is no number."""
        if isinstance(value, str | bytes | bool) or not np.isscalar(value):
            raise InputError(f"a stream takes one number at a time, not {type(value).__name__}", "convert it first")
        if not math.isfinite(value):
            self.skipped += 1
            return False
        self._detector.update(float(value))
        return bool(self._detector.drift_detected)


class PageHinkley(_River):
    """Page's cumulative sum (1954): reports a lasting change of the mean, in either direction.

    ``delta`` is the change that does not matter, in units of the value. The sum of what exceeds it has to reach
    ``threshold``: a higher one means fewer false alarms and a longer delay. The first ``min_instances`` only set the
    level. The implementation is river's.
    """

    def __init__(self, *, delta: float = 0.005, threshold: float = 50.0, min_instances: int = 30) -> None:
        super().__init__(
            _river_drift().PageHinkley(min_instances=min_instances, delta=delta, threshold=threshold, alpha=1.0)
        )


class ADWIN(_River):
    """Bifet and Gavaldà's adaptive window (2007): cuts off its older part when its mean differs from the newer one's.

    ``delta`` bounds the chance of a false alarm at each check. The implementation is river's.
    """

    def __init__(self, *, delta: float = 0.002) -> None:
        super().__init__(_river_drift().ADWIN(delta=delta))


class WindowedTest:
    """Collect rows, and compare each full window with the reference: drift if any feature drifted.

    ``every`` is the number of rows between two tests: by default ``size``, so that windows do not overlap.
    ``Reference.threshold`` gives the ``alpha`` for a number of false alarms that one can live with. ``report`` is the
    table of the last test.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        size: int,
        every: int | None = None,
        alpha: float = 0.01,
        min_effect: float = 0.15,
        correction: str = "benjamini-hochberg",
    ) -> None:
        if size < 1 or (every is not None and every < 1):
            raise InputError(f"a window of {size} rows, tested every {every}, cannot be", "use whole numbers from 1 on")
        self.report = None
        self._reference, self._size, self._every = reference, size, every or size
        self._rules = {"alpha": alpha, "min_effect": min_effect, "correction": correction}
        self._rows: list[Any] = []
        self._until_test = size

    def update(self, value: float | Sequence[Any]) -> bool:
        """Take the next row, or the next number where there is one feature; True when a full window has drifted."""
        row = [value] if np.isscalar(value) else list(value)
        if len(row) != len(self._reference.feature_names):
            raise InputError(f"a row has {len(row)} values, and the features are {len(self._reference.feature_names)}")
        self._rows = [*self._rows[-(self._size - 1) :], row] if self._size > 1 else [row]
        self._until_test -= 1
        if self._until_test:
            return False
        self._until_test = self._every
        self.report = self._reference.compare(_as_array(self._rows), **self._rules)
        return bool(self.report["drifted"].any())


def _as_array(rows: list[Any]) -> np.ndarray:
    """Keep numbers and strings apart: NumPy would make strings of both."""
    array = np.empty((len(rows), len(rows[0])), dtype=object)
    array[:] = rows
    return array


def _river_drift() -> Any:
    try:
        from river import drift
    except ImportError as error:
        raise ConfigurationError(
            "this detector needs river, which is not installed", "pip install 'labkit[streaming]'"
        ) from error
    return drift
