"""Ask a server's HTTP API for JSON, and say clearly what went wrong when it does not answer."""

import ssl
from typing import Any

import httpx

from labkit.errors import InputError, LabError

__all__ = ["Api", "ask"]

# The lab's servers speak plain HTTP on loopback. To load the authorities that the system trusts, which httpx does for
# each client, takes 60 ms of processor time; this context trusts none, and so refuses whatever is not plain.
_NO_AUTHORITY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def ask(method: str, url: str, *, timeout: float = 10, **request: Any) -> httpx.Response:
    """Send one request to a server of the lab and return its answer; raises httpx.HTTPError where none comes.

    Proxies named in the environment are for other machines.
    """
    return httpx.request(method, url, timeout=timeout, trust_env=False, verify=_NO_AUTHORITY, **request)


class Api:
    """The HTTP API of one local server, called ``name`` in messages."""

    def __init__(self, name: str, url: str, auth: tuple[str, str] | None = None) -> None:
        self.name = name
        self.url = url.rstrip("/")
        self._auth = auth

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Return the parsed answer, or None for an empty one.

        Raises InputError with the server's own words when it refuses the request, LabError when it cannot answer.
        """
        answer = self._send(method, path, **request)
        if answer.status_code in (400, 404, 422):
            raise InputError(f"{self.name} refuses the request: {_reason(answer)}")
        if answer.is_error:
            raise LabError(f"{self.name} answered {answer.status_code}: {_reason(answer)}", "run: labkit doctor")
        return answer.json() if answer.content else None

    def ready(self) -> bool:
        """Say whether the server is up and takes requests."""
        try:
            return self._send("GET", "/-/ready").is_success
        except LabError:
            return False

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return ask(method, self.url + path, auth=self._auth, **request)
        except httpx.HTTPError as error:
            raise LabError(f"{self.name} does not answer at {self.url}: {error!r}", "run: labkit up") from error


def _reason(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:500].strip()
    return str(body.get("error", body) if isinstance(body, dict) else body)
