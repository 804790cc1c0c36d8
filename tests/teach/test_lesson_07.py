"""The checks of notebook 07 refuse what is wrong, and say why."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from labkit.teach import ____, open_lesson
from tests.teach.checking import approval, refusal

lesson = open_lesson("07")

ROWS, LABELS = "model_predictions_total", "model_labels_total"
UNKNOWN = "sum(increase(model_prediction_rows_total[1h])) >= 100 unless sum(increase(model_labels_total[1h])) > 0"


def calibrated(labelled: pd.DataFrame, recent: pd.DataFrame) -> float:
    right = (labelled["predicted"] == labelled["label"]).groupby(labelled["confidence"]).mean()
    return recent["confidence"].map(right).mean()


WRONG: dict[str, list[tuple[Any, str]]] = {
    "q1": [
        (f"sum by (predicted_class) (increase({ROWS}[15m]))", "numbers of rows"),
        (f"sum by (predicted_class) (rate({ROWS}[15m]))", "rows per second"),
        ("model_reference_prediction_ratio", "for its reference"),
        (f"sum by (predicted_class) ({ROWS}) / scalar(sum({ROWS}))", "since the start"),
        (f"increase({ROWS}[15m]) / scalar(sum(increase({ROWS}[15m])))", "each class comes twice"),
        (f"sum(increase({ROWS}[15m])) / sum(increase({ROWS}[15m]))", "divided by itself"),
        (f"sum by (predicted_class) (increase({ROWS}[1h])) / scalar(sum(increase({ROWS}[1h])))", "Is the window"),
        ("rate(predictions_total[5m])", "returns nothing"),
    ],
    "q2": [
        ("avg(model_accuracy)", "A mean of means"),
        ("model_accuracy", "when labels stop, the gauge stays"),
        (f'{LABELS}{{outcome="correct"}} / {LABELS}', "The query gives 1"),
        (f'sum({LABELS}{{outcome="correct"}}) / sum({LABELS})', "since the start"),
        (
            f'sum(rate({LABELS}{{outcome="correct"}}[15m])) / sum(rate({LABELS}{{outcome="incorrect"}}[15m]))',
            "right answers per wrong one",
        ),
        (f'sum(rate({LABELS}{{outcome="incorrect"}}[15m])) / sum(rate({LABELS}[15m]))', "share of wrong answers"),
        (
            f'rate({LABELS}{{outcome="correct"}}[15m])'
            f" / ignoring (outcome) sum without (outcome) (rate({LABELS}[15m]))",
            "One accuracy for each replica",
        ),
        ("vector(0.9)", "your query differs"),
    ],
    "q3": [
        (lambda _labelled, recent: recent["confidence"].mean(), "mean confidence of `recent`"),
        (lambda labelled, _recent: (labelled["predicted"] == labelled["label"]).mean(), "`labelled` as a whole"),
        (lambda labelled, _recent: labelled["confidence"].mean(), "mean confidence of `labelled`"),
        (lambda _labelled, _recent: 0.97, "your estimate is 0.97"),
        (lambda _labelled, _recent: float("nan"), "The estimate is NaN"),
        (lambda _labelled, recent: recent, "Return one number"),
        (0.5, "must be a function"),
    ],
    "q4": [
        ("model_accuracy < 0.9", "looks healthy exactly when labels stop"),
        ("absent(model_labels_total)", "A counter does not vanish"),
        ("sum(increase(model_labels_total[1h])) == 0", "never exported"),
        ("vector(1)", "on every healthy day"),
        (UNKNOWN.replace(">= 100", "> 0"), "At least 100 should"),
        (UNKNOWN.replace("1h", "15m").replace("100", "25"), "shorter than an hour"),
        (UNKNOWN.replace("sum(increase(model_prediction", "max(increase(model_prediction"), "sum over replicas"),
    ],
}


@pytest.mark.parametrize(("answer", "said"), WRONG["q1"])
def test_wrong_shares_hear_why(answer: str, said: str) -> None:
    assert said in refusal(lesson.q1, None, answer)


@pytest.mark.parametrize(("answer", "said"), WRONG["q2"])
def test_a_wrong_accuracy_hears_why(answer: str, said: str) -> None:
    assert said in refusal(lesson.q2, None, answer)


@pytest.mark.parametrize(("answer", "said"), WRONG["q3"])
def test_a_wrong_estimate_hears_why(answer: Callable, said: str) -> None:
    assert said in refusal(lesson.q3, answer)


@pytest.mark.parametrize(("answer", "said"), WRONG["q4"])
def test_a_wrong_alert_on_missing_labels_hears_why(answer: str, said: str) -> None:
    assert said in refusal(lesson.q4, answer)


def test_counting_answers_is_as_right_as_counting_rows() -> None:
    approval(lesson.q4, UNKNOWN.replace("model_prediction_rows_total", ROWS))


def test_another_way_to_calibrate_is_right_as_well() -> None:
    approval(lesson.q3, calibrated)


def test_a_right_query_in_a_lab_without_traffic_hears_that() -> None:
    lab = SimpleNamespace(query=lambda _expression: pd.DataFrame())
    accuracy = f'sum(increase({LABELS}{{outcome="correct"}}[15m])) / sum(increase({LABELS}[15m]))'
    assert "no labels in 15 minutes" in refusal(lesson.q2, lab, accuracy)


def test_what_is_no_promql_is_an_error_in_prometheus_words() -> None:
    outcome = lesson.q4.check("sum(increase(")
    assert outcome.state == "error"
    assert "parse error" in outcome.message


def test_a_blank_is_not_attempted() -> None:
    assert lesson.q4.check(____).state == "not attempted"
