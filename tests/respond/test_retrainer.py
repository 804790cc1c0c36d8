"""The retrainer learns what changed, refuses what it must not learn, and leaves a champion serving whatever happens."""

import json
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import get_context

import pytest
from world import SWAPPED, SWAPPED_OTHERWISE, notification

from labkit.clock import wait_until
from labkit.respond.retrainer import Retrainer

STEPS = ["data_gate", "onset", "collect", "train", "evaluate", "save", "gate", "promote", "reload", "watch"]


def finished(retrainer, parts_of, number=1):
    """Submit an alert, and return its run when it has ended."""
    receipt = retrainer.submit(notification(number))
    assert receipt.outcome == "started", receipt
    audit = parts_of.parts().audit
    try:
        wait_until(lambda: audit.run(receipt.run_id)["state"] == "finished", 20, "the end of the run")
        return audit.run(receipt.run_id)
    finally:
        audit.close()


def results(retrainer):
    return {
        result: retrainer.metrics.get_sample_value(
            "model_retraining_total", {"model_name": "iris-classifier", "result": result}
        )
        for result in ("promoted", "rejected", "failed", "skipped")
    }


def test_a_concept_shift_is_learnt_and_the_new_champion_serves(world, retrainer_of):
    world.traffic(500, meaning=SWAPPED)
    reactions = {"watch": lambda: world.traffic(250, meaning=SWAPPED)}

    with retrainer_of(world, on_step=lambda name: reactions.get(name, lambda: None)()) as retrainer:
        run = finished(retrainer, world)

    assert (run["result"], world.champion, world.served) == ("promoted", "v2", "v2"), run["reason"]
    assert run["details"]["evaluate"]["champion"]["accuracy"] <= 0.45
    assert run["details"]["evaluate"]["challenger"]["accuracy"] >= 0.90
    assert run["details"]["watch"]["n_rows"] == 250
    assert results(retrainer) == {"promoted": 1, "rejected": 0, "failed": 0, "skipped": 0}


def test_the_challenger_learns_from_the_rows_since_the_onset_only(world, retrainer_of):
    world.traffic(500, meaning=SWAPPED)

    with retrainer_of(world) as retrainer:
        details = finished(retrainer, world)["details"]

    assert details["onset"]["n_rows"] == 800
    assert abs(details["onset"]["drop"]["index"] - 300) <= 10
    assert details["collect"]["n_rows"] in (500, 550)  # the onset falls on a request of 50 rows
    assert world.registry.meta("iris-classifier", "v2").reference.n_rows == details["collect"]["n_rows"]


def test_every_step_is_in_the_audit_log_in_order(world, retrainer_of):
    world.traffic(500, meaning=SWAPPED)

    with retrainer_of(world) as retrainer:
        run = finished(retrainer, world)

    assert [step["name"] for step in run["steps"]] == STEPS
    assert json.loads(json.dumps(run["details"])) == {step["name"]: step["details"] for step in run["steps"]}


def test_a_unit_error_is_refused_with_its_feature_named(world, retrainer_of):
    world.traffic(600, scale=[1, 1, 10, 1])

    with retrainer_of(world) as retrainer:
        run = finished(retrainer, world)

    assert run["result"] == "rejected"
    assert run["reason"].startswith("data_quality: ")
    assert run["reason"].endswith("of petal_length are outside 0 to 9, the limit is 5.0%")
    assert run["details"] == {"data_gate": {"ended": run["reason"]}}
    assert (world.champion, world.served, world.registry.versions("iris-classifier")) == ("v1", "v1", ["v1"])


def test_a_new_species_is_refused(world, retrainer_of):
    world.traffic(600, unknown_ratio=0.25)

    with retrainer_of(world) as retrainer:
        run = finished(retrainer, world)

    assert run["result"] == "rejected"
    assert "of the labels name no known class" in run["reason"]


