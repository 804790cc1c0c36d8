"""Count whole batches into the buckets of a Prometheus histogram: one sort answers every bucket at once."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from prometheus_client.utils import floatToGoString

__all__ = ["BatchHistogram", "bucket_labels"]


def bucket_labels(bounds: Sequence[float]) -> list[str]:
    """Return the ``le`` of every bucket, +Inf included, printed as prometheus_client prints them."""
    return [floatToGoString(bound) for bound in (*bounds, math.inf)]


class BatchHistogram:
    """A classic histogram over rising ``bounds`` that is filled batch by batch."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._labels = bucket_labels(bounds)
        self._bounds = np.array([*bounds, math.inf])
        self._at_or_below = np.zeros(len(self._bounds), dtype=np.int64)
        self._sum = 0.0
        # A sum that can fall would be read as a counter that was reset: prometheus_client leaves it out then, too.
        self._has_sum = bounds[0] >= 0

    def add(self, values: np.ndarray) -> None:
        """Count finite values in any order."""
        self.add_sorted(np.sort(values))

    def add_sorted(self, values: np.ndarray) -> None:
        """Count finite values that are sorted."""
        self._at_or_below += values.searchsorted(self._bounds, side="right")
        self._sum += float(values.sum())

    @property
    def count(self) -> int:
        """The number of values counted."""
        return int(self._at_or_below[-1])

    def reset(self) -> None:
        """Start again from 0."""
        self._at_or_below[:] = 0
        self._sum = 0.0

    def samples(self) -> Iterable[tuple[str, dict[str, str], float]]:
        """Yield the suffix, the labels and the value of each series."""
        for label, count in zip(self._labels, self._at_or_below.tolist(), strict=True):
            yield "_bucket", {"le": label}, count
        yield "_count", {}, self.count
        if self._has_sum:
            yield "_sum", {}, self._sum
