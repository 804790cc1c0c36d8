"""Keep the model service as slow as the scenario asks, also when either process starts again meanwhile."""

import asyncio
from contextlib import suppress

from labkit.observe.logs import get_logger
from labkit.simulate.client import ModelClient

__all__ = ["Slowness"]

_log = get_logger(__name__)

_RETRY_SECONDS = 0.5


class Slowness:
    """The latency that a scenario adds to the service. At first 0 is said: a killed predecessor may have left some."""

    def __init__(self, client: ModelClient) -> None:
        self._client = client
        self._wanted = 0.0
        self._settled = False
        self._changed = asyncio.Event()

    def want(self, latency_seconds: float) -> None:
        """Ask for this latency from now on."""
        if latency_seconds != self._wanted:
            self._wanted = latency_seconds
            self.say_again()

    def say_again(self) -> None:
        """Repeat what is wanted: a service that has restarted knows of no fault."""
        self._settled = False
        self._changed.set()

    async def run(self) -> None:
        """Follow ``want`` until cancelled."""
        while True:
            self._changed.clear()
            if not self._settled:
                await self._say()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _RETRY_SECONDS)

    async def lift(self) -> None:
        """End the fault, if there may be one; a service that is gone or hangs is not waited for."""
        if self._wanted:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._client.delay(0.0), _RETRY_SECONDS)

    async def _say(self) -> None:
        self._settled = True  # unless somebody wants something else meanwhile
        outcome = await self._client.delay(self._wanted)
        if outcome == "refused":
            _log.error("service refused the fault", remedy="give it and the traffic the same reload token file")
        if outcome == "failed":
            self._settled = False
