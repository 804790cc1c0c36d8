"""Decide whether a notification starts a run, and run one at a time."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from labkit.errors import LabError
from labkit.model.artifacts import import_skops_quickly
from labkit.observe.logs import get_logger
from labkit.respond.steps import Parts
from labkit.respond.webhook import Notification

__all__ = ["Receipt", "Retrainer"]

_RESULTS = ("promoted", "rejected", "failed", "skipped")
_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 2400, 3600)
_RECONCILE_FOR = "5m"
_log = get_logger(__name__)


@dataclass(frozen=True)
class Receipt:
    """What became of a notification; a duplicate carries the id of the run that its first copy started."""

    outcome: Literal["started", "skipped", "duplicate", "ignored"]
    run_id: int | None = None
    reason: str = ""


class Retrainer:
    """Starts runs; a context manager whose end waits for the current step and gives up the rest of the run.

    ``on_step`` hears the name of each step before its work begins. While the file ``off_switch`` exists nothing runs.
    """

    def __init__(
        self,
        parts: Parts,
        off_switch: Path,
        *,
        metrics: CollectorRegistry | None = None,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self.metrics = metrics or CollectorRegistry()
        self._parts = parts
        self._off_switch = off_switch
        self._on_step = on_step
        self._stop = threading.Event()
        self._admission = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="retraining")
        self._current: Future | None = None
        self._results = Counter("model_retraining", "Runs", ["model_name", "result"], registry=self.metrics)
        self._seconds = Histogram(
            "model_retraining_duration_seconds", "Runs", ["model_name"], registry=self.metrics, buckets=_SECONDS
        )
        for result in _RESULTS:
            self._results.labels(parts.model_name, result)
        self._seconds.labels(parts.model_name)
        self._uncounted_failures = self._mark_interrupted()

    def __enter__(self) -> "Retrainer":
        self._worker.submit(self._reconcile)
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._worker.shutdown()

    def submit(self, notification: Notification) -> Receipt:
        """Start a run for the firing alerts, or say and record why not."""
        parts, key, alerts = self._parts, notification.key, list(notification.alerts)
        with self._admission:
            known = parts.audit.last_with_key(key)
            if known and _has_verdict(known):
                return Receipt("duplicate", known["id"], "these alerts have had their run")
            if reason := self._obstacle():
                self._count("skipped")
                _log.info("retraining_skipped", reason=reason)
                return Receipt("skipped", parts.audit.skip(key, alerts, reason), reason)
            run_id = parts.audit.begin(key, alerts)
            self._current = self._worker.submit(self._run, run_id)
        _log.info("retraining_started", run_id=run_id)
        return Receipt("started", run_id)

    def count_interrupted(self) -> None:
        """Count the runs that an earlier process left unfinished; to be called after the first scrape.

        A counter that is born above 0 shows no increase, so no alert would tell of them.
        """
        while self._uncounted_failures:
            self._uncounted_failures -= 1
            self._count("failed")

    def _obstacle(self) -> str:
        """Return why no run may start now; empty when one may."""
        policy, lab_seconds, now = self._parts.policy, self._parts.clock.lab_seconds, time.time()
        if self._current and not self._current.done():
            return "in_progress: another run is not finished"
        if self._off_switch.exists():
            return f"off_switch: remove {self._off_switch} to allow runs"
        today = self._parts.audit.started_since(now - lab_seconds("1d"))
        if len(today) >= policy.max_runs_per_day:
            return f"daily_cap: {len(today)} runs were started within a day, {policy.max_runs_per_day} are allowed"
        ended = [run["finished_at"] for run in today if _has_verdict(run)]
        if ended and now - max(ended) < lab_seconds(policy.cooldown):
            return f"cooldown: the last run ended less than {policy.cooldown} ago"
        return ""

    def _run(self, run_id: int) -> None:
        from labkit.respond.run import execute

        # Seconds of imports, which the start of the process should not take, nor a run after it has its data.
        threading.Thread(target=import_skops_quickly, name="imports", daemon=True).start()
        started = time.monotonic()
        self._count(execute(run_id, self._parts, stop=self._stop, on_step=self._on_step))
        self._seconds.labels(self._parts.model_name).observe(time.monotonic() - started)

    def _count(self, result: str) -> None:
        self._results.labels(self._parts.model_name, result).inc()

    def _mark_interrupted(self) -> int:
        """Record the end of runs that were cut off with their process; returns how many."""
        runs = self._parts.audit.unfinished()
        for run in runs:
            step = run["steps"][-1]["name"] if run["steps"] else "start"
            self._parts.audit.finish(run["id"], "failed", f"interrupted at {step}", run["details"])
            _log.warning("retraining_interrupted", run_id=run["id"], step=step)
        return len(runs)

    def _reconcile(self) -> None:
        """See that the service serves the champion: an earlier process may have been cut off between the two."""
        parts, deadline = self._parts, time.monotonic() + self._parts.clock.lab_seconds(_RECONCILE_FOR)
        while time.monotonic() < deadline:
            try:
                champion = parts.registry.meta(parts.model_name, "champion").version
                if parts.service.served_version() != champion:
                    parts.service.reload(champion)
                    _log.warning("service_reloaded", version=champion)
                return
            except LabError as error:
                _log.info("service_not_reached", problem=error.problem)
            if self._stop.wait(parts.clock.lab_seconds("30s")):
                return


def _has_verdict(run: dict) -> bool:
    """Say whether a run is under way or was judged; one that was skipped or broke off may be tried again at once."""
    judged = run["result"] in ("promoted", "rejected") or (run["reason"] or "").startswith("rolled_back")
    return run["state"] == "running" or judged
