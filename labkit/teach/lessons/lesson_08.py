"""The checks of notebook 08: alert on symptoms."""

from collections.abc import Mapping
from typing import Any

import yaml

from labkit.clock import Clock
from labkit.lab import Lab
from labkit.stack.promtool import check_rules, route, test_rules
from labkit.stack.render import config_dir
from labkit.teach.exercise import Incorrect, Lesson, NotAttempted
from labkit.teach.promql import agrees, check_expression, fires

__all__ = ["GUARDED", "lesson"]

lesson = Lesson("08", "Alert on symptoms")

GUARDED = """\
groups:
  - name: guarded
    rules:
      - alert: ErrorRatioHigh
        expr: |
          sum by (model_name) (increase(model_prediction_errors_total[5m]))
            / sum by (model_name) (increase(model_prediction_requests_total[5m])) > 0.05
            and sum by (model_name) (increase(model_prediction_requests_total[5m])) >= 20
        for: 2m
        labels: {severity: ticket}
        annotations: {summary: "{{ $value | humanizePercentage }} of the requests fail"}
"""
"""A rule whose threshold, guard and `for` each want a test."""


def _story(requests: str, errors: str) -> dict[str, str]:
    return {
        'model_prediction_requests_total{model_name="m", model_version="v1"}': requests,
        'model_prediction_errors_total{model_name="m", model_version="v1", error_type="other"}': errors,
    }


# What happens, whether ErrorRatioHigh must fire at 20m, and what to say when it does otherwise.
_STORIES = (
    (
        _story("0+30x80", "0+3x80"),
        True,
        "Of many requests 10 % fail for twenty minutes, and ErrorRatioHigh does not fire. Errors carry a label "
        "error_type and requests do not: sum both sides by (model_name) before you divide.",
    ),
    (
        _story("0+30x80", "0+1x80"),
        False,
        "3 % of the requests fail, which is below 5 %, and ErrorRatioHigh fires. An absolute count or a rate grows "
        "with the traffic; divide by the requests.",
    ),
    (
        _story("0+0.6x80", "0+0.3x80"),
        False,
        "Of 12 requests in five minutes 6 fail, and ErrorRatioHigh fires: the guard, at least 20 requests, is missing.",
    ),
    (
        _story("0+30x80", "0x75 30 60 90 120 150"),
        False,
        "The errors began a minute ago, and ErrorRatioHigh fires already: `for: 2m` is missing or too short.",
    ),
    (
        _story("0+30x80", "0x62 15+15x20"),
        True,
        "The errors began four minutes ago and go on, and ErrorRatioHigh does not fire: `for` is longer than 2m, or "
        "the window longer than 5m.",
    ),
    (
        _story("0+30x80", "0+9x50 450x30"),
        False,
        "The errors ended more than seven minutes ago, and ErrorRatioHigh still fires: the window is longer than 5m.",
    ),
)


@lesson.exercise(
    hints=(
        "docker/prometheus/rules/errors.yml divides two sums by (model_name). Do the same with increase(...[5m]).",
        "expr: sum(errors) / sum(requests) > 0.05 and sum(requests) >= 20; then `for: 2m`, labels and annotations. "
        "After that: lab.load_rules(my_rules).",
    )
)
def q1(lab: Lab, my_rules: str) -> str:
    """Write the alert ErrorRatioHigh with a guard and `for`, and load it into the running Prometheus."""
    if not isinstance(my_rules, str):
        raise Incorrect(f"my_rules is the text of a rule file, this is {type(my_rules).__name__}.")
    check_rules(my_rules)
    rule = _alert_named("ErrorRatioHigh", my_rules)
    for series, speaks, message in _STORIES:
        if fires(my_rules, "ErrorRatioHigh", series, at="20m") != speaks:
            raise Incorrect(message)
    if (rule.get("labels") or {}).get("severity") != "ticket":
        raise Incorrect("The alert needs the label severity: ticket, by which Alertmanager chooses who is told.")
    if not (rule.get("annotations") or {}).get("summary"):
        raise Incorrect("The alert has no annotation `summary`: whoever gets the message reads that first.")
    loaded = lab.prometheus.rules()
    if "ErrorRatioHigh" not in set(loaded["name"]):
        raise Incorrect("The rule is right, and Prometheus does not know it yet: lab.load_rules(my_rules).")
    return "It fires on a bad ratio of enough requests, after two minutes, and the running Prometheus evaluates it."


