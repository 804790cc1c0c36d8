"""Production without servers: what the lab's traffic sends and the champion answers, minute by minute."""

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np

from labkit.model.iris import SCHEMA, sample
from labkit.model.training import train
from labkit.observe.reference import Reference
from labkit.simulate.scenarios import Scenario

__all__ = ["Stream", "World", "draw_stream", "world"]

REFERENCE_ROWS = 10_000
REQUESTS_PER_MINUTE = 20
_MAX_ROWS_PER_REQUEST = 9
_LABEL_DELAY_MINUTES = (5.0, 10.0)


@dataclass(frozen=True)
class World:
    """The champion, the rows ``(n_rows, n_features)`` that it was trained on, and what its metrics export of them."""

    rows: np.ndarray
    model: object
    reference: Reference


@dataclass(frozen=True)
class Stream:
    """Some hours of production: the rows in the order in which they came, with what became of each.

    ``minute`` is when a row came and ``labelled_minute`` when its label arrived, ``predicted`` the code of the class
    answered, ``correct`` whether it was right. Nothing is wrong before the minute ``onset``.
    """

    scenario: Scenario
    n_minutes: int
    onset: int
    rows: np.ndarray
    minute: np.ndarray
    predicted: np.ndarray
    correct: np.ndarray
    labelled_minute: np.ndarray


@cache
def world() -> World:
    """Train the champion as the lab ships it."""
    rows, labels = sample(REFERENCE_ROWS, np.random.default_rng(0))
    model = train(rows, labels, seed=0)
    return World(rows, model, Reference.from_rows(rows, SCHEMA.feature_names, predictions=model.predict(rows)))


def draw_stream(scenario: Scenario, n_minutes: int, onset: int, seed: int) -> Stream:
    """Draw ``n_minutes`` of a scenario that begins in the minute ``onset``; the same rows for the same seed."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(scenario.name.encode()),)))
    sizes, request_minute = _requests(scenario, n_minutes, onset, rng)
    minute = np.repeat(request_minute, sizes)
    rows, labels = _rows(scenario, np.bincount(minute, minlength=n_minutes), onset, rng)
    probabilities = world().model.predict_proba(rows) if len(rows) else np.empty((0, len(SCHEMA.class_names)))
    predicted = probabilities.argmax(axis=1)
    delay = rng.uniform(*_LABEL_DELAY_MINUTES, size=len(sizes)) + rng.random(len(sizes))
    return Stream(
        scenario=scenario,
        n_minutes=n_minutes,
        onset=onset,
        rows=rows,
        minute=minute,
        predicted=predicted,
        correct=np.array(SCHEMA.class_names)[predicted] == labels,
        labelled_minute=minute + np.repeat(delay, sizes).astype(int),
    )


def _requests(
    scenario: Scenario, n_minutes: int, onset: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many rows each readable request has and in which minute it came."""
    rate = np.full(n_minutes, float(REQUESTS_PER_MINUTE))
    rate[onset:] *= scenario.rate_factor * (1 - scenario.malformed_ratio)
    minute = np.repeat(np.arange(n_minutes), rng.poisson(rate))
    return rng.integers(1, _MAX_ROWS_PER_REQUEST + 1, size=len(minute)), minute


def _rows(
    scenario: Scenario, per_minute: np.ndarray, onset: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rows of all minutes; neighbours of equal strength in one go."""
    since_onset = 60.0 * (np.arange(len(per_minute)) - onset) + 30.0
    strengths = np.array([scenario.strength(seconds) for seconds in since_onset])
    starts = np.flatnonzero(np.diff(strengths, prepend=np.nan) != 0)
    counts = np.add.reduceat(per_minute, starts)
    batches = [scenario.draw(int(n), strengths[at], rng) for at, n in zip(starts, counts, strict=True)]
    return np.concatenate([each.instances for each in batches]), np.concatenate([each.labels for each in batches])
