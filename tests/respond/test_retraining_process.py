"""The retrainer as the stack runs it: a process of its own, called by an Alertmanager."""

import sys

import httpx
import pytest
from servers import answers, process
from world import NAME, RELOAD_TOKEN, webhook

from labkit.clock import wait_until

SECRETS = {"token": "webhook-token", "reload_token": RELOAD_TOKEN}


@pytest.fixture
def command(world, unused_port):
    """Give the command line of a retrainer in a world."""
    for name, secret in SECRETS.items():
        (world.folder / name).touch(mode=0o600)
        (world.folder / name).write_text(secret)
    options = {
        "port": unused_port(),
        "registry": world.folder / "registry",
        "store": world.folder / "predictions.db",
        "audit": world.folder / "retraining.db",
        "model-url": world.url,
        "token-file": world.folder / "token",
        "reload-token-file": world.folder / "reload_token",
        "off-switch": world.folder / "off",
        "model-name": NAME,
        "speed": 60,
    }
    return [
        sys.executable,
        "-m",
        "labkit.respond.retraining",
        *(f"--{name}={value}" for name, value in options.items()),
    ]


def url_of(command):
    return next(f"http://127.0.0.1:{word.removeprefix('--port=')}" for word in command if word.startswith("--port="))


def test_the_process_runs_what_a_webhook_asks_for_and_tells_no_secret(world, command):
    world.traffic(600, scale=[1, 1, 10, 1])
    url, log = url_of(command), world.folder / "retrainer.log"
    with process(command, log):
        wait_until(lambda: answers(f"{url}/healthz"), 20, "the retrainer")
        refused = httpx.post(f"{url}/alerts", json=webhook())
        taken = httpx.post(f"{url}/alerts", json=webhook(), headers={"Authorization": "Bearer webhook-token"})
        runs = wait_until(
            lambda: [run for run in httpx.get(f"{url}/runs").json() if run["state"] == "finished"], 10, "the run"
        )
    told = log.read_text()

    assert (refused.status_code, taken.status_code) == (401, 202)
    assert [run["reason"].split(":")[0] for run in runs] == ["data_quality"]
    assert '"event": "retraining_finished"' in told
    assert [secret for secret in SECRETS.values() if secret in told + " ".join(command)] == []


def test_a_secret_that_others_may_read_keeps_it_from_starting(world, command):
    (world.folder / "token").chmod(0o644)
    log = world.folder / "retrainer.log"

    with process(command, log) as running:
        exit_code = running.wait(20)

    assert exit_code == 1
    assert "chmod 600" in log.read_text()
