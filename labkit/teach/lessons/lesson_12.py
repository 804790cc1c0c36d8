"""The checks of notebook 12: bring your own model."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from labkit.clock import wait_until
from labkit.lab import Lab
from labkit.teach.exercise import Incorrect, Lesson
from labkit.teach.wines import MODEL

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

lesson = Lesson("12", "Bring your own model")

_KS = "model_feature:ks:distance_rate1h"


@lesson.exercise(
    hints=(
        "Two parts: @track_prediction counts the calls, monitor.observe(rows, answers, confidences) what is in them.",
        "shares = model.predict_proba(rows); the answer is the name of the largest share, the confidence its value.",
    )
)
def q1(registry: "CollectorRegistry", rows: np.ndarray, predict: Callable[[np.ndarray], list[str]]) -> str:
    """Write predict(rows): it returns the names of classes, and is tracked and observed."""
    if not callable(predict):
        raise Incorrect(f"predict is a function that takes rows; this is {type(predict).__name__}.")
    before = _counts(registry)
    answers = predict(rows)
    new = {name: after - before[name] for name, after in _counts(registry).items()}
    if not isinstance(answers, list | tuple | np.ndarray) or len(answers) != len(rows):
        raise Incorrect(f"{len(rows)} rows went in and {answers!r} came out: one answer a row is needed.")
    strangers = {str(answer) for answer in answers} - _class_names(registry)
    if strangers:
        raise Incorrect(
            f"{sorted(strangers)[0]!r} is no name of a class. Callers want names, so translate the numbers."
        )
    if new["requests"] == 0:
        raise Incorrect(
            "No call is counted in this registry: put `@track_prediction(..., registry=registry)` above it; without "
            "`registry` the calls are counted elsewhere."
        )
    if new["predictions"] == 0:
        raise Incorrect(
            "The call is counted, and what it answered is not: monitor.observe(rows, answers, confidences)."
        )
    if (new["requests"], new["predictions"]) != (1, len(rows)):
        raise Incorrect(
            f"One call of {len(rows)} rows was counted as {new['requests']:.0f} and {new['predictions']:.0f}."
        )
    if not 1 / 3 <= new["confidence"] / len(rows) <= 1:
        raise Incorrect("The confidence is the largest share of each row, from 1/3 to 1: shares.max(axis=1).")
    return f"One call and {len(rows)} rows are counted, with their answers, confidences and values."


@lesson.exercise(
    hints=(
        f"The recording rule is {_KS}. Which label tells the two models apart?",
        f'{_KS}{{model_name="..."}}, with the name that you gave the model.',
    )
)
def q2(lab: Lab, expression: str) -> str:
    """Write the query for how far each feature of the wines is from its reference."""
    if not isinstance(expression, str):
        raise Incorrect(f"PromQL is a text; this is {type(expression).__name__}.")
    lab.query(expression)  # says by itself what is no PromQL
    at, asked = wait_until(lambda: _wines(lab), lab.clock.lab_seconds("1h"), "the first wines to be judged")
    frame = _recent(lab, expression, at)
    if "feature" not in frame.columns:
        raise Incorrect(
            "No feature is in what comes back: the rule gives a value for each. Do not sum them."
            if len(frame)
            else f"Nothing comes back. Compare {_KS} letter by letter, and the model's name as well."
        )
    names = set(frame["model_name"]) if "model_name" in frame else set()
    if names - {MODEL}:
        raise Incorrect('This also asks for the irises: choose one model, {model_name="wine-classifier"}.')
    if not names:
        raise Incorrect(
            "Whose features are these? Keep the label model_name: somebody else's model may have an `ash` too."
        )
    if set(frame["feature"]) != set(asked["feature"]):
        raise Incorrect(f"{frame['feature'].nunique()} of {len(asked)} features: leave the label feature free.")
    if frame["value"].max() > 1 or "distance" not in expression:
        raise Incorrect(f"These are other numbers than distances, which are from 0 to 1. The rule is {_KS}.")
    return "Nothing was written for the wines: the rules speak of models, and this is one more."


@lesson.exercise(
    hints=(
        "Ask for the columns by name, in the order of features: table[features].",
        "Before that compare set(table.columns) with set(features), and raise ValueError with the names that differ.",
    )
)
def q3(features: Sequence[str], ordered: Callable[[pd.DataFrame], np.ndarray]) -> str:
    """Write ordered(table): the values in the model's order; ValueError that names columns missing or unknown."""
    if not callable(ordered):
        raise Incorrect(f"ordered is a function that takes a table; this is {type(ordered).__name__}.")
    wanted = np.arange(2.0 * len(features)).reshape(2, -1)
    table = pd.DataFrame(wanted, columns=list(features))
    if not np.array_equal(np.asarray(ordered(table.copy())), wanted):
        raise Incorrect("A table in the model's own order comes back changed. sorted(...) has an order of its own.")
    if not np.array_equal(np.asarray(ordered(table[list(features)[::-1]])), wanted):
        raise Incorrect("With its columns in another order the table gives other rows: to_numpy() forgets the names.")
    _must_refuse(ordered, table.drop(columns=features[0]), features[0], "missing")
    _must_refuse(ordered, table.assign(colour=1.0), "colour", "unknown")
    return "Another order does no harm any more, and another set of columns is refused by name."


def _recent(lab: Lab, expression: str, at: float) -> pd.DataFrame:
    """Ask for what was there at some step of five minutes: a lost scrape is no mistake of the learner's."""
    return lab.prometheus.query(f"last_over_time(({expression})[5m:15s])", at=at)


def _wines(lab: Lab) -> tuple[float, pd.DataFrame] | None:
    """Return a moment and what the rules said of the wines at it, if they said anything."""
    at = time.time()
    frame = _recent(lab, f'{_KS}{{model_name="{MODEL}"}}', at)
    return (at, frame) if len(frame) else None


def _must_refuse(ordered: Callable, table: pd.DataFrame, name: str, what: str) -> None:
    try:
        ordered(table)
    except ValueError as error:
        if name not in str(error):
            raise Incorrect(f"Where {name!r} is {what} the error is {str(error)!r}: say which name.") from error
    except Exception as error:
        raise Incorrect(
            f"Where {name!r} is {what} comes {type(error).__name__}. Raise ValueError: track_prediction counts it as "
            "invalid_input."
        ) from error
    else:
        raise Incorrect(f"A table in which {name!r} is {what} is accepted. Compare the sets of names first.")


def _counts(registry: "CollectorRegistry") -> dict[str, float]:
    wanted = {
        "requests": "model_prediction_requests_total",
        "predictions": "model_predictions_total",
        "confidence": "model_prediction_confidence_sum",
    }
    return {name: sum(sample.value for sample in _samples(registry, of)) for name, of in wanted.items()}


def _class_names(registry: "CollectorRegistry") -> set[str]:
    return {sample.labels["predicted_class"] for sample in _samples(registry, "model_predictions_total")}


def _samples(registry: "CollectorRegistry", name: str) -> list:
    samples = [sample for family in registry.collect() for sample in family.samples]
    return [sample for sample in samples if sample.name == name and sample.labels.get("model_name") == MODEL]