def test_too_few_rows_are_waited_for_and_then_skipped(world, retrainer_of):
    world.traffic(300, meaning=SWAPPED)

    with retrainer_of(world) as retrainer:
        run = finished(retrainer, world)

    assert (run["result"], world.champion) == ("skipped", "v1")
    assert run["reason"] == f"not_enough_rows: {run['details']['collect']['lacking']}"
    assert run["details"]["collect"]["lacking"].endswith("labelled rows since the onset, 400 are needed")


def test_rows_that_come_while_it_waits_are_enough(world, retrainer_of):
    world.traffic(300, meaning=SWAPPED)
    late = threading.Timer(0.2, world.traffic, [400], {"meaning": SWAPPED})

    with retrainer_of(world, on_step=lambda name: late.start() if name == "collect" else None) as retrainer:
        run = finished(retrainer, world)
    late.join()

    assert (run["result"], world.champion) == ("promoted", "v2"), run["reason"]


def test_a_fault_that_shows_itself_while_it_waits_is_refused(world, retrainer_of):
    world.traffic(300, meaning=SWAPPED)

    def on_step(name):
        if name == "collect":
            world.traffic(400, meaning=SWAPPED, scale=[1, 1, 10, 1])

    with retrainer_of(world, on_step=on_step) as retrainer:
        run = finished(retrainer, world)

    assert (run["result"], run["reason"].split(":")[0], world.champion) == ("rejected", "data_quality", "v1")


def test_without_a_drop_the_challenger_is_not_better_and_the_champion_stays(world, retrainer_of):
    world.traffic(600)

    with retrainer_of(world) as retrainer:
        run = finished(retrainer, world)

    assert (run["result"], run["reason"].split(":")[0]) == ("rejected", "not_better")
    assert run["details"]["onset"]["drop"] is None and "no significant drop" in run["details"]["onset"]["note"]
    assert (world.champion, world.registry.challenger("iris-classifier")) == ("v1", None)


def test_a_champion_that_does_worse_in_service_is_rolled_back(world, retrainer_of):
    world.traffic(500, meaning=SWAPPED)

    def on_step(name):
        if name == "watch":
            world.traffic(300)  # the world turns back, the new champion is wrong now

    with retrainer_of(world, on_step=on_step) as retrainer:
        run = finished(retrainer, world)

    assert (run["result"], run["reason"].split(":")[0]) == ("failed", "rolled_back")
    assert (world.champion, world.served) == ("v1", "v1")


def test_a_champion_without_labelled_rows_is_kept_and_the_run_says_so(world, retrainer_of):
    world.traffic(500, meaning=SWAPPED)

    with retrainer_of(world) as retrainer:
        run = finished(retrainer, world)

    assert (run["result"], world.served) == ("promoted", "v2")
    assert "no labelled row of it came" in run["reason"]


def test_a_champion_that_the_service_cannot_load_is_taken_back(world, retrainer_of):
    world.traffic(500, meaning=SWAPPED)

    def on_step(name):
        if name == "reload":
            model = world.folder / "registry" / "iris-classifier" / "v2" / "model.skops"
            model.write_bytes(model.read_bytes()[:-1])

    with retrainer_of(world, on_step=on_step) as retrainer:
        run = finished(retrainer, world)

    assert (run["result"], run["reason"].split(":")[0]) == ("failed", "reload")
    assert (world.champion, world.served) == ("v1", "v1")


@pytest.mark.parametrize("step", ["promote", "watch"])
def test_a_champion_that_somebody_chose_meanwhile_stays(world, retrainer_of, step):
    world.traffic(500, meaning=SWAPPED)

    def on_step(name):
        if name == step:
            chosen = world.registry.load("iris-classifier", "v1")
            version = world.registry.save(
                "iris-classifier",
                chosen.model,
                reference=chosen.meta.reference,
                evaluation=_Numbers(chosen.meta.evaluation),
                data_version="by hand",
            )
            world.registry.promote("iris-classifier", version, reason="by hand")

    with retrainer_of(world, on_step=on_step) as retrainer:
        run = finished(retrainer, world)

    assert (run["result"], run["reason"].split(":")[0]) == ("failed", "champion_changed")
    assert world.champion == "v3"


