"""What counting costs: a call of a tracked function, and a value in a feature histogram."""

import time
from collections.abc import Callable
from statistics import median
from threading import Barrier, Thread

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from labkit.observe.features import FeatureHistograms
from labkit.observe.metrics import ModelMonitor, Reference, track_prediction

__all__ = ["benchmark_feature_histograms", "benchmark_track_prediction"]

ROUNDS = 15
CALLS = 20_000
FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")

Function = Callable[..., object]


def benchmark_track_prediction() -> list[dict[str, object]]:
    """Compare what a call costs more than the bare function, with one thread and with four."""
    registry = CollectorRegistry()
    ours, peer = track_prediction("iris-classifier", "v1", registry=registry)(predict), as_the_page_has_it(predict)
    rows = []
    for n_threads in (1, 4):
        added = []
        for _ in range(ROUNDS):
            bare = call_seconds(predict, n_threads)
            # A scrape for every 20,000 calls is part of our cost; the page's counters have no work left for it.
            ours_seconds = call_seconds(ours, n_threads, then=lambda: list(registry.collect()))
            added.append((ours_seconds - bare, call_seconds(peer, n_threads) - bare))
        name = f"track_prediction, {n_threads} thread(s), added to a call, against the page's decorator"
        rows.append(row(name, added, goal="at most 1/10"))
    return rows


def benchmark_feature_histograms() -> list[dict[str, object]]:
    """Compare what a value costs, checks, copy and fold included, against bound ``observe`` in a loop."""
    rng = np.random.default_rng(0)
    reference = Reference.from_rows(rng.normal(5, 1, (10_000, len(FEATURES))).round(2), FEATURES)
    children = bound_children(reference)
    rows = []
    for n_rows, goal in ((1, "1/6"), (10, "1/30"), (100, "1/100"), (10_000, "1/40")):
        instances = rng.normal(5, 1, (n_rows, len(FEATURES))).round(2)
        measured = []
        for _ in range(ROUNDS):
            histograms = FeatureHistograms(reference, dict.fromkeys(FEATURES, (0.0, 10.0)))
            ours = value_seconds(histograms.add, instances, n_values=400_000, then=histograms.fold_grown)
            peer = value_seconds(lambda batch: observe_each(children, batch), instances, n_values=20_000)
            measured.append((ours, peer))
        name = f"feature histograms, batches of {n_rows}, per value, against bound observe in a loop"
        rows.append(row(name, measured, goal=f"at most {goal}"))
    rows.append(whole_monitor(reference, children, rng))
    return rows


def whole_monitor(reference: Reference, children: list[Histogram], rng: np.random.Generator) -> dict[str, object]:
    """Compare a whole ``ModelMonitor.observe`` of one row with bound ``observe`` of its features only."""
    instances, registry = rng.normal(5, 1, (1, len(FEATURES))), CollectorRegistry()
    monitor = ModelMonitor("iris-classifier", "v1", reference, class_names=["setosa"], registry=registry)
    measured = []
    for _ in range(ROUNDS):
        ours = value_seconds(lambda batch: monitor.observe(batch, ["setosa"], [0.97]), instances, n_values=80_000)
        measured.append((ours, value_seconds(lambda batch: observe_each(children, batch), instances, n_values=20_000)))
    name = "the whole monitor, one row, per value, against bound observe of the features only"
    return row(name, measured, goal="none, for information")


def predict(_instances: object) -> list[str]:
    return ["setosa"]


def as_the_page_has_it(function: Function) -> Function:
    """Decorate as the page does: one metric each, labels looked up at every call."""
    registry = CollectorRegistry()
    model, version = ["model_name"], ["model_name", "model_version"]
    requests = Counter("model_prediction_requests_total", "Requests", version, registry=registry)
    errors = Counter("model_prediction_errors_total", "Errors", [*model, "error_type"], registry=registry)
    latency = Histogram("model_prediction_latency_seconds", "Latency", model, registry=registry)

    def wrapper(*args, **kwargs):
        requests.labels(model_name="iris-classifier", model_version="v1").inc()
        start_time = time.time()
        try:
            result = function(*args, **kwargs)
            seconds = time.time() - start_time
            latency.labels(model_name="iris-classifier").observe(seconds)
            return result
        except Exception as error:
            errors.labels(model_name="iris-classifier", error_type=type(error).__name__).inc()
            raise

    return wrapper


def bound_children(reference: Reference) -> list[Histogram]:
    """Return one child of a prometheus_client histogram for each feature, with the reference's bounds."""
    return [
        Histogram(
            f"{name}_value", name, ["model"], registry=CollectorRegistry(), buckets=reference.bounds[name]
        ).labels("iris")
        for name in reference.feature_names
    ]


def observe_each(children: list[Histogram], instances: np.ndarray) -> None:
    for instance in instances.tolist():
        for child, value in zip(children, instance, strict=True):
            child.observe(value)


def call_seconds(function: Function, n_threads: int, then: Callable[[], object] = lambda: None) -> float:
    """Return the processor seconds of a call when ``n_threads`` call at the same time."""
    barrier = Barrier(n_threads + 1)

    def call() -> None:
        barrier.wait()
        for _ in range(CALLS // n_threads):
            function(None)

    threads = [Thread(target=call) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    started = time.process_time()
    barrier.wait()
    for thread in threads:
        thread.join()
    then()
    return (time.process_time() - started) / CALLS


def value_seconds(
    add: Callable[[np.ndarray], None],
    instances: np.ndarray,
    n_values: int,
    then: Callable[[], object] = lambda: None,
) -> float:
    """Return the processor seconds of a value when batches of ``instances`` are added, about ``n_values`` in all."""
    n_batches = max(n_values // instances.size, 1)
    started = time.process_time()
    for _ in range(n_batches):
        add(instances)
    then()
    return (time.process_time() - started) / (n_batches * instances.size)


def row(name: str, measured: list[tuple[float, float]], goal: str) -> dict[str, object]:
    """Return a line of the table from (ours, peer) seconds of interleaved rounds."""
    ours, peer = (median(column) for column in zip(*measured, strict=True))
    ratio = median(ours / peer for ours, peer in measured)
    return {"name": name, "ours": nanoseconds(ours), "peer": nanoseconds(peer), "ratio": ratio, "goal": goal}


def nanoseconds(seconds: float) -> str:
    return f"{seconds * 1e9:,.4g} ns"
