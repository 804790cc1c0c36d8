"""Read what Alertmanager's webhook sends, and tell one episode of an alert from its repetitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit.errors import InputError

__all__ = ["Notification", "read_notification"]


@dataclass(frozen=True)
class Notification:
    """The firing alerts about a model. ``key`` is the same whenever the same episode is sent again."""

    key: str
    alerts: tuple[Mapping[str, Any], ...]


def read_notification(payload: Any, model_name: str) -> Notification | None:
    """Return the alerts that fire for ``model_name``, None when there are none.

    The key is made of fingerprints and starting times: ``groupKey`` would be the same for every episode of a group.
    Raises InputError for what is not a webhook of version 4.
    """
    try:
        alerts = [_kept(alert) for alert in payload["alerts"] if alert["status"] == "firing"]
        version = payload["version"]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"this is no Alertmanager webhook: {error!r}", "send its JSON of version 4") from error
    if version != "4":
        raise InputError(f"the webhook has version {version!r}", "send version 4, as Alertmanager 0.16 and later do")
    ours = sorted(
        (alert for alert in alerts if alert["labels"].get("model_name", model_name) == model_name),
        key=lambda alert: (alert["fingerprint"], alert["startsAt"]),
    )
    key = ",".join(f"{alert['fingerprint']}@{alert['startsAt']}" for alert in ours)
    return Notification(key, tuple(ours)) if ours else None


def _kept(alert: Mapping[str, Any]) -> dict[str, Any]:
    labels = {str(name): str(value) for name, value in alert["labels"].items()}
    return {"fingerprint": str(alert["fingerprint"]), "startsAt": str(alert["startsAt"]), "labels": labels}
