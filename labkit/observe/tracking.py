"""Count, time and judge each call of a prediction function, for a quarter of a microsecond a call.

A call only appends to flat lists, which CPython does in one step; the sums are made when somebody asks for them, or
when the lists have grown to 8,192 calls. So nothing is locked while the model works, and nothing is lost.
"""

import asyncio
import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import ParamSpec, TypeVar

import numpy as np
from prometheus_client import REGISTRY, CollectorRegistry

from labkit.observe.buffers import Folding, take
from labkit.observe.collector import Scrape, collector_of
from labkit.observe.histogram import BatchHistogram

__all__ = ["ERROR_TYPES", "LATENCY_BOUNDS_SECONDS", "track_prediction"]

P = ParamSpec("P")
R = TypeVar("R")

_FOLD_AT_CALLS = 8192
LATENCY_BOUNDS_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
ERROR_TYPES: Mapping[type[BaseException], str] = {
    ValueError: "invalid_input",
    TypeError: "invalid_input",
    TimeoutError: "timeout",
    asyncio.CancelledError: "cancelled",
    GeneratorExit: "cancelled",
    MemoryError: "out_of_memory",
}


def track_prediction(
    model_name: str,
    model_version: str,
    *,
    registry: CollectorRegistry = REGISTRY,
    error_types: Mapping[type[BaseException], str] = ERROR_TYPES,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a prediction function, or coroutine function, so that its calls are counted.

    Counted are requests, calls in progress, rows (``len(result)``; 1 for a text or what has no length), seconds, and
    errors by the first class of ``error_types`` in the exception's MRO, else ``other``. Every exception is raised
    again, a cancelled call's too.
    Functions decorated for the same version in the same registry share their series, which start at 0.
    """
    calls = collector_of(registry).source(CallRecord, model_name, model_version, CallRecord)
    calls.expect_errors({*error_types.values(), "other"})
    return functools.partial(_tracked, calls=calls, error_types=dict(error_types))


class CallRecord(Folding):
    """The calls of one model version: flat lists that grow with each call, and the sums that they are folded into."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self.begun: list[None] = []
        self.ended: list[float] = []  # seconds, rows, seconds, rows, …
        self._failed: list[float | str] = []  # seconds, error type, seconds, error type, …
        self._latency = BatchHistogram(LATENCY_BOUNDS_SECONDS)
        self._errors: Counter[str] = Counter()
        self._requests = self._rows = 0
        super().__init__(fold_at=2 * _FOLD_AT_CALLS)

    def expect_errors(self, error_types: Iterable[str]) -> None:
        """Export these error types from now on, at 0 until they happen."""
        with self._lock:
            self._errors.update(dict.fromkeys(error_types, 0))

    def fail(self, seconds: float, error_type: str) -> None:
        """Note a call that ended with an exception."""
        self._failed.extend((seconds, error_type))
        if len(self._failed) >= self.fold_at:
            self.fold_grown()

    def report(self, scrape: Scrape, in_service: bool) -> None:
        """Add every series, exact for all calls that have ended."""
        with self.folded():
            scrape.value("model_prediction_requests", self._labels, self._requests)
            scrape.value("model_prediction_rows", self._labels, self._rows)
            for error_type, count in sorted(self._errors.items()):
                scrape.value("model_prediction_errors", {**self._labels, "error_type": error_type}, count)
            scrape.histogram("model_prediction_latency_seconds", self._labels, self._latency)
            if in_service:
                in_progress = self._requests - self._latency.count
                scrape.value("model_predictions_in_progress", self._labels, in_progress)

    def start_empty(self) -> None:
        """Forget everything, in a child that was just forked off."""
        super().start_empty()
        for entries in (self.begun, self.ended, self._failed):
            entries.clear()
        self._latency.reset()
        self._errors = Counter(dict.fromkeys(self._errors, 0))
        self._requests = self._rows = 0

    def _fold(self) -> None:
        # Ends before begins: a call that does both meanwhile is in progress for a moment, never negative.
        ended, failed, begun = take(self.ended), take(self._failed), take(self.begun)
        self._requests += len(begun)
        self._rows += sum(ended[1::2])
        self._errors.update(failed[1::2])
        self._latency.add(np.array(ended[::2] + failed[::2], dtype=np.float64))


def _tracked(
    function: Callable[P, R], calls: CallRecord, error_types: Mapping[type[BaseException], str]
) -> Callable[P, R]:
    # Every attribute looked up and every helper called costs 5 to 10 % of the whole: so these are names of the closure,
    # and the two wrappers, alike but for their await, are written out.
    begin, end, ended, clock = calls.begun.append, calls.ended.extend, calls.ended, perf_counter

    def failed(seconds: float, error: BaseException) -> None:
        calls.fail(seconds, next((error_types[base] for base in type(error).__mro__ if base in error_types), "other"))

    @functools.wraps(function)
    def tracked(*args: P.args, **kwargs: P.kwargs) -> R:
        begin(None)
        start = clock()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            failed(clock() - start, error)
            raise
        seconds = clock() - start
        try:
            end((seconds, 1 if type(result) is str else len(result)))
        except Exception:  # what has no length is one row: counting must not spoil an answer
            end((seconds, 1))
        if len(ended) >= calls.fold_at:
            calls.fold_grown()
        return result

    @functools.wraps(function)
    async def tracked_coroutine(*args: P.args, **kwargs: P.kwargs) -> R:
        begin(None)
        start = clock()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            failed(clock() - start, error)
            raise
        seconds = clock() - start
        try:
            end((seconds, 1 if type(result) is str else len(result)))
        except Exception:
            end((seconds, 1))
        if len(ended) >= calls.fold_at:
            calls.fold_grown()
        return result

    return tracked_coroutine if _is_coroutine_function(function) else tracked


def _is_coroutine_function(function: Callable) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
