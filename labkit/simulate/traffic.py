"""Send traffic to the model service: an open loop of requests, and their labels minutes later.

Run it with ``python -m labkit.simulate.traffic``; it does what the control file says and reports in the status file.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from labkit.clock import Clock
from labkit.errors import InputError
from labkit.observe.http import read_secret
from labkit.observe.logs import configure_logging, get_logger
from labkit.simulate.client import ModelClient
from labkit.simulate.control import Control, ControlFile, Status, write_status
from labkit.simulate.labels import LabelQueue, PendingLabels
from labkit.simulate.ledger import Ledger
from labkit.simulate.plan import Arrivals, Plan
from labkit.simulate.scenarios import scenario
from labkit.simulate.slowness import Slowness

__all__ = ["Traffic"]

_log = get_logger(__name__)

_POLL_SECONDS = 0.05
_REPORT_SECONDS = 0.5
_GRACE_SECONDS = 1.0
# 10 s of silence at the usual rate. Beyond it a connection more helps nobody: requests wait here, and are reported as
# late.
_MAX_IN_FLIGHT = 200


class Traffic:
    """Traffic of one process. ``await run()`` follows the control file until ``stop()``.

    ``running: true`` begins a run with counts of zero; a change of scenario, rate or seed meanwhile keeps counts and
    labels to come; ``running: false`` drops the labels to come.
    """

    def __init__(self, client: ModelClient, control_path: Path, status_path: Path, clock: Clock) -> None:
        self._client = client
        self._control_file = ControlFile(control_path)
        self._status_path = status_path
        self._clock = clock
        self._slowness = Slowness(client)
        self._in_flight: set[asyncio.Task] = set()
        self._slots = asyncio.Semaphore(_MAX_IN_FLIGHT)
        self._stopping = False
        self._report_at = 0.0
        self._reachable = True
        self._control = Control()
        self._scenario = scenario(self._control.played)
        self._onset = 0.0
        self._begin(self._control)

    def stop(self) -> None:
        """End ``run`` soon."""
        self._stopping = True

    async def run(self) -> None:
        """Follow the control file, send what is due, report; requests in flight get a second to end."""
        async with asyncio.TaskGroup() as group:  # an error that nobody foresaw ends the process, loudly
            slowness = group.create_task(self._slowness.run())
            while not self._stopping:
                self._tick(group)
                await asyncio.sleep(max(0.0, min(self._arrivals.next_at - time.monotonic(), _POLL_SECONDS)))
            self._obey(Control())
            if self._in_flight:
                await asyncio.wait(self._in_flight, timeout=_GRACE_SECONDS)
            for task in (slowness, *self._in_flight):
                task.cancel()
        await self._slowness.lift()
        self._report(time.monotonic())

    def _tick(self, group: asyncio.TaskGroup) -> None:
        self._follow_control()
        self._slowness.want(self._scenario.service_latency_seconds if self._fault_is_on() else 0.0)
        now = time.monotonic()
        self._arrivals.set_rate(self._asked_rate(), now)
        for scheduled_at in self._arrivals.due(now):
            self._spawn(group, self._send_request, scheduled_at)
        for pending in self._labels.due(now):
            self._spawn(group, self._send_labels, pending)
        if now >= self._report_at:
            self._report(now)

    def _spawn(self, group: asyncio.TaskGroup, send: Callable[[Any], Awaitable[None]], due: object) -> None:
        task = group.create_task(self._when_free(send, due))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _when_free(self, send: Callable[[Any], Awaitable[None]], due: object) -> None:
        ledger = self._ledger
        async with self._slots:
            if self._control.running and self._ledger is ledger:  # else what waited is of a run that was stopped
                await send(due)

    async def _send_request(self, scheduled_at: float) -> None:
        ledger, labels = self._ledger, self._labels  # of this run: what ends after a stop is counted nowhere else
        request = self._plan.next(self._scenario, self._since_onset())
        outcome, request_id = await self._client.predict(
            request.body, on_sent=lambda: ledger.send(scheduled_at, time.monotonic())
        )
        ledger.answer(outcome)
        self._note_reachable(outcome != "failed")
        if outcome == "answered":
            due_at = time.monotonic() + self._clock.lab_seconds(request.label_delay_seconds)
            labels.add(PendingLabels(due_at, request_id, request.labels))

    async def _send_labels(self, pending: PendingLabels) -> None:
        ledger, labels = self._ledger, self._labels
        outcome = await self._client.label(pending.request_id, pending.labels)
        if outcome != "failed" or not labels.retry(pending, time.monotonic()):
            ledger.label(outcome)

    def _follow_control(self) -> None:
        try:
            control = self._control_file.news()
        except InputError as error:
            _log.error("control file not followed", problem=error.problem, remedy=error.remedy)
            return
        if control is not None:
            _log.info("control file followed", **asdict(control))
            self._obey(control)

    def _obey(self, control: Control) -> None:
        before, self._control = self._control, control
        if control.running and not before.running:
            self._begin(control)
        elif not control.running:
            self._labels = LabelQueue()
        elif control.seed != before.seed:
            self._plan, self._arrivals = Plan(control.seed), Arrivals(control.seed)
        if control.onset is not None:
            self._onset = control.onset
        elif control.played != before.played or not before.running:
            self._onset = time.time()
        self._scenario = scenario(control.played).at(control.severity)
        self._report_at = 0.0  # whoever wrote the control file waits for the status to agree

    def _begin(self, control: Control) -> None:
        self._plan, self._arrivals = Plan(control.seed), Arrivals(control.seed)
        self._labels, self._ledger = LabelQueue(), Ledger(time.monotonic())

    def _since_onset(self) -> float:
        return self._clock.production_seconds(time.time() - self._onset)

    def _fault_is_on(self) -> bool:
        return self._control.running and self._scenario.active(self._since_onset())

    def _asked_rate(self) -> float:
        if not self._control.running:
            return 0.0
        return self._control.rate * (self._scenario.rate_factor if self._fault_is_on() else 1.0)

    def _note_reachable(self, reachable: bool) -> None:
        if reachable == self._reachable:
            return
        self._reachable = reachable
        if reachable:
            _log.info("model service answers again")
            self._slowness.say_again()
        else:
            _log.warning("model service does not answer")

    def _report(self, now: float) -> None:
        self._report_at = now + _REPORT_SECONDS
        hidden = bool(self._control.sealed)
        status = Status(
            running=self._control.running,
            scenario="not told" if hidden else self._scenario.name,
            onset=None if hidden or self._scenario.shape == "none" else self._onset,
            asked_rate=self._asked_rate(),
            in_flight=len(self._in_flight),
            labels_pending=len(self._labels),
            updated_at=time.time(),
            **self._ledger.summary(now),
        )
        write_status(self._status_path, status)


async def _run_until_signal(traffic: Traffic, client: ModelClient) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, traffic.stop)
    try:
        await traffic.run()
    finally:
        await client.close()


@click.command()
@click.option("--model-url", required=True, help="Address of the model service, e.g. http://127.0.0.1:8000.")
@click.option("--control", type=click.Path(path_type=Path), required=True, help="File that says what to send.")
@click.option("--status", type=click.Path(path_type=Path), required=True, help="File that says what was sent.")
@click.option("--reload-token-file", type=click.Path(path_type=Path), required=True, help="Token for faults.")
@click.option("--speed", type=float, default=60.0, show_default=True, help="Production seconds in a lab second.")
def main(model_url: str, control: Path, status: Path, reload_token_file: Path, speed: float) -> None:
    """Send traffic to a model service until SIGTERM."""
    configure_logging("traffic")
    client = ModelClient(model_url, read_secret(reload_token_file))
    asyncio.run(_run_until_signal(Traffic(client, control, status, Clock(speed)), client))


if __name__ == "__main__":
    main()
