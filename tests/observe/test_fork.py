"""A process that was forked off starts counting at 0, and never waits for its parent's locks."""

import os
import signal
import threading

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from labkit.observe.collector import collector_of
from labkit.observe.metrics import ModelMonitor, Reference, track_prediction
from labkit.observe.tracking import CallRecord

LABELS = {"model_name": "iris", "model_version": "v1"}


def value_in_child(read) -> float:
    """Return what ``read()`` gives in a forked child."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that waits for a lock for ever says nothing
        try:
            os.write(writable, str(read()).encode())
        finally:
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return float(text)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_calls_of_the_parent_are_not_counted_in_the_child_too(registry):
    predict = track_prediction("iris", "v1", registry=registry)(lambda: [1])
    name = "model_prediction_requests_total"
    predict()
    registry.get_sample_value(name, LABELS)
    predict()

    def read():
        before = registry.get_sample_value(name, LABELS)
        predict()
        return 10 * before + registry.get_sample_value(name, LABELS)

    assert value_in_child(read) == 1
    assert registry.get_sample_value(name, LABELS) == 2


def test_what_a_monitor_counted_is_not_counted_in_the_child_too(registry):
    reference = Reference.from_rows(np.arange(100.0).reshape(-1, 1), ["width"])
    monitor = ModelMonitor("iris", "v1", reference, class_names=["a"], registry=registry)
    monitor.observe(np.ones((3, 1)), ["a"] * 3, np.ones(3))
    monitor.record_labels(["a"], ["a"])

    def read():
        counted = (
            ("model_predictions_total", {"predicted_class": "a"}),
            ("model_feature_value_count", {"feature": "width"}),
            ("model_prediction_confidence_count", {}),
            ("model_labels_total", {"outcome": "correct"}),
        )
        return sum(registry.get_sample_value(name, LABELS | labels) for name, labels in counted)

    assert read() == 10
    assert value_in_child(read) == 0


def test_a_fork_while_another_thread_folds_leaves_the_child_free(registry):
    track_prediction("iris", "v1", registry=registry)
    calls = collector_of(registry).source(CallRecord, "iris", "v1", CallRecord)
    folding, done = threading.Event(), threading.Event()

    def fold_slowly():
        with calls.folded():
            folding.set()
            done.wait()

    thread = threading.Thread(target=fold_slowly)
    thread.start()
    folding.wait()
    try:
        assert value_in_child(lambda: registry.get_sample_value("model_prediction_requests_total", LABELS)) == 0
    finally:
        done.set()
        thread.join()
