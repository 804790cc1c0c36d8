"""Start, find and stop the lab's servers in containers: the commands and the files of the local processes.

They share the machine's network and listen on 127.0.0.1 there, so that a container and a notebook's kernel reach each
other as two processes would. A container carries its lab's folder in a label: that is how it is found again.
"""

import hashlib
import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from labkit.clock import wait_until
from labkit.errors import StartError, WaitTimeout
from labkit.stack.engine import docker, inspect, log_of
from labkit.stack.home import Home
from labkit.stack.images import image_of
from labkit.stack.processes import Service

__all__ = ["Container", "listening", "running", "start", "stop"]

_HOME, _SERVICE, _PORTS = "labkit.home", "labkit.service", "labkit.ports"
_MEMORY = {"retrainer": "768m", "prometheus": "512m", "model": "512m", "grafana": "512m"}
_MAX_RESTARTS = 3  # of a server that does not become ready; later on it may come back as often as it likes


@dataclass(frozen=True)
class Container:
    """A server that runs in a container."""

    name: str
    id: str

    @property
    def pid(self) -> int:
        """The id of its first process, as the machine counts."""
        return inspect(self.id)[0]["State"]["Pid"]

    def send_signal(self, signum: int) -> None:
        """Send a signal to its first process."""
        docker("kill", f"--signal={int(signum)}", self.id)


def start(services: Collection[Service], home: Home, timeout: float = 60) -> list[str]:
    """Start those of ``services`` that do not run yet and wait until all are ready; returns their names.

    Raises StartError with the end of the log of a server that failed; then none that this call started is left.
    """
    if sys.platform != "linux":
        raise StartError(
            "containers reach this machine's own ports on Linux only",
            "run: labkit up --backend processes, or the whole stack: docker compose -f docker/compose.yaml up",
        )
    with home.lock():
        alive = running(home)
        missing = [service for service in services if service.name not in alive]
        stop(home, [service.name for service in missing])  # what has ended, and would hold the name
        try:
            started = [(service, docker(*_command(service, home)).strip()) for service in missing]
            for service, container in started:
                _await(service, container, timeout)
        except BaseException:
            stop(home, [service.name for service in missing], patience=0)
            raise
    return [service.name for service in missing]


def running(home: Home) -> dict[str, Container]:
    """Return the lab's containers that run now, by service, whoever started them."""
    return {name: Container(name, found) for found, name, _ in _listed(home, "--filter=status=running")}


def stop(home: Home, names: Collection[str] | None = None, patience: float = 10) -> list[str]:
    """Remove the containers of the servers ``names`` (all by default), asking them to end if there is patience."""
    doomed = {found: name for found, name, _ in _listed(home, "--all") if names is None or name in names}
    if doomed and patience:
        docker("stop", f"--time={patience:.0f}", *doomed, timeout=60 + patience)
    if doomed:
        docker("rm", "--force", "--volumes", *doomed)
    return sorted(set(doomed.values()))


def listening(home: Home) -> dict[str, set[tuple[str, int]]]:
    """Return the (address, port) that each running server was told to listen on."""
    return {
        name: {("127.0.0.1", int(port)) for port in ports.split(",") if port}
        for _, name, ports in _listed(home, "--filter=status=running")
    }


def _listed(home: Home, *flags: str) -> list[tuple[str, str, str]]:
    columns = "\t".join(["{{.ID}}", *(f'{{{{.Label "{label}"}}}}' for label in (_SERVICE, _PORTS))])
    lines = docker("ps", "--no-trunc", f"--filter=label={_HOME}={home.root}", f"--format={columns}", *flags)
    return [tuple(line.split("\t")) for line in lines.splitlines()]


def _command(service: Service, home: Home) -> list[str]:
    name = f"labkit-{hashlib.sha256(str(home.root).encode()).hexdigest()[:8]}-{service.name}"
    labels = {_HOME: str(home.root), _SERVICE: service.name, _PORTS: ",".join(map(str, service.ports))}
    return [
        "run",
        "--detach",
        f"--name={name}",
        *(f"--label={key}={value}" for key, value in labels.items()),
        "--network=host",
        f"--user={os.getuid()}:{os.getgid()}",
        "--restart=on-failure",  # a killed server comes back; one that was asked to end does not
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--memory={_MEMORY.get(service.name, '256m')}",
        "--log-opt=max-size=10m",
        "--no-healthcheck",  # the lab itself asks each server whether it is ready
        *(f"--volume={place}:{place}{mode}" for place, mode in _mounts(service.name, home)),
        *(f"--env={key}={value}" for key, value in {"HOME": "/tmp", **service.env}.items()),
        image_of(service.name),
        *_arguments(service),
    ]


def _mounts(name: str, home: Home) -> list[tuple[Path, str]]:
    """Return what a server sees of the lab, at its own path: upstream's see their configuration and their own data."""
    data = {"prometheus": home.prometheus_data, "alertmanager": home.alertmanager_data, "grafana": home.grafana_data}
    if name not in data:
        return [(home.root, "")]
    return [(home.rendered, ":ro"), (home.secrets, ":ro"), (data[name], "")]


def _arguments(service: Service) -> list[str]:
    """Return the command inside: upstream's images start their own program, Grafana's by its environment alone."""
    flags = list(service.command[1:])
    return flags if service.name in ("prometheus", "alertmanager", "grafana") else ["python", *flags]


def _await(service: Service, container: str, timeout: float) -> None:
    def settled() -> bool:
        (state,) = inspect(container)
        return state["RestartCount"] >= _MAX_RESTARTS or (state["State"]["Running"] and service.ready())

    try:
        wait_until(settled, timeout, f"{service.name} to be ready", every=0.2)
        (state,) = inspect(container)
        if state["RestartCount"] < _MAX_RESTARTS:
            return
        found = f"ended again and again, last with exit status {state['State']['ExitCode']}"
    except WaitTimeout:
        found = f"was not ready after {timeout:g} s"
    raise StartError(f"{service.name} {found}. The end of its log:\n{log_of(container)}", "run: labkit doctor")
