"""Every wrong part of a diagnosis is refused with what the recorded evidence says."""

import pandas as pd
import pytest

from labkit.simulate.scenarios import CATALOGUE, RESPONSES
from labkit.teach.diagnosis import KINDS, PLACES, PLAYABLE, Evidence, Truth
from labkit.teach.review import review_kind, review_places, review_response, review_since

FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
NOTHING = Evidence(minutes=60.0)


def recorded(**signals: dict[str, float]) -> Evidence:
    """Return evidence as of an hour: what is named changes at minute 12, everything else is as on any day."""
    usual = {
        "requests": {"value": 100.0},
        "errors": {"value": 0.0},
        "latency": {"value": 1.0},
        "invalid": dict.fromkeys(FEATURES, 0.0),
        "drift": dict.fromkeys(FEATURES, 0.03),
        "answers": {"value": 0.02},
        "accuracy": {"v1": 0.97},
    }
    curves = {
        name: pd.DataFrame([values, values | signals.get(name, {})], index=[5.0, 40.0])
        for name, values in usual.items()
    }
    rows = [(6.0, name, name) for name in ("setosa", "versicolor", "virginica")] * 10
    labelled = pd.DataFrame(rows, columns=["minute", "predicted", "label"])
    return Evidence(60.0, curves, {"ModelAccuracyLow": 27.0}, labelled, "52.9% of petal_length are outside 0 to 9")


UNIT_ERROR = Truth.of("unit_error", 12.0)
UNIT_ERROR_SEEN = recorded(invalid={"petal_length": 0.3}, drift={"petal_length": 0.6}, accuracy={"v1": 0.6})
CONCEPT_SHIFT = Truth.of("concept_shift", 12.0)


@pytest.mark.parametrize("name", PLAYABLE)
def test_the_truth_of_every_scenario_is_accepted(name: str) -> None:
    truth = Truth.of(name, 12.0)
    answers = (
        review_kind(truth.kind, truth, NOTHING),
        review_places(set(truth.places), truth, NOTHING),
        review_places(truth.places | truth.also, truth, NOTHING),
        review_since(12.0, truth, NOTHING),
        review_response(truth.scenario.response, truth, NOTHING),
    )
    assert answers == ("", "", "", "", "")


def test_every_scenario_in_which_something_goes_wrong_can_be_played() -> None:
    assert set(PLAYABLE) == set(CATALOGUE) - {"steady", "seasonal"}
    assert all(Truth.of(name, 12.0).scenario.alerts for name in PLAYABLE)  # else nobody would be called


@pytest.mark.parametrize(
    "name", [name for name in PLAYABLE if Truth.of(name, 0).kind in ("broken_values", "other_population")]
)
def test_the_features_to_name_are_those_of_the_catalogue(name: str) -> None:
    truth = Truth.of(name, 12.0)
    assert truth.places <= set(truth.scenario.features) <= truth.places | truth.also


@pytest.mark.parametrize("evidence", [NOTHING, UNIT_ERROR_SEEN], ids=["nothing recorded", "recorded"])
@pytest.mark.parametrize("name", PLAYABLE)
def test_every_wrong_kind_place_and_response_is_refused_whatever_was_recorded(name: str, evidence: Evidence) -> None:
    truth = Truth.of(name, 12.0)
    accepted = {
        "kinds": [kind for kind in KINDS if not review_kind(kind, truth, evidence)],
        "places": [place for place in PLACES if not review_places(truth.places | {place}, truth, evidence)],
        "responses": [each for each in RESPONSES if not review_response(each, truth, evidence)],
    }
    assert accepted == {
        "kinds": [truth.kind],
        "places": [place for place in PLACES if place in truth.places | truth.also],
        "responses": [truth.scenario.response],
    }


@pytest.mark.parametrize(
    ("kind", "truth", "evidence", "said"),
    [
        ("changed_meaning", UNIT_ERROR, UNIT_ERROR_SEEN, "fits the first graph: it would explain ModelAccuracyLow"),
        ("changed_meaning", UNIT_ERROR, UNIT_ERROR_SEEN, "a KS distance of 0.60, 0.15 may be"),
        ("other_population", UNIT_ERROR, UNIT_ERROR_SEEN, "here they do not: up to 30% of a feature's were not"),
        ("slow_service", UNIT_ERROR, UNIT_ERROR_SEEN, "at least 100.0% came within 50 ms"),
        ("no_requests", UNIT_ERROR, UNIT_ERROR_SEEN, "up to 100 in five minutes"),
        ("bad_requests", UNIT_ERROR, UNIT_ERROR_SEEN, "Requests can be read as before: at most 0.0% failed"),
        ("broken_values", CONCEPT_SHIFT, recorded(), "at most 0.0% were not, in any feature"),
        ("other_population", CONCEPT_SHIFT, recorded(), "its KS distance was 0.03 at most"),
        ("unknown_class", CONCEPT_SHIFT, recorded(), "first graph"),
        ("changed_meaning", Truth.of("harmless_drift", 12.0), recorded(), "as right as before: 97.0% at the lowest"),
        ("broken_values", Truth.of("harmless_drift", 12.0), recorded(), "More than one feature has moved"),
        ("model is bad", UNIT_ERROR, NOTHING, "no kind of incident. Choose one of broken_values"),
    ],
)
def test_a_wrong_kind_hears_what_speaks_against_it(kind: str, truth: Truth, evidence: Evidence, said: str) -> None:
    assert said in review_kind(kind, truth, evidence)


