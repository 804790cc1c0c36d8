"""Rules and routes are judged by promtool and amtool, in their own words."""

import pytest

from labkit.errors import InputError
from labkit.stack.promtool import check_rules, route, test_rules
from labkit.stack.render import config_dir

RULES = """
groups:
  - name: service
    rules:
      - alert: Down
        expr: up == 0
        for: 1m
"""
TESTS = """
tests:
  - interval: 15s
    input_series:
      - {series: 'up{job="model"}', values: 0x20}
    alert_rule_test:
      - {alertname: Down, eval_time: 2m, exp_alerts: [{exp_labels: {job: model}}]}
"""


def alertmanager_config() -> str:
    return (config_dir() / "alertmanager" / "alertmanager.yml").read_text()


def test_rules_that_promtool_accepts_pass() -> None:
    check_rules(RULES)


def test_refused_rules_are_explained_without_naming_a_temporary_folder() -> None:
    with pytest.raises(InputError, match="unexpected") as error:
        check_rules(RULES.replace("==", "="))
    assert "/" not in error.value.problem


def test_unit_tests_pass_where_the_rules_do_as_they_say() -> None:
    assert test_rules(RULES, TESTS).passed


def test_unit_tests_fail_where_the_rules_do_otherwise_and_say_what_was_found() -> None:
    result = test_rules(RULES.replace("1m", "5m"), TESTS)
    assert not result.passed
    assert "got:[]" in str(result)


@pytest.mark.parametrize("tests", ["", "tests: []", "just words", "tests: ["])
def test_no_test_at_all_is_no_success(tests: str) -> None:
    with pytest.raises(InputError, match=r"hold no test|no YAML"):
        test_rules(RULES, tests)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"severity": "page"}, ["page"]),
        ({"severity": "page", "action": "retrain"}, ["retrainer", "page"]),
        ({}, ["ticket"]),
    ],
)
def test_an_alert_goes_where_the_routes_lead_it(labels: dict[str, str], receivers: list[str]) -> None:
    assert route(alertmanager_config(), labels) == receivers


def test_a_route_to_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="undefined receiver"):
        route(alertmanager_config().replace("receiver: page", "receiver: nobody"), {})
