"""The model service as a client sees it: every call ends in one of three outcomes, none raises."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

import aiohttp

__all__ = ["ModelClient", "Outcome"]

Outcome = Literal["answered", "refused", "failed"]

_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
# Idle connections go before uvicorn's 75 s, else a request could meet one that is just being closed.
_KEEP_SECONDS = 2.0


class ModelClient:
    """Calls one model service over connections that are kept alive."""

    def __init__(self, model_url: str, reload_token: str) -> None:
        self._model_url = model_url.rstrip("/")
        self._authorization = {"Authorization": f"Bearer {reload_token}"}
        self._session: aiohttp.ClientSession | None = None  # made in the loop in which it is used

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def predict(self, body: bytes, on_sent: Callable[[], None]) -> tuple[Outcome, str]:
        """Ask for predictions; returns the outcome and, when answered, the request's id.

        ``on_sent`` is called once: when the request has left, or when it could not leave. A client that is short of
        processor time starts requests long before it sends them.
        """
        waiting = [on_sent]
        answer = await self._post("/v1/predict", body, waiting=waiting)
        if waiting:
            on_sent()
        outcome = _outcome(answer)
        if outcome != "answered":
            return outcome, ""
        try:
            return outcome, str(json.loads(answer.body)["request_id"])
        except (ValueError, LookupError, TypeError):
            return "failed", ""

    async def label(self, request_id: str, labels: list[str]) -> Outcome:
        """Say what the rows of a request truly were."""
        return _outcome(await self._post("/v1/labels", _json({"request_id": request_id, "labels": labels})))

    async def delay(self, latency_seconds: float) -> Outcome:
        """Make every prediction slower by real seconds; 0 ends that."""
        body = _json({"latency_seconds": latency_seconds})
        return _outcome(await self._post("/-/faults", body, headers=self._authorization))

    async def _post(
        self, path: str, body: bytes, *, headers: dict[str, str] | None = None, waiting: list[Callable] | None = None
    ) -> "_Answer | None":
        if self._session is None:
            self._session = _session()
        try:
            async with self._session.post(
                self._model_url + path, data=body, headers=headers, trace_request_ctx=waiting
            ) as response:
                return _Answer(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError):
            return None


class _Answer(NamedTuple):
    status: int
    body: bytes


def _session() -> aiohttp.ClientSession:
    """Return a session without limits, else requests would wait for each other and the loop would close."""

    async def sent(_session: object, context: SimpleNamespace, _chunk: object) -> None:
        if waiting := context.trace_request_ctx:
            waiting.pop()()

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(sent)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Content-Type": "application/json"},
        timeout=_TIMEOUT,
        trace_configs=[trace],
    )


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


def _outcome(answer: _Answer | None) -> Outcome:
    if answer is None or answer.status >= 500:
        return "failed"
    return "answered" if answer.status < 300 else "refused"
