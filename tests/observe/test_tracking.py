"""A tracked function behaves as before, and every call of it is counted once."""

import asyncio
import contextlib
import functools
import inspect
import threading

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from labkit.observe.collector import collector_of
from labkit.observe.tracking import ERROR_TYPES, CallRecord, track_prediction

LABELS = {"model_name": "iris", "model_version": "v1"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def track(registry):
    return track_prediction("iris", "v1", registry=registry)


def value(registry, name, **labels):
    return registry.get_sample_value(name, LABELS | labels)


def errors(registry, error_type):
    return value(registry, "model_prediction_errors_total", error_type=error_type)


def test_every_series_is_there_at_zero_before_the_first_call(registry, track):
    track(lambda: None)

    counted = ("requests_total", "rows_total", "latency_seconds_count", "latency_seconds_sum")
    assert [value(registry, f"model_prediction_{name}") for name in counted] == [0, 0, 0, 0]
    assert value(registry, "model_predictions_in_progress") == 0
    assert {name: errors(registry, name) for name in {*ERROR_TYPES.values(), "other"}} == {
        "invalid_input": 0,
        "timeout": 0,
        "cancelled": 0,
        "out_of_memory": 0,
        "other": 0,
    }


@pytest.mark.parametrize(
    ("result", "rows"),
    [(["a", "b"], 2), (np.zeros(3), 3), ([], 0), (7, 1), (None, 1), ("setosa", 1), (np.array(5.0), 1)],
)
def test_rows_are_the_length_of_the_result_or_one(registry, track, result, rows):
    assert track(lambda: result)() is result

    assert value(registry, "model_prediction_rows_total") == rows
    assert value(registry, "model_prediction_requests_total") == 1


def test_an_object_whose_length_fails_is_one_row_and_reaches_the_caller(registry, track):
    class Odd:
        def __len__(self):
            raise RuntimeError("no length today")

    odd = Odd()

    assert track(lambda: odd)() is odd
    assert value(registry, "model_prediction_rows_total") == 1


def test_the_signature_and_name_of_the_function_are_kept(track):
    def predict(instances: list, *, copies: int = 1) -> list:
        """Predict."""
        return instances * copies

    tracked = track(predict)

    assert inspect.signature(tracked) == inspect.signature(predict)
    assert (tracked.__name__, tracked.__doc__) == ("predict", "Predict.")
    assert tracked([1], copies=2) == [1, 1]


def test_a_method_and_a_partial_can_be_tracked(registry, track):
    class Model:
        @track
        def predict(self, n):
            return [self] * n

    model = Model()

    assert model.predict(2) == [model, model]
    assert track(functools.partial(sorted, reverse=True))([1, 2, 3]) == [3, 2, 1]
    assert value(registry, "model_prediction_rows_total") == 5


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (ValueError(), "invalid_input"),
        (UnicodeDecodeError("utf-8", b"", 0, 0, ""), "invalid_input"),
        (TypeError(), "invalid_input"),
        (TimeoutError(), "timeout"),
        (MemoryError(), "out_of_memory"),
        (asyncio.CancelledError(), "cancelled"),
        (OSError(), "other"),
        (KeyboardInterrupt(), "other"),
        (SystemExit(), "other"),
    ],
)
def test_every_exception_is_counted_by_its_type_timed_and_raised_again(registry, track, error, error_type):
    @track
    def predict():
        raise error

    with pytest.raises(type(error)) as raised:
        predict()

    assert raised.value is error
    assert errors(registry, error_type) == 1
    assert value(registry, "model_prediction_latency_seconds_count") == 1
    assert value(registry, "model_prediction_requests_total") == 1
    assert value(registry, "model_prediction_rows_total") == 0
    assert value(registry, "model_predictions_in_progress") == 0


def test_the_nearest_class_in_the_mro_names_the_error(registry):
    class Stale(KeyError):
        pass

    error_types = {LookupError: "lookup", KeyError: "key", Exception: "any"}
    track = track_prediction("iris", "v1", registry=registry, error_types=error_types)

    @track
    def predict():
        raise Stale

    with pytest.raises(Stale):
        predict()

    assert (errors(registry, "key"), errors(registry, "lookup"), errors(registry, "any")) == (1, 0, 0)


def test_a_coroutine_function_stays_one_and_is_timed_to_its_end(registry, track):
    @track
    async def predict(rows):
        await asyncio.sleep(0.02)
        return rows

    assert inspect.iscoroutinefunction(predict)
    assert asyncio.run(predict([1, 2])) == [1, 2]
    assert value(registry, "model_prediction_rows_total") == 2
    assert value(registry, "model_prediction_latency_seconds_sum") >= 0.02


def test_an_object_with_a_coroutine_as_call_is_awaited(registry, track):
    class Predict:
        async def __call__(self):
            return [1, 2, 3]

    assert asyncio.run(track(Predict())()) == [1, 2, 3]
    assert value(registry, "model_prediction_rows_total") == 3


