"""Train a challenger, judge it and the champion on the same later rows, and keep it in the registry."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from labkit.model.training import Evaluation, evaluate, train
from labkit.observe.reference import Reference
from labkit.respond.evidence import Evidence
from labkit.respond.gates import Difference, challenger_gate, paired_difference
from labkit.respond.steps import Steps, end_if

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = ["Comparison", "compare", "judge", "save_challenger", "train_challenger"]


@dataclass(frozen=True)
class Comparison:
    """Champion and challenger on the same holdout."""

    champion: Evaluation
    challenger: Evaluation
    difference: Difference
    rows_by_class: dict[str, int]

    def __str__(self) -> str:
        interval = f"{self.difference.low:+.3f} to {self.difference.high:+.3f}"
        return f"accuracy {self.champion.accuracy:.3f} to {self.challenger.accuracy:.3f}, better by {interval}"


def train_challenger(steps: Steps, evidence: Evidence) -> "Pipeline":
    """Train on the earlier rows; labels outside the schema cannot be learnt and are left out."""
    with steps.step("train") as details:
        instances, labels = evidence.instances[: evidence.n_training], evidence.labels[: evidence.n_training]
        known = np.isin(labels, steps.parts.schema.class_names)
        details["n_rows"] = int(known.sum())
        return train(instances[known], labels[known])


def compare(steps: Steps, evidence: Evidence, champion_version: str, challenger: "Pipeline") -> Comparison:
    """Judge both models on the later rows."""
    with steps.step("evaluate") as details:
        champion = steps.parts.registry.load(steps.parts.model_name, champion_version).model
        instances, labels = evidence.instances[evidence.n_training :], evidence.labels[evidence.n_training :]
        comparison = Comparison(
            champion=evaluate(champion, instances, labels),
            challenger=evaluate(challenger, instances, labels),
            difference=paired_difference(
                champion.predict(instances) == labels,
                challenger.predict(instances) == labels,
                steps.parts.policy.confidence,
            ),
            rows_by_class={name: int((labels == name).sum()) for name in steps.parts.schema.class_names},
        )
        details |= asdict(comparison)
    return comparison


def save_challenger(steps: Steps, evidence: Evidence, challenger: "Pipeline", comparison: Comparison) -> str:
    """Save the challenger, with all rows since the onset as its reference; returns its version."""
    first, last = (datetime.fromtimestamp(evidence.times[at], UTC).isoformat(timespec="seconds") for at in (0, -1))
    predictions = challenger.predict(evidence.instances)
    reference = Reference.from_rows(evidence.instances, steps.parts.schema.feature_names, predictions)
    registry, name = steps.parts.registry, steps.parts.model_name
    with steps.step("save") as details:
        version = registry.save(
            name,
            challenger,
            reference=reference,
            evaluation=comparison.challenger,
            data_version=f"labels of {first} to {last}",
        )
        registry.set_challenger(name, version)
        details["version"] = version
    return version


def judge(steps: Steps, comparison: Comparison) -> None:
    """End the run when the challenger may not serve; it stays in the registry, but wants nothing any more."""
    with steps.step("gate") as details:
        refusal = challenger_gate(
            comparison.champion,
            comparison.challenger,
            comparison.difference,
            comparison.rows_by_class,
            steps.parts.policy,
        )
        details["refusal"] = asdict(refusal) if refusal else None
        if refusal:
            steps.parts.registry.set_challenger(steps.parts.model_name, None)
        end_if("rejected", refusal)
