"""The checks of notebook 04: build dashboards."""

import re
from contextlib import suppress
from typing import Any

from labkit.clock import parse_duration, wait_until
from labkit.errors import InputError, WaitTimeout
from labkit.lab import Lab
from labkit.stack.promql import Node, parse
from labkit.teach.exercise import Incorrect, Lesson
from labkit.teach.promql import agrees

__all__ = ["lesson"]

lesson = Lesson("04", "Build dashboards")

_PASSING = ("Every value is NaN", "No samples in range", "Fewer than two samples: model", "is stale")
_PATIENCE_SECONDS = 30
_PANELS = ("rate", "errors", "latency", "accuracy")
_WINDOWS = {"rate": 300, "errors": 300, "latency": 300, "accuracy": 900}
_COUNTED = {"model_prediction_requests_total", "model_prediction_rows_total", "model_predictions_total"}
_LABELS = 'job="model",instance="one",model_name="iris",model_version="v1"'
_FAILING = {
    f'model_prediction_errors_total{{{_LABELS},error_type="invalid_input"}}': "0+3x480",
    f'model_prediction_errors_total{{{_LABELS},error_type="other"}}': "0+1x480",
    f"model_prediction_requests_total{{{_LABELS}}}": "0+16x480",
}
_LABELLED = {
    f'model_labels_total{{{_LABELS},outcome="correct"}}': "0+9x480",
    f'model_labels_total{{{_LABELS},outcome="incorrect"}}': "0+1x480",
}
_ACCURACY = "max(model_version:accuracy:ratio_rate15m)"
_SHARES = """
    sum by (predicted_class) (increase(model_predictions_total[1h]))
      / ignoring (predicted_class) group_left sum(increase(model_predictions_total[1h]))
"""
_SHARE_OF_LIMIT = "max by (feature) (model_feature:ks:distance_rate1h / model_feature:ks:limit_rate1h)"


@lesson.exercise(
    hints=(
        "Ask lab.explain(expression) about each of the four. Three have a name that nobody exports, two would be wrong "
        "under the right name.",
        "A rate of requests; failed requests over all requests, both summed to the model; histogram_quantile over "
        "sum by (le) of the rates of the buckets; and labels answered correctly over all labels.",
    )
)
def q1(lab: Lab, queries: dict[str, str]) -> str:
    """Mend the tutorials' four queries: a dictionary with rate, errors, latency and accuracy."""
    if not isinstance(queries, dict) or set(queries) != set(_PANELS):
        raise Incorrect(f"A dictionary with the keys {', '.join(_PANELS)} is asked for, each with its PromQL.")
    trees = {name: _evaluated(lab, name, queries[name]) for name in _PANELS}
    _judge_rate(trees["rate"])
    _judge_errors(queries["errors"], trees["errors"])
    _judge_latency(trees["latency"])
    _judge_accuracy(lab, queries["accuracy"], trees["accuracy"])
    for name, tree in trees.items():
        _judge_window(name, tree)
    return (
        'All four have data, and each means what its title says. Draw them: lab.dashboard(four_panels(queries), "1h").'
    )


def _evaluated(lab: Lab, name: str, expression: Any) -> Node:
    """Return the expression's tree; raises Incorrect that says why it returns nothing."""
    if not isinstance(expression, str):
        raise Incorrect(f"{name}: PromQL is a text, this is {expression!r}.")
    if short := _short_ranges(expression):  # first: whether it has data just now is chance
        raise Incorrect(f"{name}: a range of {short[0]} holds fewer than four scrapes, one lost scrape empties it.")
    if reason := _no_data(lab, expression):
        raise Incorrect(f"{name}: no data. {reason}")
    return parse(expression)


def _short_ranges(expression: str) -> list[str]:
    with suppress(InputError):  # _no_data says what is wrong with text that cannot be read
        windows = [node.window for node in parse(expression).selectors() if node.window]
        return [window for window in windows if parse_duration(window) < 60]
    return []


