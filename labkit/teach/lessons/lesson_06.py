"""The checks of notebook 06: detect data drift."""

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.errors import WaitTimeout
from labkit.lab import Lab
from labkit.model.iris import SCHEMA
from labkit.teach.exercise import Incorrect, Lesson
from labkit.teach.promql import agrees

if TYPE_CHECKING:
    import pandas as pd

lesson = Lesson("06", "Detect data drift")

_SHARES = (
    (np.array([0.5, 0.5]), np.array([0.25, 0.75])),
    (np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.1, 0.2, 0.3])),
)


def _psi(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.sum((q - p) * np.log(q / p)))


# What people write instead, and what to tell them.
_NEARLY_PSI: tuple[tuple[Callable[[np.ndarray, np.ndarray], float], str], ...] = (
    (
        lambda p, q: np.sum(q * np.log(q / p)),
        "That is Kullback and Leibler's divergence. PSI's factor is q - p, not q, the current share.",
    ),
    (
        lambda p, q: np.sum(p * np.log(p / q)),
        "That is Kullback and Leibler's divergence. PSI's factor is q - p, not p, the reference's share.",
    ),
    (lambda p, q: -_psi(p, q), "The sign is turned around: each bin's contribution is at least 0."),
    (lambda p, q: _psi(p, q) / math.log(2), "The logarithm is to base 2; PSI takes the natural one, np.log."),
    (lambda p, q: _psi(p, q) / math.log(10), "The logarithm is to base 10; PSI takes the natural one, np.log."),
    (lambda p, q: _psi(p, q) / len(p), "That is the mean over the bins; PSI is their sum."),
    (lambda p, q: np.sum((q - p) ** 2 / p), "That is chi-square's distance: PSI multiplies q - p by a logarithm."),
)


@lesson.exercise(
    hints=(
        "Both arguments are NumPy arrays, so one expression computes the contributions of all bins at once.",
        "(current - reference) * np.log(current / reference) are the contributions; return their sum.",
    )
)
def q1(psi: Callable[[np.ndarray, np.ndarray], float]) -> str:
    """Write the population stability index of two arrays of shares."""
    if not callable(psi):
        raise Incorrect(f"This is {type(psi).__name__}: hand over the function itself, psi, without calling it.")
    answers = [_one_number(psi(p.copy(), q.copy())) for p, q in _SHARES]
    if not _agree(answers, _psi):
        for nearly, why in _NEARLY_PSI:
            if _agree(answers, nearly):
                raise Incorrect(why.replace("q - p", "(current - reference)"))
        p, q = _SHARES[0]
        raise Incorrect(f"For {p.tolist()} and {q.tolist()} it returns {answers[0]:.4g}, but PSI is {_psi(p, q):.4g}.")
    return "Right: it is 0 when nothing moved, never negative, and the same when both sides change places."


def _one_number(answer: Any) -> float:
    if answer is None:
        raise Incorrect("The function returns None. Does it end with `return`?")
    if np.ndim(answer):
        raise Incorrect(f"It returns {np.size(answer)} numbers, one per bin. PSI is their sum.")
    return float(answer)


def _agree(answers: list[float], index: Callable[[np.ndarray, np.ndarray], float]) -> bool:
    return all(math.isclose(answer, index(p, q), rel_tol=1e-9) for answer, (p, q) in zip(answers, _SHARES, strict=True))


_ALPHA, _DISTANCE, _REFERENCE_ROWS = 1e-5, 0.15, 10_000


def _rows_for(factor: float, reference_rows: float = _REFERENCE_ROWS) -> int:
    """Return the least n for which factor x sqrt(1/n + 1/reference_rows) is at most the distance."""
    return math.ceil(1 / ((_DISTANCE / factor) ** 2 - 1 / reference_rows))


def _factor(alpha: float) -> float:
    return math.sqrt(-math.log(alpha / 2) / 2)


