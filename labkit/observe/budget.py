"""From the false alarms that people can live with to the level of a test, by calculation."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import kstwo

from labkit.errors import InputError

__all__ = ["Threshold", "threshold"]


@dataclass(frozen=True)
class Threshold:
    """What keeps a budget of false alarms.

    ``alpha`` is the chance of a false alarm in one window, all features together: the ``alpha`` of
    ``Reference.compare``. ``ks`` is the distance that one feature alone has to reach, with Bonferroni's correction;
    ``coefficient`` is the same for windows of any size, as the rule in PromQL has it:
    ``ks > coefficient * sqrt(1 / n + 1 / m)``.
    """

    alpha: float
    ks: float
    coefficient: float


def threshold(
    false_alarms_per_week: float, windows_per_day: float, *, n_features: int, n_reference: int, n_current: int
) -> Threshold:
    """Return the level at which windows without drift give that many alarms a week on average, or fewer.

    Exact for independent features; for features that depend on each other fewer alarms come. It takes windows that do
    not overlap, of rows drawn from the reference's distribution, and a reference much larger than a window: a small one
    is itself off by chance, in every window. A floor on the effect only takes alarms away.
    """
    if not false_alarms_per_week > 0 or not windows_per_day > 0:
        raise InputError(
            f"{false_alarms_per_week} false alarms a week in {windows_per_day} windows a day cannot be",
            "use numbers above 0",
        )
    if min(n_features, n_reference, n_current) < 1:
        raise InputError("a window needs features, and rows on both sides", "pass n_current of at least 1")
    alpha = false_alarms_per_week / (7 * windows_per_day)
    if alpha >= 1:
        raise InputError(
            f"{false_alarms_per_week} false alarms a week are as many as the windows: no test is needed for that",
            "allow fewer, or look more often",
        )
    n = n_reference * n_current / (n_reference + n_current)
    ks = float(kstwo.isf(alpha / n_features, max(round(n), 1)))
    return Threshold(alpha, float(np.clip(ks, 0.0, 1.0)), ks * math.sqrt(n))
