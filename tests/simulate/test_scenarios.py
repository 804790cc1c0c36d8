"""The catalogue keeps its word: magnitudes against a trained champion, with scipy as the judge of drift."""

import doctest
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy import stats

from labkit.errors import InputError
from labkit.model.iris import SCHEMA, reference_rows, sample
from labkit.model.training import train
from labkit.simulate import scenarios
from labkit.simulate.scenarios import CATALOGUE, RESPONSES, scenario

NAMES = tuple(CATALOGUE)
FULL = {name: 6 * 3600 if name == "seasonal" else 1800 for name in NAMES}  # when a change is at its largest
DRIFT_LIMIT = 0.15  # of ModelInputDrift and of ModelPredictionDrift


@pytest.fixture(scope="module")
def reference():
    return sample(10_000, np.random.default_rng(0))


@pytest.fixture(scope="module")
def champion(reference):
    return train(*reference)


@pytest.fixture(scope="module")
def batches():
    return {name: CATALOGUE[name].batch(20_000, FULL[name], np.random.default_rng(7)) for name in NAMES}


def accuracy(model, batch):
    return float(np.mean(model.predict(batch.instances) == batch.labels))


def ks_distances(reference, batch):
    columns = zip(reference[0].T, batch.instances.T, strict=True)
    distances = [stats.ks_2samp(was, now[~np.isnan(now)]).statistic for was, now in columns]
    return dict(zip(SCHEMA.feature_names, distances, strict=True))


def prediction_drift(champion, reference, batch):
    """Total variation distance between the shares of predicted classes."""
    was, now = champion.predict(reference[0]), champion.predict(batch.instances)
    return sum(abs(np.mean(was == name) - np.mean(now == name)) for name in SCHEMA.class_names) / 2


def invalid_ratios(batch):
    low, high = np.array([SCHEMA.plausible_ranges[name] for name in SCHEMA.feature_names]).T
    invalid = np.isnan(batch.instances) | (batch.instances < low) | (batch.instances > high)
    return dict(zip(SCHEMA.feature_names, invalid.mean(axis=0), strict=True))


def test_the_catalogue_holds_every_scenario_of_the_lab():
    assert set(NAMES) == {
        *("steady", "seasonal", "harmless_drift", "unit_error", "sensor_drift", "missing_values"),
        *("class_shift", "concept_shift", "new_species", "bad_requests", "slow_model", "no_traffic"),
    }


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"concept_drift.*\n.*steady, seasonal"):
        scenario("concept_drift")


def test_the_example_in_the_documentation_is_true():
    assert doctest.testmod(scenarios) == (0, 2)


def test_a_scenario_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        scenario("steady").rate_factor = 2


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_has_a_response_that_is_explained(name):
    assert scenario(name).name == name
    assert scenario(name).response in RESPONSES


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_the_same_for_the_same_seed(name):
    once, again = (scenario(name).batch(50, FULL[name], np.random.default_rng(3)) for _ in range(2))

    np.testing.assert_array_equal(once.instances, again.instances)
    np.testing.assert_array_equal(once.labels, again.labels)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("since_onset", [None, -1.0])
def test_rows_are_plausible_and_known_before_the_onset(name, since_onset):
    batch = scenario(name).batch(2000, since_onset, np.random.default_rng(1))

    assert max(invalid_ratios(batch).values()) < 0.001
    assert set(batch.labels) == set(SCHEMA.class_names)


@pytest.mark.parametrize("name", NAMES)
def test_accuracy_is_harmed_exactly_where_the_catalogue_says_so(name, champion, batches):
    found = accuracy(champion, batches[name])

    if scenario(name).harms_accuracy:
        assert found < 0.80  # far below the objective of 0.90
    else:
        assert found > 0.95  # and far above it
    assert ("ModelAccuracyLow" in scenario(name).alerts) == scenario(name).harms_accuracy


@pytest.mark.parametrize("name", NAMES)
def test_inputs_drift_clearly_or_clearly_not(name, reference, batches):
    largest = max(ks_distances(reference, batches[name]).values())

    if "ModelInputDrift" in scenario(name).alerts:
        assert largest > DRIFT_LIMIT + 0.1
    else:
        assert largest < DRIFT_LIMIT - 0.02


@pytest.mark.parametrize("name", NAMES)
def test_only_the_named_features_change(name, batches):
    unnamed = [i for i, feature in enumerate(SCHEMA.feature_names) if feature not in scenario(name).features]

    np.testing.assert_array_equal(batches[name].instances[:, unnamed], batches["steady"].instances[:, unnamed])


@pytest.mark.parametrize("name", NAMES)
def test_predictions_drift_clearly_or_clearly_not(name, champion, reference, batches):
    distance = prediction_drift(champion, reference, batches[name])

    if "ModelPredictionDrift" in scenario(name).alerts:
        assert distance > DRIFT_LIMIT + 0.1
    else:
        assert distance < DRIFT_LIMIT - 0.05


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_invalid_clearly_or_not_at_all(name, batches):
    largest = max(invalid_ratios(batches[name]).values())

    if "ModelInputInvalid" in scenario(name).alerts:
        assert largest > 0.10
    else:
        assert largest < 0.002


@pytest.mark.parametrize("name", NAMES)
def test_no_scenario_makes_the_champion_unsure(name, champion, batches):
    assert champion.predict_proba(batches[name].instances).max(axis=1).mean() > 0.90


