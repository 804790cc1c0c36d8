"""How far two distributions are apart, from counts in bins or from sorted values. Zero means: the same."""

import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, rel_entr

from labkit.errors import InputError

__all__ = ["ChiSquare", "chi_square", "finite_part", "jensen_shannon", "psi", "psi_bounds", "spread_of", "wasserstein"]


def psi_bounds(values: np.ndarray, bins: int = 10) -> np.ndarray:
    """Return the bounds of bins (low, high] for the population stability index, from sorted values.

    They are the quantiles of the reference, each once. A value that is two quantiles at once, or of which there are
    more than a bin's share, has a bin of its own. The first bin is all below the least value, the last all above the
    greatest: so a constant that moves is seen, which the quantiles alone cannot show.
    """
    finite = finite_part(values)
    quantiles = finite[np.ceil(np.arange(1, bins + 1) * len(finite) / bins).astype(int) - 1]
    bounds, times = np.unique(quantiles, return_counts=True)
    alone = np.nextafter(bounds[times > 1], -np.inf)
    return np.unique(np.concatenate([[np.nextafter(finite[0], -np.inf)], alone, bounds]))


def psi(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the population stability index of counts ``(..., n_bins)``: the sum of (q - p) log(q / p).

    Half an observation is added to each bin of both sides, which is the mean under Jeffreys' prior (Krichevsky and
    Trofimov, 1981): an empty bin counts as rare, and no result is infinite. Without drift, the expected value is about
    (n_bins - 1) (1 / n_reference + 1 / n_current) (Yurdakul, 2018).
    """
    p, q = _shares(np.asarray(reference) + 0.5), _shares(np.asarray(current) + 0.5)
    return np.sum((q - p) * np.log(q / p), axis=-1)


def jensen_shannon(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon distance of counts ``(..., n_bins)``, base 2: from 0 to 1, defined for empty bins."""
    p, q = _shares(reference), _shares(current)
    middle = (p + q) / 2
    divergence = np.sum(rel_entr(p, middle) + rel_entr(q, middle), axis=-1) / 2 / np.log(2)
    return np.sqrt(np.clip(divergence, 0.0, 1.0))


def _shares(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts, dtype=np.float64)
    return counts / counts.sum(axis=-1, keepdims=True)


def wasserstein(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the earth mover's distance of two sorted samples, in units of the reference's spread.

    The spread is the interquartile range / 1.349, which is the standard deviation of a normal distribution and which an
    outlier leaves alone; where it is 0 the standard deviation; where that is 0 too, 1. Infinities count as the greatest
    and least finite value of both sides.
    """
    spread = spread_of(reference)
    reference, current = _finite_ends(reference, current)
    if len(reference) == len(current):
        return min(float(np.mean(np.abs(reference / spread - current / spread))), sys.float_info.max)
    n, m = len(reference), len(current)
    steps = np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n])  # in units of 1 / (n m)
    steps.sort(kind="stable")
    lengths = np.diff(steps, prepend=0)
    gaps = np.abs(reference[(steps - 1) // m] / spread - current[(steps - 1) // n] / spread)
    return min(float(np.sum(gaps * (lengths / (n * m)))), sys.float_info.max)


def spread_of(values: np.ndarray) -> float:
    """Return the spread of sorted values that distances are measured in."""
    finite = finite_part(values)
    quarter, three_quarters = finite[[len(finite) // 4, (3 * len(finite)) // 4]]
    return float((three_quarters - quarter) / 1.349 or np.std(finite) or 1.0)


def finite_part(values: np.ndarray) -> np.ndarray:
    """Return sorted values without infinities; a lone 0 where nothing is left."""
    if np.isfinite(values[0]) and np.isfinite(values[-1]):
        return values
    finite = values[np.isfinite(values)]
    return finite if len(finite) else np.zeros(1)


def _finite_ends(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.isfinite([first[0], first[-1], second[0], second[-1]]).all():
        return first, second
    ends = np.concatenate([finite_part(side)[[0, -1]] for side in (first, second)])
    low, high = (ends.min(), ends.max()) if ends.any() else (-1.0, 1.0)
    return np.clip(first, low, high), np.clip(second, low, high)


@dataclass(frozen=True)
class ChiSquare:
    """Pearson's test of two rows of counts: is the share of each category the same?"""

    statistic: float
    degrees: int
    p_value: float
    cramers_v: float


def chi_square(reference: np.ndarray, current: np.ndarray) -> ChiSquare:
    """Compare counts ``(n_categories,)``; raises InputError when all are of one category, or one side has none.

    Cramér's V, from 0 to 1, says how large the difference is, whatever the number of rows (Cramér, 1946).
    """
    table = np.array([reference, current], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        raise InputError("a chi-square test needs two categories and rows on both sides", "leave the column out")
    total = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    statistic = float(np.sum((table - expected) ** 2 / expected))
    degrees = table.shape[1] - 1
    return ChiSquare(
        statistic, degrees, float(gammaincc(degrees / 2, statistic / 2)), float(min(np.sqrt(statistic / total), 1.0))
    )
