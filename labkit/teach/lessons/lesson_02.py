"""The checks of notebook 02: instrument the model."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from prometheus_client import CollectorRegistry, Counter

from labkit.observe.tracking import track_prediction as labkit_track
from labkit.teach.exercise import Incorrect, Lesson

lesson = Lesson("02", "Instrument the model")

_CLASSES = ("setosa", "versicolor", "virginica")
_VERSION = {"model_name": "iris", "model_version": "v1"}
_OBJECTIVE_SECONDS = 0.05
_CALL_SECONDS = 0.01
_HOUR_SECONDS = 3600


@lesson.exercise(
    hints=(
        'Counter("flowers_total", "...", ["predicted_class"], registry=registry) has no child yet.',
        "Call flowers.labels(predicted_class=name) once for each class: that makes the child, at 0.",
    )
)
def q1(count_classes: Callable[[CollectorRegistry], Counter]) -> str:
    """Write a counter by predicted class whose three children are exported at 0 from the start."""
    registry = CollectorRegistry()
    flowers = _called(count_classes, registry, "count_classes(registry)")
    if not isinstance(flowers, Counter):
        raise Incorrect(f"count_classes returns {type(flowers).__name__}: return the Counter.")
    samples = [sample for family in registry.collect() for sample in family.samples]
    found = {sample.labels.get("predicted_class"): sample.value for sample in samples if sample.name == "flowers_total"}
    if "flowers" not in {family.name for family in registry.collect()}:
        raise Incorrect("The registry that was given has no flowers_total: pass registry=registry, and mind the name.")
    missing = [name for name in _CLASSES if name not in found]
    if missing:
        raise Incorrect(f"{', '.join(missing)} is not exported before the first flower: make each child at the start.")
    if any(found.values()):
        raise Incorrect("Nothing was counted yet, but a child is not 0: make it with labels(...), without inc().")
    if set(found) != set(_CLASSES):
        raise Incorrect("There are more classes than the three: labels hold a closed set.")
    return "Three series at 0, before a single flower came."


@lesson.exercise(
    hints=(
        "A try with except BaseException (count, raise) and finally (observe) times good and failed calls alike.",
        "Make the children invalid_input and other before any call; put functools.wraps(function) on the wrapper.",
    )
)
def q2(track_prediction: Callable[[CollectorRegistry], Callable]) -> str:
    """Write a decorator that counts calls and errors, and times every call."""
    registry = CollectorRegistry()
    decorate = _called(track_prediction, registry, "track_prediction(registry)")
    if not callable(decorate):
        raise Incorrect(f"track_prediction(registry) returns {type(decorate).__name__}: return a decorator.")

    wall_clock, set_back = time.time, []

    def predict(kind: type[BaseException] | None = None) -> list[str]:
        """Predict."""
        time.sleep(_CALL_SECONDS)
        if kind is KeyError:  # the clock is set during this call
            set_back.append(_HOUR_SECONDS)
        if kind:
            raise kind("no rows")
        return ["setosa"]

    tracked = decorate(predict)
    for name in ("invalid_input", "other"):
        if _errors(registry, name) != 0:
            raise Incorrect(f"error_type {name} is not exported at 0 before the first call, with the labels asked for.")
    with patch("time.time", lambda: wall_clock() - sum(set_back)):
        _insist_on_behaviour(tracked)
    wanted = {
        "model_prediction_requests_total": "calls: count each, whether it fails or not",
        "model_prediction_latency_seconds_count": "times: observe in finally, so that failed calls are timed too",
    }
    for name, meaning in wanted.items():
        value = registry.get_sample_value(name, _VERSION)
        if value != 4:
            raise Incorrect(f"After 4 calls, 3 of them failed, {name} is {value}. It counts {meaning}.")
    for name, count in (("invalid_input", 2), ("other", 1)):
        if _errors(registry, name) != count:
            found = _errors(registry, name)
            raise Incorrect(f"model_prediction_errors_total of {name} is {found:g}, {count} such errors were raised.")
    _judge_seconds(registry.get_sample_value("model_prediction_latency_seconds_sum", _VERSION) or 0.0)
    return "Four calls, three failed, all timed, each raised again: fit for production."


@lesson.exercise(
    hints=(
        "The objective, 0.05, has to be a bound: then the share within it is exact.",
        "Go up by factors of 2 to 2.5: 0.0005, 0.001, 0.002, 0.005, 0.01, ... up to 0.5 or 1.",
    )
)
def q3(bounds: Sequence[float]) -> str:
    """Choose the bounds of a latency histogram for this model."""
    if not isinstance(bounds, list | tuple) or not all(type(each) in (int, float) for each in bounds):
        raise Incorrect("bounds is a tuple of numbers, in seconds.")
    if not all(map(math.isfinite, bounds)):
        raise Incorrect("Bounds are finite: +Inf is added by itself.")
    if list(bounds) != sorted(set(bounds)) or not bounds or bounds[0] <= 0:
        raise Incorrect("Bounds rise and are above 0, each once.")
    if _OBJECTIVE_SECONDS not in bounds:
        near = min(bounds, key=lambda each: abs(each - _OBJECTIVE_SECONDS))
        raise Incorrect(f"No bound lies at the objective, 0.05 s; the nearest is {near:g}. Are they in seconds?")
    if len(bounds) > 15:
        raise Incorrect(f"{len(bounds)} bounds are {len(bounds)} series for each version: at most 15 were asked for.")
    fine = [each for each in bounds if each <= 0.005]
    if len(fine) < 4:
        raise Incorrect(f"Most calls take 0.2 to 5 ms, and {len(fine)} bounds lie there: they would look alike.")
    if bounds[-1] < 0.5:
        raise Incorrect(f"Beyond {bounds[-1]:g} s all calls look alike: the last bound should be at least 0.5.")
    return f"{len(bounds)} bounds, {len(fine)} of them where most calls are, and one at the objective."


@lesson.exercise(
    hints=(
        "Decorate a function that raises, call it inside try, and remember whether ValueError came out.",
        'registry.get_sample_value("model_prediction_errors_total", {model_name, model_version, error_type}) == 1',
    )
)
def q4(test_errors: Callable[[Callable, CollectorRegistry], None]) -> str:
    """Write a test of the error counter that passes for a good decorator and fails for broken ones."""
    if not callable(test_errors):
        raise Incorrect(f"test_errors is a function of track and registry; this is {type(test_errors).__name__}.")
    good = CollectorRegistry()
    try:
        test_errors(labkit_track(**_VERSION, registry=good), good)
    except Exception as error:
        raise Incorrect(f"It fails for a good decorator: {type(error).__name__} {error}".rstrip() + ".") from error
    broken = {
        _counts_nothing: "It passes for a decorator that counts no error: assert the counter's value.",
        _swallows: "It passes for a decorator that swallows the error: assert that ValueError reaches the caller.",
        _counts_twice: "It passes for a decorator that counts each error twice: assert that the value is 1.",
    }
    for mutant, message in broken.items():
        registry = CollectorRegistry()
        try:
            test_errors(mutant(registry), registry)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # what pytest.raises raises is no Exception
            continue
        raise Incorrect(message)
    return "It passes for the good decorator and fails for three broken ones."


def _called(function: Any, registry: CollectorRegistry, call: str) -> Any:
    if not callable(function):
        raise Incorrect(f"{call} is to be called, but this is {type(function).__name__}: write a function.")
    return function(registry)


def _judge_seconds(total: float) -> None:
    if total < -_HOUR_SECONDS / 2:
        raise Incorrect("A latency is negative when the clock is set: use perf_counter().")
    if total > 1_000 * _CALL_SECONDS:
        raise Incorrect(f"Four calls of {_CALL_SECONDS} s add up to {total:g}: observe seconds, no milliseconds.")
    if total < 4 * 0.9 * _CALL_SECONDS:
        raise Incorrect(f"Four calls of {_CALL_SECONDS} s add up to {total:g} s: observe what the whole call took.")


def _errors(registry: CollectorRegistry, error_type: str) -> float | None:
    return registry.get_sample_value("model_prediction_errors_total", {**_VERSION, "error_type": error_type})


def _insist_on_behaviour(tracked: Callable) -> None:
    if not callable(tracked):
        raise Incorrect(f"The decorator returns {type(tracked).__name__}: return the wrapped function.")
    if tracked() != ["setosa"]:
        raise Incorrect("The decorated function returns something else than the function does: return its answer.")
    if tracked.__name__ != "predict":
        raise Incorrect(
            f"The function is called {tracked.__name__!r} now: put functools.wraps(function) on the wrapper."
        )
    for kind in (ValueError, ValueError, KeyError):
        try:
            tracked(kind)
        except kind:
            continue
        raise Incorrect(f"A {kind.__name__} was swallowed: count it, then raise.")


def _mutant(registry: CollectorRegistry, *, counted: int, raises: bool) -> Callable:
    names = ["model_name", "model_version", "error_type"]
    errors = Counter("model_prediction_errors_total", "Errors", names, registry=registry)
    child = errors.labels(**_VERSION, error_type="invalid_input")

    def decorate(function: Callable) -> Callable:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Exception:
                child.inc(counted)
                if raises:
                    raise

        return wrapper

    return decorate


def _counts_nothing(registry: CollectorRegistry) -> Callable:
    return _mutant(registry, counted=0, raises=True)


def _swallows(registry: CollectorRegistry) -> Callable:
    return _mutant(registry, counted=1, raises=False)


def _counts_twice(registry: CollectorRegistry) -> Callable:
    return _mutant(registry, counted=2, raises=True)
