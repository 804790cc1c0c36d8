"""The inbox as the stack runs it: a process of its own, fed by the real Alertmanager with the shipped configuration."""

import itertools
import json
import smtplib
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from servers import answers, process

from labkit.clock import wait_until

CONFIGURATION = Path(__file__).parents[2] / "docker" / "alertmanager" / "alertmanager.yml"
SECRETS = {"slack_token": "slack-1", "pagerduty_key": "key-2", "smtp_password": "pass-3", "heartbeat_token": "beat-4"}


@pytest.fixture
def inbox(tmp_path, unused_port):
    """Run the inbox; gives its command line, log, HTTP and SMTP addresses."""
    for name, secret in SECRETS.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(secret)
    port, smtp_port, log = unused_port(), unused_port(), tmp_path / "inbox.log"
    options = [(f"--{name.replace('_', '-')}-file", str(tmp_path / name)) for name in SECRETS]
    command = [sys.executable, "-m", "labkit.respond.inbox", "--port", str(port), "--smtp-port", str(smtp_port)]
    command += itertools.chain.from_iterable(options)
    with process(command, log):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), 20, "the inbox")
        yield {"command": command, "log": log, "http": f"127.0.0.1:{port}", "smtp": f"127.0.0.1:{smtp_port}"}


@pytest.fixture
def alertmanager(tmp_path, inbox, unused_port, binaries):
    """Run Alertmanager with the shipped configuration, its waits cut to tenths of a second; gives its URL."""
    (tmp_path / "slack_url").write_text(f"http://{inbox['http']}/slack/{SECRETS['slack_token']}")
    (tmp_path / "retrainer_token").write_text("unused")
    text = CONFIGURATION.read_text().replace("inbox:8002", inbox["http"]).replace("inbox:2525", inbox["smtp"])
    configuration = yaml.safe_load(text.replace("/run/secrets", str(tmp_path)))
    configuration["route"] |= {"group_wait": "100ms", "group_interval": "200ms"}
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(configuration))
    port = unused_port()
    binary = binaries["alertmanager"]
    command = [binary, f"--config.file={tmp_path}/alertmanager.yml", f"--storage.path={tmp_path}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    with process(command, tmp_path / "alertmanager.log", cwd=binary.parent):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), 20, "Alertmanager")
        yield f"http://127.0.0.1:{port}"


def alert(name, severity, ends_in_seconds):
    return {
        "labels": {"alertname": name, "severity": severity, "model_name": "iris-classifier"},
        "annotations": {"summary": f"{name} it is", "description": "now 0.42", "runbook_url": "docs/runbooks.md"},
        "endsAt": (datetime.now(UTC) + timedelta(seconds=ends_in_seconds)).isoformat(),
    }


def test_every_channel_receives_firing_and_resolved_from_alertmanager(alertmanager, inbox):
    def received():
        messages = httpx.get(f"http://{inbox['http']}/messages").json()
        return [(m["channel"], m["status"], m["alertnames"]) for m in messages if "now 0.42" in m["text"]]

    def post(ends_in_seconds):
        alerts = [alert("ModelDown", "page", ends_in_seconds), alert("RetrainingFailed", "ticket", ends_in_seconds)]
        httpx.post(f"{alertmanager}/api/v2/alerts", json=alerts).raise_for_status()

    post(ends_in_seconds=300)
    wait_until(lambda: len(received()) == 3, 10, "three messages that it fires")
    post(ends_in_seconds=-1)
    wait_until(lambda: len(received()) == 6, 10, "three messages that it is over")

    names = {"slack": ["ModelDown"], "pagerduty": ["ModelDown"], "email": ["RetrainingFailed"]}
    assert sorted(received()[:3]) == sorted((channel, "firing", name) for channel, name in names.items())
    assert sorted(received()[3:]) == sorted((channel, "resolved", name) for channel, name in names.items())


def test_no_secret_is_told_by_log_list_or_command_line(inbox):
    url = f"http://{inbox['http']}"
    httpx.post(f"{url}/slack/slack-1", json={"text": "hello"})
    httpx.post(f"{url}/slack/guess-9", json={"text": "hello"})
    httpx.post(f"{url}/v2/enqueue", json={"routing_key": "key-2", "event_action": "resolve"})
    host, _, port = inbox["smtp"].partition(":")
    with smtplib.SMTP(host, int(port), timeout=5) as smtp:
        smtp.login("labkit", "pass-3")
        smtp.sendmail("a@labkit.example", ["b@labkit.example"], "Subject: hello\n\nhello")
    messages = httpx.get(f"{url}/messages").json()

    log = inbox["log"].read_text()
    told = log + json.dumps(messages) + " ".join(inbox["command"])
    assert len(messages) == 3 and "message_received" in log
    assert [secret for secret in (*SECRETS.values(), "guess-9", "cGFzcy0z") if secret in told] == []
