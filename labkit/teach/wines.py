"""A second model for notebook 12: wines of three growers, and callers that ask for them while the notebook runs."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.observe.monitor import ModelMonitor
from labkit.observe.reference import Reference
from labkit.observe.tracking import track_prediction

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["MODEL", "Caller", "call_steadily", "end_calls", "monitored"]

MODEL = "wine-classifier"
_callers: dict[str, "Caller"] = {}
_lock = threading.Lock()


def monitored(
    model: Any, reference: Reference, class_names: Sequence[str], registry: "CollectorRegistry"
) -> Callable[[np.ndarray], list[str]]:
    """Return a prediction function of any scikit-learn classifier, watched by labkit as version v1 of MODEL.

    ``class_names`` are in the order of the model's classes.
    """
    monitor = ModelMonitor(MODEL, "v1", reference, class_names=class_names, registry=registry)

    @track_prediction(MODEL, "v1", registry=registry)
    def predict(rows: np.ndarray) -> list[str]:
        shares = model.predict_proba(rows)
        answers = [class_names[best] for best in shares.argmax(axis=1)]
        monitor.observe(rows, answers, shares.max(axis=1))
        return answers

    return predict


class Caller:
    """Calls a function again and again, in a thread that ends with the process at the latest."""

    def __init__(self, call: Callable[[], object], per_second: float) -> None:
        self.calls = 0
        self.failed = 0
        self.last_error = ""
        self._call = call
        self._pause_seconds = 1 / per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Call no more; returns when the last call has ended."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __repr__(self) -> str:
        state = "ended" if self._stop.is_set() else "calling"
        return f"{state}: {self.calls:,} calls, {self.failed:,} of them failed" + (
            f", the last with: {self.last_error}" if self.last_error else ""
        )

    def _run(self) -> None:
        while not self._stop.wait(self._pause_seconds):
            try:
                self._call()
            except Exception as error:  # a client goes on, whatever the service answers
                self.failed += 1
                self.last_error = f"{type(error).__name__}: {error}"
            self.calls += 1


def call_steadily(name: str, call: Callable[[], object], *, per_second: float = 20) -> Caller:
    """Call from now on, until ``end_calls`` or until another caller takes this name: a cell may be run again."""
    with _lock:
        if name in _callers:
            _callers.pop(name).end()
        _callers[name] = Caller(call, per_second)
        return _callers[name]


def end_calls() -> None:
    """End every caller."""
    with _lock:
        while _callers:
            _callers.popitem()[1].end()
