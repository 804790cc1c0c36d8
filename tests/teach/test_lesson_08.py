"""The checks of notebook 08 refuse what is wrong, and say why."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labkit.errors import InputError
from labkit.lab import Lab
from labkit.teach import ____, open_lesson
from labkit.teach.lessons.lesson_08 import GUARDED
from tests.teach.checking import approval, refusal

lesson = open_lesson("08")

BURN = "model:errors:ratio_rate1h > {rate} * 0.005 and model:errors:ratio_rate5m > {rate} * 0.005"
NAME = {"alertname": "ModelErrorBudgetBurnFast"}
INPUTS = ['alertname =~ "ModelInput.+"']


def changed(old: str, new: str) -> str:
    assert old in GUARDED
    return GUARDED.replace(old, new)


def case(requests: str, errors: str, firing: bool) -> str:
    samples = "[{labels: '{}', value: 1}]" if firing else "[]"
    return f"""
  - interval: 15s
    input_series:
      - {{series: 'model_prediction_requests_total{{model_name="m"}}', values: {requests}}}
      - {{series: 'model_prediction_errors_total{{model_name="m"}}', values: {errors}}}
    promql_expr_test:
      - expr: count(ALERTS{{alertname="ErrorRatioHigh", alertstate="firing"}})
        eval_time: 10m
        exp_samples: {samples}
