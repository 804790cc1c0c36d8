"""The checks of notebook 07: watch predictions and late labels."""

import math
import re
from collections.abc import Callable, Mapping

from labkit.lab import Lab
from labkit.teach.exercise import Incorrect, Lesson
from labkit.teach.promql import agrees, check_expression

__all__ = ["lesson"]

lesson = Lesson("07", "Watch predictions and late labels")

# Two replicas, two hours, a sample every 15 s: for 90 minutes all is setosa, then the mix changes.
_ANSWERS = {
    'model_predictions_total{instance="a", predicted_class="setosa"}': "0+40x360 14410+10x120",
    'model_predictions_total{instance="b", predicted_class="setosa"}': "0+40x360 14410+10x120",
    'model_predictions_total{instance="a", predicted_class="virginica"}': "0x360 20+20x120",
    'model_predictions_total{instance="b", predicted_class="virginica"}': "0x360 40+40x120",
    'model_reference_prediction_ratio{instance="a", predicted_class="setosa"}': "0.5x480",
    'model_reference_prediction_ratio{instance="a", predicted_class="virginica"}': "0.5x480",
}
# For 90 minutes all is right; then a busy replica is right in 95 of 100 rows and a quiet one in 5 of 20.
_LABELS = {
    'model_labels_total{instance="a", outcome="correct"}': "0+100x360 36095+95x120",
    'model_labels_total{instance="a", outcome="incorrect"}': "0x360 5+5x120",
    'model_labels_total{instance="b", outcome="correct"}': "0+20x360 7205+5x120",
    'model_labels_total{instance="b", outcome="incorrect"}': "0x360 15+15x120",
    'model_accuracy{instance="a"}': "0.95x480",
    'model_accuracy{instance="b"}': "0.25x480",
}


@lesson.exercise(
    hints=(
        "Two sums of increase(model_predictions_total[15m]): one by (predicted_class), one over everything.",
        "Divide the first by scalar(the second): a scalar has no labels, so nothing has to match.",
    )
)
def q1(lab: Lab, shares: str) -> str:
    """Write the query for the share of each predicted class among the rows of the last 15 minutes."""
    check_expression(shares)

    def gives(setosa: float, virginica: float) -> bool:
        return agrees(shares, _ANSWERS, {"setosa": setosa, "virginica": virginica}, by="predicted_class")

    if "model_reference_prediction_ratio" in shares:
        raise Incorrect("model_reference_prediction_ratio is what the model answered for its reference, not now.")
    if not gives(0.25, 0.75):
        _explain_shares(shares, gives)
    found = lab.query(shares)
    if not len(found):
        raise Incorrect("On made-up data the query is right, but the lab returns nothing: is traffic running?")
    listed = ", ".join(f"{row.predicted_class} {row.value:.0%}" for row in found.itertuples())
    return f"Now: {listed}."


def _explain_shares(shares: str, gives: Callable[[float, float], bool]) -> None:
    if agrees(shares, _ANSWERS, {}):
        raise Incorrect("The query returns nothing: both sides of a division need the same labels, or scalar(...).")
    if gives(1200, 3600):
        raise Incorrect("These are numbers of rows. A share is such a number divided by the number of all rows.")
    if gives(20 / 15 / 4, 60 / 15 / 4) or gives(1.333, 4):
        raise Incorrect("These are rows per second. Divide them by the rows per second of all classes.")
    if gives(0.813, 0.188):
        raise Incorrect("The shares are those since the start, not of the last 15 minutes: a counter needs increase().")
    if agrees(shares, _ANSWERS, {"": 1}):
        raise Incorrect("The query gives 1: something is divided by itself. The lower sum must be over all classes.")
    if not agrees(f"count by (predicted_class) ({_line(shares)}) == 1", _ANSWERS, {"setosa": 1, "virginica": 1},
                  by="predicted_class"):  # fmt: skip
        raise Incorrect(
            "There is not one series for each predicted_class. With two replicas each class comes twice: sum by "
            "(predicted_class)."
        )
    raise Incorrect(
        "Two made-up replicas answer setosa in 25 % and virginica in 75 % of the last 15 minutes' rows; you "
        "have other shares. Is the window 15 minutes, and counted are rows by predicted_class?"
    )


