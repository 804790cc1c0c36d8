"""Count the values of every feature, a whole batch at a time."""

import math
from collections.abc import Mapping

import numpy as np

from labkit.errors import InputError
from labkit.observe.buffers import Folding, take
from labkit.observe.collector import Scrape
from labkit.observe.histogram import BatchHistogram
from labkit.observe.reference import Reference

__all__ = ["FeatureHistograms"]

_FOLD_AT_ROWS = 8192
_FOLD_AT_VALUES = 2**20  # comes first with more than 128 features, and keeps the buffer at 8 MB


class FeatureHistograms(Folding):
    """Histograms over the reference's quantiles, and the number of invalid values by reason.

    NaN is ``missing``, an infinity ``not_finite``; neither is in the histogram. A finite value outside its plausible
    range (both ends belong to it) is ``out_of_range`` and in the histogram: else a wrong unit would show no drift.
    """

    def __init__(self, reference: Reference, plausible_ranges: Mapping[str, tuple[float, float]]) -> None:
        if strangers := set(plausible_ranges) - set(reference.feature_names):
            raise InputError(f"plausible ranges are given for unknown features: {', '.join(sorted(strangers))}")
        self._n_features = len(reference.feature_names)
        self._columns = [
            _Column(name, reference.bounds[name], *plausible_ranges.get(name, (-math.inf, math.inf)))
            for name in reference.feature_names
        ]
        self._buffer = bytearray()
        super().__init__(fold_at=8 * min(_FOLD_AT_ROWS * self._n_features, _FOLD_AT_VALUES))

    def add(self, instances: np.ndarray) -> None:
        """Count rows ``(n_rows, n_features)``; they are copied, so the caller may change them afterwards.

        Raises InputError for another shape.
        """
        instances = np.asarray(instances, dtype=np.float64)
        if instances.ndim != 2 or instances.shape[1] != self._n_features:
            raise InputError(f"instances have the shape {instances.shape}, not (n_rows, {self._n_features})")
        self._buffer.extend(instances.tobytes())
        if len(self._buffer) >= self.fold_at:
            self.fold_grown()

    def report(self, scrape: Scrape, labels: Mapping[str, str]) -> None:
        """Add a histogram and the invalid values of each feature."""
        with self.folded():
            for column in self._columns:
                column.report(scrape, labels)

    def start_empty(self) -> None:
        super().start_empty()
        self._buffer.clear()
        for column in self._columns:
            column.reset()

    def _fold(self) -> None:
        rows = np.frombuffer(take(self._buffer)).reshape(-1, self._n_features)
        columns = np.ascontiguousarray(rows.T)
        columns.sort(axis=1)
        for column, values in zip(self._columns, columns, strict=True):
            column.count_sorted(values)


class _Column:
    """The histogram of one feature, and its invalid values."""

    def __init__(self, name: str, bounds: tuple[float, ...], low: float, high: float) -> None:
        if not low < high:
            raise InputError(f"the plausible range of {name} is ({low}, {high})", "give the lower end first")
        self._name, self._low, self._high = name, low, high
        self._histogram = BatchHistogram(bounds)
        self.reset()

    def reset(self) -> None:
        self._histogram.reset()
        self._invalid = {"missing": 0, "not_finite": 0, "out_of_range": 0}

    def count_sorted(self, values: np.ndarray) -> None:
        """Count values that are sorted as NumPy does: -Inf, finite ones, +Inf, NaN."""
        low, finite_end, nan_start = values.searchsorted((self._low, math.inf, math.nan)).tolist()
        finite_start, high = values.searchsorted((-math.inf, self._high), side="right").tolist()
        self._invalid["missing"] += len(values) - nan_start
        self._invalid["not_finite"] += finite_start + nan_start - finite_end
        # An open end of the range lies among the infinities, which are counted already.
        self._invalid["out_of_range"] += max(low - finite_start, 0) + max(finite_end - high, 0)
        self._histogram.add_sorted(values[finite_start:finite_end])

    def report(self, scrape: Scrape, labels: Mapping[str, str]) -> None:
        labels = {**labels, "feature": self._name}
        scrape.histogram("model_feature_value", labels, self._histogram)
        for reason, count in self._invalid.items():
            scrape.value("model_feature_invalid", {**labels, "reason": reason}, count)
