"""The checks of notebook 01 refuse what is wrong, each for its own reason."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from labkit.lab import Lab
from labkit.model.iris import SCHEMA
from labkit.simulate.scenarios import scenario
from labkit.teach.days import Day, play
from labkit.teach.lessons.lesson_01 import lesson
from tests.teach.checking import approval, refusal

NAMES = ("steady", "unit_error", "harmless_drift", "concept_shift", "new_species", "sensor_drift")
SIGNALS = dict(zip(NAMES[1:], ("inputs", "inputs", "labels", "labels", "inputs"), strict=True))
SWAPPED = {"versicolor": "virginica", "virginica": "versicolor"}


@pytest.fixture(scope="module")
def day() -> Day:
    """A day without servers, on which the model swaps two names wherever harm is done."""
    rng, parts = np.random.default_rng(0), []
    for name in NAMES:
        batch = scenario(name).batch(900, 900, rng)
        rows = pd.DataFrame(batch.instances, columns=list(SCHEMA.feature_names))
        right = pd.Series(batch.labels)
        predicted = right.replace(SWAPPED) if scenario(name).harms_accuracy else right
        parts.append(rows.assign(scenario=name, predicted=predicted, label=right, confidence=0.9))
    rows = pd.concat(parts, ignore_index=True)
    rows.loc[rows.index[-400:], "label"] = None
    return Day(SimpleNamespace(), 0.0, pd.DataFrame({"scenario": NAMES}), rows)


def by_scenario(day: Day, values: pd.Series) -> pd.Series:
    return values.groupby(day.rows["scenario"]).mean()


def right(day: Day) -> pd.Series:
    known = day.rows.dropna(subset="label")
    return (known["predicted"] == known["label"]).groupby(known["scenario"]).mean()


WRONG = {
    "q1": [
        ([5.1, 3.5, 1.4, 0.2], "Every value lies in its plausible range"),
        ([5.1, 3.5, None, 0.2], "Every value lies in its plausible range"),
        ([5.1, "x", 1.4, 0.2], "refused is loud"),
        ([5.1, 3.5, float("nan"), 0.2], "refused is loud"),
        ([5.1, 3.5, 14.0], "A row is a list of four numbers"),
    ],
    "q2": [
        (lambda _day: 0.7, "One number hides which incident hurt"),
        (lambda day: by_scenario(day, day.rows["predicted"] == day.rows["label"]), "counted as wrong"),
        (lambda day: by_scenario(day, day.rows["confidence"]), "how sure the model was"),
        (lambda day: 1 - right(day), "the share of wrong answers"),
        (lambda day: right(day).drop("unit_error"), "The index lacks unit_error"),
        (lambda day: right(day) * 0 + 0.5, "Those are other numbers"),
    ],
    "q3": [
        (None, "first_signal is a dict"),
        (SIGNALS | {"steady": "nothing"}, "first_signal is a dict"),
        (SIGNALS | {"unit_error": "cpu"}, "choose one of inputs, labels, nothing"),
        (SIGNALS | {"sensor_drift": "labels"}, "long before any label came"),
        (SIGNALS | {"harmless_drift": "nothing"}, "Harmless is not invisible"),
        (SIGNALS | {"concept_shift": "inputs"}, "no feature moved"),
        (SIGNALS | {"new_species": "nothing"}, "once labels came, accuracy was"),
    ],
}


@pytest.mark.parametrize(("row", "why"), WRONG["q1"])
def test_a_row_that_is_no_silent_garbage_is_refused(lab: Lab, row: object, why: str) -> None:
    assert why in refusal(lesson.q1, lab, row)


@pytest.mark.parametrize(("answer", "why"), WRONG["q2"])
def test_what_is_no_accuracy_by_scenario_is_refused(day: Day, answer, why: str) -> None:
    assert why in refusal(lesson.q2, day, answer(day))


@pytest.mark.parametrize(("answer", "why"), WRONG["q3"])
def test_a_signal_that_does_not_show_an_incident_first_is_refused(day: Day, answer: object, why: str) -> None:
    assert why in refusal(lesson.q3, day, answer)


def test_other_garbage_and_another_order_are_as_right(lab: Lab, day: Day) -> None:
    assert "petal_width" in approval(lesson.q1, lab, [5.1, 3.5, 1.4, 20.0])
    approval(lesson.q2, day, right(day).sort_values())
    approval(lesson.q3, day, dict(reversed(SIGNALS.items())))


def test_a_day_knows_of_each_row_what_it_was_part_of(lab: Lab) -> None:
    played = play(lab, [("steady", "1m"), ("unit_error", "9m")])
    by_part = played.rows.groupby("scenario")
    assert by_part.size().to_dict() == {"steady": 150, "unit_error": 18 * 75}
    assert by_part["petal_length"].max()["unit_error"] > 9 > by_part["petal_length"].max()["steady"]
    assert played.rows["label"].isna().sum() == 16 * 75
    assert played.watch("sum(model_prediction_rows_total)").index.min() > -1
    # Hours later the day has its own length still: Prometheus refuses more than 11,000 moments.
    long_ago = replace(played, began_at=played.began_at - 10_000).watch("vector(1)")
    assert played.parts["until"].max() + 1.5 < long_ago.index.max() <= played.parts["until"].max() + 2


def test_a_second_day_begins_in_an_empty_lab_and_the_retrainer_stays_off(lab: Lab) -> None:
    lab.home.retraining_off.touch()
    play(lab, [("unit_error", "10m")])
    lab.wait_for("sum(increase(model_labels_total[1h])) > 0")
    second = play(lab, [("steady", "30s")])
    assert lab.home.retraining_off.exists()
    with lab.store() as store:
        assert len(store.predictions()) == len(second.rows) == 75
