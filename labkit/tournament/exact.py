"""labkit's detector: the exact KS distance in several windows at once, within a budget of false alarms."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from labkit.tournament.detector import Detector
from labkit.tournament.streams import Stream, world
from labkit.tournament.windows import cells_of, exact_cells, shares, totals, window_sums

__all__ = ["FALSE_ALARMS_PER_WEEK", "MARGIN", "WINDOWS_MINUTES", "exact_detector", "exact_distances", "limit"]

WINDOWS_MINUTES = (1, 2, 5, 15, 60)
FALSE_ALARMS_PER_WEEK = 1.0
MARGIN = 0.05
"""A distance up to this one is drift that nobody wants to hear of; a daily cycle stays below it."""

_LOOKS_PER_WEEK = 7 * 1440
_FEWEST_ROWS = 30


def exact_distances(stream: Stream, windows: Sequence[int] = WINDOWS_MINUTES) -> dict[int, np.ndarray]:
    """Return by window, in minutes, the exact KS distance from the reference at each minute, for each feature.

    ``(n_minutes, n_features)``. A share of missing values counts as a distance too, where it is the larger one. NaN
    where no row came.
    """
    columns = [_distances(stream, column, windows) for column in range(stream.rows.shape[1])]
    return {minutes: np.column_stack([column[minutes] for column in columns]) for minutes in windows}


def limit(n_rows: np.ndarray, n_tests_per_week: float) -> np.ndarray:
    """Return the distance above which to alarm on ``n_rows`` rows, so that the budget is kept.

    While the true distance is at most MARGIN, chance exceeds MARGIN + c sqrt(1/n + 1/m) with a probability of at most
    alpha, where c = sqrt(-ln(alpha / 2) / 2) (Smirnov, 1948, and the triangle inequality); alpha divides the budget
    among all tests of a week.
    """
    alpha = FALSE_ALARMS_PER_WEEK / n_tests_per_week
    chance = np.sqrt(-np.log(alpha / 2) / 2) * np.sqrt(1 / np.maximum(n_rows, 1) + 1 / len(world().rows))
    return np.where(n_rows >= _FEWEST_ROWS, MARGIN + chance, np.inf)


def exact_detector(windows: Sequence[int] = WINDOWS_MINUTES) -> Detector:
    """Make the detector of these windows, in minutes."""

    def alarms(stream: Stream) -> np.ndarray:
        n_tests = _LOOKS_PER_WEEK * len(windows) * stream.rows.shape[1]
        found = np.zeros(stream.n_minutes, dtype=bool)
        for minutes, distance in exact_distances(stream, windows).items():
            n = totals(stream.minute, stream.n_minutes, minutes)
            found |= (distance > limit(n, n_tests)[:, np.newaxis]).any(axis=1)
        return found

    text = f"exact KS in windows of {', '.join(map(str, windows))} min, {FALSE_ALARMS_PER_WEEK:g} false alarm a week"
    return Detector("labkit", "inputs", text, alarms)


def _distances(stream: Stream, column: int, windows: Sequence[int]) -> dict[int, np.ndarray]:
    distinct, reference = _reference_cells(column)
    cells = exact_cells(distinct, stream.rows[:, column])
    counts = cells_of(cells, stream.minute, stream.n_minutes, len(reference))
    cumulative = np.cumsum(counts, axis=1, dtype=np.int32)
    distances = {}
    for minutes in windows:
        below = window_sums(cumulative, minutes)
        present, n = below[:, -1], totals(stream.minute, stream.n_minutes, minutes)
        gap = shares(below, present)
        gap -= reference
        missing = shares((n - present)[:, np.newaxis], n)[:, 0]
        distances[minutes] = np.fmax(np.maximum(gap.max(axis=1), -gap.min(axis=1)), missing)
    return distances


@cache
def _reference_cells(column: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the reference's distinct values, and its share up to the end of each of their cells."""
    values = world().rows[:, column]
    distinct = np.unique(values)
    counts = np.bincount(exact_cells(distinct, values), minlength=2 * len(distinct) + 1)
    return distinct, np.cumsum(counts) / len(values)
