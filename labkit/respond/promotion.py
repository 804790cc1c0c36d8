"""Put a challenger into service, watch how it does there, and take it back when it is worse."""

import time
from dataclasses import dataclass

from labkit.errors import LabError
from labkit.observe.store import PredictionStore
from labkit.respond.gates import watch_gate
from labkit.respond.steps import Ended, Steps, end_if

__all__ = ["Promotion", "promote", "watch"]


@dataclass(frozen=True)
class Promotion:
    """A change of champion: from which version to which, and when it was served, in Unix seconds."""

    before: str
    after: str
    at: float


def promote(steps: Steps, champion_version: str, version: str, reason: str) -> Promotion:
    """Make the challenger champion and have it served; without that the champion stays."""
    registry, name = steps.parts.registry, steps.parts.model_name
    with steps.step("promote") as details:
        _expect_champion(steps, champion_version)
        registry.promote(name, version, reason=f"retraining run {steps.run_id}: {reason}")
        details |= {"before": champion_version, "after": version}
    with steps.step("reload"):
        try:
            steps.parts.service.reload(version)
        except LabError as error:
            _roll_back(steps, champion_version)
            raise Ended("failed", f"reload: {error.problem}") from error
    return Promotion(champion_version, version, time.time())


def watch(steps: Steps, store: PredictionStore, promotion: Promotion, accuracy_before: float) -> str:
    """Wait for labelled answers of the new champion and say how they were; it is rolled back when they are worse."""
    policy, lab_seconds = steps.parts.policy, steps.parts.clock.lab_seconds
    started = time.monotonic()
    with steps.step("watch") as details:
        while True:
            steps.pause()
            _expect_champion(steps, promotion.after)
            rows = store.labelled(since=promotion.at, model_version=promotion.after)
            n_rows, n_correct = len(rows), int((rows["predicted"] == rows["label"]).sum())
            details |= {"n_rows": n_rows, "n_correct": n_correct}
            waited = time.monotonic() - started
            enough = n_rows >= policy.watch_rows and waited >= lab_seconds(policy.watch_at_least)
            if enough or waited >= lab_seconds(policy.watch_at_most):
                break
    refusal = watch_gate(n_rows, n_correct, accuracy_before, policy)
    if refusal:
        _roll_back(steps, promotion.before)
    end_if("failed", refusal)
    if not n_rows:
        return f"{promotion.after} is kept, although no labelled row of it came while it was watched"
    return f"accuracy {n_correct / n_rows:.3f} on its first {n_rows} labelled rows in service"


def _expect_champion(steps: Steps, version: str) -> None:
    """End the run when somebody else has changed the champion: that choice stands."""
    found = steps.parts.registry.champion(steps.parts.model_name)
    if found != version:
        raise Ended("failed", f"champion_changed: the champion is {found} now and not {version}")


def _roll_back(steps: Steps, version: str) -> None:
    with steps.step("rollback") as details:
        details["to"] = steps.parts.registry.rollback(steps.parts.model_name, version)
        try:
            steps.parts.service.reload(version)
        except LabError as error:
            # The registry counts: the service loads its champion whenever it starts or reloads.
            details["note"] = error.problem
