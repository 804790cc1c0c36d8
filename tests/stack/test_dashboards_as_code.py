"""Dashboards as code: what is written is what is committed, and loads in every Grafana from 7.5 on."""

import json
import re
from pathlib import Path

import pytest
import yaml

from labkit.errors import ConfigurationError
from labkit.stack.dashboards import DASHBOARDS, rules, write
from labkit.stack.dashboards.grafana import Panel, Query, dashboard
from labkit.stack.render import config_dir

ON_EVERY_VERSION = {"timeseries", "stat", "gauge", "bargauge", "table", "text", "row"}


@pytest.fixture(params=list(DASHBOARDS))
def board(request) -> dict:
    return DASHBOARDS[request.param]()


def panel(**changes) -> dict:
    settings = {"title": "t", "kind": "timeseries", "place": (0, 0, 8, 8), "queries": [Query("up")], "description": "d"}
    return dashboard("x", "X", "d", [Panel(**{**settings, **changes})])["panels"][0]


def test_what_is_written_is_what_is_committed(tmp_path):
    committed = config_dir() / "grafana" / "dashboards"
    written = {path.name: path.read_text() for path in write(tmp_path)}

    assert written == {path.name: path.read_text() for path in committed.glob("*.json")}, (
        "run: python -m labkit.stack.dashboards"
    )


def test_a_dashboard_has_at_most_eight_panels_of_types_that_every_grafana_knows(board):
    assert len(board["panels"]) <= 8
    assert {each["type"] for each in board["panels"]} <= ON_EVERY_VERSION


def test_every_panel_asks_the_one_data_source_and_says_how_to_read_it(board):
    for each in board["panels"]:
        assert each["datasource"] == "prometheus"
        assert len(each["description"]) > 60, each["title"]
        assert [target["refId"] for target in each["targets"]] == list("ABCDEFGH")[: len(each["targets"])]


def test_every_dashboard_marks_deployments_and_alerts_and_links_to_where_alerts_are_answered(board):
    assert [each["name"] for each in board["annotations"]["list"]] == ["Deployments", "Alerts"]
    assert {"Alerts", "Messages", "Retraining runs"} <= {each["title"] for each in board["links"]}


def test_every_runbook_that_a_panel_names_exists(board):
    runbooks = (Path(__file__).parents[2] / "docs" / "runbooks.md").read_text().lower()
    for each in board["panels"]:
        for anchor in re.findall(r"docs/runbooks\.md#(\w+)", each["description"]):
            assert re.search(rf"^#+ {anchor}$", runbooks, re.MULTILINE), anchor


@pytest.mark.parametrize(
    ("alert", "after", "expected"),
    [
        ("ModelAccuracyLow", "", 0.9),
        ("ModelAccuracyLow", "increase15m", 100),
        ("ModelErrorBudgetBurnFast", "", 0.072),
        ("ModelInputInvalid", "", 0.05),
        ("ModelInputDrift", "increase1h", 500),
        ("ModelConfidenceLow", "", 0.8),
    ],
)
def test_a_limit_is_read_from_the_rule(alert, after, expected):
    assert rules.limit(alert, after) == expected


def test_a_changed_rule_changes_the_limit(tmp_path, monkeypatch):
    folder = tmp_path / "prometheus" / "rules"
    folder.mkdir(parents=True)
    rule = {"alert": "ModelAccuracyLow", "expr": "accuracy < 0.75\n  and rows >= 10"}
    (folder / "x.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    monkeypatch.setattr(rules, "config_dir", lambda: tmp_path)

    assert (rules.limit("ModelAccuracyLow"), rules.limit("ModelAccuracyLow", "rows")) == (0.75, 10)


def test_an_alert_that_does_not_exist_is_named():
    with pytest.raises(ConfigurationError, match="no rule file has the alert 'ModelSad'"):
        rules.limit("ModelSad")


def test_no_threshold_is_typed_in_the_dashboards():
    sources = (Path(rules.__file__).parent / f"{name}.py" for name in DASHBOARDS)
    typed = [line for path in sources for line in re.findall(r"limit=[\d.]+", path.read_text())]
    assert typed == ["limit=1"]  # a share of its own limit


def test_a_limit_below_which_it_is_bad_colours_what_is_below():
    steps = panel(kind="stat", limit=0.9, side="below")["fieldConfig"]["defaults"]["thresholds"]["steps"]
    above = panel(kind="stat", limit=0.9)["fieldConfig"]["defaults"]["thresholds"]["steps"]

    assert [step["value"] for step in steps] == [None, 0.9]
    assert [step["color"] for step in steps] == [step["color"] for step in reversed(above)]


def test_a_panel_for_each_value_repeats_across_the_grid():
    built = panel(each="feature", place=(0, 0, 6, 8))

    assert (built["repeat"], built["repeatDirection"], built["maxPerRow"]) == ("feature", "h", 4)


def test_an_expression_is_one_line_for_editors_of_every_version(board):
    assert [target["expr"] for each in board["panels"] for target in each["targets"] if "\n" in target["expr"]] == []
    assert json.dumps(board).count("${DS_") == 0
