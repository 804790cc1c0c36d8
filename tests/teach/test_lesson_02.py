"""The checks of notebook 02 refuse what is wrong, each for its own reason."""

import time
from contextlib import suppress
from functools import wraps

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from labkit.observe.tracking import track_prediction as labkit_track
from labkit.teach.lessons.lesson_02 import lesson
from tests.teach.checking import approval, refusal

VERSION = {"model_name": "iris", "model_version": "v1"}


def classes(*names: str, label: str = "predicted_class", start: int = 0, metric: str = "flowers_total"):
    def count_classes(registry: CollectorRegistry) -> Counter:
        counter = Counter(metric, "Flowers", [label], registry=registry)
        for name in names:
            counter.labels(name).inc(start)
        return counter

    return count_classes


def decorator(
    *, early=True, timed="always", raises=True, named=True, typed=True, answers=True, clock="perf_counter", unit=1.0
):
    """Return a hand-written ``track_prediction`` with one fault, or none."""

    def track_prediction(registry: CollectorRegistry):
        requests = Counter("model_prediction_requests_total", "Calls", list(VERSION), registry=registry)
        errors = Counter("model_prediction_errors_total", "Errors", [*VERSION, "error_type"], registry=registry)
        latency = Histogram("model_prediction_latency_seconds", "Seconds", list(VERSION), registry=registry)
        for kind in ("invalid_input", "other") if early else ():
            errors.labels(**VERSION, error_type=kind)

        def decorate(function):
            def tracked(*args):
                requests.labels(**VERSION).inc()
                began = getattr(time, clock)()
                try:
                    answer = function(*args)
                except Exception as error:
                    kind = "invalid_input" if typed and isinstance(error, ValueError) else "other"
                    errors.labels(**VERSION, error_type=kind).inc()
                    if timed == "always":
                        latency.labels(**VERSION).observe((getattr(time, clock)() - began) * unit)
                    if raises:
                        raise
                    return None
                latency.labels(**VERSION).observe((getattr(time, clock)() - began) * unit)
                return answer if answers else None

            return wraps(function)(tracked) if named else tracked

        return decorate

    return track_prediction


def only_counts(track, registry):
    @track
    def broken():
        raise ValueError

    with suppress(ValueError):
        broken()
    labels = {**VERSION, "error_type": "invalid_input"}
    assert registry.get_sample_value("model_prediction_errors_total", labels) == 1


def only_raises(track, _registry):
    @track
    def broken():
        raise ValueError

    with pytest.raises(ValueError):
        broken()


def raises_and_counts_something(track, registry):
    only_raises(track, registry)
    labels = {**VERSION, "error_type": "invalid_input"}
    assert registry.get_sample_value("model_prediction_errors_total", labels)


def expects_two(track, registry):
    only_raises(track, registry)
    labels = {**VERSION, "error_type": "invalid_input"}
    assert registry.get_sample_value("model_prediction_errors_total", labels) == 2


THREE = ("setosa", "versicolor", "virginica")
WRONG = {
    "q1": [
        (None, "write a function"),
        (lambda registry: Gauge("flowers_total", "Flowers", registry=registry), "return the Counter"),
        (lambda _registry: Counter("flowers_total", "Flowers", ["x"], registry=None), "pass registry=registry"),
        (classes(*THREE, metric="roses_total"), "pass registry=registry, and mind the name"),
        (classes(), "not exported before the first flower"),
        (classes("setosa", "versicolor"), "virginica is not exported"),
        (classes(*THREE, start=1), "a child is not 0"),
        (classes(*THREE, "other"), "more classes than the three"),
    ],
    "q2": [
        (None, "write a function"),
        (lambda _registry: None, "return a decorator"),
        (lambda _registry: lambda function: function, "is not exported at 0"),
        (decorator(early=False), "is not exported at 0"),
        (decorator(answers=False), "return its answer"),
        (decorator(named=False), "put functools.wraps"),
        (decorator(raises=False), "was swallowed"),
        (decorator(timed="good calls"), "observe in finally"),
        (decorator(typed=False), "of invalid_input is 0"),
        (decorator(clock="time"), "use perf_counter()"),
        (decorator(unit=1000), "no milliseconds"),
        (decorator(unit=0), "what the whole call took"),
    ],
    "q3": [
        (0.05, "bounds is a tuple of numbers"),
        ((0.1, 0.05, 0.001), "Bounds rise"),
        ((0.001, 0.002, 0.004, 0.005, 0.05, 0.5, float("inf")), "+Inf is added by itself"),
        ((0.001, 0.002, float("nan"), 0.005, 0.05, 0.5), "Bounds are finite"),
        (Histogram.DEFAULT_BUCKETS[:-1], "they would look alike"),
        ((0.001, 0.002, 0.004, 0.005, 0.04, 0.06, 1.0), "No bound lies at the objective"),
        ((1, 2, 3, 4, 5, 50, 500), "Are they in seconds"),
        (tuple(number / 1000 for number in range(1, 51)), "at most 15 were asked for"),
        ((0.001, 0.002, 0.004, 0.005, 0.05), "the last bound should be at least 0.5"),
    ],
    "q4": [
        (True, "test_errors is a function"),
        (lambda _track, _registry: None, "counts no error"),
        (only_raises, "counts no error"),
        (only_counts, "swallows the error"),
        (raises_and_counts_something, "counts each error twice"),
        (expects_two, "It fails for a good decorator"),
    ],
}


@pytest.mark.parametrize(("name", "answer", "why"), [(name, *each) for name, all_ in WRONG.items() for each in all_])
def test_a_wrong_answer_hears_what_is_wrong_with_it(name: str, answer: object, why: str) -> None:
    assert why in refusal(lesson[name], answer)


def test_labkits_own_decorator_is_as_right_as_a_hand_written_one() -> None:
    approval(lesson.q2, lambda registry: labkit_track(**VERSION, registry=registry))
    approval(lesson.q2, decorator())
