"""Estimate since when a model has been wrong more often: the change point in its correct and incorrect answers."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

__all__ = ["Drop", "largest_drop", "last_drop"]


@dataclass(frozen=True)
class Drop:
    """A fall of accuracy: ``index`` is the first answer after it, ``before`` and ``after`` are the accuracies.

    ``p_value`` is the probability of a drop at least as marked somewhere in a sequence whose accuracy never changes.
    """

    index: int
    before: float
    after: float
    log_likelihood_ratio: float
    p_value: float


def largest_drop(correct: np.ndarray, min_segment: int = 30) -> Drop | None:
    """Return the most likely place where accuracy fell, or None when no split into two long enough parts shows a fall.

    ``correct (n,)`` holds booleans in the order of time. Both parts have at least ``min_segment`` answers. The split
    maximises the likelihood of two constant accuracies, exactly, in O(n) by cumulative sums.

    >>> largest_drop(np.repeat([True, False], [60, 40])).index
    60
    """
    n = len(correct)
    if n < 2 * min_segment:
        return None
    total = np.cumsum(correct, dtype=np.float64)
    n_before = np.arange(min_segment, n - min_segment + 1, dtype=np.float64)
    k_before = total[min_segment - 1 : n - min_segment]
    n_after, k_after = n - n_before, total[-1] - k_before
    ratio = _log_likelihood(k_before, n_before) + _log_likelihood(k_after, n_after) - _log_likelihood(total[-1], n)
    before, after = k_before / n_before, k_after / n_after
    falls = after < before
    if not falls.any():
        return None
    best = int(np.argmax(np.where(falls, ratio, -np.inf)))
    return Drop(
        index=best + min_segment,
        before=float(before[best]),
        after=float(after[best]),
        log_likelihood_ratio=float(ratio[best]),
        p_value=_p_value(float(ratio[best]), min_segment / n),
    )


def last_drop(correct: np.ndarray, significance: float = 0.001, min_segment: int = 30) -> Drop | None:
    """Return the latest significant drop, or None.

    Each drop found is looked behind once more: after a fault that came and went, the one that is there now counts.
    """
    found, start = None, 0
    while (drop := largest_drop(correct[start:], min_segment)) and drop.p_value < significance:
        start += drop.index
        found = Drop(start, drop.before, drop.after, drop.log_likelihood_ratio, drop.p_value)
    return found


def _log_likelihood(k: np.ndarray | float, n: np.ndarray | float) -> np.ndarray:
    """Return the log-likelihood of k correct answers in n at the accuracy that fits them best, k / n."""
    return xlogy(k, k / n) + xlogy(n - k, 1 - k / n)


def _p_value(log_likelihood_ratio: float, trimmed: float) -> float:
    """Approximate the tail of the largest likelihood ratio over all splits but the ``trimmed`` share at either end.

    Source: Csörgő and Horváth, "Limit Theorems in Change-Point Analysis", 1997, section 1.3 (after Vostrikova, 1981);
    halved, because only falls count. The series is for tails and is not used below x = 2.
    """
    x = math.sqrt(2 * max(0.0, log_likelihood_ratio))
    if x < 2 or trimmed >= 0.5:
        return 1.0
    spread = 2 * math.log((1 - trimmed) / trimmed)
    tail = x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi) * ((1 - 1 / x**2) * spread + 4 / x**2)
    return min(1.0, tail / 2)
