"""Loop: one incident on one page, from the fault to the new champion."""

from typing import Any

from labkit.stack.dashboards.grafana import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Panel, Query, dashboard
from labkit.stack.dashboards.rules import floor, limit, runbook

__all__ = ["loop"]


def loop() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON has it."""
    panels = [_alerts(), _now(), _accuracy(), _drift(), _messages(), _retraining(), _versions(), _failures()]
    return dashboard(
        "loop",
        "Loop",
        "One incident on one page: what changed, who was told, what was done, and whether it helped. Read the panels "
        "along one moment in time. Durations are production time.",
        panels,
    )


def _alerts() -> Panel:
    firing = """
        count by (alertname) (ALERTS{alertstate="firing", alertname!="Watchdog"})
          or on () label_replace(vector(0), "alertname", "none", "", "")
    """
    return Panel(
        "Alerts that fire",
        "timeseries",
        (0, 0, 16, 7),
        [Query(firing, "{{alertname}}")],
        "Each colour is an alert, its height the number of things that it fires for. Read the order in which they "
        "come: inputs move before accuracy does, because labels are late.",
        stacked=True,
        stepped=True,
        colours={"none": GREY},
    )


def _now() -> Panel:
    return Panel(
        "Alerts now",
        "table",
        (16, 0, 8, 7),
        [Query("sum by (alertname, alertstate, severity, feature) (ALERTS)")],
        "Pending ones wait for their time to pass. Watchdog always fires: an empty table means that the rules are not "
        "evaluated." + runbook("Watchdog"),
    )


def _accuracy() -> Panel:
    return Panel(
        "What it is about: accuracy",
        "timeseries",
        (0, 7, 12, 7),
        [Query("max by (model_version) (model_version:accuracy:ratio_rate15m)", "{{model_version}}")],
        "On the rows labelled in the last 15 minutes. The incident is over when the version in service is above the "
        "line again." + runbook("ModelAccuracyLow"),
        unit="percentunit",
        maximum=1,
        limit=limit("ModelAccuracyLow"),
        side="below",
    )


def _drift() -> Panel:
    return Panel(
        "What came before: input drift",
        "timeseries",
        (12, 7, 12, 7),
        [Query("max by (feature) (model_feature:ks:distance_rate1h)", "{{feature}}")],
        "KS distance from the reference, last hour. Accuracy that falls without drift means that the meaning of the "
        "inputs changed; drift without a fall harms nobody yet." + runbook("ModelInputDrift"),
        decimals=3,
        limit=floor("model_feature:ks:limit_rate1h"),
    )


def _messages() -> Panel:
    return Panel(
        "Who was told: messages",
        "timeseries",
        (0, 14, 8, 7),
        [Query("sum by (channel) (inbox_messages_total)", "{{channel}}")],
        "Messages received since the start. Firing alerts that move no curve reach nobody."
        + runbook("NotificationsFailing"),
        stepped=True,
        colours={"slack": BLUE, "email": ORANGE, "pagerduty": GREEN},
    )


def _retraining() -> Panel:
    return Panel(
        "What was done: retraining",
        "timeseries",
        (8, 14, 8, 7),
        [Query("sum by (result) (model_retraining_total)", "{{result}}")],
        "Decisions since the start. Rejected and skipped are decisions too: bad data, or a challenger that is no "
        "better. Only failed is a fault." + runbook("RetrainingFailed"),
        stepped=True,
        colours={"promoted": GREEN, "rejected": ORANGE, "failed": RED, "skipped": PURPLE},
    )


def _versions() -> Panel:
    return Panel(
        "Who answers: rows by version",
        "timeseries",
        (16, 14, 8, 7),
        [Query("sum by (model_version) (increase(model_prediction_rows_total[5m]))", "{{model_version}}")],
        "Rows of the last 5 minutes. A promotion hands them from one version to the next; nothing may be lost between.",
        decimals=0,
        stacked=True,
    )


def _failures() -> Panel:
    return Panel(
        "Messages that were lost, last 15 min",
        "timeseries",
        (0, 21, 24, 5),
        [
            Query("sum(increase(alertmanager_notifications_failed_total[15m]))", "no receiver took it"),
            Query("sum(increase(prometheus_notifications_dropped_total[15m]))", "no Alertmanager took it"),
        ],
        "Between the alert and those who should hear of it. Both at 0 is well." + runbook("NotificationsFailing"),
        decimals=0,
    )
