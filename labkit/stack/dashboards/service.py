"""Service: is it there, does it answer, fast and rightly? The four panels that every model needs, and four more."""

from typing import Any

from labkit.stack.dashboards.grafana import BLUE, GREY, ORANGE, RED, SKY, Panel, Query, dashboard
from labkit.stack.dashboards.rules import bound, limit, runbook

__all__ = ["service"]

_P95 = """
    histogram_quantile({share}, sum by (model_name, le) (rate(model_prediction_latency_seconds_bucket[5m])))
"""


def service() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON has it."""
    panels = [_up(), _version(), _requests(), _errors(), _latency(), _accuracy(), _saturation(), _alerts()]
    return dashboard(
        "service",
        "Service",
        "Does the model answer, in time, without errors, and rightly? Durations are production time.",
        panels,
    )


def _up() -> Panel:
    return Panel(
        "Servers that answer a scrape",
        "stat",
        (0, 0, 16, 4),
        [Query("min by (job) (up)", "{{job}}")],
        "1 is up, 0 is down. A server that discovery lost is missing here: absence has its alert too."
        + runbook("ModelDown", "RetrainerDown"),
        words={0: ("down", RED), 1: ("up", SKY)},
    )


def _version() -> Panel:
    return Panel(
        "Version in service",
        "stat",
        (16, 0, 8, 4),
        [Query("max by (model_version) (last_over_time(model_info[2m]))", "{{model_version}}")],
        "The champion that answers now. Two names mean that replicas disagree, or that a change is under way.",
        show_names=True,
    )


def _requests() -> Panel:
    return Panel(
        "Requests per minute",
        "timeseries",
        (0, 4, 8, 8),
        [Query("sum by (model_version) (increase(model_prediction_requests_total[5m])) / 5", "{{model_version}}")],
        "The mean of the last 5 minutes, by version. It has no limit of its own: compare it with the same hour of "
        "other days. A count over minutes reads the same at every speed of the lab, a rate per second does not."
        + runbook("ModelNoTraffic"),
        unit="short",
    )


def _errors() -> Panel:
    page, ticket = limit("ModelErrorBudgetBurnFast"), limit("ModelErrorBudgetBurnSlow")
    return Panel(
        "Requests that fail",
        "timeseries",
        (8, 4, 8, 8),
        [
            Query("sum(model:errors:ratio_rate5m)", "last 5 min"),
            Query("sum(model:errors:ratio_rate1h)", "last hour"),
        ],
        f"Somebody is paged when both curves are above the line at {page:.1%}, where the error budget of 30 days goes "
        f"within two. What burns it more slowly, above {ticket:.0%} for six hours, opens a ticket. No curve means no "
        "requests: 0 of 0 is not 0." + runbook("ModelErrorBudgetBurnFast", "ModelErrorBudgetBurnSlow"),
        unit="percentunit",
        limit=page,
        colours={"5 min": ORANGE, "hour": BLUE},
    )


def _latency() -> Panel:
    slow, share = bound("model:latency_within_50ms:ratio_rate30m"), limit("ModelLatencyHigh")
    return Panel(
        "Latency of a prediction",
        "timeseries",
        (16, 4, 8, 8),
        [Query(_P95.format(share=0.95), "P95"), Query(_P95.format(share=0.5), "median")],
        f"{share:.0%} should take at most {slow * 1000:.0f} ms, the line. The alert counts what took longer, which is "
        "exact; a quantile is interpolated inside a bucket. Real seconds, at every speed of the lab."
        + runbook("ModelLatencyHigh"),
        unit="s",
        limit=slow,
        colours={"P95": ORANGE, "median": BLUE},
    )


def _accuracy() -> Panel:
    return Panel(
        "Accuracy",
        "timeseries",
        (0, 12, 8, 8),
        [Query("max by (model_version) (model_version:accuracy:ratio_rate15m)", "{{model_version}}")],
        "The share of right answers among the rows labelled in the last 15 minutes. Labels come late, so it tells of "
        "the recent past; the dashboard Quality shows on how many rows it rests." + runbook("ModelAccuracyLow"),
        unit="percentunit",
        maximum=1,
        limit=limit("ModelAccuracyLow"),
        side="below",
    )


def _saturation() -> Panel:
    return Panel(
        "Saturation: processor in use",
        "timeseries",
        (8, 12, 8, 8),
        [Query('sum by (instance) (rate(process_cpu_seconds_total{job="model"}[5m]))', "{{instance}}")],
        "The share of one core that the service takes. One Python process cannot take much more than a whole core: "
        "near 100 % requests queue, and latency follows.",
        unit="percentunit",
        colours={".": GREY},
    )


def _alerts() -> Panel:
    return Panel(
        "Alerts, pending and firing",
        "table",
        (16, 12, 8, 8),
        [Query("sum by (alertname, alertstate, severity, feature) (ALERTS)")],
        "Watchdog always fires: an empty table means that the rules are not evaluated. Each alert's runbook is in "
        "docs/runbooks.md under its name." + runbook("Watchdog"),
    )
