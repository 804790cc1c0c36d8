"""Each gate opens and shuts where its limit says, and says what it saw."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from labkit.model.iris import SCHEMA, sample
from labkit.model.training import Evaluation
from labkit.respond.gates import (
    Difference,
    challenger_gate,
    data_gate,
    label_gate,
    paired_difference,
    sensor_gate,
    watch_gate,
)
from labkit.respond.policy import Policy

POLICY = Policy()
CLASSES = SCHEMA.class_names
CHAMPION = Evaluation(n_rows=300, accuracy=0.40, recall=dict.fromkeys(CLASSES, 0.4), latency_seconds=0.0004)
CHALLENGER = Evaluation(n_rows=300, accuracy=0.95, recall=dict.fromkeys(CLASSES, 0.95), latency_seconds=0.0004)
BETTER = Difference(0.55, 0.49, 0.61)
ROWS = dict.fromkeys(CLASSES, 100)


@pytest.fixture
def flowers():
    return sample(1000, np.random.default_rng(0))[0]


def test_sound_rows_pass_the_data_gate(flowers):
    assert data_gate(flowers, SCHEMA.plausible_ranges, POLICY) is None


def test_a_unit_error_is_refused_and_its_feature_value_and_limit_are_named(flowers):
    flowers[:, 2] *= 10

    refusal = data_gate(flowers, SCHEMA.plausible_ranges, POLICY)

    assert refusal.reason == "data_quality"
    assert refusal.detail.endswith("% of petal_length are outside 0 to 9, the limit is 5.0%")


@pytest.mark.parametrize(("n_missing", "refused"), [(50, False), (51, True)])
def test_missing_values_are_allowed_up_to_their_limit(flowers, n_missing, refused):
    flowers[:n_missing, 1] = np.nan

    refusal = data_gate(flowers, SCHEMA.plausible_ranges, POLICY)

    assert (refusal.detail if refusal else None) == (
        "5.1% of sepal_width are missing, the limit is 5.0%" if refused else None
    )


def test_the_worst_feature_is_the_one_named(flowers):
    flowers[:100, 0] = np.nan
    flowers[:200, 3] = 99.0

    assert "petal_width" in data_gate(flowers, SCHEMA.plausible_ranges, POLICY).detail


def test_no_rows_are_no_bad_rows():
    assert data_gate(np.empty((0, 4)), SCHEMA.plausible_ranges, POLICY) is None
    assert label_gate([], CLASSES, POLICY) is None


@pytest.mark.parametrize(("n_other", "refused"), [(5, False), (6, True)])
def test_labels_outside_the_schema_are_allowed_up_to_their_limit(n_other, refused):
    labels = ["other"] * n_other + ["setosa"] * (100 - n_other)

    refusal = label_gate(labels, CLASSES, POLICY)

    assert (refusal is not None) == refused
    assert not refused or refusal.detail == "6.0% of the labels name no known class, the limit is 5.0%"


def test_the_interval_is_wald_s_after_half_a_row_went_into_each_cell():
    # The oracle: mean and spread of the differences -1, 0, 1 of the four enlarged cells, with NumPy's weights.
    both, won, lost, neither = 794, 86, 150, 570
    champion = np.repeat([True, False, True, False], [both, won, lost, neither])
    challenger = np.repeat([True, True, False, False], [both, won, lost, neither])

    difference = paired_difference(champion, challenger)

    values, weights = np.array([0, 1, -1, 0]), np.array([both, won, lost, neither]) + 0.5
    mean = np.average(values, weights=weights)
    error = np.sqrt(np.average((values - mean) ** 2, weights=weights) / weights.sum())
    assert (difference.low, difference.high) == pytest.approx(stats.norm.interval(0.95, mean, error))
    assert difference.estimate == pytest.approx((won - lost) / 1600)


@pytest.mark.parametrize(
    ("n", "won", "lost"), [(40, 0.10, 0.10), (40, 0.30, 0.05), (150, 0.02, 0.02), (150, 0.5, 0.01)]
)
def test_the_interval_holds_the_true_difference_about_as_often_as_it_says(n, won, lost):
    covered = 0.0
    for n_won in range(n + 1):
        for n_lost in range(n - n_won + 1):
            probability = stats.multinomial.pmf([n_won, n_lost, n - n_won - n_lost], n, [won, lost, 1 - won - lost])
            if probability > 1e-7:
                rest = n - n_won - n_lost
                champion = np.repeat([False, True, True], [n_won, n_lost, rest])
                interval = paired_difference(champion, np.repeat([True, False, True], [n_won, n_lost, rest]))
                covered += probability * (interval.low <= won - lost <= interval.high)

    assert covered >= 0.93


def test_swapping_the_models_turns_the_interval_round():
    rng = np.random.default_rng(1)
    one, other = rng.random(200) < 0.9, rng.random(200) < 0.8

    forth, back = paired_difference(one, other), paired_difference(other, one)

    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))


def test_a_challenger_that_is_good_and_surely_better_may_serve():
    assert challenger_gate(CHAMPION, CHALLENGER, BETTER, ROWS, POLICY) is None


@pytest.mark.parametrize(
    ("challenger", "difference", "reason"),
    [
        (replace(CHALLENGER, accuracy=0.899), BETTER, "below_floor"),
        (replace(CHALLENGER, recall={**CHALLENGER.recall, "virginica": 0.79}), BETTER, "class_recall"),
        (replace(CHALLENGER, latency_seconds=0.0051), BETTER, "latency"),
        (CHALLENGER, Difference(0.02, 0.0, 0.04), "not_better"),
        (CHALLENGER, Difference(-0.1, -0.2, -0.01), "not_better"),
    ],
)
def test_a_challenger_is_refused_for_the_first_thing_it_lacks(challenger, difference, reason):
    assert challenger_gate(CHAMPION, challenger, difference, ROWS, POLICY).reason == reason


def test_a_slow_champion_is_no_excuse_for_a_challenger_slower_than_the_service_allows():
    slow = replace(CHAMPION, latency_seconds=0.020)

    allowed = challenger_gate(slow, replace(CHALLENGER, latency_seconds=0.025), BETTER, ROWS, POLICY)
    refused = challenger_gate(slow, replace(CHALLENGER, latency_seconds=0.026), BETTER, ROWS, POLICY)

    assert (allowed, refused.reason) == (None, "latency")


def test_a_class_with_few_rows_is_not_judged_by_its_recall():
    challenger = replace(CHALLENGER, recall={"setosa": 1.0, "versicolor": 0.95, "virginica": 0.5})

    few = challenger_gate(CHAMPION, challenger, BETTER, {**ROWS, "virginica": 19}, POLICY)
    enough = challenger_gate(CHAMPION, challenger, BETTER, {**ROWS, "virginica": 20}, POLICY)

    assert (few, enough.reason) == (None, "class_recall")


@pytest.mark.parametrize(
    ("n_rows", "n_correct", "before", "rolled_back"),
    [
        (0, 0, 0.4, False),
        (200, 169, 0.4, True),  # 0.845: below the floor, though better than before
        (200, 170, 0.4, False),
        (200, 186, 0.94, False),  # 0.93 instead of 0.94: chance
        (1000, 900, 0.94, True),  # 0.90 instead of 0.94 on many rows: no chance
    ],
)
def test_a_new_champion_goes_when_it_is_below_the_floor_or_surely_worse(n_rows, n_correct, before, rolled_back):
    refusal = watch_gate(n_rows, n_correct, before, POLICY)

    assert (refusal.reason if refusal else None) == ("rolled_back" if rolled_back else None)


def test_the_watch_uses_wilson_s_interval():
    upper = stats.binomtest(900, 1000).proportion_ci(0.95, method="wilson").high

    assert watch_gate(1000, 900, upper + 1e-9, POLICY).reason == "rolled_back"
    assert watch_gate(1000, 900, upper - 1e-9, POLICY) is None


def distances(**moved):
    return dict.fromkeys(SCHEMA.feature_names, 0.03) | moved


def test_a_feature_that_moves_alone_is_refused_while_its_values_are_still_plausible():
    refusal = sensor_gate(distances(petal_width=0.23), 1500, 10_000, POLICY)
    assert (refusal.reason, "petal_width moved alone" in refusal.detail) == ("data_quality", True)


def test_features_that_move_together_may_be_learnt_from():
    assert sensor_gate(distances(sepal_length=0.26, sepal_width=0.28), 1500, 10_000, POLICY) is None


def test_a_move_below_the_alerts_limit_is_none():
    assert sensor_gate(distances(petal_width=0.14), 1500, 10_000, POLICY) is None


def test_a_hundred_rows_may_move_further_by_chance():
    assert sensor_gate(distances(petal_width=0.23), 100, 10_000, POLICY) is None
    assert sensor_gate(distances(petal_width=0.26), 100, 10_000, POLICY) is not None
