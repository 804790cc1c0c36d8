"""Rows too many for memory, as counts on the reference's grid: chunks are added, summaries are merged.

The grid has the reference's quantiles as bounds, so the counts bound the error whatever the data are, which no sketch
made of random samples does: the exact KS distance is at least the reported one, and larger by less than
``1 / cells + 1 / n_reference``. PSI, Jensen-Shannon distance, categories and missing values are exact. In the
Wasserstein distance a value counts as the mean of its cell.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labkit.errors import InputError
from labkit.observe.columns import columns_of

__all__ = ["Summary", "grid_bounds"]


def grid_bounds(values: np.ndarray, cells: int, more: np.ndarray) -> np.ndarray:
    """Return the bounds of cells (low, high] over sorted values: quantiles, ``more``, and each tie in its own cell."""
    quantiles = np.unique(values[np.ceil(np.arange(1, cells + 1) * len(values) / cells).astype(int) - 1])
    ties = quantiles[values.searchsorted(quantiles, "right") - values.searchsorted(quantiles, "left") > 1]
    bounds = np.unique(np.concatenate([quantiles, np.nextafter(ties, -np.inf), more]))
    return bounds[np.isfinite(bounds)]


class Summary:
    """What a comparison needs of any number of rows: counts per cell and category, sums per cell, missing values.

    ``labkit.observe.drift.Reference.summary`` makes one. ``update`` adds a chunk, ``merge`` another summary, in any
    order and on any machine: the counts are the same. It is pickled as its arrays.
    """

    def __init__(self, feature_names: Sequence[str], bounds: Mapping[str, np.ndarray]) -> None:
        self.feature_names = tuple(feature_names)
        self.bounds = dict(bounds)  # of numeric features; the others hold categories
        self.n_rows = 0
        self.missing = dict.fromkeys(self.feature_names, 0)
        self.counts = {name: np.zeros(len(each) + 1, dtype=np.int64) for name, each in self.bounds.items()}
        self.finite = {name: np.zeros(len(each) + 1, dtype=np.int64) for name, each in self.bounds.items()}
        self.sums = {name: np.zeros(len(each) + 1) for name, each in self.bounds.items()}
        self.categories: dict[str, Counter[str]] = {
            name: Counter() for name in self.feature_names if name not in bounds
        }

    def update(self, rows: Any) -> "Summary":
        """Add a chunk of rows ``(n_rows, n_features)``, of which there may be none; returns itself."""
        if not len(rows):
            return self
        columns = columns_of(rows, self.feature_names, self.categories)
        for name, column in zip(self.feature_names, columns, strict=True):
            if name in self.categories:
                present = [value for value in column if value is not None]
                self.categories[name].update(present)
                self.missing[name] += len(column) - len(present)
            else:
                column.sort()
                self._add(name, column)
        self.n_rows += len(rows)
        return self

    def _add(self, name: str, values: np.ndarray) -> None:
        n_present = int(values.searchsorted(np.nan)) if np.isnan(values[-1]) else len(values)
        self.missing[name] += len(values) - n_present
        values = values[:n_present]
        self.counts[name] += _cell_counts(values, self.bounds[name])
        values = values[values.searchsorted(-np.inf, "right") : values.searchsorted(np.inf, "left")]
        counts = _cell_counts(values, self.bounds[name])
        self.finite[name] += counts
        filled = np.flatnonzero(counts)
        if len(filled):
            starts = (np.cumsum(counts) - counts)[filled]
            self.sums[name][filled] += np.add.reduceat(values, starts)

    def merge(self, other: "Summary") -> "Summary":
        """Return the summary of both; raises InputError when they do not stand on the same grid."""
        self.check_grid(other.feature_names, other.bounds)
        merged = Summary(self.feature_names, self.bounds)
        merged.n_rows = self.n_rows + other.n_rows
        for name in self.feature_names:
            merged.missing[name] = self.missing[name] + other.missing[name]
            if name in self.categories:
                merged.categories[name] = self.categories[name] + other.categories[name]
            else:
                merged.counts[name] = self.counts[name] + other.counts[name]
                merged.finite[name] = self.finite[name] + other.finite[name]
                merged.sums[name] = self.sums[name] + other.sums[name]
        return merged

    def check_grid(self, feature_names: Sequence[str], bounds: Mapping[str, np.ndarray]) -> None:
        """Raise InputError unless the summary stands on this grid."""
        same = self.feature_names == tuple(feature_names) and set(self.bounds) == set(bounds)
        if not same or not all(np.array_equal(each, bounds[name]) for name, each in self.bounds.items()):
            raise InputError(
                "the summaries are of different references", "make both with the summary() of one reference"
            )

    def check_features(self, feature_names: Sequence[str], bins: Mapping[str, np.ndarray]) -> None:
        """Raise InputError unless the grid holds these features, and all bounds of their bins."""
        fits = self.feature_names == tuple(feature_names) and set(self.bounds) == set(bins)
        if not fits or not all(np.isin(bins[name], each).all() for name, each in self.bounds.items()):
            raise InputError("the summary is of another reference", "make it with the summary() of this one")
        if not self.n_rows:
            raise InputError(
                f"there are no rows to compare, for any of {', '.join(self.feature_names)}", "update first"
            )

    def points(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the means of the filled cells and their counts; infinite values stand at the outer means."""
        filled = self.finite[name] > 0
        if not filled.any():
            return self.bounds[name][[0, -1]], np.array([self.counts[name][0], self.counts[name][-1]])
        counts = self.finite[name].copy()
        inner = np.flatnonzero(filled)
        infinite = self.counts[name] - self.finite[name]
        counts[inner[0]] += infinite[0]
        counts[inner[-1]] += infinite[-1]
        return self.sums[name][filled] / self.finite[name][filled], counts[filled]


def _cell_counts(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    return np.diff(values.searchsorted(bounds, side="right"), prepend=0, append=len(values))
