"""The traffic process against the real model service, each killed, stopped and started again."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import pairwise

import httpx
import pytest

from labkit.clock import wait_until
from labkit.model.registry import ModelRegistry
from labkit.model.training import train_first_champion
from labkit.simulate.control import Control, read_status, write_control
from labkit.simulate.payloads import MALFORMED
from labkit.stack.ports import free_port

# Labels come after 0.5 to 1 s.
SPEED = "600"


class Service:
    """The real model service; it can be killed and started again on its port and store."""

    def __init__(self, folder):
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.token_file = folder / "reload_token"
        self.token_file.touch(mode=0o600)
        self.token_file.write_text("a-reload-token")
        files = ("--registry", folder / "registry", "--store", folder / "predictions.db", "--token-file")
        self._arguments = [*files, self.token_file, "--port", str(port), "--speed", SPEED]
        train_first_champion(ModelRegistry(folder / "registry"))

    def start(self):
        self.process = start_module("labkit.model.service", *self._arguments)
        wait_until(self._is_ready, 60, "the model service")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def _is_ready(self):
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def predict_seconds(self):
        """The shortest of three predictions: another process may hold up one of them."""
        times = [time.perf_counter()]
        for _ in range(3):
            self.post(b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}').raise_for_status()
            times.append(time.perf_counter())
        return min(after - before for before, after in pairwise(times))

    def post(self, body):
        headers = {"Content-Type": "application/json"}
        return httpx.post(f"{self.url}/v1/predict", content=body, headers=headers, trust_env=False)


def start_module(name, *arguments):
    return subprocess.Popen([sys.executable, "-m", name, *map(str, arguments)], stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("service"))
    service.start()
    yield service
    service.kill()


@pytest.fixture
def traffic(service, tmp_path):
    traffic = TrafficProcess(service, tmp_path)
    with traffic.running():
        yield traffic


class TrafficProcess:
    def __init__(self, service, folder):
        self._service, self._folder = service, folder

    @contextmanager
    def running(self):
        files = ("--control", self._folder / "control.json", "--status", self._folder / "status.json")
        token = ("--reload-token-file", self._service.token_file)
        url = ("--model-url", self._service.url)
        self.process = start_module("labkit.simulate.traffic", *url, *files, *token, "--speed", SPEED)
        try:
            self.wait(lambda status: status.updated_at, "the traffic process")
            yield
        finally:
            self.process.kill()
            self.process.wait()

    @property
    def status(self):
        return read_status(self._folder / "status.json")

    def obey(self, **control):
        write_control(self._folder / "control.json", Control(**control))

    def wait(self, condition, what):
        wait_until(lambda: condition(self.status), 60, what)
        return self.status

    def drain(self):
        """Let nothing new be sent and wait until all that is on its way has ended."""
        self.obey(scenario="no_traffic", running=True)
        return self.wait(lambda status: status.asked_rate == status.in_flight == status.labels_pending == 0, "quiet")


@pytest.mark.parametrize("kind", MALFORMED)
def test_the_service_refuses_every_malformed_body(service, kind):
    rows = [[5.1, None, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]]

    assert service.post(MALFORMED[kind](rows)).status_code in (400, 422)


def test_requests_and_labels_are_taken_and_traffic_stops_on_sigterm(service, traffic):
    traffic.obey(scenario="new_species", rate=30, running=True)
    traffic.wait(lambda status: status.sent >= 40, "traffic")
    quiet = traffic.drain()
    traffic.obey(scenario="slow_model", rate=20, running=True)
    wait_until(lambda: service.predict_seconds() >= 0.08, 30, "the service to be slow")

    traffic.process.terminate()

    assert traffic.process.wait(timeout=15) == 0
    assert quiet.sent == quiet.answered == quiet.labels_sent
    assert quiet.refused == quiet.failed == quiet.labels_refused == quiet.labels_failed == 0
    assert not traffic.status.running
    wait_until(lambda: service.predict_seconds() < 0.08, 30, "the service to be fast again")


def test_a_killed_service_costs_requests_and_no_label_of_an_answered_one(service, traffic):
    traffic.obey(rate=30, running=True)
    traffic.wait(lambda status: status.labels_pending >= 20, "labels on their way")

    service.kill()
    traffic.wait(lambda status: status.failed >= 1, "failures")
    service.start()
    answered = traffic.status.answered
    traffic.wait(lambda status: status.answered > answered, "answers again")
    status = traffic.drain()

    assert status.sent == status.answered + status.failed
    assert (status.labels_sent, status.labels_refused, status.labels_failed) == (status.answered, 0, 0)


def test_a_process_that_was_held_up_sends_what_was_due_and_says_how_late(traffic):
    traffic.obey(rate=20, running=True)
    before = traffic.wait(lambda status: status.sent >= 10, "traffic")

    traffic.process.send_signal(signal.SIGSTOP)
    held_until = time.monotonic() + 1.5
    wait_until(lambda: time.monotonic() > held_until, 5, "1.5 s to pass")
    traffic.process.send_signal(signal.SIGCONT)
    late = traffic.wait(lambda status: status.late_seconds_p99 > 0.75, "the lateness")
    after = traffic.wait(lambda status: status.updated_at > late.updated_at, "the next report")

    # Without what was due meanwhile it would be about half.
    assert after.sent - before.sent > 0.75 * 20 * (after.updated_at - before.updated_at)
