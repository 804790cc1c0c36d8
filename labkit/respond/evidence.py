"""Gather what a run may learn from: are recent rows sound, since when does the champion fail, are rows enough."""

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from labkit.observe.store import PredictionStore
from labkit.respond.changepoint import last_drop
from labkit.respond.gates import data_gate, label_gate, sensor_gate
from labkit.respond.policy import Policy
from labkit.respond.steps import Ended, Steps, end_if

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Evidence", "check_data", "collect", "find_onset"]


@dataclass(frozen=True)
class Evidence:
    """Labelled rows since the onset in the order of their predictions: instances (n, f), labels (n,), times (n,).

    The first ``n_training`` are to learn from, the later ones judge.
    """

    instances: np.ndarray
    labels: np.ndarray
    times: np.ndarray
    n_training: int

    @classmethod
    def from_rows(cls, rows: "pd.DataFrame", feature_names: tuple[str, ...], training_ratio: float) -> "Evidence":
        """Take what the prediction store gave."""
        return cls(
            instances=rows[list(feature_names)].to_numpy(dtype=float),
            labels=rows["label"].to_numpy(dtype=str),
            times=rows["predicted_at"].to_numpy(dtype=float),
            n_training=int(len(rows) * training_ratio),
        )

    def lacking(self, class_names: tuple[str, ...], policy: Policy) -> str:
        """Say what is missing for a run to be possible; empty when nothing is."""
        if len(self.labels) < policy.min_rows:
            return f"{len(self.labels)} labelled rows since the onset, {policy.min_rows} are needed"
        for name in class_names:
            if (count := int((self.labels[: self.n_training] == name).sum())) < policy.min_rows_per_class:
                return f"{count} rows of {name} to train on, {policy.min_rows_per_class} are needed"
        return ""


def check_data(steps: Steps, store: PredictionStore) -> int:
    """End the run when recent rows may not be learnt from, whatever the accuracy says; returns their number."""
    schema, policy = steps.parts.schema, steps.parts.policy
    rows = store.predictions(since=steps.ago(policy.recent))
    instances = rows[list(schema.feature_names)].to_numpy(dtype=float)
    ranges = {name: schema.plausible_ranges[name] for name in schema.feature_names}
    reference = steps.parts.registry.meta(steps.parts.model_name, "champion").reference
    end_if("rejected", data_gate(instances, ranges, policy))
    end_if("rejected", label_gate(list(rows["label"].dropna()), schema.class_names, policy))
    end_if("rejected", sensor_gate(reference.ks_distances(instances), len(instances), reference.n_rows, policy))
    return len(rows)


def find_onset(steps: Steps, store: PredictionStore, champion_version: str) -> float:
    """Return since when, in Unix seconds, the champion has been wrong more often, else since when it has answered.

    The estimate sees what a production system sees, the champion's answers and their labels.
    """
    policy = steps.parts.policy
    with steps.step("onset") as details:
        since = steps.ago(policy.history)
        rows = store.labelled(since=since, model_version=champion_version)
        drop = last_drop((rows["predicted"] == rows["label"]).to_numpy(dtype=bool), policy.onset_significance)
        onset = float(rows["predicted_at"].iloc[drop.index if drop else 0]) if len(rows) else since
        details |= {"onset": onset, "n_rows": len(rows), "drop": asdict(drop) if drop else None}
        if drop is None:
            details["note"] = "no significant drop: all labelled rows since the champion's first answer are used"
    return onset


def collect(steps: Steps, store: PredictionStore, onset: float) -> Evidence:
    """Return the labelled rows since the onset, after waiting until they suffice to learn and to judge."""
    schema, policy = steps.parts.schema, steps.parts.policy
    deadline = time.monotonic() + steps.parts.clock.lab_seconds(policy.collect_deadline)
    with steps.step("collect") as details:
        while True:
            evidence = Evidence.from_rows(store.labelled(since=onset), schema.feature_names, policy.training_ratio)
            lacking = evidence.lacking(schema.class_names, policy)
            details |= {"n_rows": len(evidence.labels), "lacking": lacking}
            if not lacking:
                break
            if time.monotonic() > deadline:
                raise Ended("skipped", f"not_enough_rows: {lacking}")
            steps.pause()
        check_data(steps, store)  # once more: a fault may have shown itself meanwhile
    return evidence
