"""The stack of compose.yaml on a real engine: complete in itself, in production time."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from engine import COMPOSE, GRAFANA, compose_command, inspect_all

from labkit.clock import Clock, wait_until
from labkit.stack.alertmanager import Alertmanager
from labkit.stack.engine import docker, has_image
from labkit.stack.ports import free_port
from labkit.stack.prometheus import Prometheus
from labkit.stack.secret_volumes import USERS

PROJECT = "labkit-test"
CLOCK = Clock(1)
MINE = f"label=com.docker.compose.project={PROJECT}"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
PUBLISHED = ("model", "retrainer", "inbox", "alertmanager", "prometheus")
FILES = sorted(COMPOSE.parent.glob("compose*.yaml"))
PATIENCE_SECONDS = 300  # a minute on an idle machine


@dataclass(frozen=True)
class Stack:
    """The running project."""

    ports: dict[str, int]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def container(self, service: str) -> dict[str, Any]:
        (found,) = inspect_all(
            f"label=com.docker.compose.project={PROJECT}", f"label=com.docker.compose.service={service}"
        )
        return found

    def run(self, service: str, *command: str, user: str = "") -> str:
        return docker("exec", *([f"--user={user}"] if user else []), self.container(service)["Id"], *command)

    @property
    def prometheus(self) -> Prometheus:
        return Prometheus(self.url("prometheus"), CLOCK)

    def messages(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.url('inbox')}/messages").json()


def compose(*arguments: str, ports: dict[str, int], check: bool = True) -> str:
    env = {**os.environ, **{f"LABKIT_{name.upper()}_PORT": str(port) for name, port in ports.items()}}
    command = [*compose_command(), "-f", str(COMPOSE), "-p", PROJECT, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def stack(engine: None) -> Iterator[Stack]:  # noqa: ARG001 - it must run
    """The whole stack, healthy; Grafana too where its image is to be had. Its end leaves nothing."""
    ports: dict[str, int] = {}
    for name in (*PUBLISHED, "grafana"):
        ports[name] = free_port(ports.values())
    started = [*PUBLISHED, "traffic", *(["grafana"] if has_image(GRAFANA) else [])]
    try:
        compose("up", "--detach", *started, ports=ports)
        stack = Stack(ports)
        wait_until(lambda: all(map(healthy, map(stack.container, PUBLISHED))), PATIENCE_SECONDS, "health", every=1)
        yield stack
    finally:
        compose("down", "--volumes", ports=ports)
        kinds = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        assert [docker(*kind, "--quiet", f"--filter={MINE}") for kind in kinds] == ["", "", ""]


def healthy(container: dict[str, Any]) -> bool:
    return container["State"]["Health"]["Status"] == "healthy"


def secrets_of(stack: Stack) -> set[str]:
    """Return the values of all secrets, read as root from the volumes of those who need them."""
    texts = [
        stack.run(name, "sh", "-c", "for each in /run/secrets/*; do cat $each; echo; done")
        for name in ("model", "alertmanager")
    ]
    return {word for text in texts for word in re.findall(r"[\w/$.-]{30,}", text)} - {"basic_auth_users"}


@pytest.mark.skipif(not shutil.which("docker-compose") and not shutil.which("docker"), reason="needs docker-compose")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_compose_accepts_the_file(path: Path) -> None:
    command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    done = subprocess.run([*command, "-f", str(path), "config", "-q"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_port_is_published_on_loopback_and_every_image_has_a_tag(path: Path) -> None:
    services = yaml.safe_load(path.read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    foreign = [each["image"] for each in services.values() if "build" not in each]
    assert [image for image in foreign if not re.search(r":v?\d+\.\d+\.\d+$", image)] == []


def test_on_the_hosts_network_only_the_network_differs() -> None:
    bridge, host = (
        yaml.safe_load((COMPOSE.parent / name).read_text()) for name in ("compose.yaml", "compose.host.yaml")
    )
    del bridge["services"]["lab"], bridge["volumes"]["learner-home"]
    assert {name: without_network(each) for name, each in host["services"].items()} == {
        name: without_network(each) for name, each in bridge["services"].items()
    }
    assert host["volumes"] == bridge["volumes"]


def test_the_image_is_given_all_that_the_package_is_made_of() -> None:
    root = COMPOSE.parents[1]
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    parts = {*wheel["packages"], *wheel["force-include"]}
    build_stage = (root / "docker" / "Dockerfile").read_text().split("\nFROM ")[1]
    copied = {word for line in build_stage.splitlines() if line.startswith("COPY") for word in line.split()[1:-1]}
    sent = {line[1:].split("/")[0] for line in (root / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert parts <= copied & sent


def without_network(service: dict[str, Any]) -> dict[str, Any]:
    """Return a service of a compose file without what says where it listens."""
    flags = [re.sub(r"\$\{\w+:-(\d+)\}", r"\1", flag) for flag in service.get("command", ())]
    kept = [flag for flag in flags if not flag.startswith(("--host=", "--web.listen-address="))]
    settings = {name: value for name, value in service.get("environment", {}).items() if "SERVER" not in name}
    network = {"ports", "network_mode", "extra_hosts"}
    return {key: service[key] for key in service.keys() - network} | {"command": kept, "environment": settings}


def test_prometheus_scrapes_every_container(stack: Stack) -> None:
    def jobs_up() -> set[str]:
        up = stack.prometheus.query("up == 1")
        return set(up["job"]) if len(up) else set()

    wait_until(lambda: jobs_up() == set(PUBLISHED), PATIENCE_SECONDS, "every target to be up", every=1)


def test_the_model_answers_on_this_machine(stack: Stack) -> None:
    answer = httpx.post(f"{stack.url('model')}/v1/predict", json={"instances": [[5.1, 3.5, 1.4, 0.2]]})
    assert answer.json()["predictions"] == ["setosa"]


def test_traffic_flows(stack: Stack) -> None:
    enough = "model_prediction_requests_total > 20"
    wait_until(lambda: len(stack.prometheus.query(enough)), PATIENCE_SECONDS, "20 requests", every=1)


def test_the_watchdog_of_prometheus_calls_the_inbox(stack: Stack) -> None:
    def called() -> bool:
        metrics = httpx.get(f"{stack.url('inbox')}/metrics").text
        return float(re.search(r"^inbox_heartbeat_timestamp_seconds (\S+)", metrics, re.MULTILINE)[1]) > 0

    wait_until(called, PATIENCE_SECONDS, "the Watchdog to call", every=1)


def test_an_alert_reaches_slack_pagerduty_and_mail(stack: Stack) -> None:
    password = stack.run("alertmanager", "cat", "/run/secrets/alertmanager_password")
    alertmanager = Alertmanager(stack.url("alertmanager"), password.strip(), CLOCK)
    for severity in ("page", "ticket"):
        labels = {"alertname": f"Test{severity.title()}", "severity": severity}
        alertmanager._api.call("POST", "/api/v2/alerts", json=[{"labels": labels, "annotations": {"summary": "test"}}])

    def channels() -> set[str]:
        return {each["channel"] for each in stack.messages() if each["alertnames"][0].startswith("Test")}

    wait_until(lambda: channels() == {"slack", "pagerduty", "email"}, PATIENCE_SECONDS, "three messages", every=1)


def test_no_socket_of_the_engine_listens_beyond_loopback(stack: Stack) -> None:
    sockets = {
        (connection.laddr.port, connection.laddr.ip)
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port in stack.ports.values()
    }
    assert sockets == {(stack.ports[name], "127.0.0.1") for name in PUBLISHED}


@pytest.mark.parametrize("service", [*PUBLISHED, "traffic"])
def test_a_server_is_not_root_and_cannot_write_to_its_image(stack: Stack, service: str) -> None:
    assert stack.run(service, "id", "-u").strip() not in ("", "0")
    container = stack.container(service)
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert container["HostConfig"]["Memory"] > 0
    done = subprocess.run(["docker", "exec", container["Id"], "touch", "/bin/x"], capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize(("service", "volume"), [("model", "labkit"), ("alertmanager", "monitoring")])
def test_a_secret_is_readable_by_its_user_alone(stack: Stack, service: str, volume: str) -> None:
    user, names = USERS[volume]
    found = dict(
        line.split() for line in stack.run(service, "sh", "-c", "cd /run/secrets; stat -c '%n %a:%u' *").splitlines()
    )
    assert found == dict.fromkeys(names, f"400:{user}")


def test_no_secret_is_in_what_the_engine_tells(stack: Stack) -> None:
    secrets = secrets_of(stack)
    assert len(secrets) >= 6
    told = docker("inspect", *(each["Id"] for each in inspect_all(MINE)))
    told += docker("image", "inspect", "labkit") + docker("history", "--no-trunc", "labkit")
    assert [secret for secret in secrets if secret in told] == []


def test_no_secret_is_in_a_layer_of_the_image(stack: Stack) -> None:
    secrets = [secret.encode() for secret in secrets_of(stack)]
    process = subprocess.Popen(["docker", "save", "labkit"], stdout=subprocess.PIPE)
    found, before, size = [], b"", 0
    while block := process.stdout.read(1 << 24):
        found += [secret for secret in secrets if secret in before + block]
        before, size = block[-100:], size + len(block)
    assert process.wait() == 0
    assert size > 100_000_000
    assert found == []


@pytest.mark.usefixtures("engine")
def test_the_image_is_at_most_700_megabytes() -> None:
    assert int(docker("image", "inspect", "--format={{.Size}}", "labkit")) <= 700_000_000


@pytest.mark.usefixtures("engine")
def test_the_image_has_no_build_tools() -> None:
    script = "for tool in gcc cc make git; do command -v $tool; done; ls /opt/labkit/bin/pip*"
    assert docker("run", "--rm", "labkit", "sh", "-c", f"{script}; true") == ""
