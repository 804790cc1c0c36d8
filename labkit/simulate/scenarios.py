"""The catalogue of what can happen to a model in production, each with its ground truth."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from labkit.errors import InputError
from labkit.simulate import payloads, rows
from labkit.simulate.rows import Batch, Draw

__all__ = ["CATALOGUE", "RESPONSES", "Scenario", "scenario"]

RESPONSES: Mapping[str, str] = {
    "none": "Nothing is wrong: watch on.",
    "keep": "The inputs differ, the answers are as good as before: keep the champion, no challenger is better.",
    "retrain": "The same inputs mean something else: train on labelled rows since the onset, promote what is better.",
    "fix_data": "The data breaks before it reaches the model: mend the source, and refuse to train on it.",
    "fix_client": "Callers send requests that cannot be read: tell them which rule they break.",
    "scale": "Answers are right but late: find what is slow, or give the service more room.",
    "investigate": "No rule knows the answer: a person has to look.",
}
"""What the right response to a scenario can be."""


@dataclass(frozen=True)
class Scenario:
    """What happens, from its onset on, and what a good monitoring setup makes of it.

    ``shape`` says how the change comes: at once, along a ramp of ``period_seconds`` of production time, or as a
    cycle of that period. ``features`` are those whose values change; ``alerts`` must fire; ``response`` is a key of
    RESPONSES. ``harms_accuracy`` is about the champion's answers, not about their lateness. ``severity`` says how much
    of the change comes in all; the truth is stated for 1.
    """

    name: str
    summary: str
    response: str
    shape: Literal["none", "step", "ramp", "cycle"] = "step"
    period_seconds: float = 0.0
    features: tuple[str, ...] = ()
    harms_accuracy: bool = False
    alerts: tuple[str, ...] = ()
    draw: Draw = rows.draw_steady
    malformed_ratio: float = 0.0
    rate_factor: float = 1.0
    service_latency_seconds: float = 0.0
    severity: float = 1.0

    def active(self, since_onset: float | None) -> bool:
        """Say whether the onset has passed; ``since_onset`` is in production seconds, None when there is none."""
        return self.shape != "none" and since_onset is not None and since_onset >= 0

    def strength(self, since_onset: float | None) -> float:
        """Return how much of the change is there: from 0 to 1, for a cycle from -1 to 1."""
        if not self.active(since_onset):
            return 0.0
        if self.shape == "cycle":
            return self.severity * math.sin(2 * math.pi * since_onset / self.period_seconds)
        ramp = min(1.0, since_onset / self.period_seconds) if self.shape == "ramp" else 1.0
        return self.severity * ramp

    def at(self, severity: float) -> "Scenario":
        """Return the scenario with a part of its change: from 0, which is none, to 1, which is all of it."""
        if not isinstance(severity, int | float) or isinstance(severity, bool) or not 0 <= severity <= 1:
            raise InputError(f"severity is {severity!r}", "choose from 0 (no change) to 1 (all of it), e.g. 0.5")
        return replace(
            self,
            severity=float(severity),
            malformed_ratio=self.malformed_ratio * severity,
            rate_factor=1 - (1 - self.rate_factor) * severity,
            service_latency_seconds=self.service_latency_seconds * severity,
        )

    def batch(self, n: int, since_onset: float | None, rng: np.random.Generator) -> Batch:
        """Draw n rows as they come ``since_onset`` production seconds after the onset; before it they are steady.

        >>> rows = scenario("unit_error").batch(1000, 0.0, np.random.default_rng(0))
        >>> print(f"{rows.instances[:, 2].mean():.0f}")  # petals that are longer than a hand: these are millimetres
        39
        """
        return self.draw(n, self.strength(since_onset), rng)

    def payload(self, batch: Batch, since_onset: float | None, rng: np.random.Generator) -> bytes:
        """Write rows as a request's body, malformed in a share of ``malformed_ratio`` after the onset."""
        if self.active(since_onset) and rng.random() < self.malformed_ratio:
            return payloads.encode_malformed(batch.instances, rng)
        return payloads.encode(batch.instances)


