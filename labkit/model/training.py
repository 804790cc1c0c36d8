"""Train and judge a classifier, and make the first champion."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from labkit.model import iris
from labkit.model.registry import ModelRegistry
from labkit.observe.reference import Reference

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline  # imported where it is used: it takes seconds, and the retrainer starts often

__all__ = ["Evaluation", "evaluate", "train", "train_first_champion"]

# Thresholds of drift rules assume a reference of at least this many rows; iris's own 150 are far too few.
_REFERENCE_ROWS = 10_000


@dataclass(frozen=True)
class Evaluation:
    """How a model did on labelled rows; ``latency_seconds`` is the median of one-row predictions."""

    n_rows: int
    accuracy: float
    recall: Mapping[str, float]
    latency_seconds: float

    def to_dict(self) -> dict[str, object]:
        """Return the numbers as JSON has them."""
        return asdict(self)


def train(instances: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> "Pipeline":
    """Fit a pipeline to instances (n, f), NaN where missing, and their class names (n,)."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    steps = [
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(max_iter=1000, random_state=seed)),
    ]
    return Pipeline(steps).fit(instances, labels)


def evaluate(model: "Pipeline", instances: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Judge a model on instances (n, f) and their true class names (n,).

    Classes without a row have no recall and are left out; a class that the model does not know is never recalled.
    """
    from sklearn.metrics import recall_score

    predicted = model.predict(instances)
    classes = sorted(set(labels))
    recalls = recall_score(labels, predicted, labels=classes, average=None)
    return Evaluation(
        n_rows=len(labels),
        accuracy=float(np.mean(predicted == labels)),
        recall={str(name): float(recall) for name, recall in zip(classes, recalls, strict=True)},
        latency_seconds=statistics.median(_one_row_seconds(model, row) for row in instances[:50]),
    )


def _one_row_seconds(model: "Pipeline", row: np.ndarray) -> float:
    started = time.perf_counter()
    model.predict_proba(row[np.newaxis])
    return time.perf_counter() - started


def train_first_champion(registry: ModelRegistry, name: str = "iris-classifier", seed: int = 0) -> str:
    """Train on seeded flowers, save the model and make it champion; returns its version."""
    rng = np.random.default_rng(seed)
    instances, labels = iris.sample(_REFERENCE_ROWS, rng)
    model = train(instances, labels, seed=seed)
    version = registry.save(
        name,
        model,
        reference=Reference.from_rows(instances, iris.SCHEMA.feature_names, predictions=model.predict(instances)),
        evaluation=evaluate(model, *iris.sample(_REFERENCE_ROWS, rng)),
        data_version=f"iris-sample-seed-{seed}",
    )
    registry.promote(name, version, reason="first champion")
    return version


@click.command()
@click.option("--registry", "folder", type=click.Path(path_type=Path), required=True)
@click.option("--model-name", default="iris-classifier", show_default=True)
def main(folder: Path, model_name: str) -> None:
    """Train the first champion of a registry that has no version yet."""
    registry = ModelRegistry(folder)
    if not registry.versions(model_name):
        click.echo(f"{train_first_champion(registry, model_name)} is champion")


if __name__ == "__main__":
    main()
