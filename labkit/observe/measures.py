"""What a comparison finds, from rows in memory or from their summary: one list entry for each feature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from labkit.observe.distances import chi_square, finite_part, jensen_shannon, psi, spread_of, wasserstein
from labkit.observe.ks import WINDOW, ks_distance, ks_p_values, window_distances
from labkit.observe.ks_pvalue import asymptotic_p_values
from labkit.observe.sides import Categories, Numbers, refuse_missing
from labkit.observe.summaries import Summary

__all__ = ["Measures", "measure_columns", "measure_summary", "outline", "wasserstein_of_rows", "wasserstein_of_summary"]

Feature = Numbers | Categories


@dataclass(frozen=True)
class Measures:
    """Effects are KS distances, or Cramér's V of categories; ``counts`` are those of reference and current in bins."""

    n_current: Sequence[int]
    missing: Sequence[int]
    effects: np.ndarray
    p_values: np.ndarray
    counts: Sequence[tuple[np.ndarray, np.ndarray]]

    def psi(self) -> np.ndarray:
        """Return the population stability index of each feature; all at once where the bins are as many."""
        sizes = {len(first) for first, _ in self.counts}
        if len(sizes) == 1:
            first, second = (np.array(side) for side in zip(*self.counts, strict=True))
            return psi(first, second)
        return np.array([float(psi(*both)) for both in self.counts])

    def jensen_shannon(self) -> list[float]:
        """Return the Jensen-Shannon distance of each feature."""
        return [float(jensen_shannon(*both)) for both in self.counts]


def measure_columns(features: Sequence[Feature], columns: Sequence[np.ndarray]) -> tuple[Measures, list[Any]]:
    """Compare columns with the reference's; returns the current sides as well, read as the features read them."""
    sides = [feature.read(column) for feature, column in zip(features, columns, strict=True)]
    effects, p_values, counts = np.empty(len(features)), np.empty(len(features)), []
    for i, (feature, side) in enumerate(zip(features, sides, strict=True)):
        if isinstance(feature, Categories):
            counts.append(feature.both_counts(side))
            test = chi_square(*counts[-1])
            effects[i], p_values[i] = test.cramers_v, test.p_value
        else:
            counts.append((feature.counts, feature.count(side)))
    numeric = [i for i, feature in enumerate(features) if isinstance(feature, Numbers)]
    numbers, theirs = [features[i] for i in numeric], [sides[i] for i in numeric]
    effects[numeric] = _distances(numbers, theirs)
    p_values[numeric] = ks_p_values(effects[numeric], [each.values for each in numbers], theirs)
    n_current = [side.total() if isinstance(side, dict) else len(side) for side in sides]
    missing = [len(column) - n for column, n in zip(columns, n_current, strict=True)]
    return Measures(n_current, missing, effects, p_values, counts), sides


def _distances(features: Sequence[Numbers], sides: Sequence[np.ndarray]) -> Sequence[float]:
    if features and all(len(side) < min(len(each), WINDOW) for each, side in zip(features, sides, strict=True)):
        return window_distances([each.values for each in features], [each.marks for each in features], sides)
    return [ks_distance(each.values, side) for each, side in zip(features, sides, strict=True)]


def measure_summary(features: Sequence[Feature], summary: Summary) -> Measures:
    """Compare a summary with the reference: KS distance at the bounds of the grid, p-value asymptotic."""
    effects, p_values, counts, n_current = np.empty(len(features)), np.empty(len(features)), [], []
    for i, feature in enumerate(features):
        n_current.append(summary.n_rows - summary.missing[feature.name])
        if not n_current[-1]:
            refuse_missing(feature.name, "current")
        if isinstance(feature, Categories):
            counts.append(feature.both_counts(summary.categories[feature.name]))
            test = chi_square(*counts[-1])
            effects[i], p_values[i] = test.cramers_v, test.p_value
        else:
            bounds, at_or_below = summary.bounds[feature.name], np.cumsum(summary.counts[feature.name])
            effects[i] = _distance_on_grid(feature, summary)
            # Every bound of a bin is a bound of the grid, so the bins are exact.
            in_bins = at_or_below[bounds.searchsorted(feature.bounds)]
            counts.append((feature.counts, np.diff(in_bins, prepend=0, append=n_current[-1])))
            p_values[i] = asymptotic_p_values(effects[i : i + 1], len(feature), n_current[-1])[0]
    return Measures(n_current, [summary.missing[each.name] for each in features], effects, p_values, counts)


def _distance_on_grid(feature: Numbers, summary: Summary) -> float:
    counts, finite = summary.counts[feature.name], summary.finite[feature.name]
    infinite = counts - finite  # the negative ones lie in the first cell, the positive ones in the last
    current = [infinite[0], *np.cumsum(counts)[:-1], counts.sum() - infinite[-1]]
    values, bounds = feature.values, summary.bounds[feature.name]
    reference = [
        values.searchsorted(-np.inf, "right"),
        *values.searchsorted(bounds, "right"),
        values.searchsorted(np.inf, "left"),
    ]
    return float(np.max(np.abs(np.divide(reference, len(values)) - np.divide(current, counts.sum()))))


def wasserstein_of_rows(feature: Feature, side: Any) -> float:
    """Return the normalised Wasserstein distance of a feature, NaN for categories."""
    return np.nan if isinstance(feature, Categories) else wasserstein(feature.values, side)


def wasserstein_of_summary(feature: Feature, summary: Summary) -> float:
    """Return the same with each value at the mean of its cell."""
    if isinstance(feature, Categories):
        return np.nan
    spread, (points, counts) = spread_of(feature.values), summary.points(feature.name)
    return float(wasserstein_distance(finite_part(feature.values) / spread, points / spread, None, counts))


def outline(feature: Feature, side: Any, bins: int) -> dict[str, Any]:
    """Return shares of both sides per category, or in equal bins between the outer percents of both."""
    if isinstance(feature, Categories):
        first, second = feature.both_counts(side)
        names = sorted(feature.counter | side)
        return {"measure": "V", "categories": names, "reference": first / first.sum(), "current": second / second.sum()}
    finite = [finite_part(values) for values in (feature.values, side)]
    ends = [(values[len(values) // 100], values[-1 - len(values) // 100]) for values in finite]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    margin = (high - low) / bins or max(abs(low), 1.0) / bins
    edges = np.linspace(low - margin, high + margin, bins + 1)
    shares = [np.histogram(values, edges)[0] / len(values) for values in finite]
    return {"measure": "KS", "edges": edges, "reference": shares[0], "current": shares[1]}