@lesson.exercise(
    hints=(
        "Both sides are sum(increase(model_labels_total...[15m])); above only the right answers, below all.",
        'The upper one has {outcome="correct"}. Sum first, then divide: sum(...) / sum(...).',
    )
)
def q2(lab: Lab, accuracy: str) -> str:
    """Write the query for the accuracy of the rows whose labels came in the last 15 minutes."""
    check_expression(accuracy)
    if re.search(r"\bmodel_accuracy\b", accuracy):
        raise Incorrect(
            "model_accuracy is a gauge of each replica. A mean of means counts a replica with ten rows like one with "
            "ten thousand: two made-up replicas are right in 83 % of the rows, and the mean of their gauges says "
            "60 %. And when labels stop, the gauge stays. Use the counter model_labels_total."
        )
    if not agrees(accuracy, _LABELS, {"": 0.833}):
        _explain_accuracy(accuracy)
    found = lab.query(accuracy)
    if not len(found) or math.isnan(found["value"].iloc[0]):
        raise Incorrect("On made-up data the query is right, but the lab has no labels in 15 minutes: is traffic on?")
    return f"{found['value'].iloc[0]:.1%} of the lately labelled rows were right, summed before divided."


def _explain_accuracy(accuracy: str) -> None:
    def gives(value: float) -> bool:
        return agrees(accuracy, _LABELS, {"": value})

    if agrees(accuracy, _LABELS, {}):
        raise Incorrect("The query returns nothing: the metric is misspelt, or labels of the two sides do not match.")
    if gives(1):
        raise Incorrect(
            "The query gives 1, whatever the labels say: without sum() each series is divided by the one with the same "
            "labels, itself."
        )
    if gives(0.958):
        raise Incorrect("That is the accuracy since the start: a counter needs increase(...[15m]) to forget.")
    if gives(0.167):
        raise Incorrect("That is the share of wrong answers. Accuracy is the share of right ones.")
    if gives(5):
        raise Incorrect("That is right answers per wrong one. The lower side must hold all rows, right and wrong.")
    if gives(0.95) or gives(0.6):
        raise Incorrect("One accuracy for each replica, or a mean of them: sum both counters over the replicas first.")
    raise Incorrect(
        "Two made-up replicas were right in 100 of 120 rows of each scrape, 0.833, in the last 15 "
        "minutes; your query differs. Is the window right?"
    )


def _line(expression: str) -> str:
    return f"\n{expression}\n"


@lesson.exercise(
    hints=(
        "pd.cut(confidence, BINS) names the group of each row; groupby(...).mean() of right answers is its accuracy.",
        "Map the groups of `recent` to those accuracies, and take the mean.",
    )
)
def q3(estimate_accuracy: Callable) -> str:
    """Estimate the accuracy of rows without labels from the calibration of rows with labels."""
    if not callable(estimate_accuracy):
        raise Incorrect("estimate_accuracy must be a function of labelled and recent.")
    given = _estimated(estimate_accuracy)
    mistakes: Mapping[float, str] = {
        0.69: "That is the mean confidence of `recent`: this made-up model says 0.92 where it is right in 80 of 100 "
        "rows. Correct it by what labelled rows with such a confidence were.",
        0.75: "That is the accuracy of `labelled` as a whole. But `recent` has far more unsure rows than `labelled`: "
        "weigh each group by how often it comes now.",
        0.88: "That is the mean confidence of `labelled`; what is asked for is about `recent`.",
    }
    for value, message in mistakes.items():
        if abs(given - value) < 0.02:
            raise Incorrect(message)
    if not abs(given - 0.5) < 0.03:
        raise Incorrect(f"For rows that would be right in 50 of 100 cases your estimate is {given:.2f}.")
    return "A model that says 0.92 and is right in 80 of 100 cases is taken at 0.80."


