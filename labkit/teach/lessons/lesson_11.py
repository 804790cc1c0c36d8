"""The checks of notebook 11: outgrow one machine."""

import math
import time
from datetime import UTC, datetime

import yaml

from labkit.clock import wait_until
from labkit.errors import InputError, WaitTimeout
from labkit.lab import Lab
from labkit.stack.longterm import LongTermStore
from labkit.teach.exercise import Incorrect, Lesson

lesson = Lesson("11", "Outgrow one machine")

_BY_REPLICA = (
    'sum by (instance) (rate(model_labels_total{outcome="correct"}[15m]))'
    " / sum by (instance) (rate(model_labels_total[15m]))"
)
_FLEET_ACCURACY = 'sum(rate(model_labels_total{outcome="correct"}[15m])) / sum(rate(model_labels_total[15m]))'
_P95 = "histogram_quantile(0.95, sum by ({}) (rate(model_prediction_latency_seconds_bucket[15m])))"
_OTHERS = '{__name__=~".+", __name__!~"model.+"}'


def _agrees(lab: Lab, expression: str, truth: str, tolerance: float) -> bool:
    """Say whether two expressions agree at some moment; between two questions a scrape may come."""
    for _ in range(8):
        mine, right = (lab.query(each)["value"] for each in (expression, truth))
        if len(mine) == 1 and len(right) == 1 and math.isclose(mine[0], right[0], rel_tol=tolerance):
            return True
    return False


def _one_value(lab: Lab, expression: str) -> float:
    if not isinstance(expression, str):
        raise Incorrect(f"This is {type(expression).__name__}. Write the PromQL expression as a text.")
    values = lab.query(expression)["value"]
    if not len(values):
        raise Incorrect("The query returns nothing. Is the metric's name right, and does it have these labels?")
    if len(values) > 1:
        raise Incorrect(f"The query returns {len(values)} values. The fleet has one: aggregate over the replicas.")
    if math.isnan(values[0]):
        raise Incorrect("The query returns NaN. A quantile of buckets needs the label `le` to the end.")
    return float(values[0])


@lesson.exercise(
    hints=(
        "How many labels were correct in the whole fleet, and how many labels were there? Add up first, divide last.",
        'sum(rate(model_labels_total{outcome="correct"}[15m])) counts the correct ones. What goes below it?',
    )
)
def q1(lab: Lab, expression: str) -> str:
    """Write the query for the accuracy of the whole fleet over the last 15 minutes."""
    value = _one_value(lab, expression)
    if "model_accuracy" in expression:
        raise Incorrect(
            "`model_accuracy` is a gauge, which each replica computes from its own last rows. Gauges of ratios cannot "
            "be put together; counters can."
        )
    if "model_labels_total" in expression and "rate(" not in expression and "increase(" not in expression:
        raise Incorrect("Without rate() these are counts since each replica started, not of the last 15 minutes.")
    if _agrees(lab, expression, _FLEET_ACCURACY, 0.02):
        return f"{value:.1%} of the rows that were labelled anywhere in the last 15 minutes were answered rightly."
    if _agrees(lab, expression, f"avg({_BY_REPLICA})", 0.02):
        raise Incorrect(
            f"{value:.1%} is the mean of three accuracies: a replica with few requests counts as much as a busy one."
        )
    raise Incorrect(f"It gives {value:.3f}, and the fleet's accuracy is another. Divide correct labels by all labels.")


