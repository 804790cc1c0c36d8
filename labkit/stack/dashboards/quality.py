"""Quality: is the model right, on how many labels does that rest, and have its answers changed?"""

from typing import Any

from labkit.stack.dashboards.grafana import BLUE, GREEN, GREY, ORANGE, Panel, Query, dashboard
from labkit.stack.dashboards.rules import floor, limit, runbook

__all__ = ["quality"]

_IN_SERVICE = "and on (model_name, model_version) last_over_time(model_info[1m])"
# A number on a tile outlives a lost scrape.
_IN_SERVICE_LATELY = "and on (model_name, model_version) last_over_time(model_info[5m])"
_PER_ROW = """
    sum(increase(model_labels_total[1h])) / sum(increase(model_prediction_rows_total[1h]))
"""


def quality() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON has it."""
    panels = [*_now(), _accuracy(), _sample(), _shares(), _shift(), _confidence()]
    return dashboard(
        "quality",
        "Quality",
        "Is the model right, and how sure can we be of that? Durations are production time.",
        panels,
    )


def _now() -> list[Panel]:
    low = limit("ModelAccuracyLow")
    return [
        Panel(
            "Accuracy now",
            "stat",
            (0, 0, 8, 4),
            [Query(f"max(last_over_time(model_version:accuracy:ratio_rate15m[5m]) {_IN_SERVICE_LATELY})")],
            f"Of the version in service, on the rows labelled in the last 15 minutes. The objective is {low:.0%}."
            + runbook("ModelAccuracyLow"),
            unit="percentunit",
            decimals=1,
            limit=low,
            side="below",
        ),
        Panel(
            "Labelled rows it rests on",
            "stat",
            (8, 0, 8, 4),
            [Query(f"max(last_over_time(model_version:labels:increase15m[5m]) {_IN_SERVICE_LATELY})")],
            "With fewer rows than the limit chance alone moves the accuracy by several points, and the alert keeps "
            "still.",
            decimals=0,
            limit=limit("ModelAccuracyLow", after="increase15m"),
            side="below",
        ),
        Panel(
            "Labels that arrived per row predicted, last hour",
            "stat",
            (16, 0, 8, 4),
            [Query(_PER_ROW)],
            "How fresh our knowledge is: 100 % when every row gets its label within the hour. When it falls, the "
            "accuracy speaks of ever fewer and older rows; at 0 nobody knows it." + runbook("ModelAccuracyUnknown"),
            unit="percentunit",
            decimals=0,
        ),
    ]


def _accuracy() -> Panel:
    return Panel(
        "Accuracy by version, last 15 min",
        "timeseries",
        (0, 4, 12, 8),
        [Query("max by (model_version) (model_version:accuracy:ratio_rate15m)", "{{model_version}}")],
        "Late labels still reach a version that was replaced: its curve goes on for a while beside its successor's."
        + runbook("ModelAccuracyLow"),
        unit="percentunit",
        maximum=1,
        limit=limit("ModelAccuracyLow"),
        side="below",
    )


def _sample() -> Panel:
    return Panel(
        "Labels that arrived, last 15 min",
        "timeseries",
        (12, 4, 12, 8),
        [Query("max by (model_version) (model_version:labels:increase15m)", "{{model_version}}")],
        "The sample behind the accuracy. Below the line it is too small to judge by, and ModelAccuracyLow keeps still."
        + runbook("ModelAccuracyUnknown"),
        limit=limit("ModelAccuracyLow", after="increase15m"),
        side="below",
    )


def _shares() -> Panel:
    now = """
        sum by (predicted_class) (increase(model_predictions_total{predicted_class!="other"}[1h]))
          / ignoring (predicted_class) group_left sum(increase(model_predictions_total[1h]))
    """
    reference = "max by (predicted_class) (last_over_time(model_reference_prediction_ratio[1m]))"
    return Panel(
        "Answers by class, last hour",
        "timeseries",
        (0, 12, 8, 8),
        [Query(now, "{{predicted_class}}"), Query(reference, "{{predicted_class}} in reference")],
        "Solid: the share of each class among the last hour's answers. Dashed: among the answers for the reference. "
        "They are known at once, long before labels are; whether they are right is not."
        + runbook("ModelPredictionDrift"),
        unit="percentunit",
        dashed="reference",
        colours={"^setosa": BLUE, "^versicolor": ORANGE, "^virginica": GREEN},
    )


def _shift() -> Panel:
    return Panel(
        "Answers that moved to another class, last hour",
        "timeseries",
        (8, 12, 8, 8),
        [
            Query(f"max(model_version:prediction_shift:distance_rate1h {_IN_SERVICE})", "moved"),
            Query(f"max(model_version:prediction_shift:limit_rate1h {_IN_SERVICE})", "limit for this sample"),
        ],
        "Half the sum of the differences between the shares. Above the dashed curve it is more than chance does with "
        "so few rows; the line is the least that we care about." + runbook("ModelPredictionDrift"),
        unit="percentunit",
        limit=floor("model_version:prediction_shift:limit_rate1h"),
        dashed="limit",
        colours={"moved": ORANGE, "limit": GREY},
    )


def _confidence() -> Panel:
    return Panel(
        "Mean confidence, last hour",
        "timeseries",
        (16, 12, 8, 8),
        [Query("max by (model_version) (model_version:confidence:mean_rate1h)", "{{model_version}}")],
        "The probability of the class that was answered. It needs no labels. A model can be sure and wrong: a fall is "
        "a sign, a high value is no proof." + runbook("ModelConfidenceLow"),
        unit="percentunit",
        maximum=1,
        limit=limit("ModelConfidenceLow"),
        side="below",
    )