def test_a_cancelled_coroutine_is_counted_as_cancelled(registry, track):
    @track
    async def predict():
        await asyncio.Event().wait()

    async def cancel_it():
        task = asyncio.create_task(predict())
        await asyncio.sleep(0)
        assert value(registry, "model_predictions_in_progress") == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_it())

    assert errors(registry, "cancelled") == 1
    assert value(registry, "model_predictions_in_progress") == 0


def test_a_coroutine_that_is_dropped_halfway_is_counted_as_cancelled(registry, track):
    @track
    async def predict():
        await asyncio.sleep(1)

    async def drop_it():
        coroutine = predict()
        coroutine.send(None)
        coroutine.close()

    asyncio.run(drop_it())

    assert errors(registry, "cancelled") == 1


def test_calls_in_progress_are_counted_while_they_last(registry, track):
    seen = []

    @track
    def predict(depth):
        seen.append(value(registry, "model_predictions_in_progress"))
        return predict(depth - 1) if depth else []

    predict(2)

    assert seen == [1, 2, 3]
    assert value(registry, "model_predictions_in_progress") == 0


def test_latencies_fall_into_the_buckets_of_a_prometheus_histogram(registry, track, monkeypatch):
    monkeypatch.setattr("labkit.observe.tracking.perf_counter", iter([0.0, 0.05, 0.0, 0.0001, 2.0, 4.0]).__next__)
    predict = track(list)

    for _ in range(3):
        predict()

    def bucket(le):
        return value(registry, "model_prediction_latency_seconds_bucket", le=le)

    assert [bucket(le) for le in ("0.0001", "0.00025", "0.025", "0.05", "1.0", "+Inf")] == [1, 1, 1, 2, 2, 3]
    assert value(registry, "model_prediction_latency_seconds_sum") == pytest.approx(2.0501)


def test_functions_decorated_for_the_same_version_add_to_the_same_series(registry):
    for _ in range(2):
        track_prediction("iris", "v1", registry=registry)(lambda: [1])()

    assert value(registry, "model_prediction_requests_total") == 2


def test_versions_and_models_have_series_of_their_own_in_one_registry(registry):
    for name, version in (("iris", "v1"), ("iris", "v2"), ("wine", "v1")):
        track_prediction(name, version, registry=registry)(lambda: [1])()

    families = [family for family in registry.collect() if family.name == "model_prediction_requests"]
    assert [family.name for family in families] == ["model_prediction_requests"]
    assert [sample.value for sample in families[0].samples] == [1, 1, 1]


def test_a_version_may_be_given_as_a_number(registry):
    track_prediction("iris", 1, registry=registry)(lambda: [1])()

    assert (
        registry.get_sample_value("model_prediction_requests_total", {"model_name": "iris", "model_version": "1"}) == 1
    )


@pytest.mark.parametrize("fails", [False, True])
def test_buffers_stay_small_when_nobody_scrapes(registry, track, fails):
    @track
    def predict():
        if fails:
            raise ValueError

    calls, longest = collector_of(registry).source(CallRecord, "iris", "v1", CallRecord), 0
    for _ in range(20_000):
        with contextlib.suppress(ValueError):
            predict()
        longest = max(longest, len(calls.begun), len(calls.ended), len(calls._failed))

    assert 8192 <= longest <= 2 * 8192
    assert value(registry, "model_prediction_requests_total") == 20_000
    assert errors(registry, "invalid_input") == 20_000 * fails


@pytest.mark.usefixtures("hasty_threads")
def test_no_call_is_lost_or_doubled_with_eight_threads_and_scrapes_meanwhile(registry, track):
    n_threads, n_calls = 8, 15_000

    @track
    def predict(fails):
        if fails:
            raise ValueError
        return (1, 2, 3)

    def call():
        for n in range(n_calls):
            with contextlib.suppress(ValueError):
                predict(n % 10 == 0)

    threads = [threading.Thread(target=call) for _ in range(n_threads)]
    seen = [0.0]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.append(value(registry, "model_prediction_requests_total"))
        assert value(registry, "model_predictions_in_progress") >= 0
    for thread in threads:
        thread.join()

    assert seen == sorted(seen)
    assert value(registry, "model_prediction_requests_total") == n_threads * n_calls
    assert value(registry, "model_prediction_latency_seconds_count") == n_threads * n_calls
    assert value(registry, "model_prediction_rows_total") == n_threads * n_calls * 0.9 * 3
    assert errors(registry, "invalid_input") == n_threads * n_calls * 0.1
    assert value(registry, "model_predictions_in_progress") == 0


def test_a_value_read_by_another_thread_after_a_call_has_ended_is_exact(registry, track):
    predict = track(lambda: [1])
    for n in range(1, 200):
        thread = threading.Thread(target=predict)
        thread.start()
        thread.join()
        assert value(registry, "model_prediction_requests_total") == n
