"""Lab: the one object that a notebook holds. It starts, resets and shows the stack, and asks it questions."""

import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from labkit.clock import Clock, wait_until
from labkit.errors import ConfigurationError, InputError, LabError, StartError
from labkit.model.registry import ModelRegistry
from labkit.simulate.control import Control, read_control, read_status, write_control
from labkit.stack import servers
from labkit.stack.alertmanager import Alertmanager
from labkit.stack.api import ask
from labkit.stack.home import Home
from labkit.stack.links import link
from labkit.stack.prometheus import Prometheus
from labkit.stack.render import read_dashboard, render
from labkit.stack.rules import load_rules
from labkit.stack.servers import listening, running, start, stop
from labkit.status import ServiceStatus, Status

if TYPE_CHECKING:
    import pandas as pd

    from labkit.observe.store import PredictionStore
    from labkit.plots import Picture

__all__ = ["JOBS", "MODEL_NAME", "Lab"]

MODEL_NAME = "iris-classifier"

# What a server has to show in a browser; Debian's Alertmanager has no page, `lab` shows its alerts.
_PAGES = {"model": "/v1/model", "retrainer": "/runs", "inbox": "/", "prometheus": "/targets", "grafana": "/dashboards"}
_PROBES = {"prometheus": "/-/ready"}  # while it reads its data again its pages answer, and queries do not
_PURPOSES = {
    "model": "serves predictions, takes labels, shows metrics",
    "retrainer": "trains, tests and promotes a challenger, or refuses to",
    "inbox": "receives Slack, e-mail and PagerDuty messages",
    "prometheus": "scrapes metrics, evaluates rules",
    "alertmanager": "groups, routes and silences alerts",
    "grafana": "shows dashboards",
    "traffic": "sends requests and late labels",
}
JOBS = ("model", "retrainer", "inbox", "prometheus", "alertmanager")  # what is scraped; a notebook may add its own