def _alert_named(name: str, rules: str) -> dict[str, Any]:
    groups = (yaml.safe_load(rules) or {}).get("groups") or []
    found = [rule for group in groups for rule in group.get("rules") or [] if rule.get("alert")]
    for rule in found:
        if rule["alert"] == name:
            return rule
    listed = ", ".join(rule["alert"] for rule in found) or "none"
    raise Incorrect(f"No alert is called {name}; the file has: {listed}.")


# Errors in the last hour, in the last five minutes, whether the alert must speak, and what to say otherwise.
_BURNS = (
    (0.12, 0.12, True, "12 % of the requests fail in both windows, and your expression returns nothing: the limit is"
     " 3 % of 720 hours' budget in one hour, times the 0.5 % that may fail."),
    (0.02, 0.5, False, "Errors began just now: in the last hour there were 2 %, and your expression speaks. The window"
     " of one hour says that it matters."),
    (0.09, 0.2, False, "9 % in the last hour is 2.5 % of the budget, and your expression speaks. 14.4 is the rate for"
     " 2 % in an hour."),
    (0.2, 0.0, False, "The errors are over, only the last hour remembers them, and your expression speaks. The window"
     " of 5 minutes says that it still goes on."),
    (0.107, 0.5, False, "10.7 % is a burn rate of 21.4, just below, and your expression speaks."),
    (0.109, 0.109, True, "10.9 % is a burn rate of 21.8, and your expression returns nothing."),
)  # fmt: skip


@lesson.exercise(
    hints=(
        "burn_rate(0.03, 1) gives the rate; the limit of the ratio is that rate times 0.005.",
        "Both ratios must be above the limit: A > limit and B > limit.",
    )
)
def q2(burn: str) -> str:
    """Write the expression that speaks when 3 % of the month's budget would be gone in an hour."""
    check_expression(burn)
    for hour, minutes, speaks, message in _BURNS:
        series = {
            'model:errors:ratio_rate1h{model_name="m"}': f"{hour}x480",
            'model:errors:ratio_rate5m{model_name="m"}': f"{minutes}x480",
        }
        if agrees(f"count(\n{burn}\n) > bool 0", series, {"": 1}) != speaks:
            raise Incorrect(message)
    return "A burn rate of 21.6: the long window says that it matters, the short one that it goes on."


_MUTANTS = (
    ("0.05", "0.5", "with a threshold ten times as high. Add a case that must fire at about 10 % of errors."),
    (">= 20", ">= 0", "without its guard. Add a case with few requests, many of which fail, that must stay silent."),
    (
        "for: 2m",
        "for: 0s",
        "without its `for`. Add a case whose errors began a minute ago, and expect nothing.",
    ),
)


@lesson.exercise(
    hints=(
        "Three cases: many errors of many requests fire; many errors of few requests do not; errors since a minute "
        "do not.",
        "Begin with `case` and add two entries to its list. `0x36 20 40 60 80` is zero until minute 9, then rises.",
    )
)
def q3(my_tests: str) -> str:
    """Write unit tests that pass for the rule and fail for each of three broken ones."""
    if not isinstance(my_tests, str):
        raise Incorrect(f"my_tests is the text of a test file, this is {type(my_tests).__name__}.")
    if "ErrorRatioHigh" not in my_tests:
        raise Incorrect("The tests never ask for ErrorRatioHigh, so they would pass without any rule.")
    result = test_rules(GUARDED, my_tests)
    if not result.passed:
        raise Incorrect(f"The tests must pass for the rule as it is. promtool says:\n{result}")
    for part, broken, message in _MUTANTS:
        if test_rules(GUARDED.replace(part, broken), my_tests).passed:
            raise Incorrect(f"The tests still pass for the rule {message}")
    return "Whoever breaks the threshold, the guard or the `for` of this rule will hear of it."


