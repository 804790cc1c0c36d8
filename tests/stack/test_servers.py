"""The six servers together, started once for this file: what they listen on, what they reveal, what their APIs say."""

import stat
import time
from datetime import timedelta

import httpx
import psutil
import pytest

from labkit.clock import Clock, parse_duration, wait_until
from labkit.errors import InputError, LabError
from labkit.model.registry import ModelRegistry
from labkit.model.training import train_first_champion
from labkit.stack import processes
from labkit.stack.alertmanager import Alertmanager
from labkit.stack.grafana import find_grafana
from labkit.stack.home import Home
from labkit.stack.prometheus import Prometheus
from labkit.stack.render import render
from labkit.stack.services import stack_services

NAMES = {"model", "retrainer", "inbox", "prometheus", "alertmanager", "traffic"} | (
    {"grafana"} if find_grafana() else set()
)
CLOCK = Clock(60)
FOREIGN = {"Origin": "https://evil.example"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("servers") / ".lab").create()
    with home.lock():
        home.choose_ports()
        render(home, CLOCK)
        train_first_champion(ModelRegistry(home.registry))
        assert set(processes.start(stack_services(home, CLOCK), home)) == NAMES
    yield home
    processes.stop(home)


@pytest.fixture(scope="module")
def prometheus(lab):
    client = Prometheus(lab.url("prometheus"), CLOCK)
    wait_until(client.finds_alertmanager, 20, "Prometheus to find Alertmanager")
    wait_until(lambda: len(t := client.targets()) == 5 and (t["health"] == "up").all(), 20, "all targets to be up")
    return client


@pytest.fixture(scope="module")
def alertmanager(lab):
    return Alertmanager(lab.url("alertmanager"), lab.secret("alertmanager_password"), CLOCK)


class TestWhatTheyOpen:
    def test_every_socket_that_waits_for_others_is_on_loopback(self, lab):
        pids = {process.pid for process in processes.running(lab).values()}
        waiting = [
            (connection.pid, connection.laddr)
            for connection in psutil.net_connections("inet")
            if connection.pid in pids and (connection.status == psutil.CONN_LISTEN or not connection.raddr)
        ]

        assert {address.ip for _, address in waiting} == {"127.0.0.1"}
        assert len({pid for pid, _ in waiting}) == len(NAMES - {"traffic"})

    def test_they_listen_on_the_chosen_ports_and_no_other(self, lab):
        listening = {port for sockets in processes.listening(lab).values() for _, port in sockets}

        assert listening == {port for name, port in lab.ports.items() if name in ("smtp", *NAMES)}

    def test_no_secret_is_in_a_command_line_or_an_environment(self, lab):
        secrets = [path.read_text().strip() for path in lab.secrets.iterdir()]
        for name, process in processes.running(lab).items():
            shown = "\n".join([*process.cmdline(), *process.environ().values()])
            assert [secret for secret in secrets if secret in shown] == [], name

    def test_no_secret_is_in_a_log(self, lab, prometheus):
        assert prometheus.ready()
        logs = {path.name: path.read_text() for path in lab.logs.iterdir()}
        assert {f"{name}.log" for name in NAMES} == set(logs)
        for path in lab.secrets.iterdir():
            assert [name for name, text in logs.items() if path.read_text().strip() in text] == [], path.name

    def test_every_file_and_folder_that_they_write_is_its_owners_only(self, lab):
        written = [
            p for p in (lab.root, *lab.root.rglob("*")) if not p.is_relative_to(lab.registry / "iris-classifier")
        ]

        assert {lab.predictions, lab.retraining, lab.traffic_status} <= set(written)
        assert [p for p in written if stat.S_IMODE(p.stat().st_mode) & 0o077] == []


