"""Decide, from numbers alone: may these data be learnt from, may this challenger serve, must this champion go?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from labkit.model.training import Evaluation
from labkit.respond.policy import Policy

__all__ = [
    "Difference",
    "Refusal",
    "challenger_gate",
    "data_gate",
    "label_gate",
    "paired_difference",
    "sensor_gate",
    "watch_gate",
]


@dataclass(frozen=True)
class Refusal:
    """Why a gate stays shut: a short ``reason`` for counting, and ``detail`` with what was measured and the limit."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Difference:
    """Challenger's accuracy minus champion's on the same rows, with the ends of its interval."""

    estimate: float
    low: float
    high: float


def data_gate(instances: np.ndarray, ranges: Mapping[str, tuple[float, float]], policy: Policy) -> Refusal | None:
    """Refuse rows (n, f) with too many missing or implausible values in a feature; None: they may be learnt from.

    ``ranges`` gives lowest and highest plausible value per feature, in the order of the columns. The worst feature is
    named. No rows, no refusal.
    """
    if not len(instances):
        return None
    findings = []
    for (name, (low, high)), column in zip(ranges.items(), instances.T, strict=True):
        missing = ~np.isfinite(column)
        outside = (column < low) | (column > high)
        findings += [
            (float(missing.mean()), policy.max_missing_ratio, f"of {name} are missing"),
            (float(outside.mean()), policy.max_out_of_range_ratio, f"of {name} are outside {low:g} to {high:g}"),
        ]
    return _worst(findings)


def label_gate(labels: Sequence[str], class_names: Sequence[str], policy: Policy) -> Refusal | None:
    """Refuse labels (n,) of which too many name no class of the schema: a new class cannot be learnt by retraining."""
    unknown = float(np.mean(~np.isin(labels, class_names))) if len(labels) else 0.0
    return _worst([(unknown, policy.max_unknown_label_ratio, "of the labels name no known class")])


def sensor_gate(distances: Mapping[str, float], n_rows: int, n_reference: int, policy: Policy) -> Refusal | None:
    """Refuse rows in which one feature has moved while all others stay where the reference has them.

    Lengths of a flower grow together; one that moves alone tells of its sensor or its unit, long before its values are
    implausible. ``distances`` are KS distances, NaN where unknown. They count from the limit of the drift alert on:
    chance alone exceeds it once in 100,000 times.
    """
    known = sorted(((value, name) for name, value in distances.items() if not math.isnan(value)), reverse=True)
    if len(known) < 2:
        return None
    (distance, name), (next_distance, _) = known[:2]
    limit = max(policy.max_lone_distance, 2.47 * math.sqrt(1 / n_rows + 1 / n_reference))
    if distance <= limit or distance < policy.lone_factor * next_distance:
        return None
    detail = (
        f"{name} moved alone, by a KS distance of {distance:.2f}; no other feature by more than {next_distance:.2f}"
    )
    return Refusal("data_quality", detail)


def _worst(findings: Sequence[tuple[float, float, str]]) -> Refusal | None:
    above = [finding for finding in findings if finding[0] > finding[1]]
    if not above:
        return None
    ratio, limit, what = max(above)
    return Refusal("data_quality", f"{ratio:.1%} {what}, the limit is {limit:.1%}")


def paired_difference(
    champion_correct: np.ndarray, challenger_correct: np.ndarray, confidence: float = 0.95
) -> Difference:
    """Compare two models on the same rows (n,) of correct and incorrect answers; only rows where they differ count.

    Adjusted Wald interval, half a row added to each of the four cells. Source: Agresti and Min, "Simple improved
    confidence intervals for comparing matched proportions", Statistics in Medicine 24, 2005.
    """
    champion, challenger = np.asarray(champion_correct, dtype=bool), np.asarray(challenger_correct, dtype=bool)
    won, lost = int(np.sum(challenger & ~champion)), int(np.sum(champion & ~challenger))
    n = len(champion) + 2
    centre = (won - lost) / n
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt((won + lost + 1) / n - centre**2) / math.sqrt(n)
    estimate = (won - lost) / len(champion) if len(champion) else 0.0
    return Difference(estimate, max(-1.0, centre - half), min(1.0, centre + half))


def challenger_gate(
    champion: Evaluation,
    challenger: Evaluation,
    difference: Difference,
    rows_by_class: Mapping[str, int],
    policy: Policy,
) -> Refusal | None:
    """Refuse a challenger that is not good enough, or not surely better; all numbers are of the same holdout."""
    judged = [name for name, rows in rows_by_class.items() if rows >= policy.min_rows_for_recall]
    weakest = min(judged, key=lambda name: challenger.recall[name], default=None)
    latency = _latency_refusal(champion.latency_seconds, challenger.latency_seconds, policy)
    if challenger.accuracy < policy.min_accuracy:
        limit = f"the floor is {policy.min_accuracy:.3f}"
        return Refusal("below_floor", f"accuracy {challenger.accuracy:.3f} on {challenger.n_rows} rows, {limit}")
    if weakest is not None and challenger.recall[weakest] < policy.min_recall:
        recall = f"{challenger.recall[weakest]:.3f}"
        return Refusal("class_recall", f"recall {recall} for {weakest}, the floor is {policy.min_recall:.3f}")
    if latency is not None:
        return latency
    if difference.low <= 0:
        interval = f"{difference.low:+.3f} to {difference.high:+.3f}"
        return Refusal("not_better", f"the accuracy differs by {interval}, which does not exclude 0")
    return None


def _latency_refusal(champion_seconds: float, seconds: float, policy: Policy) -> Refusal | None:
    relative_limit = max(policy.negligible_latency_seconds, policy.max_latency_ratio * champion_seconds)
    limit = min(policy.max_latency_seconds, relative_limit)
    if seconds <= limit:
        return None
    compared = f"the champion takes {champion_seconds * 1e3:.2f} ms"
    return Refusal("latency", f"{seconds * 1e3:.2f} ms a row, the limit is {limit * 1e3:.2f} ms: {compared}")


def watch_gate(n_rows: int, n_correct: int, before: float, policy: Policy) -> Refusal | None:
    """Refuse a new champion that answers below the floor, or surely worse than the old one did (``before``).

    "Surely": the upper end of Wilson's interval for its accuracy is below; chance must not roll back a good model. No
    labelled rows say nothing.
    """
    if not n_rows:
        return None
    accuracy = n_correct / n_rows
    seen = f"accuracy {accuracy:.3f} on its first {n_rows} labelled rows"
    if accuracy < policy.min_watched_accuracy:
        return Refusal("rolled_back", f"{seen}, the floor is {policy.min_watched_accuracy:.3f}")
    if _wilson_upper(accuracy, n_rows, policy.confidence) < before:
        return Refusal("rolled_back", f"{seen}, the champion before it had {before:.3f}")
    return None


def _wilson_upper(share: float, n: int, confidence: float) -> float:
    """Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = share + z * z / (2 * n)
    return (centre + z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n)