# An alert's labels, who must hear of it, and what to say otherwise.
_RECEIVERS = (
    ({"alertname": "ModelInputInvalid", "severity": "ticket"}, ["data-team", "ticket"]),
    ({"alertname": "ModelInputDrift", "severity": "ticket", "action": "retrain"}, ["data-team", "retrainer", "ticket"]),
    ({"alertname": "ModelPredictionDrift", "severity": "ticket"}, ["ticket"]),
    ({"alertname": "ModelDown", "severity": "page"}, ["page"]),
)


@lesson.exercise(
    hints=(
        "A matcher is a text such as 'severity = \"page\"'; =~ compares with a regular expression, of the whole value.",
        'matchers, receiver and continue are the keys. Without "continue": True the walk ends at your route.',
    )
)
def q4(data_route: Mapping[str, Any]) -> str:
    """Write the route that tells the data team of every alert about inputs, and takes it from nobody."""
    if not isinstance(data_route, Mapping):
        raise Incorrect("data_route is a dictionary with the keys matchers, receiver and continue.")
    config = yaml.safe_load((config_dir() / "alertmanager" / "alertmanager.yml").read_text())
    config["receivers"].append({"name": "data-team", "email_configs": [{"to": "data-team@labkit.example"}]})
    config["route"]["routes"].insert(0, dict(data_route))
    text = yaml.safe_dump(config, sort_keys=False)
    for labels, wanted in _RECEIVERS:
        _judge_route(labels["alertname"], route(text, labels), wanted)
    return "The data team hears of inputs, the retrainer and the ticket queue still do, and pages are untouched."


def _judge_route(alertname: str, found: list[str], wanted: list[str]) -> None:
    if found == wanted:
        return
    went = f"{alertname} goes to {', '.join(found)}"
    if "data-team" in wanted and "data-team" not in found:
        raise Incorrect(
            f"{went}, and not to data-team: do the matchers fit? `=` compares the whole name, letter by letter; a "
            "pattern needs `=~`."
        )
    if "data-team" not in wanted and "data-team" in found:
        raise Incorrect(f"{went}: the matchers fit more than alerts about inputs.")
    raise Incorrect(
        f"{went}, and no longer to {', '.join(name for name in wanted if name not in found)}: the walk ends at your "
        'route unless it says "continue": True.'
    )


_WANTED = 'alertname="ModelErrorBudgetBurnFast"'


@lesson.exercise(
    hints=(
        "The matchers are a dictionary of labels, here only alertname. The duration is a text such as 30m.",
        'lab.alertmanager.silence({"alertname": ...}, "2h", "who does what, and where it is tracked")',
    )
)
def q5(lab: Lab) -> str:
    """Silence ModelErrorBudgetBurnFast, and nothing else, for two hours, with a comment."""
    silences = lab.alertmanager.silences()
    active = silences[silences["state"] != "expired"]
    if active.empty:
        minutes = lab.clock.lab_seconds("2h") / 60
        raise NotAttempted(
            "No silence is active: none was made, or it has ended (two production hours take "
            f"{minutes:g} min here). Stuck? lesson.q5.hint()"
        )
    for silence in active.itertuples():
        _judge_matchers(silence)
        _judge_duration(silence, lab.clock)
        if len(str(silence.comment).split()) < 2:
            raise Incorrect(
                f"The comment {silence.comment!r} tells nobody why it is quiet and who takes care. {_again(silence)}"
            )
    return "One alert is quiet for two hours, everybody can read why, and everything else can still wake somebody."


def _judge_matchers(silence: Any) -> None:
    parts = silence.matchers.split(", ")
    if not any(part.startswith("alertname=") for part in parts):
        raise Incorrect(
            f"A silence of {silence.matchers} keeps every alert quiet that fits, also those that nobody has thought "
            f"of: name the alert. {_again(silence)}"
        )
    if _WANTED not in parts:
        raise Incorrect(f"{silence.matchers} is not the alert about errors that burn fast. {_again(silence)}")


def _judge_duration(silence: Any, clock: Clock) -> None:
    hours = clock.production_seconds((silence.ends_at - silence.starts_at).total_seconds()) / 3600
    if not 1.9 < hours < 2.1:
        raise Incorrect(
            f"The silence lasts {hours:.1f} hours and not two: too short, and it wakes somebody for what is known; too "
            f"long, and it hides what comes next. {_again(silence)}"
        )


def _again(silence: Any) -> str:
    return f'End it with lab.alertmanager.expire("{silence.id}") and try again.'
