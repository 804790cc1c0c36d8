"""Start, find and stop the lab's servers, as local processes or in containers: as the home says."""

from collections.abc import Collection
from types import ModuleType
from typing import Any

from labkit.clock import Clock
from labkit.stack import containers, processes
from labkit.stack.engine import has_image
from labkit.stack.grafana import find_grafana
from labkit.stack.home import Home
from labkit.stack.images import ensure_images, image_of
from labkit.stack.processes import Service
from labkit.stack.services import container_services, stack_services

__all__ = ["BACKENDS", "absent", "listening", "prepare", "running", "services", "start", "stop"]

BACKENDS = ("processes", "containers")


def prepare(home: Home) -> list[str]:
    """Bring what the servers are made of; returns a sentence for each server that the lab does without."""
    return ensure_images() if home.backend == "containers" else []


def services(home: Home, clock: Clock) -> list[Service]:
    """Return the servers of a home whose ports are chosen and whose configuration is rendered."""
    if home.backend == "processes":
        return stack_services(home, clock)
    return [service for service in container_services(home, clock) if service.name not in absent(home)]


def absent(home: Home) -> set[str]:
    """Return the servers that cannot run here: Grafana, where there is none."""
    there = has_image(image_of("grafana")) if home.backend == "containers" else find_grafana()
    return set() if there else {"grafana"}


def start(wanted: Collection[Service], home: Home, timeout: float = 90, *, last: Collection[str] = ()) -> list[str]:
    """Start those of ``wanted`` that do not run yet, and wait until all are ready; returns the names of those.

    Those named ``last`` do nothing before the others are ready.
    """
    if home.backend == "processes":
        return processes.start(wanted, home, timeout, last=last)
    others = [service for service in wanted if service.name not in last]
    return [*containers.start(others, home, timeout), *containers.start(wanted, home, timeout)]


def running(home: Home) -> dict[str, Any]:
    """Return the servers that run now by name; each has a ``pid`` and takes ``send_signal``."""
    return _backend(home).running(home)


def stop(home: Home, names: Collection[str] | None = None, patience: float = 10) -> list[str]:
    """End the servers ``names``, by default all, and return the names of the ended.

    A lab in containers may have processes beside them, such as a lesson's second model.
    """
    ended = processes.stop(home, names, patience)
    return sorted({*ended, *containers.stop(home, names, patience)}) if home.backend == "containers" else ended


def listening(home: Home) -> dict[str, set[tuple[str, int]]]:
    """Return the (address, port) on which each running server listens."""
    return _backend(home).listening(home)


def _backend(home: Home) -> ModuleType:
    return containers if home.backend == "containers" else processes