@lesson.exercise(
    hints=(
        "limit(n, 10_000, 1e-5) falls while n grows. Which n is the first for which it is at most 0.15?",
        "Try them one by one: next(n for n in range(1, 10_000) if limit(n, 10_000, 1e-5) <= 0.15).",
    )
)
def q2(rows: float) -> str:
    """Find the smallest window for which chance exceeds a distance of 0.15 in one look of 100,000."""
    whole = isinstance(rows, int | np.integer) or (isinstance(rows, float | np.floating) and float(rows).is_integer())
    if isinstance(rows, bool) or not whole:
        raise Incorrect(f"A number of rows is a whole number; this is {rows!r} of type {type(rows).__name__}.")
    rows, right = int(rows), _rows_for(_factor(_ALPHA))
    if rows == right:
        return f"Yes. From {right} rows on, a distance above {_DISTANCE} is no accident, in any feature."
    if rows == _rows_for(_factor(_ALPHA), math.inf):
        raise Incorrect("That would do against an endless reference. Ours has 10,000 rows, which tremble a little too.")
    if rows in (_rows_for(_factor(0.05)), _rows_for(_factor(0.05), math.inf)):
        raise Incorrect("That is for alpha = 0.05: one look in twenty would be a false alarm. Take 1e-5.")
    if rows == _rows_for(_factor(2 * _ALPHA)):
        raise Incorrect("Here alpha is not halved. The gap may lie in either direction, and each gets half of it.")
    if rows < 1:
        raise Incorrect("A window has at least one row.")
    reached = _factor(_ALPHA) * math.sqrt(1 / rows + 1 / _REFERENCE_ROWS)
    if rows < right:
        raise Incorrect(f"Too few: with {rows} rows chance exceeds {reached:.4f} that rarely, and 0.15 more often.")
    raise Incorrect(f"Enough, but not the fewest: with {rows:,} rows the limit is {reached:.4f}, below 0.15.")


_DISTANCE_15M = """
max by (feature) (abs(
  sum by (model_name, model_version, feature, le) (rate(model_feature_value_bucket[15m]))
    / ignoring (le) group_left
  sum by (model_name, model_version, feature) (rate(model_feature_value_count[15m]))
    - on (model_name, model_version, feature, le)
  max by (model_name, model_version, feature, le) (last_over_time(model_feature_reference_cdf[1m]))
))
"""


@lesson.exercise(
    hints=(
        "The rule is right but for its window. Which durations in it belong to the window?",
        "Put [15m] after model_feature_value_bucket and after model_feature_value_count; the reference keeps its [1m].",
    )
)
def q3(lab: Lab, expression: str) -> str:
    """Write the KS distance of each feature over the last 15 minutes in PromQL."""
    if not isinstance(expression, str):
        raise Incorrect(f"PromQL is a text; this is {type(expression).__name__}. Assign the query, not its result.")
    _refuse_other_windows(expression)
    truth = _asked(lab, _DISTANCE_15M).dropna(subset="value")
    if not len(truth):
        raise Incorrect("No rows came in the last 15 minutes, so there is no distance. Run lab.traffic() and wait.")
    found = _asked(lab, expression)
    if not len(found):
        raise Incorrect(
            "The query returns nothing. A division or a difference matches series by their labels: "
            "does `ignoring (le) group_left`, or the list in `on (...)`, name the right ones?"
        )
    _refuse_other_lines(list(found.columns), len(found))
    _refuse_other_values(lab, expression)
    largest = found.loc[found["value"].idxmax()]
    return f"The same as ours, for all {len(found)} features. {largest['feature']} is farthest: {largest['value']:.2f}."


def _asked(lab: Lab, expression: str) -> "pd.DataFrame":
    """Ask until something comes, for some seconds: a lost scrape empties every gauge for a moment."""
    try:
        return lab.wait_for(expression, timeout="6m")
    except WaitTimeout:
        return lab.query(expression)


def _refuse_other_windows(expression: str) -> None:
    if "model_feature:ks" in expression:
        raise Incorrect("A recorded series is over the hour of its rule, whatever you put around it. Use the buckets.")
    if "model_feature_value" not in expression:
        raise Incorrect("The query never asks for model_feature_value_bucket, where the values are counted.")
    windows = re.findall(r"model_feature_value_\w+\s*(?:\{[^}]*\})?\s*(\[\w+\])?", expression)
    if not all(windows):
        raise Incorrect("A bucket counts since the service started. Take its rate(...[15m]) for what is new in it.")
    if others := sorted(set(windows) - {"[15m]"}):
        raise Incorrect(f"The window is {' and '.join(others)}: every count of values must be over [15m].")


def _refuse_other_lines(columns: list[str], n: int) -> None:
    if "feature" not in columns:
        raise Incorrect("The label `feature` is gone: keep it in every `by (...)`, else features are mixed up.")
    if "le" in columns:
        raise Incorrect(f"There are {n} lines, one per bucket. Take the largest: max by (..., feature) around it all.")
    if n != len(SCHEMA.feature_names):
        raise Incorrect(f"There are {n} lines, not one for each of the {len(SCHEMA.feature_names)} features.")


# A tenth of the values lies below 1, and half of the reference's: the largest gap is negative.
_LABELS = 'model_name="m", model_version="v1", feature="a"'
_FEWER_BELOW = {
    f'model_feature_value_bucket{{{_LABELS}, le="1.0"}}': "0+1x480",
    f'model_feature_value_bucket{{{_LABELS}, le="+Inf"}}': "0+10x480",
    f"model_feature_value_count{{{_LABELS}}}": "0+10x480",
    f'model_feature_reference_cdf{{{_LABELS}, le="1.0"}}': "0.5x480",
    f'model_feature_reference_cdf{{{_LABELS}, le="+Inf"}}': "1x480",
}


