"""Rows as the world sends them: steady ones, and ways in which they go wrong.

Each way is a function ``(n, strength, rng) -> Batch``: at strength 0 the rows are steady, at 1 the change is complete.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labkit.model.iris import SCHEMA, sample

__all__ = [
    "Batch",
    "Draw",
    "draw_mixed_with",
    "draw_relabelled",
    "draw_scaled",
    "draw_shares",
    "draw_shifted",
    "draw_steady",
    "draw_with_missing",
]


@dataclass(frozen=True)
class Batch:
    """Rows (n, 4) in cm, NaN where a value is missing, and the names (n,) of what they truly are."""

    instances: np.ndarray
    labels: np.ndarray


Draw = Callable[[int, float, np.random.Generator], Batch]


def draw_steady(n: int, _strength: float, rng: np.random.Generator) -> Batch:
    """Draw rows as the champion was trained on, at any strength."""
    return Batch(*sample(n, rng))


def draw_shifted(**offsets_cm: float) -> Draw:
    """Add up to an offset to features; no value falls below 0.01, the least that a flower measures."""
    offsets = np.array([offsets_cm.get(name, 0.0) for name in SCHEMA.feature_names])

    def draw(n: int, strength: float, rng: np.random.Generator) -> Batch:
        instances, labels = sample(n, rng)
        return Batch(np.maximum(instances + strength * offsets, 0.01).round(2), labels)

    return draw


def draw_scaled(feature: str, factor: float) -> Draw:
    """Multiply a feature, as another unit of measurement does."""
    column = SCHEMA.feature_names.index(feature)

    def draw(n: int, strength: float, rng: np.random.Generator) -> Batch:
        instances, labels = sample(n, rng)
        instances[:, column] = (instances[:, column] * factor**strength).round(2)
        return Batch(instances, labels)

    return draw


def draw_with_missing(feature: str, ratio: float) -> Draw:
    """Leave out a feature in a share of the rows."""
    column = SCHEMA.feature_names.index(feature)

    def draw(n: int, strength: float, rng: np.random.Generator) -> Batch:
        instances, labels = sample(n, rng)
        instances[rng.random(n) < strength * ratio, column] = np.nan
        return Batch(instances, labels)

    return draw


def draw_shares(shares: Sequence[float]) -> Draw:
    """Change how often each class comes, from equal shares to ``shares`` in the order of the schema."""
    change = np.asarray(shares) - 1 / len(SCHEMA.class_names)

    def draw(n: int, strength: float, rng: np.random.Generator) -> Batch:
        return Batch(*sample(n, rng, 1 / len(SCHEMA.class_names) + strength * change))

    return draw


def draw_relabelled(meaning: Mapping[str, str]) -> Draw:
    """Leave the values as they are, and give rows of a class another name."""

    def draw(n: int, strength: float, rng: np.random.Generator) -> Batch:
        instances, labels = sample(n, rng)
        renamed = np.array([meaning.get(name, name) for name in labels], dtype=labels.dtype)
        return Batch(instances, np.where(rng.random(n) < strength, renamed, labels))

    return draw


def draw_mixed_with(species: str, ratio: float, mean_cm: Sequence[float], std_cm: Sequence[float]) -> Draw:
    """Put a share of rows of another species among the known ones; its features are independent and normal."""

    def draw(n: int, strength: float, rng: np.random.Generator) -> Batch:
        instances, labels = sample(n, rng)
        strangers = rng.random(n) < strength * ratio
        flowers = rng.normal(mean_cm, std_cm, size=(n, len(SCHEMA.feature_names))).round(2)
        return Batch(np.where(strangers[:, np.newaxis], flowers, instances), np.where(strangers, species, labels))

    return draw
