"""Wait for the loop to close, also on a machine that is too busy to do it at the first attempt."""

from datetime import UTC, datetime
from typing import Any

from labkit.clock import wait_until
from labkit.lab import Lab
from labkit.stack.api import ask

__all__ = ["promotion"]

_PATIENCE_SECONDS = 220
_EVERY_SECONDS = 1.0


def promotion(lab: Lab) -> dict[str, Any]:
    """Return the retrainer's run that promoted a challenger, once there is one; raises WaitTimeout.

    A run may give up, because a busy machine brought too few rows or answered too slowly. Alertmanager would ask again
    hours later; this asks as soon as the cooldown is over, with the same alerts as a new episode.
    """

    def promoted() -> list[dict[str, Any]]:
        runs = lab.runs()
        found = [run for run in runs if run["result"] == "promoted"]
        if runs and not found and all(run["result"] for run in runs):
            _ask_again(lab, runs[0]["alerts"])
        return found

    return wait_until(promoted, _PATIENCE_SECONDS, "the retrainer to promote a challenger", every=_EVERY_SECONDS)[0]


def _ask_again(lab: Lab, alerts: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC).isoformat()
    body = {"version": "4", "alerts": [{**alert, "status": "firing", "startsAt": now} for alert in alerts]}
    bearer = {"Authorization": f"Bearer {lab.home.secret('retrainer_token')}"}
    ask("POST", f"{lab.home.url('retrainer')}/alerts", headers=bearer, json=body).raise_for_status()