def _no_data(lab: Lab, expression: str) -> str:
    """Return why there is no data; on a busy machine a moment without a request or a scrape is waited for to pass."""
    reasons = [""]

    def settled() -> bool:
        reasons[0] = lab.explain(expression)
        return not any(passing in reasons[0] for passing in _PASSING)

    with suppress(WaitTimeout):
        wait_until(settled, _PATIENCE_SECONDS, "data", every=0.5)
    return reasons[0]


def _compared(lab: Lab, expression: str) -> Any:
    """Return the numbers of an expression that compares an answer with ours, once both have a value."""
    return lab.wait_for(f"(\n{expression}\n) > -Inf")["value"]


def _metrics(tree: Node) -> set[str]:
    return {node.name for node in tree.selectors()}


def _has(tree: Node, kind: str, *names: str) -> bool:
    return any(node.kind == kind and node.name in names for node in tree.walk())


def _judge_rate(tree: Node) -> None:
    if not _metrics(tree) <= _COUNTED:
        raise Incorrect(f"rate: {', '.join(_metrics(tree))} does not count predictions.")
    if not _has(tree, "call", "rate", "increase", "irate"):
        raise Incorrect("rate: a counter only grows since the start; rate() or increase() say how fast.")


def _judge_window(name: str, tree: Node) -> None:
    wanted = _WINDOWS[name]
    other = [node.window for node in tree.selectors() if node.window and parse_duration(node.window) != wanted]
    if other:
        raise Incorrect(f"{name}: the window is {other[0]}; {wanted / 60:.0f} minutes were asked for.")


def _judge_errors(expression: str, tree: Node) -> None:
    if _metrics(tree) == {"model:errors:ratio_rate5m"}:
        return
    if _metrics(tree) and all(name.startswith("model:errors:ratio_rate") for name in _metrics(tree)):
        raise Incorrect("errors: that is recorded over another window; five minutes were asked for.")
    if not _has(tree, "binary", "/"):
        raise Incorrect("errors: that is a number of failures. How many of how many? Divide by the requests.")
    if _metrics(tree) != {"model_prediction_errors_total", "model_prediction_requests_total"}:
        asked = ", ".join(sorted(_metrics(tree)))
        raise Incorrect(f"errors: failed over all requests is asked for, this divides {asked}.")
    if not _has(tree, "call", "rate", "increase", "irate"):
        raise Incorrect("errors: since the start, old errors count for ever; take the rates of a window.")
    if agrees(expression, _FAILING, {"": 0.25}):
        return
    if agrees(expression, _FAILING, {"": 0.75}):
        raise Incorrect("errors: that is the share that succeeded.")
    if agrees(expression, _FAILING, {"": 4}):
        raise Incorrect("errors: the division is upside down, errors belong on top.")
    raise Incorrect("errors: of data in which one request of four fails, it does not say 0.25. Sum both sides alike.")


def _judge_latency(tree: Node) -> None:
    quantiles = [node for node in tree.walk() if node.kind == "call" and node.name == "histogram_quantile"]
    if not quantiles:
        raise Incorrect("latency: a mean hides the slow ones; P95 is asked for, by histogram_quantile().")
    share = quantiles[0].children[0]
    if share.kind != "number" or float(share.name) != 0.95:
        raise Incorrect(f"latency: P95 is asked for, this is the quantile {share.text}.")
    if not _has(tree, "call", "rate", "increase"):
        raise Incorrect("latency: the buckets count since the start; take their rates, or old slowness never ends.")


def _judge_accuracy(lab: Lab, expression: str, tree: Node) -> None:
    if "model_accuracy" in _metrics(tree):
        raise Incorrect(
            "accuracy: model_accuracy has data, and keeps its last value when labels stop: a frozen gauge looks "
            "healthy. Count labels in a window: model_labels_total."
        )
    metrics = _metrics(tree)
    if metrics not in ({"model_labels_total"}, {"model_version:accuracy:ratio_rate15m"}):
        asked = ", ".join(sorted(metrics)) or "a number"
        raise Incorrect(f"accuracy: {asked} is not the share of right answers: count labels, model_labels_total.")
    if metrics == {"model_labels_total"}:
        if not _has(tree, "call", "rate", "increase"):
            raise Incorrect("accuracy: since the start, old labels count for ever; take the rates of a window.")
        if not agrees(expression, _LABELLED, {"": 0.9}):
            raise Incorrect("accuracy: of data in which nine labels of ten are right, it does not say 0.9.")
    difference = _compared(lab, f"abs(max(\n{expression}\n) - {_ACCURACY})")
    if not (difference < 0.1).all():
        raise Incorrect("accuracy: the value is not the share of right answers among the labels of the last minutes.")


