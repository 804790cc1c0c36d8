"""Keep the model service as slow as the scenario asks, also when either process starts again meanwhile."""

import asyncio
from contextlib import suppress

from labkit.observe.logs import get_logger
from labkit.simulate.client import ModelClient

__all__ = ["Slowness"]

_log = get_logger(__name__)

# Said again this often: a service that has restarted knows of no fault.
_REPEAT_SECONDS = 0.5


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
            self._settled = False
            self._changed.set()

    async def run(self) -> None:
        """Follow ``want`` until cancelled."""
        while True:
            self._changed.clear()
            if not self._settled:
                await self._say()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _REPEAT_SECONDS)

    async def lift(self) -> None:
        """End the fault, if there may be one; a service that is gone or hangs is not waited for."""
        if self._wanted:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._client.delay(0.0), _REPEAT_SECONDS)

    async def _say(self) -> None:
        wanted = self._wanted
        outcome = await self._client.delay(wanted)
        if wanted != self._wanted:
            return
        if outcome == "refused":
            _log.error("service refused the fault", latency_seconds=wanted, remedy="compare both reload token files")
        self._settled = outcome == "refused" or (outcome == "answered" and not wanted)