@pytest.mark.parametrize(
    ("places", "truth", "said"),
    [
        ({"petal_width"}, UNIT_ERROR, "petal_width is as it was before: its KS distance was 0.03 at most"),
        ({"petal_length", "petal_width"}, UNIT_ERROR, "petal_width is as it was before"),
        ({"versicolor"}, UNIT_ERROR, "What happens to rows of versicolor is a consequence"),
        ({"versicolor"}, CONCEPT_SHIFT, "That is 1 of 2 places"),
        ({"setosa", "versicolor", "virginica"}, CONCEPT_SHIFT, "setosa are answered as before: 100% of its 10"),
        ({"sepal_length"}, Truth.of("harmless_drift", 12.0), "Ask for each feature"),
        ({"virginica"}, Truth.of("class_shift", 12.0), "Here inputs moved: name the features"),
        ({"virginica", "petal_width"}, Truth.of("class_shift", 12.0), "That is 1 of 3 places"),
        ("service", UNIT_ERROR, "The service works as before"),
        ({"other"}, CONCEPT_SHIFT, "Every label names a class"),
        (set(), UNIT_ERROR, "Name at least one place"),
        (7, UNIT_ERROR, "Name at least one place"),
        ({"petals"}, UNIT_ERROR, "'petals' is no place"),
    ],
)
def test_a_wrong_place_hears_what_was_recorded_of_it(places: object, truth: Truth, said: str) -> None:
    assert said in review_places(places, truth, recorded())


@pytest.mark.parametrize(
    ("minute", "truth", "said"),
    [
        (2, UNIT_ERROR, "the change is younger"),
        (26, UNIT_ERROR, "Minute 26 is when ModelAccuracyLow fired"),
        (22, UNIT_ERROR, "draw it with [2m]"),
        (22, CONCEPT_SHIFT, "Labels come five to ten minutes late"),
        (90, UNIT_ERROR, "has lasted 60 production minutes"),
        ("noon", UNIT_ERROR, "no number of minutes"),
        (True, UNIT_ERROR, "no number of minutes"),
    ],
)
def test_a_wrong_minute_hears_what_misled(minute: object, truth: Truth, said: str) -> None:
    assert said in review_since(minute, truth, recorded())


def test_nobody_has_to_date_what_a_stalled_service_hid() -> None:
    assert review_since(20, UNIT_ERROR, Evidence(minutes=60.0, stall=3.0)) == ""
    assert review_since(24, UNIT_ERROR, Evidence(minutes=60.0, stall=3.0)) != ""


def test_a_ramp_may_be_seen_later_than_a_step() -> None:
    assert review_since(22, Truth.of("sensor_drift", 12.0), recorded()) == ""


@pytest.mark.parametrize(
    ("response", "truth", "said"),
    [
        ("retrain", UNIT_ERROR, "would refuse, and rightly: 52.9% of petal_length are outside 0 to 9"),
        ("keep", UNIT_ERROR, "Accuracy fell to 60%"),
        ("none", Truth.of("bad_requests", 12.0), "ModelErrorBudgetBurnFast fired for a reason"),
        ("keep", Truth.of("slow_model", 12.0), "keeping it mends nothing"),
        ("fix_data", CONCEPT_SHIFT, "no source to mend"),
        ("fix_client", UNIT_ERROR, "no caller to tell"),
        ("scale", UNIT_ERROR, "More room helps nobody"),
        ("investigate", UNIT_ERROR, "need not search on"),
        ("panic", UNIT_ERROR, "'panic' is no response"),
    ],
)
def test_a_wrong_response_hears_what_it_would_lead_to(response: str, truth: Truth, said: str) -> None:
    assert said in review_response(response, truth, UNIT_ERROR_SEEN)


def test_without_a_refusal_retraining_is_refused_for_what_it_cannot_improve() -> None:
    assert "No challenger can be surely better" in review_response("retrain", Truth.of("class_shift", 12.0), NOTHING)
