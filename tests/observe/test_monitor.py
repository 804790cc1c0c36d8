"""A monitor exports what prometheus_client itself would, had it been told every value one by one."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from prometheus_client import CollectorRegistry, Histogram

from labkit.errors import InputError
from labkit.observe.metrics import ModelMonitor, Reference, track_prediction

LABELS = {"model_name": "iris", "model_version": "v1"}
RANGES = {"width": (0.0, 10.0)}
ROWS = np.random.default_rng(0).normal([5, -1], [1, 2], (10_000, 2)).round(2)
REFERENCE = Reference.from_rows(ROWS, ["width", "shift"], ["a"] * 6_000 + ["b"] * 4_000)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def monitor_in(registry, version="v1", **changes) -> ModelMonitor:
    settings = {"class_names": ["a", "b", "c"], "plausible_ranges": RANGES} | changes
    return ModelMonitor("iris", version, settings.pop("reference", REFERENCE), registry=registry, **settings)


def observe(monitor, instances):
    n = len(instances)
    monitor.observe(instances, ["a"] * n, np.full(n, 0.5))


def value(registry, name, **labels):
    return registry.get_sample_value(name, LABELS | labels)


def invalid(registry, feature):
    reasons = ("missing", "not_finite", "out_of_range")
    return tuple(value(registry, "model_feature_invalid_total", feature=feature, reason=reason) for reason in reasons)


def series_of(registry, name, feature):
    """Return the samples of one feature's histogram by what follows its name, and bucket bound."""
    found = (sample for family in registry.collect() if family.name == name for sample in family.samples)
    return {
        (sample.name.removeprefix(name), sample.labels.get("le")): sample.value
        for sample in found
        if sample.labels["feature"] == feature
    }


def test_every_child_is_there_at_zero_before_the_first_request(registry):
    monitor_in(registry)

    assert [value(registry, "model_predictions_total", predicted_class=name) for name in "abc"] == [0, 0, 0]
    assert [value(registry, "model_labels_total", outcome=outcome) for outcome in ("correct", "incorrect")] == [0, 0]
    assert invalid(registry, "width") == invalid(registry, "shift") == (0, 0, 0)
    assert value(registry, "model_feature_value_count", feature="width") == 0
    assert value(registry, "model_prediction_confidence_count") == 0
    assert value(registry, "model_accuracy") is None


