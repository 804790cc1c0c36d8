"""Talk to the model service: which version it serves, and that it should serve the registry's champion."""

import httpx

from labkit.errors import LabError

__all__ = ["ModelService"]

_TIMEOUT_SECONDS = 5.0


class ModelService:
    """The model service at ``url``; whatever goes wrong is a LabError."""

    def __init__(self, url: str, reload_token: str) -> None:
        self._url = url
        # Proxies of the environment are for the world outside, not for a neighbour.
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False)
        self._authorization = {"Authorization": f"Bearer {reload_token}"}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def served_version(self) -> str:
        """Return the version that answers predictions now."""
        return self._send("GET", "/v1/model").json()["version"]

    def reload(self, expected: str) -> None:
        """Make the service load the champion, and see that it serves ``expected`` then."""
        self._send("POST", "/-/reload", headers=self._authorization, json={})
        served = self.served_version()
        if served != expected:
            raise LabError(f"the model service at {self._url} serves {served} after a reload, not {expected}")

    def _send(self, method: str, path: str, **options) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise LabError(f"{method} {self._url}{path} failed: {error!r}", "labkit status") from error
        if answer.is_error:
            raise LabError(f"{method} {self._url}{path} was answered {answer.status_code}: {answer.text[:300]}")
        return answer
