"""The lint finds each mistake that it was made to find, and none in what we ship."""

import copy
from typing import Any

import pytest

from labkit.lint import check_dashboard, check_rules
from labkit.stack.dashboards.grafana import Panel, Query, dashboard

KNOWN = {
    "requests_total": frozenset(("model_name", "job", "instance")),
    "errors_total": frozenset(("model_name", "error_type", "job", "instance")),
    "model_info": frozenset(("model_name", "model_version", "job", "instance")),
    "model:errors:ratio_rate5m": frozenset(("model_name",)),
    "ALERTS": frozenset(("alertname", "alertstate", "feature")),
}
GOOD = "sum by (model_name) (rate(errors_total[5m])) / sum by (model_name) (rate(requests_total[5m]))"


def found_in_rule(expr: str) -> str:
    return "\n".join(map(str, check_rules("x.yml", [{"record": "r", "expr": expr}], KNOWN)))


def board(*panels: Panel) -> dict[str, Any]:
    return dashboard("x", "X", "d", panels)


def panel(x: int = 0, expr: str = GOOD, **changes: Any) -> Panel:
    settings = {"legend": "{{model_name}}", "unit": "percentunit", **changes}
    legend = settings.pop("legend")
    return Panel("p", "timeseries", (x, 0, 12, 8), [Query(expr, legend)], "d", **settings)


def found_in(one: dict[str, Any]) -> str:
    return "\n".join(map(str, check_dashboard("x.json", one, KNOWN)))


def test_good_rules_and_panels_pass() -> None:
    assert found_in_rule(GOOD + " > 0.01") == ""
    assert found_in_rule("increase(errors_total[5m]) >= 5") == ""
    assert found_in(board(panel(), panel(12))) == ""


@pytest.mark.parametrize(
    ("expr", "complaint"),
    [
        ("rate(predictions_total[5m])", "nobody exports predictions_total"),
        ("model:errors:ratio_rate1h > 0.1", "no rule records model:errors:ratio_rate1h"),
        ('requests_total{error_type="x"}', "requests_total has no label error_type"),
        ("sum by (error_type) (requests_total)", "has the label error_type"),
        ("errors_total / on (version) requests_total", "has the label version"),
        ("rate(errors_total[5m]) > 0.5", "compares a rate() per second"),
        ("0.5 < sum(irate(errors_total[5m]))", "compares a rate() per second"),
        ("time() - model_info > 300", "time() does not belong here"),
        ("hour() > 8", "hour() does not belong here"),
        ("deriv(model_info[1h])", "deriv() does not belong here"),
        ("predict_linear(model_info[1h], 3600)", "predict_linear() does not belong here"),
        ("sum by (", "is no PromQL"),
    ],
)
def test_a_mistake_in_an_expression_is_found_in_rules_and_in_panels(expr: str, complaint: str) -> None:
    assert complaint in found_in_rule(expr)
    assert complaint in found_in(board(panel(expr=expr)))


def test_a_finding_names_file_rule_and_reason() -> None:
    assert found_in_rule("nothing_total") == "x.yml: r: nobody exports nothing_total"


def test_a_legend_with_a_label_that_no_metric_has_is_found() -> None:
    assert "its legend names the label feature" in found_in(board(panel(legend="{{feature}}")))


def test_a_panel_without_a_unit_is_found() -> None:
    assert "it has no unit" in found_in(board(panel(unit="")))


def test_a_threshold_on_a_rate_is_found() -> None:
    assert "threshold on a rate()" in found_in(board(panel(expr="rate(errors_total[5m])", limit=1.0)))


def test_two_panels_with_one_id_are_found() -> None:
    one = board(panel(), panel(12))
    one["panels"][1]["id"] = one["panels"][0]["id"]
    assert "its id 1 is another panel's too" in found_in(one)


def test_panels_that_overlap_are_found() -> None:
    assert "it overlaps with 'p'" in found_in(board(panel(), panel(11)))


def test_a_panel_beyond_the_page_is_found() -> None:
    assert "beyond the 24 columns" in found_in(board(panel(13)))


def test_a_mistake_in_an_annotation_is_found() -> None:
    one = copy.deepcopy(board(panel()))
    one["annotations"]["list"][0]["expr"] = "model_inf"
    assert "x.json: Deployments: nobody exports model_inf" in found_in(one)
