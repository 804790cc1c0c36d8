"""Ask a server's HTTP API for JSON, and say clearly what went wrong when it does not answer."""

from typing import Any

import httpx

from labkit.errors import InputError, LabError

__all__ = ["Api"]


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
            # Proxies named in the environment are for other machines.
            with httpx.Client(auth=self._auth, timeout=10, trust_env=False) as client:
                return client.request(method, self.url + path, **request)
        except httpx.HTTPError as error:
            raise LabError(f"{self.name} does not answer at {self.url}: {error!r}", "run: labkit up") from error


def _reason(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:500].strip()
    return str(body.get("error", body) if isinstance(body, dict) else body)
