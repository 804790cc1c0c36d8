"""Every alert finds its receivers: amtool answers for the routes, a running Alertmanager for what becomes of alerts."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from labkit.clock import Clock, wait_until
from labkit.stack import processes
from labkit.stack.alertmanager import Alertmanager
from labkit.stack.home import Home
from labkit.stack.render import render
from labkit.stack.services import stack_services

CLOCK = Clock(60)


@dataclass
class Desk:
    """A running Alertmanager and the inbox that it sends to."""

    home: Home

    @property
    def alertmanager(self) -> Alertmanager:
        return Alertmanager(self.home.url("alertmanager"), self.home.secret("alertmanager_password"), CLOCK)

    def report(self, *alerts: dict[str, str], firing: bool = True) -> None:
        """Send alerts as Prometheus would, by their labels."""
        ends_at = datetime.now(UTC) + timedelta(minutes=5 if firing else 0)
        annotations = {"summary": "It is so", "description": "It is 42%.", "runbook_url": "docs/runbooks.md#it"}
        body = [
            {"labels": {"model_name": "iris", **labels}, "annotations": annotations, "endsAt": ends_at.isoformat()}
            for labels in alerts
        ]
        auth = ("labkit", self.home.secret("alertmanager_password"))
        url = f"{self.home.url('alertmanager')}/api/v2/alerts"
        httpx.post(url, json=body, auth=auth, trust_env=False).raise_for_status()

    def received(self, alertname: str, status: str) -> dict[str, dict]:
        """Return what came about an alert of the model iris, by channel."""
        messages = httpx.get(f"{self.home.url('inbox')}/messages", trust_env=False).json()
        return {m["channel"]: m for m in messages if f"{alertname} (iris)" in m["title"] and m["status"] == status}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = Home(tmp_path_factory.mktemp("desk") / ".lab").create()
    home.choose_ports()
    render(home, CLOCK)
    services = [each for each in stack_services(home, CLOCK) if each.name in ("alertmanager", "inbox")]
    try:
        processes.start(services, home)
        yield Desk(home)
    finally:
        processes.stop(home)


def test_amtool_accepts_the_routes(run, docker):
    checked = run("amtool", "check-config", docker / "alertmanager/alertmanager.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_routed_by_its_severity_and_to_the_retrainer_when_it_asks_for_it(run, docker, alerts):
    for name, alert in alerts.items():
        severity, action = alert["labels"]["severity"], alert["labels"].get("action")
        expected = ["heartbeat"] if name == "Watchdog" else ["retrainer"] * (action == "retrain") + [severity]
        routed = run(
            "amtool", "config", "routes", "test", f"--config.file={docker / 'alertmanager/alertmanager.yml'}",
            f"--verify.receivers={','.join(expected)}", f"alertname={name}", "model_name=iris",
            *(f"{label}={value}" for label, value in alert["labels"].items() if label != "model_name"),
        )  # fmt: skip
        assert (0, ",".join(expected)) == (routed.returncode, routed.stdout.strip()), name


def test_an_alert_that_nobody_thought_of_still_reaches_somebody(run, docker):
    config = f"--config.file={docker / 'alertmanager/alertmanager.yml'}"
    assert run("amtool", "config", "routes", "test", config, "alertname=New").stdout.strip() == "ticket"


def test_a_page_reaches_slack_and_pagerduty_and_says_when_it_is_over(desk):
    page = {"alertname": "RetrainerDown", "severity": "page"}
    for firing, status in ((True, "firing"), (False, "resolved")):
        desk.report(page, firing=firing)
        wait_until(lambda status=status: len(desk.received("RetrainerDown", status)) == 2, 10, f"{status} messages")
        messages = desk.received("RetrainerDown", status)
        assert {"slack", "pagerduty"} == set(messages)
        assert f"[{status.upper()}] RetrainerDown (iris)" in messages["slack"]["title"]
        for text in ("It is so", "It is 42%.", "Runbook: docs/runbooks.md#it"):
            assert text in messages["slack"]["text"]


def test_a_ticket_reaches_the_mail_as_plain_text_and_says_when_it_is_over(desk):
    ticket = {"alertname": "ModelLatencyHigh", "severity": "ticket"}
    for firing, status in ((True, "firing"), (False, "resolved")):
        desk.report(ticket, firing=firing)
        wait_until(lambda status=status: desk.received("ModelLatencyHigh", status), 10, f"{status} mail")
        messages = desk.received("ModelLatencyHigh", status)
        assert {"email"} == set(messages)
        assert f"[{status.upper()}] ModelLatencyHigh (iris)" == messages["email"]["title"]
        assert "It is so\nIt is 42%.\nRunbook: docs/runbooks.md#it" in messages["email"]["text"].replace("\r\n", "\n")
        assert "<html" not in messages["email"]["raw"]


def test_a_dead_model_silences_its_own_symptoms_and_nothing_else(desk, alerts):
    dead = [{"alertname": name, "model_name": "dead"} for name in alerts]
    desk.report(*dead, *({**each, "model_name": "alive"} for each in dead if each["alertname"] != "ModelDown"))

    def suppressed() -> set[tuple[str, str]]:
        held = desk.alertmanager.alerts()
        held = held[held["state"] == "suppressed"]
        return set(zip(held["model_name"], held["alertname"], strict=True))

    symptoms = {("dead", name) for name in alerts if name.startswith("Model") and name != "ModelDown"}
    wait_until(lambda: len(suppressed()) > len(symptoms), 10, "the inhibitions")
    assert symptoms | {("alive", "ModelErrorBudgetBurnSlow")} == suppressed()


def test_no_secret_stands_in_the_rendered_configuration(desk):
    files = [path for path in desk.home.rendered.rglob("*") if path.is_file()]
    for name in ("slack_token", "pagerduty_key", "smtp_password", "retrainer_token", "heartbeat_token"):
        assert not [path for path in files if desk.home.secret(name) in path.read_text()], name
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in files}