"""


BAD = case("0+30x40", "0+3x40", firing=True)
FEW = case("0+0.6x40", "0+0.3x40", firing=False)
LATE = case("0+30x40", "0x36 20 40 60 80", firing=False)

WRONG: dict[str, list[tuple[Any, str]]] = {
    "q1": [
        (changed("alert: ErrorRatioHigh", "alert: Errors"), "the file has: Errors"),
        (changed("sum by (model_name) ", ""), "sum both sides by (model_name)"),
        (changed("> 0.05", "> 0.02"), "3 % of the requests fail"),
        (changed(">= 20", ">= 0"), "the guard, at least 20 requests, is missing"),
        (changed("for: 2m", "for: 0s"), "missing or too short"),
        (changed("for: 2m", "for: 10m"), "longer than 2m"),
        (changed("severity: ticket", "team: ours"), "needs the label severity"),
        (changed("annotations: {summary", "annotations: {title"), "no annotation `summary`"),
        (GUARDED, "Prometheus does not know it yet"),
        (None, "text of a rule file"),
    ],
    "q2": [
        (BURN.format(rate=14.4), "14.4 is the rate for 2 %"),
        (BURN.format(rate=0.216), "in the last hour there were 2 %"),
        (BURN.format(rate=21.6).replace(" * 0.005", ""), "fail in both windows"),
        ("model:errors:ratio_rate1h > 0.108", "only the last hour remembers them"),
        ("model:errors:ratio_rate5m > 0.108", "Errors began just now"),
    ],
    "q3": [
        (f"tests:{BAD}", "without its guard"),
        (f"tests:{BAD}{FEW}", "without its `for`"),
        (f"tests:{FEW}{LATE}", "ten times as high"),
        (f"tests:{case('0+30x40', '0+3x40', firing=False)}", "must pass for the rule as it is"),
        (f"tests:{BAD}".replace("ErrorRatioHigh", "ModelDown"), "never ask for ErrorRatioHigh"),
        ([BAD], "text of a test file"),
    ],
    "q4": [
        ({"matchers": INPUTS, "receiver": "data-team"}, 'unless it says "continue"'),
        ({"matchers": ['alertname = "ModelInput"'], "receiver": "data-team", "continue": True}, "needs `=~`"),
        ({"matchers": ['alertname =~ "Model.+"'], "receiver": "data-team", "continue": True}, "fit more than"),
        ({"receiver": "data-team", "continue": True}, "fit more than"),
        ("matchers: ModelInput", "is a dictionary"),
    ],
    "q5": [
        (({"severity": "page"}, "2h", "the client rolls back"), "name the alert"),
        (({"alertname": "ModelDown"}, "2h", "the client rolls back"), "not the alert about errors"),
        ((NAME, "30d", "the client rolls back"), "lasts 720.0 hours"),
        ((NAME, "2h", "quiet"), "tells nobody why"),
    ],
}


@pytest.mark.parametrize(("answer", "said"), WRONG["q1"])
def test_a_wrong_rule_hears_why(lab: Lab, answer: str, said: str) -> None:
    assert said in refusal(lesson.q1, lab, answer)


@pytest.mark.parametrize(("answer", "said"), WRONG["q2"])
def test_a_wrong_burn_rate_hears_why(answer: str, said: str) -> None:
    assert said in refusal(lesson.q2, answer)


@pytest.mark.parametrize(("answer", "said"), WRONG["q3"])
def test_tests_that_hold_too_little_hear_what_is_missing(answer: str, said: str) -> None:
    assert said in refusal(lesson.q3, answer)


@pytest.mark.parametrize(("answer", "said"), WRONG["q4"])
def test_a_wrong_route_hears_why(answer: dict, said: str) -> None:
    assert said in refusal(lesson.q4, answer)


def test_a_receiver_that_nobody_is_is_an_error_in_amtools_words() -> None:
    outcome = lesson.q4.check({"matchers": INPUTS, "receiver": "dat-team"})
    assert outcome.state == "error"
    assert "undefined receiver" in outcome.message


@pytest.fixture
def silence(lab: Lab) -> Iterator[Callable[..., None]]:
    """Silence as a learner does, and end all silences afterwards."""
    made = []
    yield lambda *answer: made.append(lab.alertmanager.silence(*answer))
    for each in made:
        lab.alertmanager.expire(each)


@pytest.mark.parametrize(("answer", "said"), WRONG["q5"])
def test_a_wrong_silence_hears_why(lab: Lab, silence: Callable[..., None], answer: tuple, said: str) -> None:
    silence(*answer)
    assert said in refusal(lesson.q5, lab)


def test_a_right_silence_is_approved_also_twice(lab: Lab, silence: Callable[..., None]) -> None:
    for _ in range(2):
        silence(NAME, "2h", "the client rolls back, see #12")
    assert "can still wake somebody" in approval(lesson.q5, lab)


def test_no_silence_is_not_attempted_and_one_that_ended_is_none(lab: Lab) -> None:
    for _ in range(2):
        outcome = lesson.q5.check(lab)
        assert outcome.state == "not attempted"
        assert "none was made, or it has ended" in outcome.message
        lab.alertmanager.expire(lab.alertmanager.silence(NAME, "2h", "the client rolls back, see #12"))


def test_a_rule_is_approved_once_prometheus_evaluates_it(lab: Lab) -> None:
    lab.load_rules(GUARDED)
    assert "the running Prometheus evaluates it" in approval(lesson.q1, lab, GUARDED)
    lab.load_rules("")


def test_loaded_rules_are_evaluated_in_lab_time_and_taken_away_by_an_empty_text(lab: Lab) -> None:
    shipped = set(lab.prometheus.rules()["name"])
    rules = lab.load_rules(GUARDED)
    assert rules[["name", "health"]].values.tolist() == [["ErrorRatioHigh", "ok"]]
    assert "[5s]" in rules["query"].item()
    assert len(lab.load_rules("")) == 0
    assert set(lab.prometheus.rules()["name"]) == shipped


def test_rules_that_promtool_refuses_leave_those_before_in_force(lab: Lab) -> None:
    lab.load_rules(GUARDED)
    with pytest.raises(InputError, match="promtool refuses the rules"):
        lab.load_rules(changed("> 0.05", "> > 0.05"))
    assert "ErrorRatioHigh" in set(lab.prometheus.rules()["name"])
    lab.load_rules("")


def test_blanks_are_not_attempted(lab: Lab) -> None:
    outcomes = [lesson.q1.check(lab, ____), lesson.q2.check(____), lesson.q3.check(____), lesson.q4.check(____)]
    assert {outcome.state for outcome in outcomes} == {"not attempted"}
