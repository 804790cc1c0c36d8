"""The servers of the lab: how each is called, and when it is ready."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from labkit.clock import Clock
from labkit.stack.api import ask
from labkit.stack.binaries import ensure
from labkit.stack.credentials import ALERTMANAGER_USER
from labkit.stack.grafana import grafana_service, grafana_settings
from labkit.stack.home import Home
from labkit.stack.processes import Service
from labkit.stack.timescale import scale_flags

__all__ = ["container_services", "model_service", "stack_services", "traffic_service"]


def stack_services(home: Home, clock: Clock) -> list[Service]:
    """Return the services of a home whose ports are chosen and whose configuration is rendered."""
    return _services(home, clock, ensure(), grafana_service(home, _grafana_answers(home)))


def container_services(home: Home, clock: Clock) -> list[Service]:
    """Return the same services for containers, whose images bring the programs."""
    programs = {name: Path("/bin", name) for name in ("prometheus", "alertmanager")}
    grafana = Service("grafana", [], [home.ports["grafana"]], _grafana_answers(home), env=grafana_settings(home))
    return _services(home, clock, programs, grafana)


def _grafana_answers(home: Home) -> Callable[[], bool]:
    return _answers(f"{home.url('grafana')}/api/health")


def _services(home: Home, clock: Clock, programs: Mapping[str, Path], grafana: Service | None) -> list[Service]:
    services = [
        model_service(home, clock),
        _retrainer(home, clock),
        _inbox(home),
        _alertmanager(home, clock, programs["alertmanager"]),
        _prometheus(home, clock, programs["prometheus"]),
        traffic_service(home, clock),
        grafana,
    ]
    return [service for service in services if service]


def model_service(
    home: Home, clock: Clock, *, name: str = "model", port: int | None = None, store: Path | None = None
) -> Service:
    """Return the lab's model service, or a replica of it at another port and with another store."""
    port = port or home.ports["model"]
    command = _python(
        "labkit.model.service",
        f"--port={port}",
        f"--registry={home.registry}",
        f"--store={store or home.predictions}",
        f"--token-file={home.secrets / 'reload_token'}",
        f"--speed={clock.speed:g}",
        *_public(),
    )
    return Service(name, command, [port], _answers(f"http://127.0.0.1:{port}/readyz"))


def _retrainer(home: Home, clock: Clock) -> Service:
    command = _python(
        "labkit.respond.retraining",
        f"--port={home.ports['retrainer']}",
        f"--registry={home.registry}",
        f"--store={home.predictions}",
        f"--audit={home.retraining}",
        f"--model-url={home.url('model')}",
        f"--token-file={home.secrets / 'retrainer_token'}",
        f"--reload-token-file={home.secrets / 'reload_token'}",
        f"--off-switch={home.retraining_off}",
        f"--speed={clock.speed:g}",
        *_public(),
    )
    return Service("retrainer", command, [home.ports["retrainer"]], _answers(f"{home.url('retrainer')}/healthz"))


def _inbox(home: Home) -> Service:
    ports = [home.ports["inbox"], home.ports["smtp"]]
    command = _python(
        "labkit.respond.inbox",
        f"--port={ports[0]}",
        f"--smtp-port={ports[1]}",
        f"--slack-token-file={home.secrets / 'slack_token'}",
        f"--pagerduty-key-file={home.secrets / 'pagerduty_key'}",
        f"--smtp-password-file={home.secrets / 'smtp_password'}",
        f"--heartbeat-token-file={home.secrets / 'heartbeat_token'}",
        *_public(),
    )
    return Service("inbox", command, ports, _answers(f"{home.url('inbox')}/healthz"))


def traffic_service(
    home: Home,
    clock: Clock,
    *,
    name: str = "traffic",
    url: str | None = None,
    control: Path | None = None,
    status: Path | None = None,
) -> Service:
    """Return the lab's traffic, or that of a replica at ``url`` with files of its own."""
    status = status or home.traffic_status
    command = _python(
        "labkit.simulate.traffic",
        f"--model-url={url or home.url('model')}",
        f"--control={control or home.traffic_control}",
        f"--status={status}",
        f"--reload-token-file={home.secrets / 'reload_token'}",
        f"--speed={clock.speed:g}",
    )
    before = time.time()
    return Service(name, command, [], lambda: status.exists() and status.stat().st_mtime >= before)


def _prometheus(home: Home, clock: Clock, program: Path) -> Service:
    port = home.ports["prometheus"]
    flags = [
        f"--config.file={home.rendered / 'prometheus' / 'prometheus.yml'}",
        f"--storage.tsdb.path={home.prometheus_data}",
        "--storage.tsdb.retention.time=30d",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url={home.url('prometheus')}",  # links in messages name this machine as it names itself
        "--web.cors.origin=^$",  # no web page but its own may read from it
        # Upstream's defaults, stated so that they are scaled: at 60x a dead target would stay "up" for 5 hours else.
        "--query.lookback-delta=5m",
        "--rules.alert.resend-delay=1m",
        "--rules.alert.for-outage-tolerance=1h",
        "--rules.alert.for-grace-period=10m",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    ready = _answers(f"{home.url('prometheus')}/-/ready")
    return Service("prometheus", [str(program), *scale_flags(flags, clock.speed)], [port], ready)


def _alertmanager(home: Home, clock: Clock, program: Path) -> Service:
    port = home.ports["alertmanager"]
    flags = [
        f"--config.file={home.rendered / 'alertmanager' / 'alertmanager.yml'}",
        f"--storage.path={home.alertmanager_data}",
        # Of Go's own grammar, which has no days.
        f"--data.retention={clock.lab_seconds('5d'):.0f}s",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url={home.url('alertmanager')}",
        f"--web.config.file={home.secrets / 'alertmanager_web.yml'}",
        "--cluster.listen-address=",  # no cluster: it would listen on every interface
        "--log.level=warn",
    ]
    ready = _answers(f"{home.url('alertmanager')}/-/ready", (ALERTMANAGER_USER, home.secret("alertmanager_password")))
    # Beside its program an Alertmanager from our cache finds its templates.
    return Service("alertmanager", [str(program), *flags], [port], ready, cwd=program.parent)


def _python(module: str, *flags: str) -> list[str]:
    return [sys.executable, "-P", "-m", module, *flags]  # -P: nothing in the current folder shadows a module


def _public() -> list[str]:
    """Return the flag for the host name under which browsers come through a JupyterHub, where one is named."""
    host = os.environ.get("LABKIT_PUBLIC_HOST")
    return [f"--allowed-host={host}"] if host else []


def _answers(url: str, auth: tuple[str, str] | None = None) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            return ask("GET", url, auth=auth, timeout=2).is_success
        except httpx.HTTPError:
            return False

    return ready