class Lab:
    """The lab in one folder: its servers, its data, and the clock they run by.

    Durations are production time, as a text such as ``"30m"``. ``backend`` says how the servers run from the next
    start on: as ``processes`` or in ``containers``; by default as they did before.
    """

    def __init__(self, home: Home, clock: Clock, backend: str | None = None) -> None:
        self.home = home
        self.clock = clock
        self.backend = backend or home.backend
        if self.backend not in servers.BACKENDS:
            raise ConfigurationError(f"backend is {self.backend!r}", f"choose among {', '.join(servers.BACKENDS)}")
        self.notices: list[str] = []

    @classmethod
    def open(cls, *, fresh: bool = False, home: Home | None = None, backend: str | None = None) -> "Lab":
        """Attach to the running stack, or start it; with ``fresh`` begin from empty data and the shipped champion."""
        lab = cls.attach(home, backend)
        return lab.reset() if fresh else lab.up()

    @classmethod
    def attach(cls, home: Home | None = None, backend: str | None = None) -> "Lab":
        """Return the lab of this folder without starting anything."""
        home = home or Home.find()
        backend = backend or os.environ.get("LAB_BACKEND")
        return cls(home, Clock(home.speed if running(home) else _speed_asked_for()), backend)

    # -- life cycle

    def is_up(self) -> bool:
        """Say whether the whole stack runs and works."""
        return self._complete()

    def up(self) -> "Lab":
        """Start the stack and return when every target is scraped; a running stack is left as it is."""
        self.home.create()
        with self.home.lock():
            if not self._complete():
                self._start()
        return self

    def down(self, *, purge: bool = False) -> None:
        """Stop every process of this lab; with ``purge`` also delete its data, secrets and progress."""
        if not self.home.exists():
            return
        with self.home.lock():
            stop(self.home)
        if purge:
            self.home.purge()

    def reset(self) -> "Lab":
        """Begin again: no traffic, no fault, the shipped champion; stores, inbox, silences and servers empty."""
        self.home.create()
        with self.home.lock():
            # What they would still write is wiped anyway. Grafana keeps nothing of a run, and is slow to start.
            stop(self.home, set(running(self.home)) - {"grafana"}, patience=0)
            self.home.wipe()
            self._start()
        return self

    def _start(self) -> None:
        """Start what does not run: after a killed starter or a crashed server some of it does."""
        if self.home.backend != self.backend:
            stop(self.home)
            self.home.backend = self.backend
        self.notices = servers.prepare(self.home)
        self.home.speed = self.clock.speed
        self._restore_champion()
        self._move()
        try:
            self._start_servers()
        except StartError:
            if not self._move():  # else another program took one of the ports before our server did
                raise
            self._start_servers()
        if "ipykernel" in sys.modules:  # a notebook draws, and to import what it takes costs no time while we wait
            import labkit.plots  # noqa: F401
        wait_until(self._complete, 120, "every target to be scraped and Alertmanager to be found")

    def _move(self) -> bool:
        """Choose another port where another program listens, and say so in ``notices``; returns whether one did."""
        held = {port for sockets in listening(self.home).values() for _, port in sockets}
        moved = self.home.choose_ports(held)
        if moved:
            stop(self.home)  # those that run know an address that has moved
        self.notices = moved + self.notices
        return bool(moved)

    def _start_servers(self) -> None:
        render(self.home, self.clock)
        services = servers.services(self.home, self.clock)
        # Prometheus would page somebody for a model that is still starting. But it takes 5 s before its first scrape,
        # whatever the lab's speed, and so it is started beside those it watches.
        start([service for service in services if service.name != "grafana"], self.home, last=["prometheus"])
        start(services, self.home, timeout=120)  # Grafana fills its own database when it starts for the first time

    def _restore_champion(self) -> None:
        """Put the shipped champion into an empty registry; it is trained the first time only, which takes seconds."""
        if self.registry.versions(MODEL_NAME):
            return
        shipped = self.home.root / "shipped"
        if not shipped.is_dir():
            from labkit.model.training import train_first_champion

            with tempfile.TemporaryDirectory(dir=self.home.root) as folder:
                train_first_champion(ModelRegistry(folder), MODEL_NAME)
                shutil.copytree(folder, shipped)
        shutil.copytree(shipped, self.home.registry, dirs_exist_ok=True)

    def _complete(self) -> bool:
        """True when all processes run, every target is up, and Prometheus knows its Alertmanager."""
        if self.home.backend != self.backend or not set(self._expected()) <= set(running(self.home)):
            return False
        try:
            up = self.query(f'up{{job=~"{"|".join(JOBS)}"}}')
            every_target = set(up.get("job", ())) == set(JOBS) and bool((up["value"] == 1).all())
            return every_target and self.prometheus.finds_alertmanager()
        except LabError:
            return False

    def _expected(self) -> list[str]:
        """Return the names of the servers that should run here; Grafana is one where this machine has it."""
        absent = servers.absent(self.home)
        return [name for name in _PURPOSES if name not in absent]

    # -- what it holds

    @property
    def prometheus(self) -> Prometheus:
        """The client for Prometheus's API; expressions are in production time."""
        return Prometheus(self.home.url("prometheus"), self.clock)

    @property
    def alertmanager(self) -> Alertmanager:
        """The client for Alertmanager's API."""
        return Alertmanager(self.home.url("alertmanager"), self.home.secret("alertmanager_password"), self.clock)

    @property
    def registry(self) -> ModelRegistry:
        """The models on disk."""
        return ModelRegistry(self.home.registry)

    def store(self) -> "PredictionStore":
        """Open what was predicted and labelled, for reading; a context manager."""
        from labkit.model.iris import SCHEMA
        from labkit.observe.store import PredictionStore

        return PredictionStore(self.home.predictions, SCHEMA.feature_names, clock=self.clock, read_only=True)

    # -- questions

    def query(self, expression: str) -> "pd.DataFrame":
        """Evaluate PromQL, written in production time, now: a line per series, labels and ``value`` as columns."""
        return self.prometheus.query(expression)

    def query_range(self, expression: str, since: str = "1h", step: str = "15s") -> "pd.DataFrame":
        """Evaluate PromQL over the last ``since``: a line per moment, a column per series."""
        return self.prometheus.query_range(expression, since, step)

    def dashboard(self, name: str | dict[str, Any], since: str | None = None, *, width: float = 15) -> "Picture":
        """Draw a dashboard of Grafana's: ``service``, ``quality``, ``drift`` or ``loop``, or the JSON of your own.

        ``since`` replaces its range, such as ``"1h"``; ``width`` is in inches. A panel without data says why.
        """
        from labkit.plots import dashboard
        from labkit.stack.panels import evaluate

        board = evaluate(read_dashboard(name) if isinstance(name, str) else name, self.prometheus, since=since)
        return dashboard(board, self.clock.speed, width=width)

    def explain(self, expression: str, since: str = "1h") -> str:
        """Say why PromQL, written in production time, returns nothing; an empty text when it returns something."""
        from labkit.stack.explain import why_empty

        return why_empty(self.prometheus, expression, since)

    def alerts(self) -> "pd.DataFrame":
        """Return the alerts that are pending or firing in Prometheus."""
        return self.prometheus.alerts()

    def messages(self, channel: str | None = None) -> list[dict[str, Any]]:
        """Return what the inbox received, oldest first; ``channel`` is slack, email or pagerduty."""
        return self._get("inbox", "/messages", {"channel": channel} if channel else {})

    def runs(self) -> list[dict[str, Any]]:
        """Return the retrainer's runs, oldest first, each with its result and reason."""
        return self._get("retrainer", "/runs")

    def model(self) -> dict[str, Any]:
        """Return name, version and schema of the model in service."""
        return self._get("model", "/v1/model")

    def predict(self, instances: list[list[float | None]]) -> dict[str, Any]:
        """Send rows to the service, as any client would, and return its answer."""
        answer = ask("POST", f"{self.home.url('model')}/v1/predict", json={"instances": instances})
        if answer.is_error:
            raise InputError(f"the service answered {answer.status_code}: {answer.text}")
        return answer.json()

    def logs(self, service: str = "model") -> "pd.DataFrame":
        """Return the log of one of our own services (model, retrainer, inbox): a row per line, fields as columns."""
        from labkit.observe.log_file import read_log

        return read_log(self.home.logs / f"{service}.log")

    def wait_for(self, expression: str, timeout: str = "1h") -> "pd.DataFrame":
        """Wait until PromQL, written in production time, returns something, and return that; raises WaitTimeout.

        >>> lab.wait_for('ALERTS{alertname="ModelAccuracyLow", alertstate="firing"}')  # doctest: +SKIP
        """

        def answer() -> "list[pd.DataFrame]":
            frame = self.query(expression)
            return [frame] if len(frame) else []

        return wait_until(answer, self.clock.lab_seconds(timeout), f"{expression} to return something", every=0.2)[0]

    # -- what happens in it

    def load_rules(self, text: str) -> "pd.DataFrame":
        """Let Prometheus evaluate a rule file of yours as well, until the next reset; returns its rules.

        The file is in production time; it replaces the one loaded before, and an empty text takes that away.
        """
        return load_rules(text, self.home, self.clock)

    def traffic(self, scenario: str = "steady", *, rate: float = 20, seed: int = 0, severity: float = 1.0) -> None:
        """Send ``rate`` requests per lab second from now on; the scenario begins at once, in part or in full."""
        control = Control(scenario, rate, seed, running=True, onset=time.time(), severity=severity)
        write_control(self.home.traffic_control, control)

    def fault(self, scenario: str, *, severity: float = 1.0) -> None:
        """Switch the running traffic to a scenario, now; rate, seed and labels on their way stay."""
        now = read_control(self.home.traffic_control)
        if not now.running:
            raise InputError("no traffic is running, so nothing can go wrong in it", "start it first: lab.traffic()")
        wanted = {"scenario": scenario, "sealed": "", "severity": severity}
        write_control(self.home.traffic_control, replace(now, **wanted, onset=time.time()))

    def end_fault(self) -> None:
        """Switch the running traffic back to steady."""
        self.fault("steady")

    def stop_traffic(self) -> None:
        """Send nothing more; labels that are still on their way are dropped."""
        write_control(self.home.traffic_control, replace(read_control(self.home.traffic_control), running=False))

    def rollback(self, version: str | None = None) -> str:
        """Serve an earlier champion again, by default the one before; returns the version in service."""
        self.registry.rollback(MODEL_NAME, version)
        bearer = {"Authorization": f"Bearer {self.home.secret('reload_token')}"}
        answer = ask("POST", f"{self.home.url('model')}/-/reload", headers=bearer, json={})
        if answer.is_error:
            raise LabError(f"the registry has the earlier champion, but the service did not load it: {answer.text}")
        return self.model()["version"]

    # -- how it is

    @property
    def links(self) -> dict[str, str]:
        """The address of each server's page as the learner's browser reaches it, through JupyterLab where need be."""
        return {name: link(self.home.ports[name], _PAGES[name]) for name in self._expected() if name in _PAGES}

    def status(self) -> Status:
        """Return which service runs where, and what goes on."""
        found = running(self.home)
        services = tuple(self._service_status(name, name in found) for name in self._expected())
        alive = {service.name for service in services if service.state == "ready"}
        return Status(
            speed=self.clock.speed,
            services=services,
            champion=self._champion_in_service(),
            traffic=str(read_status(self.home.traffic_status)) if "traffic" in alive else "none",
            alerts_firing=self._alerts_firing() if "prometheus" in alive else (),
            notices=tuple(self.notices),
        )

    def _champion_in_service(self) -> str:
        try:
            return self.model()["version"]
        except LabError:
            return "unknown: the model does not answer"

    def _alerts_firing(self) -> tuple[str, ...]:
        try:
            alerts = self.alerts()
        except LabError:  # it has stopped, or started again, since it was asked whether it is ready
            return ()
        return tuple(sorted({row.alertname for row in alerts.itertuples() if row.state == "firing"} - {"Watchdog"}))

    def _service_status(self, name: str, runs: bool) -> ServiceStatus:
        url = self.home.url(name) if runs and name in self.home.ports else ""
        state = "stopped" if not runs else "ready" if not url or _answers(url + _PROBES.get(name, "")) else "starting"
        page = link(self.home.ports[name], _PAGES[name]) if url and name in _PAGES else ""
        return ServiceStatus(name, _PURPOSES[name], state, url, page)

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()

    def __repr__(self) -> str:
        return str(self.status())

    def _get(self, service: str, path: str, params: dict[str, str] | None = None) -> Any:
        url = self.home.url(service) + path
        try:
            answer = ask("GET", url, params=params)
        except httpx.HTTPError as error:
            raise LabError(f"the {service} does not answer at {url}: {error}", "run: labkit up") from error
        if answer.is_error:
            raise LabError(f"the {service} answered {answer.status_code} at {url}: {answer.text}", "run: labkit doctor")
        return answer.json()


def _answers(url: str) -> bool:
    """Say whether a server answers at all; asking for a password is an answer."""
    try:
        return ask("GET", url, timeout=2).status_code < 500
    except httpx.HTTPError:
        return False


def _speed_asked_for() -> float:
    text = os.environ.get("LAB_SPEED", "60")
    try:
        return Clock(float(text)).speed
    except ValueError as error:
        raise ConfigurationError(
            f"LAB_SPEED is {text!r}", "a number from 1 (real time) to 600, e.g. LAB_SPEED=60"
        ) from error