SPECIAL = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 10.0, 1e300, *REFERENCE.bounds["width"]])
BATCHES = st.lists(
    arrays(np.float64, st.tuples(st.integers(0, 12), st.just(2)), elements=SPECIAL | st.floats(-20, 20)), max_size=6
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(BATCHES)
def test_feature_histograms_have_the_series_of_prometheus_clients_own(batches):
    registry, oracle = CollectorRegistry(), CollectorRegistry()
    monitor = monitor_in(registry)
    histograms = {
        name: Histogram(f"of_{name}", "oracle", ["feature"], buckets=REFERENCE.bounds[name], registry=oracle).labels(
            name
        )
        for name in REFERENCE.feature_names
    }
    for batch in batches:
        observe(monitor, batch)
        for name, column in zip(histograms, batch.T, strict=True):
            for number in column[np.isfinite(column)].tolist():
                histograms[name].observe(number)

    for name in histograms:
        expected = series_of(oracle, f"of_{name}", name)
        del expected["_created", None]
        actual = series_of(registry, "model_feature_value", name)
        sums = expected.pop(("_sum", None), 0), actual.pop(("_sum", None), 0)
        assert actual == expected
        assert sums[1] == pytest.approx(sums[0])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(BATCHES)
def test_invalid_values_are_those_a_plain_look_at_each_value_finds(batches):
    registry = CollectorRegistry()
    monitor = monitor_in(registry)
    for batch in batches:
        observe(monitor, batch)

    values = np.concatenate([np.empty((0, 2)), *batches])
    missing, not_finite = np.isnan(values).sum(axis=0), np.isinf(values).sum(axis=0)
    implausible = int((np.isfinite(values[:, 0]) & ((values[:, 0] < 0) | (values[:, 0] > 10))).sum())
    assert invalid(registry, "width") == (missing[0], not_finite[0], implausible)
    assert invalid(registry, "shift") == (missing[1], not_finite[1], 0)


def test_an_open_range_does_not_count_infinities_twice(registry):
    monitor = monitor_in(registry, plausible_ranges={"width": (-np.inf, 3.0), "shift": (0.0, np.inf)})

    observe(monitor, np.array([[np.inf, -np.inf], [-np.inf, np.inf], [4.0, -4.0], [2.0, 2.0]]))

    assert invalid(registry, "width") == invalid(registry, "shift") == (0, 2, 1)


def test_a_value_out_of_range_is_still_in_the_histogram(registry):
    observe(monitor_in(registry), np.array([[47.0, 0.0]]))

    assert value(registry, "model_feature_value_count", feature="width") == 1
    assert invalid(registry, "width") == (0, 0, 1)


def test_a_batch_that_the_caller_changes_later_is_counted_as_it_was(registry):
    monitor, batch, confidences, names = monitor_in(registry), np.full((2, 2), 5.0), np.full(2, 0.9), ["a", "a"]
    monitor.observe(batch, names, confidences)
    batch[:], confidences[:], names[:] = np.nan, 0.1, ["b", "b"]

    assert invalid(registry, "width") == (0, 0, 0)
    assert value(registry, "model_prediction_confidence_sum") == pytest.approx(1.8)
    assert value(registry, "model_predictions_total", predicted_class="a") == 2


@pytest.mark.parametrize(
    "instances",
    [
        np.asfortranarray(np.array([[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]])),
        np.array([[1, -1], [2, -2], [3, -3]]),
        np.array([[1, 0, -1], [2, 0, -2], [3, 0, -3]], dtype=np.float32)[:, ::2],
        [[1, -1], [2, -2], [3, -3]],
        np.array([[1, -1], [2, -2], [3, -3]], dtype=object),
    ],
    ids=["column-major", "integers", "a strided view", "lists", "objects"],
)
def test_any_layout_of_the_same_numbers_is_counted_alike(registry, instances):
    observe(monitor_in(registry), instances)

    assert value(registry, "model_feature_value_sum", feature="width") == 6
    assert value(registry, "model_feature_value_count", feature="shift") == 3


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros((2, 3)), ["a", "a"], [0.5, 0.5]),
        (np.zeros(2), ["a", "a"], [0.5, 0.5]),
        (np.zeros((2, 2)), ["a"], [0.5, 0.5]),
        (np.zeros((2, 2)), ["a", "a"], [0.5]),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused_and_not_counted(registry, arguments):
    monitor = monitor_in(registry)

    with pytest.raises(InputError):
        monitor.observe(*arguments)

    assert value(registry, "model_predictions_total", predicted_class="a") == 0
    assert value(registry, "model_feature_value_count", feature="width") == 0


def test_predictions_are_counted_by_class_and_strangers_as_other(registry):
    monitor = monitor_in(registry)
    monitor.observe(ROWS[:5], np.array(["a", "b", "a", "x", "y"]), [0.2, 0.5, 0.99, 1.0, np.nan])

    counts = {
        name: value(registry, "model_predictions_total", predicted_class=name) for name in ("a", "b", "c", "other")
    }
    assert counts == {"a": 2, "b": 1, "c": 0, "other": 2}
    assert value(registry, "model_prediction_confidence_count") == 4
    assert value(registry, "model_prediction_confidence_bucket", le="0.5") == 2


def test_labels_are_counted_and_accuracy_looks_at_the_last_ones(registry):
    monitor = monitor_in(registry, accuracy_window=4)
    monitor.record_labels(["a", "a"], ["a", "b"])
    assert value(registry, "model_accuracy") == 0.5

    monitor.record_labels(("b", "b", "b", "b"), ["b", "b", "b", "other"])

    assert value(registry, "model_labels_total", outcome="correct") == 4
    assert value(registry, "model_labels_total", outcome="incorrect") == 2
    assert value(registry, "model_accuracy") == 0.75


def test_another_number_of_labels_than_predictions_is_refused(registry):
    with pytest.raises(InputError, match="1 labels came for 2 predictions"):
        monitor_in(registry).record_labels(["a", "b"], ["a"])


def test_the_reference_is_exported_with_the_bucket_bounds_of_the_histogram(registry):
    monitor_in(registry)

    buckets = [le for _, le in series_of(registry, "model_feature_value", "width") if le]
    shares = series_of(registry, "model_feature_reference_cdf", "width")
    assert [le for _, le in shares] == buckets
    assert list(shares.values()) == list(REFERENCE.cdf["width"])
    assert value(registry, "model_reference_rows") == 10_000
    ratios = [value(registry, "model_reference_prediction_ratio", predicted_class=name) for name in "abc"]
    assert ratios == [0.6, 0.4, 0]


