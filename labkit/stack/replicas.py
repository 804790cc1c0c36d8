"""More replicas of the model service beside the lab's own, each with traffic of its own; the next reset ends them."""

import json
from pathlib import Path

from labkit.clock import Clock, wait_until
from labkit.stack.files import write_private
from labkit.stack.home import Home
from labkit.stack.ports import choose_ports
from labkit.stack.processes import Service, listening, running, start, stop
from labkit.stack.prometheus import Prometheus
from labkit.stack.services import model_service, traffic_service

__all__ = ["Replica", "extra_port", "start_replicas", "stop_replicas"]

_PATIENCE_SECONDS = 120


class Replica:
    """One more model service, called ``model-2`` for the number 2, with a prediction store and traffic of its own."""

    def __init__(self, home: Home, number: int) -> None:
        self.name = f"model-{number}"
        self.traffic_name = f"traffic-{number}"
        self.port = extra_port(home, self.name)
        self.url = f"http://127.0.0.1:{self.port}"
        self.store = home.prometheus_data.parent / f"{self.name}.db"  # a folder that a reset empties
        self.control = home.traffic_control.with_name(f"control-{number}.json")
        self.status = home.traffic_status.with_name(f"status-{number}.json")

    def services(self, home: Home, clock: Clock) -> list[Service]:
        """Return the replica and its traffic."""
        return [
            model_service(home, clock, name=self.name, port=self.port, store=self.store),
            traffic_service(
                home, clock, name=self.traffic_name, url=self.url, control=self.control, status=self.status
            ),
        ]


def start_replicas(home: Home, clock: Clock, total: int) -> list[Replica]:
    """Start replicas until there are ``total`` with the lab's own, and return when Prometheus scrapes every one.

    Those that run are left as they are. Their ports are kept in the lab's folder.
    """
    replicas = [Replica(home, number) for number in range(2, total + 1)]
    # Traffic comes second: what it says first is that its service shall be as quick as it can.
    for services in zip(*(replica.services(home, clock) for replica in replicas), strict=True):
        start(services, home, timeout=_PATIENCE_SECONDS)
    _scrape([home.ports["model"], *(replica.port for replica in replicas)], home, clock)
    return replicas


def stop_replicas(home: Home, clock: Clock) -> None:
    """Let Prometheus scrape the lab's own model service alone, and end all others."""
    _scrape([home.ports["model"]], home, clock)  # first: nobody shall be paged for a replica that was sent home
    stop(home, [name for name in running(home) if name.startswith(("model-", "traffic-"))])


def extra_port(home: Home, name: str) -> int:
    """Return the port of a server that only some notebooks start: the one of before, where it is still free."""
    path = home.root / "extra_ports.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    held = {port for _, port in listening(home).get(name, ())}
    taken = {other: port for other, port in known.items() if other != name} | home.ports
    chosen = choose_ports([*taken, name], {**known, **taken}, {*held, *taken.values()})[name]
    if known.get(name) != chosen:
        write_private(path, json.dumps({**known, name: chosen}, indent=2) + "\n")
    return chosen


def _scrape(ports: list[int], home: Home, clock: Clock) -> None:
    """Name the model's targets and wait until Prometheus has found, and lost, what it should."""
    path: Path = home.rendered / "prometheus" / "targets" / "model.json"
    addresses = [f"127.0.0.1:{port}" for port in ports]
    write_private(path, json.dumps([{"targets": addresses}], indent=2) + "\n")
    prometheus = Prometheus(home.url("prometheus"), clock)

    def scraped() -> bool:
        up = prometheus.query('up{job="model"}')
        return len(up) == len(ports) and set(up["instance"]) == set(addresses) and bool((up["value"] == 1).all())

    wait_until(scraped, _PATIENCE_SECONDS, f"Prometheus to scrape {', '.join(addresses)}", every=0.2)
