"""The checks of notebook 06 refuse what is wrong, and say why."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from labkit.lab import Lab
from labkit.teach import ____, open_lesson
from labkit.teach.lessons import lesson_06
from labkit.teach.promql import agrees
from tests.teach.checking import approval, refusal

lesson = open_lesson("06")

HOUR = """
max by (model_name, model_version, feature) (abs(
  sum by (model_name, model_version, feature, le) (rate(model_feature_value_bucket[1h]))
    / ignoring (le) group_left
  sum by (model_name, model_version, feature) (rate(model_feature_value_count[1h]))
    - on (model_name, model_version, feature, le)
  max by (model_name, model_version, feature, le) (last_over_time(model_feature_reference_cdf[1m]))
))
"""
QUARTER = HOUR.replace("[1h]", "[15m]")

WRONG: dict[str, list[tuple[Any, str]]] = {
    "q1": [
        (lambda p, q: np.sum(q * np.log(q / p)), "not q"),
        (lambda p, q: np.sum(p * np.log(p / q)), "not p"),
        (lambda p, q: np.sum((p - q) * np.log(q / p)), "The sign is turned around"),
        (lambda p, q: np.sum((q - p) * np.log10(q / p)), "to base 10"),
        (lambda p, q: np.sum((q - p) * np.log2(q / p)), "to base 2"),
        (lambda p, q: np.mean((q - p) * np.log(q / p)), "PSI is their sum"),
        (lambda p, q: np.sum((q - p) ** 2 / p), "chi-square"),
        (lambda p, q: (q - p) * np.log(q / p), "one per bin"),
        (lambda *_: None, "returns None"),
        (lambda *_: 0.25, "it returns 0.25, but PSI is 0.2747"),
        (0.2747, "hand over the function itself"),
    ],
    "q2": [
        (272, "against an endless reference"),
        (83, "alpha = 0.05"),
        (263, "alpha is not halved"),
        (278, "Too few"),
        (500, "not the fewest"),
        (6_000, "not the fewest"),
        (0, "at least one row"),
        (278.4, "a whole number"),
        (math.inf, "a whole number"),
        (True, "a whole number"),
        (None, "a whole number"),
    ],
    "q3": [
        (HOUR, "The window is [1h]"),
        (QUARTER.replace("value_count[15m]", "value_count[1h]"), "every count of values must be over [15m]"),
        ("max_over_time(model_feature:ks:distance_rate1h[15m])", "A recorded series"),
        ("sum by (feature) (rate(model_predictions_total[15m]))", "never asks for model_feature_value_bucket"),
        (QUARTER.replace("rate(model_feature_value_bucket[15m])", "model_feature_value_bucket"), "since the service"),
        (QUARTER.replace("/ ignoring (le) group_left", "/"), "returns nothing"),
        ("sum by (feature, le) (rate(model_feature_value_bucket[15m]))", "one per bucket"),
        (QUARTER.replace("max by (model_name, model_version, feature) (abs", "max by (model_name) (abs"), "is gone"),
        (QUARTER.replace("feature) (abs(", "feature) (("), "either direction"),
        (QUARTER.replace("max by (model_name, model_version, feature) (", "avg by (feature) ("), "largest gap"),
        (None, "PromQL is a text"),
        ("max by (feature) (abs(rate(model_feature_value_bucket[15m])))", "no share yet"),
    ],
    "q4": [
        (lambda p, rate: p <= rate, "without any correction"),
        (lambda p, rate: p <= rate / len(p), "Bonferroni"),
        (lambda p, rate: p <= rate * (np.argsort(np.argsort(p)) + 1) / len(p), "its own line"),
        (lambda p, rate: np.sort(p) <= rate / len(p), "is right, and it returns"),
        (lambda p, rate: np.flatnonzero(p <= rate), "booleans"),
        (lambda *_: None, "returns None"),
        (lambda p, _: np.zeros(len(p), dtype=bool), "is right, and it returns"),
        (np.array([True, False]), "hand over the function itself"),
    ],
}


def pairs(name: str) -> Any:
    return pytest.mark.parametrize(("answer", "said"), WRONG[name])


@pairs("q1")
def test_a_wrong_stability_index_hears_what_it_is_instead(answer: Any, said: str) -> None:
    assert said in refusal(lesson.q1, answer)


@pairs("q2")
def test_a_wrong_number_of_rows_hears_which_assumption_it_rests_on(answer: Any, said: str) -> None:
    assert said in refusal(lesson.q2, answer)


def test_a_distance_of_one_direction_is_told_apart_whatever_the_traffic_shows() -> None:
    right, one_sided = QUARTER, QUARTER.replace("feature) (abs(", "feature) ((")
    expected = {"a": 0.4}
    assert agrees(right, lesson_06._FEWER_BELOW, expected, by="feature")
    assert not agrees(one_sided, lesson_06._FEWER_BELOW, expected, by="feature")


@pairs("q3")
def test_a_wrong_query_hears_which_part_of_it_is_wrong(serving: Lab, answer: Any, said: str) -> None:
    assert said in refusal(lesson.q3, serving, answer)


@pairs("q4")
def test_a_wrong_procedure_hears_which_one_it_is(answer: Callable, said: str) -> None:
    assert said in refusal(lesson.q4, answer)


def test_a_query_may_count_rows_in_another_way(serving: Lab) -> None:
    expression = QUARTER.replace("rate(", "increase(").replace(
        "max by (model_name, model_version, feature) (", "max by (feature) ("
    )
    assert "The same as ours" in approval(lesson.q3, serving, expression)


def test_a_query_that_prometheus_cannot_read_is_told_in_its_own_words(serving: Lab) -> None:
    outcome = lesson.q3.check(serving, QUARTER.replace("))\n", ")\n"))
    assert (outcome.state, "parse error" in outcome.message) == ("error", True)


def test_numpys_integers_are_whole_numbers() -> None:
    assert "279" in approval(lesson.q2, np.int64(279))
    assert "279" in approval(lesson.q2, np.ceil(278.4))


def test_the_smallest_window_is_the_first_below_the_limit() -> None:
    factor = math.sqrt(-math.log(1e-5 / 2) / 2)
    limits = {rows: factor * math.sqrt(1 / rows + 1 / 10_000) for rows in (278, 279)}
    assert limits[279] <= 0.15 < limits[278]


def test_a_procedure_that_reports_as_scipy_does_is_right() -> None:
    from scipy.stats import false_discovery_control

    approval(lesson.q4, lambda p, rate: false_discovery_control(p) <= rate)


def test_blanks_are_not_attempted() -> None:
    states = [lesson.q1.check(____).state, lesson.q2.check(____).state, lesson.q3.check(None, ____).state]
    assert {*states, lesson.q4.check(____).state} == {"not attempted"}
