"""What a diagnosis consists of, the truth that it is compared with, and the evidence that speaks for or against it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labkit.simulate.scenarios import Scenario, scenario

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KINDS", "PLACES", "PLAYABLE", "SIGNALS", "Evidence", "Truth"]

KINDS: Mapping[str, str] = {
    "broken_values": "Values arrive broken: missing, in another unit, or from a sensor that is off.",
    "other_population": "The values are sound, and come from another population or another mix of classes.",
    "changed_meaning": "The same inputs have another right answer than before.",
    "unknown_class": "Rows come that belong to no class the model knows.",
    "bad_requests": "Requests come that cannot be read.",
    "slow_service": "The answers are right and come late.",
    "no_requests": "Nobody asks any more.",
}
"""What kind of incident it can be."""

_FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
_CLASSES = ("setosa", "versicolor", "virginica")
PLACES: Mapping[str, str] = {
    **dict.fromkeys(_FEATURES, "feature"),
    **dict.fromkeys(_CLASSES, "class"),
    "other": "label",
    "clients": "part",
    "service": "part",
}
"""Where it can be: a feature, a class, labels that name no class (``other``), the clients, the service."""

# Steady and seasonal days are left out: nothing goes wrong in them, so there is nothing to diagnose.
_TRUTHS: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {  # kind, what to name, what may be named too
    "harmless_drift": ("other_population", ("sepal_length", "sepal_width"), ()),
    "unit_error": ("broken_values", ("petal_length",), ()),
    "sensor_drift": ("broken_values", ("petal_width",), ()),
    "missing_values": ("broken_values", ("sepal_width",), ()),
    # The width of sepals hardly tells the classes apart, so another mix of classes hardly moves it.
    "class_shift": ("other_population", ("sepal_length", "petal_length", "petal_width"), ("sepal_width", "virginica")),
    "concept_shift": ("changed_meaning", ("versicolor", "virginica"), ()),
    "new_species": ("unknown_class", ("other",), ()),
    "bad_requests": ("bad_requests", ("clients",), ()),
    "slow_model": ("slow_service", ("service",), ()),
    "no_traffic": ("no_requests", ("clients",), ()),
}
PLAYABLE = tuple(_TRUTHS)
"""The scenarios of the catalogue that a game day draws from."""

SIGNALS: Mapping[str, str] = {
    "requests": "sum(increase(model_prediction_requests_total[5m]))",
    "errors": "max(model:errors:ratio_rate5m)",
    "latency": "min(model:latency_within_50ms:ratio_rate30m)",
    "invalid": "max by (feature) (model_feature:invalid:ratio_rate15m)",
    "drift": "max by (feature) (model_feature:ks:distance_rate1h and model_feature:values:increase1h >= 500)",
    "answers": "max(model_version:prediction_shift:distance_rate1h and model_version:predictions:increase1h >= 500)",
    "accuracy": (
        "min by (model_version) (model_version:accuracy:ratio_rate15m and model_version:labels:increase15m >= 100)"
    ),
}
"""What to look at, from the service to the labels. A handful of rows says nothing, so it is left out."""


@dataclass(frozen=True)
class Truth:
    """What goes wrong and since when, in production minutes since the start of the game."""

    scenario: Scenario
    onset: float

    @classmethod
    def of(cls, name: str, onset: float) -> "Truth":
        """Return the truth of a playable scenario."""
        return cls(scenario(name), onset)

    @property
    def kind(self) -> str:
        """The kind of the incident, a key of KINDS."""
        return _TRUTHS[self.scenario.name][0]

    @property
    def places(self) -> frozenset[str]:
        """What a diagnosis must name."""
        return frozenset(_TRUTHS[self.scenario.name][1])

    @property
    def also(self) -> frozenset[str]:
        """What a diagnosis may name besides."""
        return frozenset(_TRUTHS[self.scenario.name][2])


@dataclass(frozen=True)
class Evidence:
    """What was recorded since a game began. Minutes are production minutes since its start.

    ``curves`` holds a frame for each of SIGNALS, indexed by minutes, a column a series; ``fired`` the minute in which
    each alert fired first; ``labelled`` a line for each labelled row, with ``minute`` (of its prediction),
    ``predicted`` and ``label``. ``refusal`` is what the retrainer's gates say of the recent rows.
    ``stall`` is for how many minutes the service gave no answer while the incident began: what nobody could see then
    nobody can date better. Whatever else is missing is simply not told: no judgement depends on it.
    """

    minutes: float
    curves: Mapping[str, "pd.DataFrame"] = field(default_factory=dict)
    fired: Mapping[str, float] = field(default_factory=dict)
    labelled: "pd.DataFrame | None" = None
    refusal: str = ""
    stall: float = 0.0

    def highest(self, signal: str, series: str | None = None) -> float | None:
        """Return the largest value that was recorded of a signal, or of one of its series; None without any."""
        return self._values(signal, series, "max")

    def lowest(self, signal: str, series: str | None = None) -> float | None:
        """Return the smallest value that was recorded, None without any."""
        return self._values(signal, series, "min")

    def right(self, label: str) -> tuple[float, int] | None:
        """Return the share of a class's rows that were answered rightly, and how many they are; None without any."""
        rows = None if self.labelled is None else self.labelled[self.labelled["label"] == label]
        if rows is None or rows.empty:
            return None
        return float((rows["predicted"] == rows["label"]).mean()), len(rows)

    def unknown_labels(self) -> float | None:
        """Return the share of labels that name no class of the model; None without labels."""
        if self.labelled is None or self.labelled.empty:
            return None
        return float((~self.labelled["label"].isin(_CLASSES)).mean())

    def _values(self, signal: str, series: str | None, which: str) -> float | None:
        frame = self.curves.get(signal)
        if frame is None or (series is not None and series not in frame.columns):
            return None
        values = (frame if series is None else frame[[series]]).stack().dropna()
        return None if values.empty else float(getattr(values, which)())
