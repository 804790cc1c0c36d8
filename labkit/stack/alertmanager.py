"""Alertmanager's API: what it holds, and silences in production time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from labkit.clock import Clock
from labkit.errors import InputError
from labkit.stack.api import Api
from labkit.stack.credentials import ALERTMANAGER_USER
from labkit.stack.frames import frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Alertmanager"]


class Alertmanager:
    """A client for the Alertmanager at ``url``, which runs by ``clock``; ``password`` is that of its one user."""

    def __init__(self, url: str, password: str, clock: Clock) -> None:
        self._api = Api("Alertmanager", url, (ALERTMANAGER_USER, password))
        self._clock = clock

    def ready(self) -> bool:
        """Say whether it takes alerts."""
        return self._api.ready()

    def alerts(self) -> "pd.DataFrame":
        """Return the alerts it holds: state (active, suppressed), starts_at, receivers, what silences them, labels."""
        return frame(
            [
                {
                    "state": each["status"]["state"],
                    "starts_at": each["startsAt"],
                    "receivers": [receiver["name"] for receiver in each["receivers"]],
                    "silenced_by": each["status"]["silencedBy"],
                    "inhibited_by": each["status"]["inhibitedBy"],
                    "fingerprint": each["fingerprint"],
                    **each["labels"],
                }
                for each in self._api.call("GET", "/api/v2/alerts")
            ],
            ["alertname", "state", "starts_at", "receivers", "silenced_by", "inhibited_by", "fingerprint"],
            ["starts_at"],
        )

    def silences(self) -> "pd.DataFrame":
        """Return the silences: id, state (pending, active, expired), matchers, starts_at, ends_at, comment."""
        return frame(
            [
                {
                    "id": each["id"],
                    "state": each["status"]["state"],
                    "matchers": ", ".join(_matcher_text(matcher) for matcher in each["matchers"]),
                    "starts_at": each["startsAt"],
                    "ends_at": each["endsAt"],
                    "comment": each["comment"],
                }
                for each in self._api.call("GET", "/api/v2/silences")
            ],
            ["id", "state", "matchers", "starts_at", "ends_at", "comment"],
            ["starts_at", "ends_at"],
        )

    def silence(self, matchers: Mapping[str, str], duration: float | str, comment: str) -> str:
        """Send no notification about alerts whose labels equal ``matchers`` for ``duration``; returns the silence's id.

        >>> alertmanager.silence({"alertname": "ModelInputDrift"}, "2h", "we know, see #12")  # doctest: +SKIP
        """
        if not matchers:
            raise InputError("a silence without matchers would silence everything", "name at least one label")
        now = datetime.now(UTC)
        body = {
            "matchers": [{"name": k, "value": v, "isRegex": False, "isEqual": True} for k, v in matchers.items()],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(seconds=self._clock.lab_seconds(duration))).isoformat(),
            "createdBy": ALERTMANAGER_USER,
            "comment": comment,
        }
        return self._api.call("POST", "/api/v2/silences", json=body)["silenceID"]

    def expire(self, silence_id: str) -> None:
        """End a silence now."""
        self._api.call("DELETE", f"/api/v2/silence/{silence_id}")


def _matcher_text(matcher: dict[str, Any]) -> str:
    equal, regex = matcher.get("isEqual", True), matcher["isRegex"]
    operator = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}[equal, regex]
    return f'{matcher["name"]}{operator}"{matcher["value"]}"'