def scenario(name: str) -> Scenario:
    """Return the scenario of this name; raises InputError that lists the names."""
    if name not in CATALOGUE:
        raise InputError(f"there is no scenario {name!r}", f"choose one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


_ALL_FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")

_SCENARIOS = (
    Scenario(
        name="steady",
        summary="Every day is like the days the champion was trained on.",
        shape="none",
        response="none",
    ),
    Scenario(
        name="seasonal",
        summary="Flowers measure a little more by day and a little less by night.",
        shape="cycle",
        period_seconds=86_400,
        features=_ALL_FEATURES,
        response="none",
        # Just below 0.15 standard deviations within a class; 0.15 of all classes together moves a whole class.
        draw=rows.draw_shifted(sepal_length=0.07, sepal_width=0.05, petal_length=0.06, petal_width=0.03),
    ),
    Scenario(
        name="harmless_drift",
        summary="A population with longer and narrower sepals, which the champion tells apart as well as before.",
        features=("sepal_length", "sepal_width"),
        alerts=("ModelInputDrift",),
        response="keep",
        # The two offsets run along the border between versicolor and virginica, so that no row crosses it.
        draw=rows.draw_shifted(sepal_length=0.6, sepal_width=-0.3),
    ),
    Scenario(
        name="unit_error",
        summary="A new client sends petal length in mm instead of cm.",
        features=("petal_length",),
        harms_accuracy=True,
        alerts=("ModelInputInvalid", "ModelInputDrift", "ModelAccuracyLow", "ModelPredictionDrift"),
        response="fix_data",
        draw=rows.draw_scaled("petal_length", 10),
    ),
    Scenario(
        name="sensor_drift",
        summary="The sensor of petal width loses its calibration, by 1.5 cm within half an hour.",
        shape="ramp",
        period_seconds=1800,
        features=("petal_width",),
        harms_accuracy=True,
        alerts=("ModelInputInvalid", "ModelInputDrift", "ModelAccuracyLow", "ModelPredictionDrift"),
        response="fix_data",
        draw=rows.draw_shifted(petal_width=1.5),
    ),
    Scenario(
        name="missing_values",
        summary="Sepal width is missing in 40 % of the rows; the champion imputes it and answers well.",
        features=("sepal_width",),
        alerts=("ModelInputInvalid",),
        response="fix_data",
        draw=rows.draw_with_missing("sepal_width", 0.4),
    ),
    Scenario(
        name="class_shift",
        summary="Virginica is in season: seven flowers of ten, where it was one of three.",
        features=_ALL_FEATURES,
        alerts=("ModelPredictionDrift", "ModelInputDrift"),
        response="keep",
        draw=rows.draw_shares((0.1, 0.2, 0.7)),
    ),
    Scenario(
        name="concept_shift",
        summary="Botanists swap the names versicolor and virginica: the same inputs, another meaning.",
        harms_accuracy=True,
        alerts=("ModelAccuracyLow",),
        response="retrain",
        draw=rows.draw_relabelled({"versicolor": "virginica", "virginica": "versicolor"}),
    ),
    Scenario(
        name="new_species",
        summary="One flower of four is a pruinosa: the champion cannot name it, and its values are nothing unusual.",
        features=_ALL_FEATURES,
        harms_accuracy=True,
        alerts=("ModelAccuracyLow",),
        response="investigate",
        draw=rows.draw_mixed_with("pruinosa", 0.25, mean_cm=(6.2, 2.9, 4.9, 1.65), std_cm=(0.5, 0.3, 0.4, 0.2)),
    ),
    Scenario(
        name="bad_requests",
        summary="A client's release breaks three requests of ten.",
        alerts=("ModelErrorBudgetBurnFast",),
        response="fix_client",
        malformed_ratio=0.3,
    ),
    Scenario(
        name="slow_model",
        summary="Each prediction takes 80 ms longer.",
        alerts=("ModelLatencyHigh",),
        response="scale",
        service_latency_seconds=0.08,
    ),
    Scenario(
        name="no_traffic",
        summary="Nobody asks any more.",
        alerts=("ModelNoTraffic",),
        response="investigate",
        rate_factor=0.0,
    ),
)

CATALOGUE: Mapping[str, Scenario] = {entry.name: entry for entry in _SCENARIOS}
"""Every scenario by name, harmless ones first."""
