"""The checks of notebook 03 refuse what is wrong, each for its own reason."""

import pytest

from labkit.lab import Lab
from labkit.teach.lessons.lesson_03 import lesson
from tests.teach.checking import approval, refusal

ERRORS, REQUESTS = "sum(rate(model_prediction_errors_total[5m]))", "sum(rate(model_prediction_requests_total[5m]))"
BUCKETS = "rate(model_prediction_latency_seconds_bucket[5m])"
RIGHT, ALL = 'sum(rate(model_labels_total{outcome="correct"}[15m]))', "sum(rate(model_labels_total[15m]))"

WRONG = {
    "q1": [
        (None, "Assign the PromQL as a text"),
        ("rate(model_prediction_errors_total[5m]) / rate(model_prediction_requests_total[5m])", "returns nothing"),
        ("rate(predictions_errors_total[5m])", "returns nothing"),
        (ERRORS, "That is errors per second"),
        (ERRORS.replace("rate", "increase"), "That is the number of errors"),
        (f"1 - {ERRORS} / {REQUESTS}", "the share that succeeded"),
        (f"{REQUESTS} / {ERRORS}", "upside down"),
        (f"{ERRORS} / {REQUESTS}".replace("5m", "1h"), "The window is another one"),
        ("rate(model_prediction_errors_total[5m])", "one number for the model was asked for"),
        ("vector(0.3)", "another one than was asked for"),
    ],
    "q2": [
        ("histogram_quantile(0.95, model_prediction_latency_seconds)", "returns nothing"),
        (f"histogram_quantile(0.95, sum by (model_name) ({BUCKETS}))", "returns nothing"),
        (f"histogram_quantile(0.5, sum by (le) ({BUCKETS}))", "That is the 50% quantile"),
        (f"histogram_quantile(0.95, sum by (le) ({BUCKETS}))".replace("5m", "1m"), "The window is another one"),
        ("vector(0.05)", "another one than was asked for"),
        (f"histogram_quantile(0.95, {BUCKETS})", "first sum the rates of the buckets by (le)"),
        (f"histogram_quantile(0.95, sum by (instance, le) ({BUCKETS}))", "a quantile of each instance"),
    ],
    "q3": [
        ("model_accuracy", "its window is not yours"),
        ('sum(rate(model_labels_total{outcome="right"}[15m]))', "returns nothing"),
        (RIGHT, "That is right answers per second"),
        (f"1 - {RIGHT} / {ALL}", "the share of wrong answers"),
        (f"{RIGHT} / {ALL}".replace("15m", "5m"), "The window is another one"),
    ],
    "q4": [
        (f"{ERRORS} / {REQUESTS}", "It returns NaN"),
        ("absent(model_prediction_requests_total)", "would never fire"),
        (f"{ERRORS} / {REQUESTS} == 0", "would never fire"),
        ("vector(0) == 0", "does not look at model_prediction_requests_total"),
        (f"{REQUESTS} >= 0", "The comparison also holds while requests come"),
        ("sum(increase(model_prediction_requests_total[1h])) * 0 == 0", "It is 0 whatever comes"),
        ("sum(increase(model_prediction_requests_total[2m])) == 0", "The window is another"),
        ("sum(increase(model_prediction_requests_total[10m])) == 0", "The window is another"),
        ("model_prediction_requests_total == 0", "would never fire"),
        (None, "Assign the PromQL as a text"),
    ],
}


@pytest.fixture(scope="module")
def failing(lab: Lab) -> Lab:
    """The lab while three requests of ten fail, and labels of the others have come."""
    lab.traffic("bad_requests", rate=10)
    lab.wait_for(
        "sum(increase(model_labels_total[15m])) > 50 and sum(increase(model_prediction_errors_total[5m])) > 3", "5h"
    )
    return lab


@pytest.fixture(scope="module")
def deserted(failing: Lab) -> Lab:
    """The lab when nobody has asked for five minutes."""
    failing.stop_traffic()
    failing.wait_for("sum(increase(model_prediction_requests_total[5m])) == 0", "3h")
    return failing


@pytest.mark.parametrize(("name", "answer", "why"), [(q, *each) for q in ("q1", "q2", "q3") for each in WRONG[q]])
def test_a_query_that_answers_another_question_is_refused(failing: Lab, name: str, answer: str, why: str) -> None:
    assert why in refusal(lesson[name], failing, answer)


def test_another_way_to_write_the_same_is_as_right(failing: Lab) -> None:
    approval(lesson.q1, failing, f"{ERRORS}\n/\n{REQUESTS}")
    approval(lesson.q1, failing, f"{ERRORS} / {REQUESTS}".replace("rate", "increase"))
    approval(lesson.q2, failing, f"histogram_quantile(0.95, sum by (le, job) ({BUCKETS}))")
    approval(lesson.q3, failing, f"{RIGHT} / {ALL}")


def test_bad_promql_is_an_error_in_prometheuss_words(failing: Lab) -> None:
    outcome = lesson.q1.check(failing, "sum(rate(")
    assert (outcome.state, "parse error" in outcome.message) == ("error", True)


def test_what_tells_silence_is_right_also_while_somebody_asks(failing: Lab) -> None:
    approval(lesson.q4, failing, "sum by (model_name) (increase(model_prediction_requests_total[5m])) == 0  # nobody")


@pytest.mark.parametrize(("answer", "why"), WRONG["q4"])
def test_what_does_not_tell_silence_from_traffic_is_refused(deserted: Lab, answer: str, why: str) -> None:
    assert why in refusal(lesson.q4, deserted, answer)


def test_silence_may_be_told_by_a_rate_too(deserted: Lab) -> None:
    approval(lesson.q4, deserted, f"{REQUESTS} == 0")


def test_silence_may_be_told_without_the_letters_of_the_solution(deserted: Lab) -> None:
    approval(lesson.q4, deserted, "(increase(model_prediction_requests_total[5m])) < 1")
    approval(
        lesson.q4,
        deserted,
        "sum by (model_name) (model_prediction_requests_total)"
        " unless sum by (model_name) (increase(model_prediction_requests_total[5m])) > 0",
    )