@lesson.exercise(
    hints=(
        "A share is the count of each class over the count of all; the left side has one label more than the right.",
        "sum by (predicted_class) (increase(...[1h])) / ignoring (predicted_class) group_left sum(increase(...[1h])), "
        "the legend {{predicted_class}}, and the unit percentunit.",
    )
)
def q2(lab: Lab, panel: Any) -> str:
    """Make a Panel that shows the share of each class among the answers of the last hour."""
    if not hasattr(panel, "queries"):
        raise Incorrect("A Panel(...) is asked for, with a title, a kind, a place, queries and a description.")
    if len(panel.queries) != 1:
        raise Incorrect(f"One Query is enough, it returns a series for each class; the panel has {len(panel.queries)}.")
    expression = panel.queries[0].expr
    if reason := _no_data(lab, expression):
        raise Incorrect(f"No data. {reason}")
    found = lab.wait_for(f"(\n{expression}\n) >= 0")
    if "predicted_class" not in found:
        raise Incorrect("The series do not say which class they are of: keep the label predicted_class in the sum.")
    if not 0.8 < found["value"].sum() < 1.2:
        raise Incorrect(f"The shares of all classes make {found['value'].sum():.3g} together, and should make 1.")
    if _metrics(parse(expression)) != {"model_predictions_total"}:
        raise Incorrect("These are not the answers that were given: count model_predictions_total.")
    if (_compared(lab, f"abs(max by (predicted_class) (\n{expression}\n) - ({_SHARES}))") > 0.1).any():
        raise Incorrect("These are not the shares of the last hour's answers: look at the window.")
    if panel.kind != "timeseries":
        raise Incorrect(f"A {panel.kind} shows one moment, and a share that moves is the news: the kind is timeseries.")
    if panel.unit != "percentunit":
        raise Incorrect(f"A share of 0.33 reads as 33% with the unit percentunit; the panel's unit is {panel.unit!r}.")
    if not re.search(r"\{\{\s*predicted_class\s*\}\}", panel.queries[0].legend):
        raise Incorrect("The legend would be the labels in braces: name the curves with {{predicted_class}}.")
    return "One curve for each class, named and in percent: whoever looks at it needs no explanation."


@lesson.exercise(
    hints=(
        "Two recorded series are all that you need. lab.prometheus.rules() lists them.",
        "model_feature:ks:distance_rate1h over model_feature:ks:limit_rate1h: both have the same labels.",
    )
)
def q3(lab: Lab, expression: str) -> str:
    """Write the query for each feature's KS distance as a share of its limit."""
    if not isinstance(expression, str):
        raise Incorrect(f"Assign the PromQL as a text in quotes; this is {type(expression).__name__}.")
    if reason := _no_data(lab, expression):
        raise Incorrect(f"No data. {reason}")
    if "feature" not in lab.wait_for(expression):
        raise Incorrect("Which feature is it? The result has no label feature.")
    tree = parse(expression)
    typed = [node.name for node in tree.walk() if node.kind == "number" and node.name not in ("1", "100")]
    if typed:
        raise Incorrect(
            f"{typed[0]} is typed into the panel: when the rule changes, the panel will lie. The limit is recorded "
            "too, and it grows where the sample is small."
        )
    if _metrics(tree) == {"model_feature:ks:distance_rate1h"}:
        raise Incorrect("That is the distance itself: 0.1 is much for one sample and nothing for another. Divide.")
    ratio = _compared(lab, f"max by (feature) (\n{expression}\n) / on (feature) {_SHARE_OF_LIMIT}")
    if not ((ratio - 1).abs() < 0.02).all():
        raise Incorrect(f"Another number than distance over limit comes out: {ratio.iloc[0]:.3g} times as much.")
    return "1 means drift, for every feature and every sample size: such a panel needs one limit, and it is not typed."
