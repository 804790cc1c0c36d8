"""A notification is one episode of alerts, however often and in whatever order it is sent."""

import pytest

from labkit.errors import InputError
from labkit.respond.webhook import read_notification


def alert(fingerprint="f1", starts_at="2026-01-01T00:00:00Z", status="firing", **labels):
    return {"status": status, "fingerprint": fingerprint, "startsAt": starts_at, "labels": labels}


def read(*alerts, version="4"):
    return read_notification({"version": version, "groupKey": "{}", "alerts": list(alerts)}, "iris-classifier")


def test_the_same_alerts_in_another_order_have_the_same_key():
    assert read(alert("f1"), alert("f2")).key == read(alert("f2"), alert("f1")).key


def test_a_later_episode_of_the_same_alert_has_another_key():
    assert read(alert()).key != read(alert(starts_at="2026-01-01T01:00:00Z")).key


def test_resolved_alerts_do_not_change_the_key():
    assert read(alert(), alert("f2", status="resolved")).key == read(alert()).key


@pytest.mark.parametrize("alerts", [[], [alert(status="resolved")], [alert(model_name="other-model")]])
def test_without_a_firing_alert_about_the_model_there_is_nothing_to_do(alerts):
    assert read(*alerts) is None


@pytest.mark.parametrize("payload", [None, [], "x", {}, {"alerts": 1}, {"alerts": [1], "version": "4"}, {"alerts": []}])
def test_what_is_no_webhook_is_refused(payload):
    with pytest.raises(InputError, match="no Alertmanager webhook"):
        read_notification(payload, "iris-classifier")


def test_another_version_of_the_webhook_is_refused():
    with pytest.raises(InputError, match="version '5'"):
        read(alert(), version="5")
