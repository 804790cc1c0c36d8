"""Iris flowers: the 150 measured by Fisher, and any number of seeded rows that look like them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from labkit.errors import InputError

__all__ = ["SCHEMA", "Schema", "reference_rows", "sample"]


@dataclass(frozen=True)
class Schema:
    """What the model is asked and what it may answer.

    ``plausible_ranges`` gives per feature the lowest and the highest value, in ``units``, that a flower can have.
    """

    feature_names: tuple[str, ...]
    units: str
    plausible_ranges: Mapping[str, tuple[float, float]]
    class_names: tuple[str, ...]


SCHEMA = Schema(
    feature_names=("sepal_length", "sepal_width", "petal_length", "petal_width"),
    units="cm",
    plausible_ranges={
        "sepal_length": (3.0, 10.0),
        "sepal_width": (1.0, 6.0),
        "petal_length": (0.0, 9.0),
        "petal_width": (0.0, 3.5),
    },
    class_names=("setosa", "versicolor", "virginica"),
)


def reference_rows() -> tuple[np.ndarray, np.ndarray]:
    """Return the measured flowers (150, 4) in cm and their class names (150,).

    Source: Fisher, "The use of multiple measurements in taxonomic problems", 1936, with the values that scikit-learn
    ships. The rows lie here as text because importing scikit-learn for them would take traffic a second.
    """
    table = np.loadtxt(Path(__file__).with_name("iris.csv"), dtype=str, delimiter=",", skiprows=1)
    return table[:, :-1].astype(float), table[:, -1]


def sample(
    n: int, rng: np.random.Generator, class_shares: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw flowers (n, 4) in cm, rounded to 0.01 and above 0, with their class names (n,).

    Each class is a normal distribution with the mean and covariance of the measured flowers; a row with a value
    that is not above 0 is drawn again. ``class_shares`` follow the schema's order and are equal by default.
    Raises InputError when they are not shares.

    >>> instances, labels = sample(2, np.random.default_rng(0))
    >>> instances.shape, sorted(set(labels) - set(SCHEMA.class_names))
    ((2, 4), [])
    """
    codes = rng.choice(len(SCHEMA.class_names), size=n, p=_checked_shares(class_shares))
    means, roots = _normal_by_class()
    instances = np.zeros((n, len(SCHEMA.feature_names)))
    while (redraw := np.flatnonzero((instances <= 0).any(axis=1))).size:
        noise = rng.standard_normal((redraw.size, instances.shape[1]))
        drawn = means[codes[redraw]] + np.einsum("nij,nj->ni", roots[codes[redraw]], noise)
        instances[redraw] = drawn.round(2)
    return instances, np.array(SCHEMA.class_names)[codes]


def _checked_shares(class_shares: Sequence[float] | None) -> np.ndarray:
    n_classes = len(SCHEMA.class_names)
    shares = np.full(n_classes, 1 / n_classes) if class_shares is None else np.asarray(class_shares, dtype=float)
    if shares.shape != (n_classes,) or (shares < 0).any() or not np.isclose(shares.sum(), 1):
        raise InputError(f"class_shares is {class_shares!r}", f"give {n_classes} shares of at least 0 that add up to 1")
    return shares


@cache
def _normal_by_class() -> tuple[np.ndarray, np.ndarray]:
    """Return per class the mean (3, 4) and a square root of the covariance (3, 4, 4)."""
    instances, labels = reference_rows()
    by_class = [instances[labels == name] for name in SCHEMA.class_names]
    means = np.array([rows.mean(axis=0) for rows in by_class])
    return means, np.array([np.linalg.cholesky(np.cov(rows.T)) for rows in by_class])
