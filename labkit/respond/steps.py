"""What a retraining run works with, and how its steps are recorded, logged and ended."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from labkit.clock import Clock
from labkit.model.iris import Schema
from labkit.model.registry import ModelRegistry
from labkit.observe.logs import get_logger
from labkit.observe.store import PredictionStore
from labkit.respond.audit import Audit
from labkit.respond.gates import Refusal
from labkit.respond.policy import Policy
from labkit.respond.serving import ModelService

__all__ = ["Ended", "Parts", "Steps", "end_if"]

_POLL = "15s"
_log = get_logger(__name__)


@dataclass(frozen=True)
class Parts:
    """What runs work with. ``open_store`` opens the prediction store for reading, in the thread that reads."""

    model_name: str
    schema: Schema
    registry: ModelRegistry
    open_store: Callable[[], PredictionStore]
    service: ModelService
    audit: Audit
    clock: Clock
    policy: Policy


class Ended(Exception):
    """A run is over before its last step, with this result and reason."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(result, reason)
        self.result, self.reason = result, reason


class Steps:
    """The steps of one run. ``on_step`` hears the name of each before its work begins; ``stop`` ends the waiting."""

    def __init__(
        self, run_id: int, parts: Parts, *, stop: threading.Event, on_step: Callable[[str], None] | None = None
    ) -> None:
        self.run_id = run_id
        self.parts = parts
        self.details: dict[str, dict[str, Any]] = {}
        self._stop = stop
        self._on_step = on_step or (lambda _name: None)

    @property
    def current(self) -> str:
        """The name of the latest step."""
        return next(reversed(self.details), "start")

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Record a step with the details that the block puts into the yielded dict."""
        with self.parts.audit.step(self.run_id, name) as details:
            self.details[name] = details
            _log.info("retraining_step", run_id=self.run_id, step=name)
            self._on_step(name)
            try:
                yield details
            except Ended as end:
                details["ended"] = end.reason
                raise

    def ago(self, duration: str) -> float:
        """Return the Unix time that lies a production duration back."""
        return time.time() - self.parts.clock.lab_seconds(duration)

    def pause(self) -> None:
        """Wait a moment for the world to move on; ends the run when the process is asked to stop."""
        if self._stop.wait(self.parts.clock.lab_seconds(_POLL)):
            raise Ended("failed", f"interrupted at {self.current}")


def end_if(result: str, refusal: Refusal | None) -> None:
    """End the run when a gate stays shut."""
    if refusal:
        raise Ended(result, f"{refusal.reason}: {refusal.detail}")