def test_the_same_monitor_asked_for_again_is_returned(registry):
    monitor = monitor_in(registry)

    assert monitor_in(registry) is monitor
    assert monitor_in(registry, version="v2") is not monitor
    assert monitor_in(CollectorRegistry()) is not monitor


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": ["a"]},
        {"plausible_ranges": {}},
        {"reference": Reference.from_rows(ROWS + 1, ["width", "shift"])},
    ],
)
def test_one_version_cannot_have_two_meanings(registry, change):
    monitor_in(registry)

    with pytest.raises(InputError, match="iris v1 is monitored already"):
        monitor_in(registry, **change)


@pytest.mark.parametrize("ranges", [{"widht": (0, 1)}, {"width": (1, 0)}, {"width": (np.nan, 1)}])
def test_a_range_that_cannot_be_meant_is_refused(registry, ranges):
    with pytest.raises(InputError, match="plausible range"):
        monitor_in(registry, plausible_ranges=ranges)


def test_a_monitor_that_was_refused_leaves_nothing_behind(registry):
    with pytest.raises(InputError):
        monitor_in(registry, plausible_ranges={"widht": (0, 1)})

    assert monitor_in(registry)


def test_info_says_when_and_on_what_the_version_was_trained(registry):
    monitor_in(registry, info={"trained_at": "2024-05-01", "data_version": "d1"})

    assert value(registry, "model_info", trained_at="2024-05-01", data_version="d1") == 1


def test_a_retired_version_keeps_its_counters_and_loses_its_gauges(registry):
    track_prediction("iris", "v1", registry=registry)(list)()
    old, _new = monitor_in(registry), monitor_in(registry, version="v2")
    old.record_labels(["a"], ["a"])

    old.retire()
    old.record_labels(["a"], ["a"])

    def versions(kinds):
        return {
            (family.name, sample.labels["model_version"])
            for family in registry.collect()
            for sample in family.samples
            if family.type in kinds
        }

    assert {version for _, version in versions({"gauge", "info"})} == {"v2"}
    assert ("model_labels", "v1") in versions({"counter"})
    assert ("model_feature_value", "v1") in versions({"histogram"})
    assert value(registry, "model_labels_total", outcome="correct") == 2
    assert value(registry, "model_prediction_requests_total") == 1


def test_a_version_that_is_rolled_back_to_is_in_service_again_with_its_counts(registry):
    monitor_in(registry).record_labels(["a"], ["a"])
    monitor_in(registry).retire()

    monitor_in(registry)

    assert value(registry, "model_info") == 1
    assert value(registry, "model_labels_total", outcome="correct") == 1


@pytest.mark.usefixtures("hasty_threads")
def test_no_row_is_lost_or_doubled_with_eight_threads_and_scrapes_meanwhile(registry):
    monitor, n_threads, n_batches = monitor_in(registry), 8, 1_500

    def run():
        for _ in range(n_batches):
            observe(monitor, ROWS[:7])
            monitor.record_labels(["a", "b"], ["a", "a"])

    threads = [threading.Thread(target=run) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        list(registry.collect())
    for thread in threads:
        thread.join()

    n_rows = n_threads * n_batches * 7
    assert value(registry, "model_feature_value_count", feature="shift") == n_rows
    assert value(registry, "model_predictions_total", predicted_class="a") == n_rows
    assert value(registry, "model_prediction_confidence_count") == n_rows
    assert value(registry, "model_feature_value_sum", feature="width") == pytest.approx(
        n_threads * n_batches * ROWS[:7, 0].sum()
    )
    assert value(registry, "model_labels_total", outcome="incorrect") == n_threads * n_batches


def test_buffers_stay_small_when_nobody_scrapes(registry):
    monitor, largest = monitor_in(registry), 0
    for _ in range(100):
        observe(monitor, ROWS[:1_000])
        buffers = (monitor._features._buffer, monitor._predictions._classes, monitor._predictions._confidences)
        largest = max(largest, *map(len, buffers))

    assert 8_000 <= largest <= 2 * 8 * 8192
    assert value(registry, "model_feature_value_count", feature="width") == 100_000
