"""What an expression says about data that we make up: Prometheus's own engine, through promtool, without a server."""

from collections.abc import Mapping

import yaml

from labkit.errors import InputError
from labkit.stack.promtool import check_rules, test_rules

__all__ = ["agrees", "check_expression", "fires"]

# No rule is needed to evaluate an expression.
_NO_RULES = "groups: []\n"


def check_expression(expression: str) -> None:
    """Return when ``expression`` is PromQL; raises InputError with promtool's words otherwise."""
    if not isinstance(expression, str) or not expression.strip():
        raise InputError(f"an expression is a text, this is {expression!r}")
    rule = {"record": "learner:expression", "expr": expression}
    try:
        check_rules(yaml.safe_dump({"groups": [{"name": "check", "rules": [rule]}]}))
    except InputError as error:
        raise InputError(f"Prometheus cannot read the expression: {error.problem.splitlines()[-1]}") from error


def agrees(
    expression: str,
    series: Mapping[str, str],
    expected: Mapping[str, float],
    *,
    by: str = "",
    at: str = "2h",
) -> bool:
    """Say whether ``expression`` gives ``expected`` at the time ``at`` on ``series``, a sample every 15 s.

    ``series`` are in promtool's notation. ``expected`` maps values of the label ``by`` to numbers, compared to three
    decimals; without ``by`` its one key is "". It is empty where the expression must return nothing.
    """
    grouping = f" by ({by}) " if by else " "
    samples = [{"labels": f'{{{by}="{name}"}}' if by else "{}", "value": value} for name, value in expected.items()]
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            # A line of its own, so that a comment at the expression's end ends there.
            {"expr": f"round(max{grouping}(\n{expression}\n), 0.001)", "eval_time": at, "exp_samples": samples}
        ],
    }
    return test_rules(_NO_RULES, yaml.safe_dump({"tests": [test]}, sort_keys=False)).passed


def fires(rules: str, alertname: str, series: Mapping[str, str], at: str) -> bool:
    """Say whether the alert of this name fires at the time ``at`` on ``series``, a sample every 15 s."""
    firing = f'count(ALERTS{{alertname="{alertname}", alertstate="firing"}}) > bool 0'
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": at, "exp_samples": [{"labels": "{}", "value": 1}]}],
    }
    return test_rules(rules, yaml.safe_dump({"tests": [test]}, sort_keys=False)).passed
