"""The rules hold what they promise: promtool says so, and so do the conventions that it cannot know."""

import re
from pathlib import Path

import pytest

from labkit.clock import parse_duration

PROMETHEUS = Path(__file__).parents[2] / "docker" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
CASES = sorted((PROMETHEUS / "tests").glob("*.yml"))

PAGES = {"ModelDown", "ModelErrorBudgetBurnFast", "ModelAccuracyLow", "RetrainerDown"}
TICKETS = {
    "ModelErrorBudgetBurnSlow", "ModelLatencyHigh", "ModelNoTraffic", "ModelInputInvalid", "ModelInputDrift",
    "ModelPredictionDrift", "ModelConfidenceLow", "ModelAccuracyUnknown", "RetrainingFailed", "NotificationsFailing",
}  # fmt: skip


def names_expected(case: dict, fires: bool) -> set[str]:
    """Return the alerts that a promtool case expects to fire, or asks for and never expects."""
    asked = {check["alertname"] for check in case["alert_rule_test"]}
    firing = {check["alertname"] for check in case["alert_rule_test"] if check["exp_alerts"]}
    return firing if fires else asked - firing


def test_promtool_accepts_the_configuration_and_finds_every_target(run, docker, tmp_path):
    (tmp_path / "alertmanager_password").write_text("secret")
    text = (docker / "prometheus/prometheus.yml").read_text()
    text = text.replace("/etc/prometheus", str(docker / "prometheus")).replace("/run/secrets", str(tmp_path))
    (tmp_path / "prometheus.yml").write_text(text)
    checked = run("promtool", "check", "config", tmp_path / "prometheus.yml")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"{len(RULES)} rule files found" in checked.stdout
    assert "WARNING" not in checked.stdout


def test_promtool_accepts_every_rule(run):
    checked = run("promtool", "check", "rules", "--lint-fatal", *RULES)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_fire_as_their_cases_say(run, path):
    tested = run("promtool", "test", "rules", path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_a_case_that_fires(alerts, cases):
    assert set(alerts) == set.union(*(names_expected(case, fires=True) for case in cases))


def test_every_alert_but_the_watchdog_has_a_case_that_never_fires(alerts, cases):
    assert set(alerts) - {"Watchdog"} == set.union(*(names_expected(case, fires=False) for case in cases))


def test_the_alerts_are_those_of_the_design_with_their_severity(alerts):
    severities = {name: alert["labels"]["severity"] for name, alert in alerts.items()}
    expected = dict.fromkeys(PAGES, "page") | dict.fromkeys(TICKETS, "ticket") | {"Watchdog": "none"}
    assert expected == severities


def test_only_accuracy_and_input_drift_ask_for_retraining(alerts):
    asking = {name for name, alert in alerts.items() if alert["labels"].get("action") == "retrain"}
    assert {"ModelAccuracyLow", "ModelInputDrift"} == asking


def test_every_alert_that_fires_names_its_model(cases):
    for case in cases:
        for check in case["alert_rule_test"]:
            for expected in check["exp_alerts"]:
                assert expected["exp_labels"]["model_name"], case["name"]


def test_every_alert_explains_itself_with_its_value(alerts):
    for name, alert in alerts.items():
        assert {"summary", "description", "runbook_url"} == set(alert["annotations"]), name
        assert "$value" in alert["annotations"]["description"], name


def test_verdicts_on_a_version_are_only_for_versions_in_service(alerts):
    judging = {name for name, alert in alerts.items() if re.search(r"model_(version|feature):\S+ [<>]", alert["expr"])}
    restricted = {
        name
        for name, alert in alerts.items()
        if "and on (model_name, model_version) last_over_time(model_info[1m])" in alert["expr"]
    }
    assert len(judging) == 5
    assert judging == restricted


def test_rules_use_nothing_that_depends_on_the_speed_of_time(rules):
    forbidden = r"\b(irate|deriv|predict_linear|time|hour|minute|timestamp|holt_winters|day_of_\w+)\s*\("
    for rule in rules:
        assert not re.search(forbidden, rule["expr"]), rule["expr"]
        if "rate(" in rule["expr"]:  # per second of the lab, unless divided by another rate
            assert "record" in rule, rule["expr"]
            assert "/" in rule["expr"], rule["expr"]


def test_ranges_hold_at_least_four_scrapes_which_prometheus_3_needs(rules):
    for rule in rules:
        for text in re.findall(r"\[(\w+)\]", rule["expr"]):
            assert parse_duration(text) >= 4 * 15, rule["expr"]


def test_rule_files_fit_on_a_screen():
    assert {path.name: lines for path in RULES if (lines := path.read_text().count("\n")) > 80} == {}


def test_no_target_brings_a_model_name(docker):
    assert not [path.name for path in (docker / "prometheus/targets").glob("*.json") if "labels" in path.read_text()]