class _Numbers(dict):
    def to_dict(self):
        return dict(self)


def test_a_step_that_fails_ends_the_run_and_not_the_retrainer(world, retrainer_of):
    world.traffic(500, meaning=SWAPPED)
    failing = {"train": 1}

    def on_step(name):
        if failing.pop(name, None):
            raise RuntimeError("no memory left")

    with retrainer_of(world, on_step=on_step) as retrainer:
        broken, whole = finished(retrainer, world, 1), finished(retrainer, world, 2)

    assert (broken["result"], broken["reason"]) == ("failed", "error at train: no memory left")
    assert (whole["result"], world.served) == ("promoted", "v2")


def test_a_retrainer_that_is_stopped_gives_up_its_run(world, retrainer_of):
    world.traffic(300, meaning=SWAPPED)
    collecting = threading.Event()

    with retrainer_of(world, on_step=lambda name: collecting.set() if name == "collect" else None) as retrainer:
        retrainer.submit(notification())
        assert collecting.wait(10)

    audit = world.parts().audit
    assert [(run["result"], run["reason"]) for run in audit.runs()] == [("failed", "interrupted at collect")]
    audit.close()


def die_at(step, world_of):
    """Retrain in this process until ``step`` begins, and be killed there."""
    world = world_of.recv()
    parts = world.parts()
    with Retrainer(
        parts,
        world.folder / "off",
        on_step=lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == step else None,
    ) as retrainer:
        retrainer.submit(notification())
        wait_until(lambda: not parts.audit.unfinished(), 20, "the end of a run that should have been killed")


@pytest.fixture
def doomed():
    """Give a function that starts a process which retrains in a world and is killed when a step begins.

    The process is forked before the test starts threads, and waits for the world.
    """
    receiver, sender = get_context("fork").Pipe()
    step = get_context("fork").SimpleQueue()
    process = get_context("fork").Process(target=lambda: die_at(step.get(), receiver))
    process.start()

    def run(world, name):
        step.put(name)
        sender.send(world)
        process.join(30)
        return process.exitcode

    yield run
    process.kill()
    process.join()
    process.close()


@pytest.mark.parametrize("step", STEPS)
def test_after_kill_9_at_any_step_a_champion_serves_and_the_next_run_succeeds(doomed, world, retrainer_of, step):
    world.traffic(500, meaning=SWAPPED)
    before = "v2" if STEPS.index(step) > STEPS.index("promote") else "v1"
    after = SWAPPED_OTHERWISE if before == "v2" else SWAPPED

    exit_code = doomed(world, step)
    world.traffic(50, meaning=SWAPPED)
    in_between = world.champion
    with retrainer_of(world) as retrainer:
        wait_until(lambda: world.served == world.champion, 10, "the champion to be served")
        served_at_start = world.served
        world.traffic(100, meaning=SWAPPED)
        world.traffic(500, meaning=after)
        run = finished(retrainer, world)  # the same alert, which still fires

    audit = world.parts().audit
    killed = audit.run(1)
    audit.close()
    assert exit_code == -signal.SIGKILL
    assert (killed["result"], killed["reason"]) == ("failed", f"interrupted at {step}")
    assert (in_between, served_at_start) == (before, before)
    assert (run["result"], world.served) == ("promoted", world.champion), run["reason"]
    assert world.champion not in ("v1", before)


def test_an_interrupted_run_is_counted_after_the_first_scrape(world, retrainer_of):
    audit = world.parts().audit
    audit.begin("k", [])
    audit.close()

    with retrainer_of(world) as retrainer:
        at_first = results(retrainer)["failed"]
        retrainer.count_interrupted()
        retrainer.count_interrupted()

        assert (at_first, results(retrainer)["failed"]) == (0, 1)


def test_the_process_starts_without_the_libraries_that_only_a_run_needs() -> None:
    slow = "{'sklearn', 'skops', 'pandas', 'scipy.stats'}"
    script = f"import sys, labkit.respond.retraining; print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
