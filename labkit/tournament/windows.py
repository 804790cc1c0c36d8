"""Statistics of all sliding windows of a stream at once: counts per minute and cell, summed over minutes and cells."""

import numpy as np

__all__ = ["cells_of", "exact_cells", "held_for", "shares", "totals", "window_sums"]


def cells_of(cell: np.ndarray, minute: np.ndarray, n_minutes: int, n_cells: int) -> np.ndarray:
    """Count values by minute and cell: ``(n_minutes, n_cells)``. A negative cell is left out."""
    known = cell >= 0
    flat = minute[known] * n_cells + cell[known]
    return np.bincount(flat, minlength=n_minutes * n_cells).reshape(n_minutes, n_cells)


def window_sums(per_minute: np.ndarray, length: int) -> np.ndarray:
    """Sum over the last ``length`` minutes, the current one included; in the beginning over those there are."""
    total = np.cumsum(per_minute, axis=0, dtype=per_minute.dtype)
    sums = total.copy()
    sums[length:] -= total[:-length]
    return sums


def totals(minute: np.ndarray, n_minutes: int, length: int) -> np.ndarray:
    """Return the number of values in each window of ``length`` minutes."""
    return window_sums(np.bincount(minute, minlength=n_minutes)[:n_minutes], length)


def shares(counts: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Divide; a window without values has the shares NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return counts / n[:, np.newaxis]


def exact_cells(distinct: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each value its place among ``distinct`` sorted ones: odd on one of them, even between, -1 for NaN.

    With K distinct values of a reference there are 2K + 1 cells, and the largest gap between two cumulative shares
    lies at the end of one of them: that makes the KS distance from such counts exact.
    """
    cell = np.searchsorted(distinct, values, side="left") + np.searchsorted(distinct, values, side="right")
    return np.where(np.isnan(values), -1, cell)


def held_for(condition: np.ndarray, minutes: int) -> np.ndarray:
    """Say when a condition has held for that long, as ``for:`` in a rule asks."""
    return window_sums(condition.astype(int), minutes + 1) == minutes + 1