def _refuse_other_values(lab: Lab, expression: str) -> None:
    """Compare at one instant, in one query: two queries would see different rows."""
    theirs = f"max by (feature) (({expression}\n))"
    gaps = _asked(lab, f"({theirs} - on (feature) ({_DISTANCE_15M}))").set_index("feature")["value"]
    feature = str(gaps.abs().idxmax())
    gap = gaps[feature]
    if abs(gap) < 1e-6:
        if not agrees(expression, _FEWER_BELOW, {"a": 0.4}, by="feature"):
            raise Incorrect(
                "It fits this traffic by chance: here every largest gap is positive. A gap can lie in either "
                "direction. Take abs(...) before max."
            )
        return
    if "abs" not in expression:
        raise Incorrect(f"{feature} is off by {gap:.3f}: a gap can lie in either direction. Take abs(...) before max.")
    if "_count" not in expression:
        raise Incorrect("A rate of a bucket is no share yet: divide it by the rate of model_feature_value_count.")
    if "model_feature_reference_cdf" not in expression:
        raise Incorrect(
            "The share of current rows is there, the reference is not: subtract model_feature_reference_cdf."
        )
    raise Incorrect(f"For {feature} the query is off by {gap:+.3f}. KS is the largest gap over all buckets (max).")


_P_VALUES = (
    ([0.012, 0.9, 0.02, 0.5], 0.05),
    ([0.04, 0.045, 0.03, 0.048], 0.05),
    ([0.6, 0.5, 0.7], 0.05),
    ([0.2, 0.01, 0.04, 0.9], 0.05),
    ([0.04, 0.9, 0.15, 0.3, 0.09], 0.2),
)


def _discoveries(p: np.ndarray, rate: float) -> np.ndarray:
    ordered = np.sort(p)
    passing = ordered <= rate * np.arange(1, len(p) + 1) / len(p)
    return p <= (ordered[passing].max() if passing.any() else -1.0)


def _below_own_line(p: np.ndarray, rate: float) -> np.ndarray:
    return p <= rate * (np.argsort(np.argsort(p)) + 1) / len(p)


_NEARLY_DISCOVERIES: tuple[tuple[Callable[[np.ndarray, float], np.ndarray], str], ...] = (
    (lambda p, rate: p <= rate, "That reports every p-value up to the rate, without any correction."),
    (lambda p, rate: p <= rate / len(p), "That is Bonferroni's correction, which is stricter: every line is rate / k."),
    (_below_own_line, "Each p-value is held against its own line. All up to the largest one that passes are reported."),
    (
        lambda p, rate: np.sort(_discoveries(p, rate))[::-1],
        "The answer is in the order of the sorted p-values. Return it in the order in which they came.",
    ),
)


@lesson.exercise(
    hints=(
        "np.sort(p_values) <= rate * np.arange(1, k + 1) / k says which ranks pass. The largest of them counts.",
        "With ordered[passing].max() as the limit, p_values <= limit is the answer. Mind the case that none passes.",
    )
)
def q4(discoveries: Callable[[np.ndarray, float], Any]) -> str:
    """Write Benjamini and Hochberg's procedure."""
    if not callable(discoveries):
        raise Incorrect(f"This is {type(discoveries).__name__}: hand over the function itself, without calling it.")
    answers = [_booleans(discoveries(np.array(values), rate), len(values)) for values, rate in _P_VALUES]
    if wrong := _first_difference(answers, _discoveries):
        for nearly, why in _NEARLY_DISCOVERIES:
            if not _first_difference(answers, nearly):
                raise Incorrect(f"{why} Look at {wrong}.")
        raise Incorrect(f"Look at {wrong}.")
    return "Right: the same as scipy's false_discovery_control, held against the rate."


def _booleans(answer: Any, n: int) -> np.ndarray:
    if answer is None:
        raise Incorrect("The function returns None. Does it end with `return`, also when nothing is reported?")
    answer = np.asarray(answer)
    if answer.shape != (n,) or answer.dtype != bool:
        found = f"this has the shape {answer.shape} and the type {answer.dtype}"
        raise Incorrect(f"For {n} p-values it must return {n} booleans; {found}.")
    return answer


def _first_difference(answers: list[np.ndarray], procedure: Callable[[np.ndarray, float], np.ndarray]) -> str:
    """Say where answers differ from a procedure's; nothing where they do not."""
    for (values, rate), answer in zip(_P_VALUES, answers, strict=True):
        if not np.array_equal(answer, procedure(np.array(values), rate)):
            right = _discoveries(np.array(values), rate)
            return f"{values} with rate {rate}: {right.tolist()} is right, and it returns {answer.tolist()}"
    return ""