def _estimated(estimate_accuracy: Callable) -> float:
    """Ask for an estimate where sure rows are right 80 times of 100, unsure ones 40 times."""
    import pandas as pd

    sure = pd.DataFrame({"confidence": 0.92, "predicted": "setosa", "label": ["setosa"] * 80 + ["virginica"] * 20})
    unsure = pd.DataFrame({"confidence": 0.62, "predicted": "setosa", "label": ["setosa"] * 40 + ["virginica"] * 60})
    labelled = pd.concat([sure] * 7 + [unsure], ignore_index=True)
    recent = pd.DataFrame({"confidence": [0.92] * 250 + [0.62] * 750})
    found = estimate_accuracy(labelled, recent)
    try:
        value = float(found)
    except (TypeError, ValueError):
        raise Incorrect(f"Return one number, the estimated accuracy; this is {type(found).__name__}.") from None
    if math.isnan(value):
        raise Incorrect("The estimate is NaN: groups of BINS without a labelled row must not spoil the mean.")
    return value


_ASKED, _UNASKED = "0+10x480", "0+10x120 1200x360"
_ROWS, _OTHER_ROWS = 'model_prediction_rows_total{instance="a"}', 'model_prediction_rows_total{instance="b"}'
_RIGHT, _FALSE = 'model_labels_total{outcome="correct"}', 'model_labels_total{outcome="incorrect"}'
# The series of what happens, whether the alert must speak, and what to say when it does otherwise.
_FRESHNESS = (
    (
        {_ROWS: _ASKED, _RIGHT: "0+9x480", _FALSE: "0+1x480"},
        False,
        "Labels arrive, and still your expression returns something: it would alert on every healthy day.",
    ),
    (
        {_ROWS: _ASKED, _RIGHT: "0+9x120 1080x360", _FALSE: "0+1x120 120x360"},
        True,
        "Labels stopped 90 minutes ago, rows go on, and your expression returns nothing. A counter does not vanish "
        "when it stops, and a gauge stays as it was: compare increases.",
    ),
    (
        {_ROWS: _ASKED},
        True,
        "When the label counter was never exported your expression returns nothing: `== 0` needs a series to compare. "
        "`unless` does not.",
    ),
    (
        {_ROWS: _UNASKED, _RIGHT: "0+9x120 1080x360", _FALSE: "0+1x120 120x360"},
        False,
        "When nobody asks the model there is nothing to label, and your expression alerts at night.",
    ),
    (
        {_ROWS: "0+0.1x480", _RIGHT: "0x480", _FALSE: "0x480"},
        False,
        "24 rows in an hour are too few to expect a label; your expression alerts on them. At least 100 should be.",
    ),
    (
        {_ROWS: _ASKED, _RIGHT: "0+9x360 3240x120", _FALSE: "0+1x360 360x120"},
        False,
        "The last label came 30 minutes ago, that is late and no alarm; your window is shorter than an hour.",
    ),
    (
        {_ROWS: "0+0.3x480", _OTHER_ROWS: "0+0.3x480"},
        True,
        "Two replicas predicted 72 rows each, 144 in all, and your expression returns nothing: sum over replicas.",
    ),
)


def _answered(series: Mapping[str, str]) -> dict[str, str]:
    """Add the answers to the rows: whoever counts them instead is right as well."""
    rows, answers = "model_prediction_rows_total{", 'model_predictions_total{predicted_class="setosa", '
    return {**series, **{name.replace(rows, answers): values for name, values in series.items()}}


@lesson.exercise(
    hints=(
        "Two parts: enough rows came, `sum(increase(...[1h])) >= 100`, and labels did not.",
        "`A unless B` returns A where B returns nothing. Let B be: some label came in the last hour.",
    )
)
def q4(unknown: str) -> str:
    """Write an alert expression that speaks when rows are predicted and no label comes."""
    check_expression(unknown)
    if re.search(r"\bmodel_accuracy\b", unknown):
        raise Incorrect("The gauge model_accuracy looks healthy exactly when labels stop: it cannot tell that.")
    for series, speaks, message in _FRESHNESS:
        silent = agrees(f"count({_line(unknown)}) > bool 0", _answered(series), {})
        if silent == speaks:
            raise Incorrect(message)
    return "It speaks when nobody can know the accuracy, and only then."
