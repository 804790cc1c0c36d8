"""The checks of notebook 01: a model that fails silently."""

from typing import Any

import numpy as np
import pandas as pd

from labkit.errors import InputError
from labkit.lab import Lab
from labkit.model.iris import SCHEMA, sample
from labkit.teach.days import Day
from labkit.teach.exercise import Incorrect, Lesson

lesson = Lesson("01", "A model that fails silently")

_SIGNALS = ("inputs", "labels", "nothing")
_MOVED_STD = 1 / 3
_OBJECTIVE = 0.90


@lesson.exercise(
    hints=(
        "The row needs four numbers, one of them outside its plausible range. What if a client measures in mm?",
        "Take the setosa from above and multiply its petal length by ten.",
    )
)
def q1(lab: Lab, row: list[float]) -> str:
    """Write one row that no iris can have and that the model is more than 90 % sure of."""
    model = lab.model()
    if not isinstance(row, list | tuple) or len(row) != len(model["feature_names"]):
        raise Incorrect("A row is a list of four numbers, in the order of feature_names, such as [5.1, 3.5, 1.4, 0.2].")
    try:
        answer = lab.predict([list(row)])
    except (InputError, TypeError, ValueError) as error:
        raise Incorrect(f"That is refused, and refused is loud: the client knows at once. {error}") from error
    ranges = zip(row, model["feature_names"], strict=True)
    odd = [name for value, name in ranges if value is not None and not _within(value, model["plausible_ranges"][name])]
    if not odd:
        raise Incorrect("Every value lies in its plausible range, so such a flower may exist. Go beyond a range.")
    confidence, species = max(answer["probabilities"][0]), answer["predictions"][0]
    if confidence <= 0.9:
        raise Incorrect(f"Answered 200, but the model is only {confidence:.0%} sure. Go further out.")
    return f"Answered 200: {species}, {confidence:.1%} sure. The implausible value of {', '.join(odd)} was no obstacle."


@lesson.exercise(
    hints=(
        "rows.dropna(subset='label') keeps the rows whose label has come. Compare predicted with label there.",
        "(known['predicted'] == known['label']).groupby(known['scenario']).mean() with known from the first hint.",
    )
)
def q2(day: Day, accuracy: "pd.Series") -> str:
    """Compute the share of right answers during each scenario, from the rows whose label is known."""
    if not isinstance(accuracy, pd.Series):
        kind = type(accuracy).__name__
        raise Incorrect(f"accuracy is a {kind}. One number hides which incident hurt: make a Series by scenario.")
    rows = day.rows
    known = rows[rows["label"].notna()]
    missing = [name for name in known["scenario"].unique() if name not in accuracy.index]
    if missing:
        raise Incorrect(f"The index lacks {', '.join(missing)}: group by the column scenario.")
    if _is(accuracy, rows["predicted"] == rows["label"], rows) and not _is(accuracy, _right(known), known):
        raise Incorrect(
            "Rows without a label were counted as wrong: sensor_drift looks worse than is known. Drop them."
        )
    if _is(accuracy, rows["confidence"], rows) or _is(accuracy, known["confidence"], known):
        raise Incorrect("That is how sure the model was. Accuracy compares what it predicted with the label.")
    if _is(accuracy, ~_right(known), known):
        raise Incorrect("That is the share of wrong answers: it is 1 minus the accuracy.")
    if not _is(accuracy, _right(known), known):
        raise Incorrect("Those are other numbers. Accuracy is the mean of predicted == label within each scenario.")
    worst = accuracy.idxmin()
    return f"The worst is {worst}, with {accuracy[worst]:.2f}; steady has {accuracy['steady']:.2f}. All answered 200."


@lesson.exercise(
    hints=(
        "Go through the rows of moved: is any number beyond 0.33, in either direction? Then it is inputs.",
        "Two incidents leave every feature where it was. Their accuracy in right says what shows them.",
    )
)
def q3(day: Day, first_signal: dict[str, str]) -> str:
    """Name the first signal that shows each incident: inputs, labels, or nothing."""
    incidents = [name for name in day.parts["scenario"] if name != "steady"]
    if not isinstance(first_signal, dict) or set(first_signal) != set(incidents):
        raise Incorrect(f"first_signal is a dict with an entry for each of {', '.join(incidents)}.")
    for name, given in first_signal.items():
        if given not in _SIGNALS:
            raise Incorrect(f"{name} has {given!r}: choose one of {', '.join(_SIGNALS)}.")
    for name, given in first_signal.items():
        _judge_signal(day, name, given)
    return "Three are seen with the request, and one of them is harmless. Two are seen in labels alone."


def _judge_signal(day: Day, name: str, given: str) -> None:
    shift = _shift(day, name)
    feature, distance = shift.abs().idxmax(), shift.abs().max()
    if distance > _MOVED_STD and given == "labels":
        raise Incorrect(f"{name}: {feature} moved by {distance:.1f} standard deviations, long before any label came.")
    if distance > _MOVED_STD and given == "nothing":
        harm = "Harmless is not invisible: " if name == "harmless_drift" else ""
        raise Incorrect(f"{name}: {harm}{feature} moved by {distance:.1f} standard deviations.")
    if distance <= _MOVED_STD and given == "inputs":
        raise Incorrect(f"{name}: no feature moved; the furthest is {feature}, by {distance:.2f} standard deviations.")
    if distance <= _MOVED_STD and given == "nothing":
        known = day.rows[(day.rows["scenario"] == name) & day.rows["label"].notna()]
        raise Incorrect(f"{name}: once labels came, accuracy was {_right(known).mean():.2f}, below {_OBJECTIVE}.")


def _shift(day: Day, scenario: str) -> pd.Series:
    """Return how far each feature's mean moved from the reference, in its standard deviations."""
    reference, _ = sample(20_000, np.random.default_rng(0))
    current = day.rows.loc[day.rows["scenario"] == scenario, list(SCHEMA.feature_names)]
    return (current.mean() - reference.mean(axis=0)) / reference.std(axis=0)


def _within(value: Any, bounds: list[float]) -> bool:
    return bounds[0] <= value <= bounds[1]


def _right(rows: pd.DataFrame) -> pd.Series:
    return rows["predicted"] == rows["label"]


def _is(answer: pd.Series, values: pd.Series, rows: pd.DataFrame) -> bool:
    """Say whether an answer is the mean of ``values`` within each scenario."""
    means = values.groupby(rows["scenario"]).mean()
    return bool(((answer.reindex(means.index).astype(float) - means).abs() < 1e-6).all())
