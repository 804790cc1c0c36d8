"""Drift: do the inputs look like those that the model was trained on, feature by feature?"""

from typing import Any

from labkit.stack.dashboards.grafana import BLUE, GREEN, GREY, ORANGE, Panel, Query, dashboard
from labkit.stack.dashboards.rules import floor, limit, runbook

__all__ = ["drift"]

_IN_SERVICE = "and on (model_name, model_version) last_over_time(model_info[1m])"
_DISTANCE = f"max by (feature) (model_feature:ks:distance_rate1h {_IN_SERVICE})"
# Without rows the limit is infinite, for which no axis is long enough; no distance exceeds 1.
_LIMIT = f"max by (feature) (model_feature:ks:limit_rate1h {_IN_SERVICE})"
_NOW = """
    histogram_quantile({share}, sum by (model_name, feature, le)
      (rate(model_feature_value_bucket{{feature="$feature"}}[1h]) {in_service}))
"""
_REFERENCE = """
    histogram_quantile({share}, max by (model_name, feature, le)
      (last_over_time(model_feature_reference_cdf{{feature="$feature"}}[1m]) {in_service}))
"""


def drift() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON has it."""
    panels = [_distance(), _ranking(), _quantiles(), _invalid(), _reasons(), _sample()]
    return dashboard(
        "drift",
        "Drift",
        "Do the inputs still look like those that the model was trained on? Durations are production time.",
        panels,
        {"feature": "label_values(model_feature_reference_cdf, feature)"},
    )


def _distance() -> Panel:
    return Panel(
        "KS distance of each feature from the reference, last hour",
        "timeseries",
        (0, 0, 16, 9),
        [Query(_DISTANCE, "{{feature}}"), Query(f"clamp_max(max({_LIMIT}), 1)", "limit for this sample")],
        "Kolmogorov and Smirnov's distance: the largest gap between the cumulative shares of the last hour's values "
        "and of the reference. 0 is the same, 1 has nothing in common. It has drifted above the dashed curve, the gap "
        "that chance exceeds once in 100,000 looks; the line is the least that we care about. One feature alone is "
        "more often a broken sensor or another unit than a changed world." + runbook("ModelInputDrift"),
        decimals=2,
        limit=floor("model_feature:ks:limit_rate1h"),
        dashed="limit",
        colours={"limit": GREY},
    )


def _ranking() -> Panel:
    least = limit("ModelInputDrift", after="increase1h")
    return Panel(
        "Distance as a share of its limit, now",
        "bargauge",
        (16, 0, 8, 9),
        [
            Query(
                "max by (feature) (last_over_time(model_feature:ks:distance_rate1h[5m])"
                " / last_over_time(model_feature:ks:limit_rate1h[5m])"
                " and on (model_name, model_version) last_over_time(model_info[5m]))",
                "{{feature}}",
            )
        ],
        "Which feature drifts most, measured by what its sample size allows. The alert fires when it stays above 100 % "
        f"with at least {least} values." + runbook("ModelInputDrift"),
        unit="percentunit",
        decimals=0,
        maximum=2,
        limit=1,
    )


def _quantiles() -> Panel:
    shares = {0.9: "P90", 0.5: "median", 0.1: "P10"}
    now = [Query(_NOW.format(share=share, in_service=_IN_SERVICE), name) for share, name in shares.items()]
    reference = [
        Query(_REFERENCE.format(share=share, in_service=_IN_SERVICE), f"{name} in reference")
        for share, name in shares.items()
    ]
    return Panel(
        "$feature, last hour",
        "timeseries",
        (0, 9, 6, 7),
        [*now, *reference],
        "Solid: quantiles of the last hour's values. Dashed: of the reference. A jump by a factor of ten is a unit; "
        "one flat curve is a stuck sensor; all three moving together is a shift. They are interpolated between the "
        "reference's own quantiles, and cut off at its ends.",
        decimals=2,
        minimum=None,
        dashed="reference",
        colours={"^P90": ORANGE, "^median": BLUE, "^P10": GREEN},
        each="feature",
    )


def _invalid() -> Panel:
    return Panel(
        "Invalid values by feature, last 15 min",
        "timeseries",
        (0, 16, 8, 8),
        [Query(f"max by (feature) (model_feature:invalid:ratio_rate15m {_IN_SERVICE})", "{{feature}}")],
        "Missing, not finite, or outside the plausible range. Such rows are answered all the same, by a guess."
        + runbook("ModelInputInvalid"),
        unit="percentunit",
        limit=limit("ModelInputInvalid"),
    )


def _reasons() -> Panel:
    return Panel(
        "Invalid values by reason, last 15 min",
        "timeseries",
        (8, 16, 8, 8),
        [Query("sum by (reason) (increase(model_feature_invalid_total[15m]))", "{{reason}}")],
        "Missing points at the sender, out of range at a unit or a sensor, not finite at a computation."
        + runbook("ModelInputInvalid"),
        decimals=0,
        colours={"missing": BLUE, "not_finite": GREEN, "out_of_range": ORANGE},
    )


def _sample() -> Panel:
    return Panel(
        "Values seen, last hour",
        "timeseries",
        (16, 16, 8, 8),
        [Query("min by (model_version) (model_feature:values:increase1h)", "{{model_version}}")],
        "The sample behind the distances, of the feature that has fewest. Below the line it is too small, and "
        "ModelInputDrift keeps still.",
        limit=limit("ModelInputDrift", after="increase1h"),
        side="below",
    )
