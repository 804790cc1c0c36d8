"""The lab in containers, in lab time: the same commands and files as its local processes."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from labkit.clock import wait_until
from labkit.demo import Demo
from labkit.lab import JOBS, Lab
from labkit.stack import containers
from labkit.stack.engine import docker, inspect
from labkit.stack.home import Home
from labkit.timeline import Timeline

SERVERS = {*JOBS, "traffic"}
BACK_SECONDS = 120


@pytest.fixture(scope="module")
def lab(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:  # noqa: ARG001 - it must run
    """A lab in containers that the tests of this module share; each leaves it running, and its end leaves nothing."""
    home = Home(tmp_path_factory.mktemp("containers") / ".lab")
    lab = Lab.open(home=home, backend="containers")
    yield lab
    lab.down(purge=True)
    assert docker("ps", "--all", "--quiet", f"--filter=label=labkit.home={home.root}") == ""
    assert not home.root.exists()


def sockets(pid: int) -> set[str]:
    """Return the addresses on which a container's processes listen, as the system has them."""
    first = psutil.Process(pid)
    connections = [each for process in (first, *first.children(recursive=True)) for each in process.net_connections()]
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}


def kill(lab: Lab, name: str) -> None:
    """Kill a server as the system would, for want of memory, and wait until its container has started again."""
    container = containers.running(lab.home)[name]
    os.kill(container.pid, signal.SIGKILL)
    wait_until(lambda: inspect(container.id)[0]["RestartCount"] > 0, BACK_SECONDS, f"{name} to start again", every=0.2)


def verdict(timeline: Timeline) -> dict[str, object]:
    expected = set(timeline.scenario.alerts)
    return {
        "problems": timeline.problems(),
        "champion": timeline.champion,
        "retraining": [run["result"] for run in timeline.retraining if run["result"] != "skipped"],
        "expected alerts": sorted(expected & set(timeline.alerts_fired())),
    }


def test_every_server_runs_in_a_container_and_answers(lab: Lab) -> None:
    assert set(containers.running(lab.home)) - {"grafana"} == SERVERS
    assert lab.is_up()
    assert lab.status().ready
    assert lab.predict([[5.1, 3.5, 1.4, 0.2]])["predictions"] == ["setosa"]


def test_what_is_missing_is_said(lab: Lab) -> None:
    has_grafana = "grafana" in containers.running(lab.home)
    assert has_grafana or any("Grafana" in notice for notice in lab.status().notices)


def test_another_lab_object_finds_the_containers(lab: Lab) -> None:
    before = {name: container.id for name, container in containers.running(lab.home).items()}
    assert Lab.open(home=lab.home).backend == "containers"
    assert {name: container.id for name, container in containers.running(lab.home).items()} == before


def test_no_socket_listens_beyond_loopback(lab: Lab) -> None:
    found = {name: sockets(container.pid) for name, container in containers.running(lab.home).items()}
    assert found == {name: set() if name == "traffic" else {"127.0.0.1"} for name in found}


def test_a_container_runs_as_the_learner_and_cannot_write_to_its_image(lab: Lab) -> None:
    for container in inspect(*(each.id for each in containers.running(lab.home).values())):
        assert container["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["CapDrop"] == ["ALL"]


def test_no_secret_is_in_what_the_engine_tells(lab: Lab) -> None:
    told = docker("inspect", *(each.id for each in containers.running(lab.home).values()))
    secrets = [path.read_text().strip() for path in lab.home.secrets.iterdir()]
    assert [secret for secret in secrets if secret in told] == []


def test_prometheus_scrapes_the_model_container_and_a_process_on_this_machine(lab: Lab, free_port: int) -> None:
    registry = CollectorRegistry()
    Gauge("a_kernels_own_metric", "Of a learner", registry=registry).set(42)
    server, thread = start_http_server(free_port, addr="127.0.0.1", registry=registry)
    targets = lab.home.rendered / "prometheus" / "targets" / "model.json"
    before = targets.read_text()
    try:
        mine = {"targets": [f"127.0.0.1:{free_port}"]}
        targets.write_text(json.dumps([*json.loads(before), mine]))
        lab.wait_for("a_kernels_own_metric == 42", "2h")
        lab.wait_for(f'up{{job="model", instance="127.0.0.1:{lab.home.ports["model"]}"}} == 1', "2h")
    finally:
        targets.write_text(before)
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_a_killed_server_comes_back(lab: Lab, name: str) -> None:
    lab.wait_for("count_over_time(up[1h]) > 1")
    oldest = lab.query_range("up", "12h").index[0]
    kill(lab, name)
    wait_until(lambda: lab.is_up() and lab.status().ready, BACK_SECONDS, "the whole stack to work again", every=0.5)
    step = pd.Timedelta(lab.clock.lab_seconds("15s"), "s")  # a range begins up to a step later than its first sample
    assert lab.query_range("up", "12h").index[0] <= oldest + step  # Prometheus keeps its data


def test_a_demo_ends_as_it_does_with_processes_though_prometheus_is_killed_in_it(lab: Lab, tmp_path: Path) -> None:
    killed = []

    def tell(entry: dict[str, Any]) -> None:
        if entry["event"] == "traffic_started":
            kill(lab, "prometheus")
            killed.append(entry)

    in_containers = Demo(lab.reset(), "concept_shift", seed=1, tell=tell).play()
    local = Lab.open(home=Home(tmp_path / ".lab"), backend="processes")
    try:
        with_processes = Demo(local, "concept_shift", seed=1).play()
    finally:
        local.down(purge=True)
    assert killed
    assert verdict(in_containers) == {
        "problems": [],
        "champion": {"before": "v1", "after": "v2"},
        "retraining": ["promoted"],
        "expected alerts": sorted(in_containers.scenario.alerts),
    }
    assert verdict(with_processes) == verdict(in_containers)
    assert in_containers.find("notification_received", status="firing")