@lesson.exercise(
    hints=(
        "Buckets are counters: add up those of the replicas, bound by bound, and take the quantile of the sum.",
        "histogram_quantile(0.95, sum by (le) (rate(..._bucket[15m])))",
    )
)
def q2(lab: Lab, expression: str) -> str:
    """Write the query for the P95 latency of the whole fleet over the last 15 minutes."""
    value = _one_value(lab, expression)
    if _agrees(lab, expression, _P95.format("le"), 0.03):
        return f"95 of 100 requests to the fleet take less than about {value * 1e3:.0f} ms; the buckets say no more."
    each = _P95.format("instance, le")
    if _agrees(lab, expression, f"avg({each})", 0.03):
        raise Incorrect(f"{value * 1e3:.0f} ms is the mean of three quantiles, which is the quantile of nothing.")
    if _agrees(lab, expression, f"max({each})", 0.03):
        raise Incorrect(f"{value * 1e3:.0f} ms is the P95 of the slowest replica; most requests never meet it.")
    if "_sum" in expression:
        raise Incorrect(f"{value * 1e3:.0f} ms is a mean. It says nothing about the slowest five of a hundred.")
    raise Incorrect(
        f"It gives {value:.3f} s, and the fleet's P95 is another. Take the 0.95 quantile of the 15m rates of "
        "`model_prediction_latency_seconds_bucket`, added up by `le`."
    )


@lesson.exercise(
    hints=(
        "remote_write is a list; its entry needs a url that ends in /api/v1/write, and write_relabel_configs.",
        "write_relabel_configs:\n  - source_labels: [__name__]\n    regex: model.+\n    action: keep\n"
        "That keeps what matches. In an f-string a brace of YAML is written twice, {{ }}.",
    )
)
def q3(lab: Lab, config: str) -> str:
    """Write the part of prometheus.yml that sends every series of the model, and no other, to the long-term store."""
    store = LongTermStore(lab.home, lab.clock)
    if not store.prometheus.ready():
        raise Incorrect("The long-term store does not run. Run the cell that starts it, then this one again.")
    _check_addresses(config, store, lab.home.url("prometheus"))
    try:
        store.connect(config)
    except InputError as error:
        raise Incorrect(error.problem) from error
    since = time.time() + 1  # what is written from now on, and not under an earlier configuration
    try:
        wait_until(
            lambda: len(store.prometheus.query(f"timestamp(model_prediction_rows_total) > {since}")), 30, "samples"
        )
    except WaitTimeout as error:
        raise Incorrect(
            "Prometheus took the configuration, and no sample of model_prediction_rows_total reaches the store. Does "
            "the relabelling drop it? Its `regex` must match the whole name."
        ) from error
    others = store.prometheus.query(f"{_OTHERS}[5m]")
    late = others["time"] > datetime.fromtimestamp(since - 1, UTC)  # what an earlier configuration sent does not count
    if len(names := sorted(set(others[late].get("__name__", ())))):
        raise Incorrect(
            f"The model's series arrive, and those of {len(names)} other names, such as {names[0]}, which cost "
            "money every month. Keep only names that begin with `model`."
        )
    kept = store.prometheus.query('count(count by (__name__) ({__name__=~"model.+"}))')["value"][0]
    return f"{kept:.0f} metrics and recorded series of the model arrive in the store, and nothing else."


def _check_addresses(config: str, store: LongTermStore, own_url: str) -> None:
    """Refuse what Prometheus would accept and then fail at, quietly, for ever."""
    if not isinstance(config, str):
        raise Incorrect(f"This is {type(config).__name__}. Write the YAML as a text.")
    try:
        parsed = yaml.safe_load(config)
    except yaml.YAMLError as error:
        raise Incorrect(f"This is no YAML: {error}") from error
    entries = parsed.get("remote_write") if isinstance(parsed, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise Incorrect("There is no list under the key `remote_write`, so Prometheus would write nowhere.")
    for url in (str(entry.get("url")) for entry in entries):
        if url.startswith(own_url):
            raise Incorrect("That is the address of the Prometheus that writes. It would send its samples to itself.")
        if not url.startswith(store.url):
            raise Incorrect(f"{url} is not the store; its address is {store.url}.")
        if not url.endswith("/api/v1/write"):
            raise Incorrect("The address is the store's, but samples are received at the path /api/v1/write.")
