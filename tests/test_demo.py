"""The closed loop, from fault to recovery, as `labkit demo` plays it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labkit.clock import wait_until
from labkit.lab import Lab
from labkit.simulate.scenarios import CATALOGUE
from labkit.stack.home import Home
from labkit.stack.processes import running

PNG = b"\x89PNG\r\n\x1a\n"
TOLD_BY = {"slack", "pagerduty", "email"}


@dataclass(frozen=True)
class Played:
    """What one run of the command left behind."""

    home: Home
    exit_code: int
    output: str
    seconds: float
    record: dict[str, Any]

    def events(self, name: str, **facts: Any) -> list[dict[str, Any]]:
        return [event for event in self.record["events"] if event["event"] == name and facts.items() <= event.items()]

    def told(self, status: str) -> set[str]:
        return {event["channel"] for event in self.events("notification_received", status=status)}


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Played]:
    """Run `labkit demo` in a folder of its own, once for each scenario and seed."""
    played: dict[tuple[str, int], Played] = {}

    def run(scenario: str, seed: int = 1) -> Played:
        if (scenario, seed) not in played:
            home = Home(tmp_path_factory.mktemp(scenario) / ".lab")
            command = [sys.executable, "-m", "labkit.cli", "demo", "--scenario", scenario, "--seed", str(seed)]
            env = {**os.environ, "LABKIT_HOME": str(home.root)}
            started = time.monotonic()
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)
            record = json.loads((home.demo / "timeline.json").read_text())
            output = done.stdout + done.stderr
            played[scenario, seed] = Played(home, done.returncode, output, time.monotonic() - started, record)
        return played[scenario, seed]

    return run


def assert_recovered_by_retraining(demo: Played) -> None:
    assert demo.exit_code == 0, demo.output
    accuracy = demo.record["accuracy"]
    assert accuracy["before"] >= 0.93
    assert accuracy["during"] <= 0.80
    assert accuracy["after"] >= 0.90
    assert demo.record["champion"]["before"] != demo.record["champion"]["after"]
    assert demo.events("alert_firing", alert="ModelAccuracyLow")
    assert demo.events("alert_resolved", alert="ModelAccuracyLow")


def test_a_concept_shift_is_noticed_answered_and_mended(play) -> None:
    assert_recovered_by_retraining(play("concept_shift"))


def test_recovery_takes_at_most_an_hour_of_production_time(play) -> None:
    demo = play("concept_shift")
    (fault,), (recovered,) = demo.events("fault_injected"), demo.events("recovered")
    assert recovered["production_seconds"] - fault["production_seconds"] <= 3600


def test_the_events_come_in_the_order_of_the_loop(play) -> None:
    events = play("concept_shift").record["events"]
    # Other alerts may be pending before the fault, while no label has come yet.
    told = [event for event in events if event.get("alert", "ModelAccuracyLow") == "ModelAccuracyLow"]

    def in_order(*names: str) -> bool:
        first = [next(i for i, event in enumerate(told) if event["event"] == name) for name in names]
        return first == sorted(first)

    # Who is told of the firing alert may note it before the demo, which looks a few times a second, sees it fire.
    assert in_order("traffic_started", "fault_injected", "alert_pending", "alert_firing")
    assert in_order("alert_pending", "notification_received")
    assert in_order("alert_pending", "retraining_started", "champion_changed", "recovered")


def test_the_retrainers_decision_comes_with_its_numbers(play) -> None:
    (run,) = play("concept_shift").record["retraining"]
    assert run["result"] == "promoted"
    assert run["details"]["evaluate"]["difference"]["low"] > 0


def test_whoever_was_paged_hears_that_it_is_over(play) -> None:
    demo = play("concept_shift")
    assert demo.told("firing") == demo.told("resolved") == {"slack", "pagerduty"}


def test_a_demo_draws_its_picture_and_leaves_nothing_running(play) -> None:
    demo = play("concept_shift")
    assert (demo.home.demo / "timeline.png").read_bytes().startswith(PNG)
    assert running(demo.home) == {}


def test_the_terminal_shows_the_message_as_slack_got_it(play) -> None:
    assert "Runbook: docs/runbooks.md#modelaccuracylow" in play("concept_shift").output


def test_a_unit_error_is_refused_and_the_champion_stays(play) -> None:
    demo = play("unit_error")
    assert demo.exit_code == 0, demo.output
    judged = [run for run in demo.record["retraining"] if run["result"] != "skipped"]
    assert [run["result"] for run in judged] == ["rejected"]
    assert judged[0]["reason"].startswith("data_quality: ")
    assert "petal_length" in judged[0]["reason"]
    assert demo.record["champion"] == {"before": "v1", "after": "v1"}


@pytest.mark.parametrize("alert", ["ModelInputInvalid", "ModelInputDrift"])
def test_a_unit_error_alerts_about_petal_length_alone_and_resolves_when_it_ends(play, alert: str) -> None:
    demo = play("unit_error")
    assert {event["feature"] for event in demo.events("alert_firing", alert=alert)} == {"petal_length"}
    (ended,) = demo.events("fault_ended")
    assert all(e["lab_seconds"] > ended["lab_seconds"] for e in demo.events("alert_resolved", alert=alert))
    assert demo.events("alert_resolved", alert=alert)


def test_slack_mail_and_pagerduty_each_hear_of_the_unit_error_and_of_its_end(play) -> None:
    demo = play("unit_error")
    assert demo.told("firing") == demo.told("resolved") == TOLD_BY


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3, 4, 5])
def test_a_concept_shift_of_any_seed_is_mended(play, seed: int) -> None:
    assert_recovered_by_retraining(play("concept_shift", seed))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(CATALOGUE.keys() - {"concept_shift", "unit_error"}))
def test_a_scenario_fires_what_its_truth_says_and_no_other_page(play, name: str) -> None:
    demo = play(name)
    assert demo.exit_code == 0, demo.output
    assert set(CATALOGUE[name].alerts) <= set(demo.record["alerts_fired"])


@pytest.mark.long
def test_no_alert_fires_on_three_steady_and_three_seasonal_days(tmp_path: Path) -> None:
    days = [(name, seed) for name in ("steady", "seasonal") for seed in (1, 2, 3)]

    def alerts_of(day: tuple[str, int]) -> list[str]:
        name, seed = day
        lab = Lab.open(home=Home(tmp_path / f"{name}-{seed}"), fresh=True)
        try:
            lab.traffic(name, seed=seed)
            end = time.monotonic() + lab.clock.lab_seconds("1d")
            wait_until(lambda: time.monotonic() >= end, 2 * lab.clock.lab_seconds("1d"), "the day to end", every=5)
            fired = lab.query('max by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1d]))')
            assert lab.query("sum(increase(model_prediction_requests_total[1d]))")["value"].item() > 20_000
            return fired["alertname"].tolist()
        finally:
            lab.down(purge=True)

    with ThreadPoolExecutor(3) as pool:
        assert dict(zip(days, pool.map(alerts_of, days), strict=True)) == {key: ["Watchdog"] for key in days}