def test_the_daily_cycle_is_at_most_0_15_standard_deviations_within_a_class():
    instances, labels = reference_rows()
    within = np.sqrt(np.mean([instances[labels == name].var(axis=0, ddof=1) for name in SCHEMA.class_names], axis=0))
    noon, night, dawn = (
        scenario("seasonal").batch(50_000, hours * 3600, np.random.default_rng(2)).instances for hours in (6, 18, 0)
    )

    for shift in ((noon - dawn).mean(axis=0) / within, (dawn - night).mean(axis=0) / within):
        assert (shift > 0.13).all()
        assert (shift < 0.15).all()


@pytest.mark.parametrize("hours", [6, 18])
def test_the_daily_cycle_is_harmless_at_both_of_its_ends(hours, champion, reference):
    batch = scenario("seasonal").batch(20_000, hours * 3600, np.random.default_rng(5))

    assert accuracy(champion, batch) == pytest.approx(0.98, abs=0.006)
    assert max(ks_distances(reference, batch).values()) < 0.07


def test_harmless_drift_moves_features_far_and_accuracy_by_less_than_0_01(champion, reference, batches):
    distances = ks_distances(reference, batches["harmless_drift"])

    assert distances["sepal_length"] > 0.24
    assert distances["sepal_width"] > 0.26
    assert abs(accuracy(champion, batches["harmless_drift"]) - accuracy(champion, batches["steady"])) < 0.01


def test_a_unit_error_puts_every_petal_length_out_of_range(champion, reference, batches):
    assert invalid_ratios(batches["unit_error"])["petal_length"] > 0.999
    assert ks_distances(reference, batches["unit_error"])["petal_length"] > 0.99
    assert accuracy(champion, batches["unit_error"]) == pytest.approx(1 / 3, abs=0.02)


def test_the_sensor_drifts_by_1_5_cm_within_30_minutes_and_stays_there():
    means = {
        minutes: scenario("sensor_drift").batch(50_000, minutes * 60, np.random.default_rng(4)).instances[:, 3].mean()
        for minutes in (0, 15, 30, 300)
    }

    assert means[15] - means[0] == pytest.approx(0.75, abs=0.001)
    assert means[30] - means[0] == pytest.approx(1.5, abs=0.001)
    assert means[300] == means[30]


def test_a_drifted_sensor_is_out_of_range_for_one_row_in_six(champion, batches):
    assert invalid_ratios(batches["sensor_drift"])["petal_width"] == pytest.approx(0.18, abs=0.02)
    assert accuracy(champion, batches["sensor_drift"]) == pytest.approx(0.54, abs=0.04)


def test_two_of_five_sepal_widths_are_missing(champion, batches):
    assert np.isnan(batches["missing_values"].instances).mean(axis=0) == pytest.approx([0, 0.4, 0, 0], abs=0.01)
    assert accuracy(champion, batches["missing_values"]) > 0.96


def test_a_class_shift_is_seven_virginica_of_ten(champion, batches):
    shares = [np.mean(batches["class_shift"].labels == name) for name in SCHEMA.class_names]

    assert shares == pytest.approx([0.1, 0.2, 0.7], abs=0.01)
    assert accuracy(champion, batches["class_shift"]) > 0.96


def test_a_concept_shift_can_be_learned_and_not_be_seen_in_the_inputs(champion, batches):
    shifted, steady = batches["concept_shift"], batches["steady"]
    challenger = train(shifted.instances[:5000], shifted.labels[:5000])

    np.testing.assert_array_equal(shifted.instances, steady.instances)
    assert accuracy(champion, shifted) == pytest.approx(0.35, abs=0.02)
    assert np.mean(challenger.predict(shifted.instances[5000:]) == shifted.labels[5000:]) > 0.97


def test_a_quarter_of_the_flowers_is_of_a_species_that_the_champion_cannot_name(champion, batches):
    batch = batches["new_species"]
    known = batch.labels != "pruinosa"

    assert np.mean(~known) == pytest.approx(0.25, abs=0.01)
    assert np.mean(champion.predict(batch.instances[known]) == batch.labels[known]) > 0.97


@pytest.mark.parametrize("name", set(NAMES) - {"steady"})
def test_a_fault_is_on_from_its_onset(name):
    assert [scenario(name).active(since) for since in (None, -0.001, 0.0, 1e6)] == [False, False, True, True]


def test_steady_has_no_onset():
    assert not scenario("steady").active(0.0)


def test_faults_of_client_service_and_traffic_leave_the_rows_alone(batches):
    for name in ("bad_requests", "slow_model", "no_traffic"):
        np.testing.assert_array_equal(batches[name].instances, batches["steady"].instances)
    assert scenario("slow_model").service_latency_seconds > 0.05  # the objective
    assert scenario("no_traffic").rate_factor == 0


def test_half_of_a_fault_is_half_of_its_change():
    half = scenario("bad_requests").at(0.5)
    assert half.malformed_ratio == scenario("bad_requests").malformed_ratio / 2
    assert scenario("no_traffic").at(0.5).rate_factor == 0.5
    assert scenario("slow_model").at(0.5).service_latency_seconds == 0.04
    assert scenario("sensor_drift").at(0.5).strength(3600) == 0.5


def test_none_of_a_fault_leaves_the_rows_as_they_are():
    same = [scenario(name).batch(50, 60, np.random.default_rng(1)).instances for name in ("steady", "unit_error")]
    assert not np.array_equal(*same)
    none = scenario("unit_error").at(0).batch(50, 60, np.random.default_rng(1)).instances
    assert np.array_equal(none, same[0])


@pytest.mark.parametrize("severity", [-0.1, 1.5, float("nan"), "all", True])
def test_a_severity_that_is_none_is_refused(severity):
    with pytest.raises(InputError, match="severity is"):
        scenario("unit_error").at(severity)
