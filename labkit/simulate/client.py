"""The model service as a client sees it: every call ends in one of three outcomes, none raises."""

from collections.abc import Callable
from typing import Literal

import httpx

__all__ = ["ModelClient", "Outcome"]

Outcome = Literal["answered", "refused", "failed"]

_TIMEOUT_SECONDS = 10.0
# Open connections have no limit, else requests would wait for each other and the loop would close. Idle ones are few,
# since httpx asks each of them at every request whether it still lives (64 of them triple a request's cost), and go
# before uvicorn's 5 s, else a request could meet a connection that is just being closed.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=2.0)
_JSON = {"Content-Type": "application/json"}


class ModelClient:
    """Calls one model service over connections that are kept alive."""

    def __init__(self, model_url: str, reload_token: str) -> None:
        # Without the environment: a proxy has no business between two processes on loopback.
        self._http = httpx.AsyncClient(
            base_url=model_url, headers=_JSON, timeout=_TIMEOUT_SECONDS, limits=_LIMITS, trust_env=False
        )
        self._authorization = {"Authorization": f"Bearer {reload_token}"}

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def predict(self, body: bytes, on_sent: Callable[[], None]) -> tuple[Outcome, str]:
        """Ask for predictions; returns the outcome and, when answered, the request's id.

        ``on_sent`` is called once: when the request has left, or when it could not leave. A client that is short of
        processor time starts requests long before it sends them.
        """
        waiting = [on_sent]

        async def trace(event: str, _info: object) -> None:
            if event == "http11.send_request_body.complete" and waiting:
                waiting.pop()()

        response = await self._post("/v1/predict", content=body, extensions={"trace": trace})
        if waiting:
            on_sent()
        outcome = _outcome(response)
        if outcome != "answered":
            return outcome, ""
        try:
            return outcome, str(response.json()["request_id"])
        except (ValueError, LookupError, TypeError):
            return "failed", ""

    async def label(self, request_id: str, labels: list[str]) -> Outcome:
        """Say what the rows of a request truly were."""
        return _outcome(await self._post("/v1/labels", json={"request_id": request_id, "labels": labels}))

    async def delay(self, latency_seconds: float) -> Outcome:
        """Make every prediction slower by real seconds; 0 ends that."""
        body = {"latency_seconds": latency_seconds}
        return _outcome(await self._post("/-/faults", json=body, headers=self._authorization))

    async def _post(self, path: str, **request) -> httpx.Response | None:
        try:
            return await self._http.post(path, **request)
        except httpx.HTTPError:
            return None


def _outcome(response: httpx.Response | None) -> Outcome:
    if response is None or response.status_code >= 500:
        return "failed"
    return "answered" if response.is_success else "refused"
