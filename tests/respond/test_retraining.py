"""The webhook starts one run at a time, for who knows the token, and says what it did."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from world import SWAPPED, webhook

from labkit.clock import wait_until
from labkit.respond.retrainer import Retrainer
from labkit.respond.retraining import create_app

TOKEN = {"Authorization": "Bearer webhook-token"}


class Hold:
    """Keeps a run at its first step until it is let go."""

    def __init__(self):
        self.reached, self.let_go = threading.Event(), threading.Event()

    def __call__(self, _name):
        self.reached.set()
        assert self.let_go.wait(20)


@pytest.fixture
def hold():
    hold = Hold()
    yield hold
    hold.let_go.set()


@pytest.fixture
def world(make_world):
    """Give a world with so much steady traffic that a run ends with a verdict: not better."""
    world = make_world()
    world.traffic(500)
    return world


@pytest.fixture
def client_of(serving):
    """Give a function that returns a client of the retrainer in a world."""
    with ExitStack() as opened:

        def open_client(world, on_step=None):
            parts = world.parts()
            opened.callback(parts.service.close)
            opened.callback(parts.audit.close)
            app = create_app(Retrainer(parts, world.folder / "off", on_step=on_step), parts, "webhook-token")
            return opened.enter_context(httpx.Client(base_url=opened.enter_context(serving(app))))

        yield open_client


def post(client, number=1, headers=TOKEN):
    return client.post("/alerts", json=webhook(number), headers=headers)


def ended(client):
    """Wait until no run is under way, and return all runs."""
    wait_until(lambda: all(run["state"] == "finished" for run in client.get("/runs").json()), 20, "the run's end")
    return client.get("/runs").json()


def test_a_webhook_is_answered_202_with_the_id_of_its_run(world, client_of):
    client = client_of(world)

    answer = post(client)

    assert (answer.status_code, answer.json()) == (202, {"outcome": "started", "run_id": 1, "reason": ""})
    assert ended(client)[0]["id"] == 1
    assert [step["name"] for step in client.get("/runs/1").json()["steps"]][:2] == ["data_gate", "onset"]


def test_the_same_webhook_twice_is_one_run(world, client_of, hold):
    client = client_of(world, hold)

    first, during = post(client).json(), post(client).json()
    hold.let_go.set()
    runs = ended(client)
    afterwards = post(client).json()

    assert [answer["outcome"] for answer in (first, during, afterwards)] == ["started", "duplicate", "duplicate"]
    assert during["run_id"] == afterwards["run_id"] == first["run_id"]
    assert client.get("/runs").json() == runs and len(runs) == 1


def test_ten_alerts_at_once_are_one_run_and_nine_skipped_ones(world, client_of, hold):
    client = client_of(world, hold)

    with ThreadPoolExecutor(10) as senders:
        outcomes = [answer.json()["outcome"] for answer in senders.map(lambda n: post(client, n), range(10))]
    hold.let_go.set()
    runs = ended(client)

    assert sorted(outcomes) == ["skipped"] * 9 + ["started"]
    assert [run["reason"].split(":")[0] for run in runs if run["result"] == "skipped"] == ["in_progress"] * 9
    assert len(runs) == 10


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic webhook-token"}, {"Authorization": ""}]
)
def test_without_the_right_token_nothing_runs(world, client_of, headers):
    client = client_of(world)

    answer = post(client, headers=headers)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/runs").json() == []


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_a_page_of_another_origin_starts_nothing_even_with_the_token(world, client_of, headers):
    client = client_of(world)

    assert post(client, headers={**TOKEN, **headers}).status_code in (403, 421)
    assert client.get("/runs").json() == []


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"{}", 400), (b" " * (1024 * 1024 + 1), 413)])
def test_a_body_that_is_no_webhook_is_refused(world, client_of, body, status):
    client = client_of(world)

    answer = client.post("/alerts", content=body, headers={**TOKEN, "Content-Type": "application/json"})

    assert answer.status_code == status


def test_resolved_alerts_are_ignored(world, client_of):
    client = client_of(world)
    resolved = webhook()
    resolved["alerts"][0]["status"] = "resolved"

    answer = client.post("/alerts", json=resolved, headers=TOKEN)

    assert (answer.status_code, answer.json()["outcome"], client.get("/runs").json()) == (202, "ignored", [])


def test_the_off_switch_keeps_runs_from_starting_until_it_is_removed(world, client_of):
    client = client_of(world)
    (world.folder / "off").touch()
    off = post(client).json()
    (world.folder / "off").unlink()
    on = post(client).json()

    assert (off["outcome"], off["reason"].split(":")[0]) == ("skipped", "off_switch")
    assert on["outcome"] == "started"


def test_after_a_run_the_next_one_has_to_wait(world, client_of):
    client = client_of(world)
    post(client, 1)
    ended(client)

    answer = post(client, 2).json()

    assert (answer["outcome"], answer["reason"]) == ("skipped", "cooldown: the last run ended less than 30m ago")


def test_the_cooldown_passes_and_the_daily_cap_stays(make_world, client_of):
    world = make_world(cooldown="0s", max_runs_per_day=2)
    world.traffic(500)
    client = client_of(world)
    outcomes = []
    for number in range(3):
        outcomes.append(post(client, number).json()["outcome"])
        reason = ended(client)[-1]["reason"]

    assert outcomes == ["started", "started", "skipped"]
    assert reason.startswith("daily_cap: 2 runs")


def test_an_alert_that_was_skipped_may_start_a_run_when_it_is_sent_again(world, client_of, hold):
    client = client_of(world, hold)
    (world.folder / "off").touch()
    skipped = post(client).json()
    (world.folder / "off").unlink()
    started = post(client).json()

    assert (skipped["outcome"], started["outcome"]) == ("skipped", "started")
    assert started["run_id"] != skipped["run_id"]


def test_results_are_counted_from_zero_and_durations_observed(world, client_of):
    world.traffic(500, meaning=SWAPPED)
    client = client_of(world)
    before = client.get("/metrics").text
    post(client)
    ended(client)
    line = 'model_retraining_duration_seconds_count{model_name="iris-classifier"} 1.0'
    wait_until(lambda: line in client.get("/metrics").text, 5, "the duration")

    for result in ("promoted", "rejected", "failed", "skipped"):
        assert f'model_retraining_total{{model_name="iris-classifier",result="{result}"}} 0.0' in before
    assert 'model_retraining_total{model_name="iris-classifier",result="promoted"} 1.0' in client.get("/metrics").text


def test_an_unknown_run_is_not_found(world, client_of):
    assert client_of(world).get("/runs/9").status_code == 404
