"""The checks of notebook 04 refuse what is wrong, and say why."""

import re
from typing import Any

import pytest

from labkit.lab import Lab
from labkit.stack.dashboards.grafana import Panel, Query
from labkit.teach import open_lesson
from tests.teach.checking import approval, refusal

lesson = open_lesson("04")

RIGHT = {
    "rate": "sum(rate(model_prediction_rows_total[5m]))",
    "errors": "model:errors:ratio_rate5m",
    "latency": "histogram_quantile(0.95, sum by (le) (rate(model_prediction_latency_seconds_bucket[5m])))",
    "accuracy": "model_version:accuracy:ratio_rate15m",
}
SHARES = (
    "sum by (predicted_class) (increase(model_predictions_total[1h]))"
    " / ignoring (predicted_class) group_left sum(increase(model_predictions_total[1h]))"
)


ERRORS, REQUESTS = "sum(rate(model_prediction_errors_total[5m]))", "sum(rate(model_prediction_requests_total[5m]))"
LABELS = "sum(rate(model_labels_total[15m]))"
CORRECT = LABELS.replace("total", 'total{outcome="correct"}')


def panel(
    expr: str = SHARES, legend: str = "{{predicted_class}}", unit: str = "percentunit", kind: str = "timeseries"
) -> Panel:
    return Panel("Answers", kind, (0, 0, 12, 8), [Query(expr, legend)], "How to read it.", unit=unit)


WRONG: dict[str, list[tuple[Any, str]]] = {
    "q1": [
        ({**RIGHT, "rate": "rate(predictions_total[5m])"}, "no metric predictions_total"),
        ({**RIGHT, "rate": "sum(model_prediction_requests_total)"}, "only grows"),
        ({**RIGHT, "rate": "sum(rate(model_labels_total[5m]))"}, "does not count predictions"),
        ({**RIGHT, "rate": "sum(rate(model_prediction_rows_total[30s]))"}, "fewer than four scrapes"),
        ({**RIGHT, "errors": "sum(rate(model_prediction_errors_total[5m]))"}, "How many of how many"),
        (
            {**RIGHT, "errors": "rate(model_prediction_errors_total[5m]) / rate(model_prediction_requests_total[5m])"},
            "Label mismatch",
        ),
        ({**RIGHT, "errors": f"1 - {ERRORS} / {REQUESTS}"}, "share that succeeded"),
        ({**RIGHT, "errors": f"{REQUESTS} / {ERRORS}"}, "upside down"),
        ({**RIGHT, "errors": f"({ERRORS} / {REQUESTS}) * 100"}, r"does not say 0\.25"),
        ({**RIGHT, "errors": f"{ERRORS} / sum(rate(model_prediction_rows_total[5m]))"}, "failed over all requests"),
        ({**RIGHT, "errors": f"{ERRORS} / {REQUESTS}".replace("5m", "1h")}, "5 minutes were asked for"),
        ({**RIGHT, "errors": "model:errors:ratio_rate1h"}, "recorded over another window"),
        ({**RIGHT, "latency": RIGHT["latency"].replace("0.95", "0.5")}, "the quantile 0.5"),
        ({**RIGHT, "latency": RIGHT["latency"].replace("5m", "1h")}, "latency: the window is 1h"),
        ({**RIGHT, "latency": "histogram_quantile(0.95, model_prediction_latency_seconds_count)"}, "no label le"),
        ({**RIGHT, "accuracy": "model_accuracy"}, "frozen gauge"),
        ({**RIGHT, "accuracy": "vector(0.3)"}, "not the share of right answers"),
        (
            {**RIGHT, "accuracy": "avg(model_prediction_confidence_sum / model_prediction_confidence_count)"},
            "model_prediction_confidence_count, model_prediction_confidence_sum is not the share",
        ),
        (
            {**RIGHT, "accuracy": 'sum(model_labels_total{outcome="correct"}) / sum(model_labels_total)'},
            "old labels count for ever",
        ),
        ({**RIGHT, "accuracy": f"{CORRECT} / {CORRECT}"}, r"does not say 0\.9"),
        ({**RIGHT, "accuracy": f"{CORRECT} / {LABELS}".replace("15m", "5m")}, "15 minutes were asked for"),
        ({"rate": RIGHT["rate"]}, "the keys"),
        (None, "the keys"),
    ],
    "q2": [
        (SHARES, r"A Panel\(...\)"),
        (panel("sum by (predicted_class) (increase(model_predictions_total[1h]))"), "should make 1"),
        (panel("sum(increase(model_predictions_total[1h]))"), "predicted_class in the sum"),
        (panel(SHARES.replace("ignoring (predicted_class) group_left ", "")), "Label mismatch"),
        (panel("model_reference_prediction_ratio"), "not the answers"),
        (panel(unit="short"), "percentunit"),
        (panel(kind="stat"), "the kind is timeseries"),
        (panel(legend=""), "name the curves"),
    ],
    "q3": [
        ("model_feature:ks:distance_rate1h", "the distance itself"),
        ("model_feature:ks:distance_rate1h / 0.15", "typed"),
        ("max(model_feature:ks:distance_rate1h / model_feature:ks:limit_rate1h)", "no label feature"),
        ("model_feature:ks:limit_rate1h / model_feature:ks:distance_rate1h", "Another number"),
        (None, "as a text in quotes"),
        ("model_feature:ks_distance / model_feature:ks:limit_rate1h", "no metric"),
    ],
}


@pytest.mark.parametrize(
    ("name", "answer", "message"), [(name, *case) for name, cases in WRONG.items() for case in cases]
)
def test_a_wrong_answer_is_refused_with_its_own_message(serving: Lab, name: str, answer: Any, message: str) -> None:
    serving.wait_for("model_feature:ks:distance_rate1h", "3h")
    heard = refusal(lesson[name], serving, answer)
    assert re.search(message, heard), heard


def test_other_right_answers_pass(serving: Lab) -> None:
    serving.wait_for("model_feature:ks:distance_rate1h", "3h")
    assert approval(lesson.q1, serving, RIGHT)
    assert approval(lesson.q1, serving, {**RIGHT, "latency": RIGHT["latency"].replace("0.95", ".95")})
    assert approval(lesson.q1, serving, {**RIGHT, "accuracy": f"{CORRECT} / {LABELS}"})
    assert approval(lesson.q2, serving, panel())
    assert approval(lesson.q2, serving, panel(legend="{{ predicted_class }}"))
    assert approval(lesson.q3, serving, "100 * model_feature:ks:distance_rate1h / model_feature:ks:limit_rate1h / 100")
