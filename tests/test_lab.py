"""The whole stack, as a notebook and the command line hold it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from labkit.clock import Clock, wait_until
from labkit.doctor import examine
from labkit.errors import InputError, LabError
from labkit.lab import Lab
from labkit.stack.grafana import find_grafana
from labkit.stack.home import Home
from labkit.stack.processes import running
from labkit.stack.render import render

SERVERS = {"model", "retrainer", "inbox", "prometheus", "alertmanager", "traffic"} | (
    {"grafana"} if find_grafana() else set()
)
FLOWER = [[5.1, 3.5, 1.4, 0.2]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running stack that the tests of this module share; each leaves it running."""
    lab = Lab.open(home=Home(tmp_path_factory.mktemp("lab") / ".lab"))
    yield lab
    lab.down(purge=True)


def pids(lab: Lab) -> dict[str, int]:
    return {name: process.pid for name, process in running(lab.home).items()}


def labkit(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LABKIT_HOME": str(lab.home.root)}
    command = [sys.executable, "-m", "labkit.cli", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_attaching_starts_and_writes_nothing(tmp_path: Path) -> None:
    Lab.attach(Home(tmp_path / ".lab"))
    assert list(tmp_path.iterdir()) == []


def test_an_open_lab_is_ready_and_every_alert_is_quiet(lab: Lab) -> None:
    status = lab.status()
    assert status.ready
    assert {service.name for service in status.services} == SERVERS
    assert status.alerts_firing == ()


def test_opening_again_leaves_the_processes_as_they_are(lab: Lab) -> None:
    before = pids(lab)
    Lab.open(home=lab.home)
    assert pids(lab) == before


def test_up_starts_only_what_was_killed(lab: Lab) -> None:
    before = pids(lab)
    os.kill(before["inbox"], signal.SIGKILL)
    wait_until(lambda: "inbox" not in running(lab.home), 10, "the inbox to be gone")
    lab.up()
    assert {name for name, pid in pids(lab).items() if pid != before[name]} == {"inbox"}
    assert lab.status().ready


def test_a_reset_empties_everything_and_brings_the_shipped_champion_back(lab: Lab) -> None:
    shipped = lab.model()["sha256"]
    lab.traffic("unit_error", rate=50)
    lab.wait_for("sum(model_labels_total) > 10")
    lab.alertmanager.silence({"alertname": "ModelDown"}, "2h", "test")
    lab.registry.rollback("iris-classifier", "v1")
    (lab.home.retraining_off).touch()
    lab.reset()
    assert lab.query("model_prediction_requests_total")["value"].tolist() == [0]
    assert lab.query_range("up", "2h").index[0].timestamp() > time.time() - 30
    assert (lab.messages(), lab.runs(), len(lab.alertmanager.silences())) == ([], [], 0)
    assert lab.model()["sha256"] == shipped
    assert "no traffic" in lab.status().traffic
    with lab.store() as store:
        assert len(store.predictions()) == 0


def test_ports_and_secrets_outlive_a_reset(lab: Lab) -> None:
    before = (lab.home.ports, lab.home.secret("reload_token"))
    lab.reset()
    assert (lab.home.ports, lab.home.secret("reload_token")) == before


def test_a_program_that_takes_a_port_just_before_our_server_does_makes_the_lab_move(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = lab.home.ports["model"]
    quicker: list[socket.socket] = []

    def rendered(home: Home, clock: Clock) -> None:
        if not quicker:
            quicker.append(socket.create_server(("127.0.0.1", port)))
        render(home, clock)

    monkeypatch.setattr("labkit.lab.render", rendered)
    try:
        lab.reset()
    finally:
        quicker[0].close()
    assert lab.home.ports["model"] != port
    assert lab.notices[0].startswith(f"model moved from port {port}")
    assert lab.status().ready


def test_traffic_reaches_prometheus_and_the_store(lab: Lab) -> None:
    lab.traffic("steady", rate=30)
    lab.wait_for("sum(increase(model_prediction_requests_total[5m])) > 50")
    lab.stop_traffic()
    with lab.store() as store:
        assert len(store.predictions()) > 50


def test_a_fault_needs_traffic_to_happen_in(lab: Lab) -> None:
    lab.stop_traffic()
    with pytest.raises(InputError, match="no traffic is running"):
        lab.fault("unit_error")


def test_a_prediction_is_answered_as_any_client_gets_it(lab: Lab) -> None:
    assert lab.predict(FLOWER)["predictions"] == ["setosa"]


def test_bad_rows_are_refused_with_the_services_own_words(lab: Lab) -> None:
    with pytest.raises(InputError, match=r"422.*instances\[0\]"):
        lab.predict([[1.0, 2.0]])


def test_a_promoted_version_can_be_taken_back(lab: Lab) -> None:
    registry, name = lab.registry, "iris-classifier"
    loaded = registry.load(name, "champion")
    from labkit.model.iris import sample
    from labkit.model.training import evaluate

    evaluation = evaluate(loaded.model, *sample(100, np.random.default_rng(0)))
    version = registry.save(
        name, loaded.model, reference=loaded.meta.reference, evaluation=evaluation, data_version="x"
    )
    registry.promote(name, version, "test")
    assert lab.rollback("v1") == "v1"
    assert lab.rollback(version) == version == lab.model()["version"]
    assert lab.rollback() == "v1"


@pytest.mark.parametrize(
    ("service", "path", "body"),
    [
        ("model", "/v1/predict", {"instances": FLOWER}),
        ("model", "/v1/labels", {"request_id": "x", "labels": ["setosa"]}),
        ("model", "/-/reload", {}),
        ("model", "/-/faults", {"latency_seconds": 1}),
        ("retrainer", "/alerts", {"version": "4", "alerts": []}),
        ("inbox", "/slack/guess", {"text": "x"}),
        ("inbox", "/v2/enqueue", {"routing_key": "guess"}),
        ("inbox", "/heartbeat", {}),
        ("alertmanager", "/api/v2/silences", {}),
        ("alertmanager", "/api/v2/alerts", []),
        ("prometheus", "/-/reload", {}),
        ("prometheus", "/-/quit", {}),
        ("prometheus", "/api/v1/admin/tsdb/delete_series", {}),
        ("prometheus", "/api/v1/write", {}),
    ],
)
@pytest.mark.parametrize(
    "header", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}], ids=["origin", "host"]
)
def test_a_foreign_page_changes_nothing(lab: Lab, service: str, path: str, body: object, header: dict) -> None:
    answer = httpx.post(lab.home.url(service) + path, json=body, headers=header)
    assert answer.is_error
    assert "access-control-allow-origin" not in answer.headers


def test_no_secret_is_in_a_log_after_traffic_and_messages(lab: Lab) -> None:
    lab.traffic("steady")
    lab.wait_for("sum(increase(model_prediction_requests_total[5m])) > 20")
    lab.stop_traffic()
    names = ("reload_token", "retrainer_token", "heartbeat_token", "slack_token", "pagerduty_key", "smtp_password")
    secrets = [lab.home.secret(name) for name in (*names, "alertmanager_password")]
    logs = {path.name: path.read_text() for path in lab.home.logs.iterdir()}
    assert [name for name, text in logs.items() if any(secret in text for secret in secrets)] == []


def test_the_doctor_finds_a_running_lab_well(lab: Lab) -> None:
    assert [str(finding) for finding in examine(lab) if not finding.ok] == []


def test_the_doctor_names_the_command_that_mends_a_killed_server(lab: Lab) -> None:
    os.kill(pids(lab)["retrainer"], signal.SIGKILL)
    wait_until(lambda: "retrainer" not in running(lab.home), 10, "the retrainer to be gone")
    finding = next(finding for finding in examine(lab) if finding.check == "retrainer")
    assert (finding.ok, finding.remedy.startswith("labkit up")) == (False, True)
    lab.up()
    assert next(finding for finding in examine(lab) if finding.check == "retrainer").ok


def test_the_doctor_sees_a_secret_that_others_can_read(lab: Lab) -> None:
    secret = lab.home.secrets / "slack_token"
    secret.chmod(0o644)
    finding = next(finding for finding in examine(lab) if finding.check == "folder")
    assert finding.remedy == f"chmod go= {secret}"
    secret.chmod(0o600)


def test_the_command_line_shows_the_same_status(lab: Lab) -> None:
    done = labkit(lab, "status", "--json")
    assert done.returncode == 0
    assert {each["name"] for each in json.loads(done.stdout)["services"]} == SERVERS


def test_the_command_line_lists_models_with_their_roles(lab: Lab) -> None:
    assert labkit(lab, "models").stdout.splitlines()[0].split()[:2] == ["v1", "champion"]


def test_the_command_line_sends_traffic_for_a_while(lab: Lab) -> None:
    done = labkit(lab, "traffic", "--rate", "40", "--for", "2m")
    assert done.returncode == 0
    assert "requests sent" in done.stdout
    assert "no traffic" in lab.status().traffic


def test_an_error_on_the_command_line_is_words_and_not_a_traceback(lab: Lab) -> None:
    done = labkit(lab, "traffic", "--scenario", "nonsense")
    assert done.returncode == 1
    assert "there is no scenario 'nonsense'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_notebook_shows_links_as_a_table_and_escapes_them(lab: Lab) -> None:
    html = lab._repr_html_()
    assert f'href="{lab.home.url("prometheus")}/targets"' in html
    assert html.count("<tr>") >= len(SERVERS)


def test_a_killed_starter_leaves_nothing_that_up_and_down_cannot_handle(tmp_path: Path) -> None:
    home = Home(tmp_path / ".lab")
    env = {**os.environ, "LABKIT_HOME": str(home.root)}
    starter = subprocess.Popen([sys.executable, "-m", "labkit.cli", "up"], env=env, stdout=subprocess.DEVNULL)
    wait_until(lambda: "prometheus" in running(home), 60, "the starter to be in the middle of its work")
    starter.kill()
    starter.wait()
    lab = Lab.open(home=home)
    assert lab.status().ready
    lab.down()
    assert running(home) == {}


def test_a_lab_never_runs_twice(tmp_path: Path) -> None:
    home = Home(tmp_path / ".lab")
    env = {**os.environ, "LABKIT_HOME": str(home.root)}
    command = [sys.executable, "-m", "labkit.cli", "up"]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"]
    outputs = [each.communicate(timeout=120)[1] for each in both]
    codes = sorted(each.returncode for each in both)
    assert codes in ([0, 0], [0, 1])
    assert codes == [0, 0] or any("another process" in output for output in outputs)
    names = [process.environ()["LABKIT_SERVICE"] for process in running(home).values()]
    assert sorted(names) == sorted(SERVERS)
    Lab.attach(home).down(purge=True)
    assert not home.root.exists()


def test_a_running_lab_keeps_the_speed_it_was_started_with(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_SPEED", "1")
    assert Lab.attach(lab.home).clock == Clock(60)


@pytest.mark.parametrize("speed", ["fast", "0", "1e9"])
def test_an_impossible_speed_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: str) -> None:
    monkeypatch.setenv("LAB_SPEED", speed)
    with pytest.raises(LabError, match="LAB_SPEED"):
        Lab.attach(Home(tmp_path / ".lab"))
