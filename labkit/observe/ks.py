"""Kolmogorov and Smirnov's two-sample test: the exact distance, found by searching one side in the other."""

import math

import numpy as np
from scipy.stats import ks_2samp

from labkit.observe.ks_pvalue import asymptotic_p_values

__all__ = ["ks_distance", "ks_p_values"]

_EXACT_UP_TO = 10_000  # scipy's "auto" is exact when neither side has more rows


def ks_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the largest difference of two empirical distribution functions; both sides sorted, without NaN.

    Bit-identical to ``scipy.stats.ks_2samp(first, second).statistic``. The shorter side is searched in the
    longer: first every ``stride``-th value, then those between two of them that can hold more than what was found.
    """
    many, few = (first, second) if len(first) >= len(second) else (second, first)
    stride = max(1, int(math.sqrt(len(few)) / 8))
    if len(few) >= 2_000:
        distance = _refined(many, few, stride)
    else:
        distance = _largest(many, few, _candidates(many, few) if len(many) > 4_000 else np.arange(len(few)))
    if len(many) <= _EXACT_UP_TO:
        # scipy rounds to the next multiple of 1 / lcm before its exact method.
        lcm = math.lcm(len(many), len(few))
        return int(np.round(distance * lcm)) * 1.0 / lcm
    return distance


def _leads(many: np.ndarray, few: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shares of ``many`` below and not above the values ``few[at]``."""
    values = few[at]
    below = many.searchsorted(values, side="left")
    ties = many[np.minimum(below, len(many) - 1)] == values
    not_above = below
    if ties.any():
        not_above = below.copy()
        not_above[ties] = many.searchsorted(values[ties], side="right")
    return below / len(many), not_above / len(many)


def _largest(many: np.ndarray, few: np.ndarray, at: np.ndarray) -> float:
    below, not_above = _leads(many, few, at)
    n = len(few)
    return float(max(np.max(below - at / n), np.max((at + 1) / n - not_above), 0.0))


def _candidates(many: np.ndarray, few: np.ndarray) -> np.ndarray:
    """Return the places in ``few`` that can hold the largest gap, judged by every ``step``-th value of ``many``.

    These fit into the processor's nearest cache, where a search in all of ``many`` waits for memory at each step.
    """
    step = max(1, len(many) // 500)
    marks = np.ascontiguousarray(many[::step])
    at = np.arange(len(few))
    below, not_above = marks.searchsorted(few, "left") * step, marks.searchsorted(few, "right") * step
    most_below, least_not_above = np.minimum(below, len(many)), np.maximum(not_above - step + 1, 0)
    least_below, most_not_above = np.maximum(below - step + 1, 0), np.minimum(not_above, len(many))
    n, m = len(many), len(few)
    found = max(np.max(least_below / n - at / m), np.max((at + 1) / m - most_not_above / n), 0.0)
    most = np.maximum(most_below / n - at / m, (at + 1) / m - least_not_above / n)
    return np.flatnonzero(most >= found)


def _refined(many: np.ndarray, few: np.ndarray, stride: int) -> float:
    n = len(few)
    at = np.append(np.arange(0, n - 1, stride), n - 1)
    below, not_above = _leads(many, few, at)
    found = max(np.max(below - at / n), np.max((at + 1) / n - not_above), 0.0)
    # Between two of these values many leads by at most the first, few by at most the second of these.
    most = np.maximum(below[1:] - at[:-1] / n, (at[1:] + 1) / n - not_above[:-1])
    cells = np.flatnonzero(most > found)
    inside = (at[cells, None] + np.arange(1, stride)).ravel()
    inside = inside[inside < n - 1]
    return float(found) if not len(inside) else max(float(found), _largest(many, few, inside))


def ks_p_values(distances: np.ndarray, firsts: list[np.ndarray], seconds: list[np.ndarray]) -> np.ndarray:
    """Return scipy's two-sided p-values: exact while neither side has more than 10,000 rows, asymptotic beyond.

    ``firsts`` and ``seconds`` are the sorted samples of each feature, as the distances came from them.
    """
    n_first, n_second = np.array([len(each) for each in firsts]), np.array([len(each) for each in seconds])
    exact = np.maximum(n_first, n_second) <= _EXACT_UP_TO
    p = np.empty(len(distances))
    p[~exact] = asymptotic_p_values(np.asarray(distances)[~exact], n_first[~exact], n_second[~exact])
    for i in np.flatnonzero(exact):
        p[i] = ks_2samp(firsts[i], seconds[i]).pvalue
    return p
