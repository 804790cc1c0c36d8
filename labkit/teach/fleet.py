"""A fleet to learn on: several replicas of the model service, each with traffic of its own, each slow if asked."""

import time
from pathlib import Path

import httpx

from labkit.errors import InputError, LabError
from labkit.lab import Lab
from labkit.simulate.control import Control, write_control
from labkit.stack.api import ask
from labkit.stack.replicas import start_replicas, stop_replicas

__all__ = ["Fleet"]


class Fleet:
    """The lab's model service with ``total`` replicas in all; ``start`` returns when Prometheus scrapes every one.

    A reset of the lab ends the fleet, and so does ``stop``.
    """

    def __init__(self, lab: Lab, total: int = 3) -> None:
        if not 2 <= total <= 8:
            raise InputError(f"a fleet of {total} is not possible here", "choose 2 to 8 replicas")
        self._lab, self._total = lab, total
        self.urls: dict[str, str] = {}
        self._controls: dict[str, Path] = {}

    def start(self) -> "Fleet":
        """Start what does not run yet, and have it scraped."""
        lab = self._lab
        replicas = start_replicas(lab.home, lab.clock, self._total)
        self.urls = {"model": lab.home.url("model"), **{replica.name: replica.url for replica in replicas}}
        self._controls = {"model": lab.home.traffic_control, **{replica.name: replica.control for replica in replicas}}
        return self

    def stop(self) -> None:
        """Go back to the lab's own model service."""
        self.delay("model", 0)
        stop_replicas(self._lab.home, self._lab.clock)

    def instance(self, name: str) -> str:
        """Return a replica's name in Prometheus, its ``instance``."""
        return self._known(name).removeprefix("http://")

    def traffic(self, name: str, scenario: str = "steady", *, rate: float = 10, seed: int = 0) -> None:
        """Send requests and late labels to one replica, from now on."""
        self._known(name)
        write_control(self._controls[name], Control(scenario, rate, seed, running=True, onset=time.time()))

    def delay(self, name: str, seconds: float) -> None:
        """Make every prediction of one replica slower by real seconds; 0 ends that."""
        bearer = {"Authorization": f"Bearer {self._lab.home.secret('reload_token')}"}
        url = f"{self._known(name)}/-/faults"
        try:
            answer = ask("POST", url, headers=bearer, json={"latency_seconds": seconds})
        except httpx.HTTPError as error:
            raise LabError(f"{name} does not answer: {error}", "run again the cell that starts the fleet") from error
        if answer.is_error:
            raise LabError(f"{name} answered {answer.status_code}: {answer.text}")

    def _known(self, name: str) -> str:
        if name not in self.urls:
            raise InputError(
                f"the fleet has no replica {name!r}", f"choose one of {', '.join(self.urls) or 'none yet'}"
            )
        return self.urls[name]
