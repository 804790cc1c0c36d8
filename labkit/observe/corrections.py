"""Many tests at once: p-values that keep their promise for the whole family."""

import numpy as np

from labkit.errors import InputError

__all__ = ["CORRECTIONS", "adjust"]


def adjust(p_values: np.ndarray, correction: str) -> np.ndarray:
    """Return adjusted p-values: compare them with the level that is meant for the whole family.

    ``bonferroni`` keeps the chance of any false alarm, however the features depend on each other.
    ``benjamini-hochberg`` keeps the expected share of false ones among the alarms (1995), and so, when nothing drifts,
    the chance of any: for independent and for positively dependent features. ``none`` keeps neither.
    """
    if correction not in CORRECTIONS:
        raise InputError(f"there is no correction {correction!r}", f"choose one of {', '.join(CORRECTIONS)}")
    return CORRECTIONS[correction](np.asarray(p_values, dtype=np.float64))


def _bonferroni(p_values: np.ndarray) -> np.ndarray:
    return np.minimum(p_values * len(p_values), 1.0)


def _benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    order = np.argsort(p_values)[::-1]  # the largest first
    ranks = np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum.accumulate(np.minimum(p_values[order] * len(p_values) / ranks, 1.0))
    return adjusted


CORRECTIONS = {
    "benjamini-hochberg": _benjamini_hochberg,
    "bonferroni": _bonferroni,
    "none": lambda p_values: p_values,
}
