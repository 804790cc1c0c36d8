"""Kolmogorov and Smirnov's two-sample test: the exact distance, found by searching one side in the other."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import ks_2samp

from labkit.observe.ks_pvalue import asymptotic_p_values

__all__ = ["WINDOW", "ks_distance", "ks_p_values", "marks_of", "window_distances"]

WINDOW = 2_000  # shorter sides are searched all at once

_EXACT_UP_TO = 10_000  # scipy's "auto" is exact when neither side has more rows


def ks_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the largest difference of two empirical distribution functions; both sides sorted, without NaN.

    Bit-identical to ``scipy.stats.ks_2samp(first, second).statistic``. The shorter side is searched in the
    longer: first every ``stride``-th value, then those between two of them that can hold more than what was found.
    """
    many, few = (first, second) if len(first) >= len(second) else (second, first)
    if len(few) < WINDOW:
        return float(window_distances([many], [marks_of(many)], [few])[0])
    return _rounded(_refined(many, few, max(1, int(math.sqrt(len(few)) / 8))), len(many), len(few))


def _rounded(distance: float, n: int, m: int) -> float:
    """Return the distance as scipy does: rounded to a multiple of 1 / lcm before its exact method."""
    if n > _EXACT_UP_TO:
        return float(distance)
    lcm = math.lcm(n, m)
    return int(np.round(distance * lcm)) * 1.0 / lcm


def marks_of(values: np.ndarray) -> np.ndarray:
    """Return every n-th of sorted values, about 500: they fit into the processor's nearest cache."""
    return np.ascontiguousarray(values[:: _step(len(values))])


def _step(n: int) -> int:
    return max(1, n // 500)


def window_distances(
    references: Sequence[np.ndarray], marks: Sequence[np.ndarray], windows: Sequence[np.ndarray]
) -> np.ndarray:
    """Return ``ks_distance`` of each reference and window, a shorter one, with the ``marks_of`` the reference.

    Searched in the marks alone, a value of the window bounds the gap at its place from both sides. Only where the
    upper bound reaches the greatest lower one is it searched in the reference, whose memory is far from the processor.
    """
    lengths, sizes = np.array([len(each) for each in windows]), np.array([len(each) for each in references])
    starts = np.cumsum(lengths) - lengths
    values, all_marks = np.concatenate(windows), np.concatenate(marks)
    n, m = np.repeat(sizes, lengths), np.repeat(lengths, lengths)
    at = np.arange(len(values)) - np.repeat(starts, lengths)
    step = np.repeat([_step(size) for size in sizes.tolist()], lengths)
    place = np.concatenate([each.searchsorted(window) for each, window in zip(marks, windows, strict=True)])
    n_marks = np.array([len(each) for each in marks])
    mark = all_marks[
        np.repeat(np.cumsum(n_marks) - n_marks, lengths) + np.minimum(place, np.repeat(n_marks - 1, lengths))
    ]
    before, until = at / m, (at + 1) / m
    least, most = np.maximum((place - 1) * step + 1, 0) / n, np.minimum(place * step, n) / n
    found = np.maximum(least - before, until - np.where(mark == values, 1.0, most))
    found = np.maximum(np.maximum.reduceat(found, starts), 0.0)
    chosen = np.flatnonzero(np.maximum(most - before, until - least) >= np.repeat(found, lengths))
    ends = chosen.searchsorted([*starts, len(values)])
    parts = zip(references, np.split(values[chosen], ends[1:-1]), strict=True)
    below, not_above = np.hstack([(each.searchsorted(part), each.searchsorted(part, "right")) for each, part in parts])
    gaps = np.maximum(below / n[chosen] - before[chosen], until[chosen] - not_above / n[chosen])
    gaps = np.maximum(np.maximum.reduceat(gaps, ends[:-1]), 0.0)
    return np.array([_rounded(*each) for each in zip(*(each.tolist() for each in (gaps, sizes, lengths)), strict=True)])


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