class TestAgainstOtherWebPages:
    def test_prometheus_lets_no_other_page_read(self, lab):
        answer = httpx.get(f"{lab.url('prometheus')}/api/v1/query?query=up", headers=FOREIGN)

        assert "access-control-allow-origin" not in answer.headers

    @pytest.mark.parametrize("path", ["/-/reload", "/-/quit", "/api/v1/admin/tsdb/snapshot"])
    def test_prometheus_is_not_managed_over_http(self, lab, path):
        assert httpx.post(lab.url("prometheus") + path, headers=FOREIGN).is_error

    def test_alertmanager_takes_no_silence_without_its_password(self, lab, alertmanager):
        body = {
            "matchers": [{"name": "alertname", "value": ".+", "isRegex": True}],
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "2099-01-01T00:00:00Z",
            "createdBy": "evil",
            "comment": "evil",
        }

        answer = httpx.post(f"{lab.url('alertmanager')}/api/v2/silences", json=body, headers=FOREIGN)

        assert answer.status_code == 401
        assert "evil" not in alertmanager.silences()["comment"].tolist()


class TestLabTime:
    def test_prometheus_runs_by_it(self, lab, prometheus):
        assert prometheus.ready()
        flags = httpx.get(f"{lab.url('prometheus')}/api/v1/status/flags").json()["data"]
        config = httpx.get(f"{lab.url('prometheus')}/api/v1/status/config").json()["data"]["yaml"]

        assert flags["query.lookback-delta"] == "5s"
        assert flags["rules.alert.resend-delay"] == "1s"
        assert "scrape_interval: 250ms" in config
        assert "evaluation_interval: 250ms" in config

    def test_alertmanager_runs_by_it(self, lab):
        auth = ("labkit", lab.secret("alertmanager_password"))
        config = httpx.get(f"{lab.url('alertmanager')}/api/v2/status", auth=auth).json()["config"]["original"]

        assert "group_wait: 500ms" in config
        assert "repeat_interval: 4m" in config

    def test_a_dead_target_is_down_within_a_production_minute(self, lab, prometheus):
        processes.stop(lab, ["traffic"])
        process = processes.running(lab)["inbox"]
        process.kill()
        killed = time.monotonic()
        try:
            wait_until(lambda: (prometheus.query('up{job="inbox"}')["value"] == 0).all(), 5, "the inbox to be down")
            assert time.monotonic() - killed < CLOCK.lab_seconds("1m") + 1  # the machine may be busy
        finally:
            processes.start(stack_services(lab, CLOCK), lab)
        wait_until(lambda: (prometheus.query('up{job="inbox"}')["value"] == 1).all(), 5, "the inbox to be up")


class TestPrometheus:
    def test_every_rule_is_evaluated_without_an_error(self, prometheus):
        wait_until(lambda: (prometheus.rules()["health"] == "ok").all(), 5, "every rule to be evaluated")

        rules = prometheus.rules()
        assert len(rules) > 20
        assert set(rules["last_error"]) == {""}

    def test_a_query_gives_a_row_per_series(self, prometheus):
        frame = prometheus.query("up")

        assert list(frame.columns) == ["__name__", "instance", "job", "value"]
        assert sorted(frame["job"]) == ["alertmanager", "inbox", "model", "prometheus", "retrainer"]
        assert frame["value"].tolist() == [1.0] * 5

    def test_nothing_found_is_an_empty_frame(self, prometheus):
        frame = prometheus.query("no_such_metric")

        assert list(frame.columns) == ["value"]
        assert (len(frame), frame["value"].dtype) == (0, float)

    @pytest.mark.parametrize(("expr", "value"), [("1 + 1", 2.0), ('"text"', "text"), ("vector(1) / 0", float("inf"))])
    def test_a_scalar_a_string_and_infinity_are_values(self, prometheus, expr, value):
        assert prometheus.query(expr)["value"].tolist() == [value]

    def test_a_range_is_in_production_time(self, prometheus):
        counts = prometheus.query("count_over_time(up[1m])")["value"]  # 15 s apart in production time

        assert counts.between(3, 5).all()

    def test_samples_of_a_range_carry_their_times(self, prometheus):
        def frame_of_two_minutes():
            return prometheus.query('up{job="model"}[2m]')

        wait_until(lambda: len(frame_of_two_minutes()) >= 7, 10, "two production minutes of samples")
        frame = frame_of_two_minutes()
        assert len(frame) <= 9
        assert frame["time"].diff().dropna().between(timedelta(seconds=0.2), timedelta(seconds=0.3)).all()

    def test_a_range_query_gives_a_column_per_series_and_a_row_per_step(self, prometheus):
        frame = prometheus.query_range("max by (job) (up)", since="1m", step="15s")

        assert frame.columns.name == "job"
        assert sorted(frame.columns) == ["alertmanager", "inbox", "model", "prometheus", "retrainer"]
        assert len(frame) == 5
        assert {step.total_seconds() for step in frame.index.diff().dropna()} == {0.25}
        assert abs(frame.index[-1].timestamp() - time.time()) < 2

    def test_series_with_several_labels_have_a_level_for_each(self, prometheus):
        frame = prometheus.query_range('up{job="model"}', since="1m")

        assert frame.columns.names == ["instance", "job"]
        assert frame.xs("model", axis=1, level="job").iloc[-1].tolist() == [1.0]

    def test_a_series_without_labels_is_called_value(self, prometheus):
        assert prometheus.query_range("sum(up)", since="1m")["value"].iloc[-1] == 5

    def test_a_range_query_without_a_result_is_empty_but_has_times(self, prometheus):
        frame = prometheus.query_range("no_such_metric")

        assert frame.empty
        assert frame.index.name == "time"
        assert str(frame.index.dtype) == "datetime64[ns, UTC]"

    def test_bad_promql_is_answered_with_prometheuss_own_words(self, prometheus):
        with pytest.raises(InputError, match="unclosed left parenthesis"):
            prometheus.query("sum(up")

    def test_alerts_have_their_labels_and_annotations_as_columns(self, prometheus):
        alert = prometheus.alerts().set_index("alertname").loc["Watchdog"]

        assert (alert["state"], alert["severity"]) == ("firing", "none")
        assert alert["runbook_url"].startswith("docs/runbooks.md#")
        assert alert["active_at"].tzinfo is not None

    def test_one_that_does_not_answer_says_what_to_run(self, free_port):
        client = Prometheus(f"http://127.0.0.1:{free_port}", CLOCK)

        assert not client.ready()
        with pytest.raises(LabError, match="labkit up"):
            client.query("up")


class TestAlertmanager:
    def test_it_holds_the_alerts_that_prometheus_sends(self, alertmanager, prometheus):
        assert prometheus.ready()
        wait_until(lambda: "Watchdog" in alertmanager.alerts()["alertname"].tolist(), 10, "Watchdog to arrive")

        alert = alertmanager.alerts().set_index("alertname").loc["Watchdog"]
        assert (alert["state"], alert["receivers"]) == ("active", ["heartbeat"])

    def test_a_silence_lasts_for_production_time_and_can_be_ended(self, alertmanager):
        silence = alertmanager.silence({"alertname": 'Quoted "name"'}, "2h", "a test")
        shown = alertmanager.silences().set_index("id").loc[silence]

        assert shown["matchers"] == 'alertname="Quoted "name""'
        lasts = (shown["ends_at"] - shown["starts_at"]).total_seconds()
        assert lasts == pytest.approx(parse_duration("2h") / 60, abs=1)
        assert (shown["state"], shown["comment"]) == ("active", "a test")

        alertmanager.expire(silence)

        assert alertmanager.silences().set_index("id").loc[silence, "state"] == "expired"

    def test_a_silence_of_everything_is_refused(self, alertmanager):
        with pytest.raises(InputError, match="silence everything"):
            alertmanager.silence({}, "1h", "oops")

    def test_what_it_refuses_is_told_in_its_own_words(self, alertmanager):
        with pytest.raises(InputError, match="Alertmanager refuses"):
            alertmanager.expire("no-such-silence")

    def test_a_wrong_password_is_said(self, lab):
        with pytest.raises(LabError, match="401"):
            Alertmanager(lab.url("alertmanager"), "wrong", CLOCK).alerts()


def test_a_second_start_begins_nothing_and_a_stop_leaves_nothing(lab):
    assert processes.start(stack_services(lab, CLOCK), lab) == []
    pids = {process.pid for process in processes.running(lab).values()}

    assert set(processes.stop(lab)) == NAMES
    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []
    assert {s.laddr.port for s in psutil.net_connections("tcp") if s.status == psutil.CONN_LISTEN}.isdisjoint(
        lab.ports.values()
    )
