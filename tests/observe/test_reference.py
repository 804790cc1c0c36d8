"""A reference says where the quantiles of its rows are, and what share of them lies below each."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ecdf, ks_2samp

from labkit.errors import InputError
from labkit.observe.histogram import bucket_labels
from labkit.observe.reference import Reference

ROWS = np.random.default_rng(0).normal([5.8, 1.2], [0.8, 0.7], (10_000, 2)).round(2)


def reference_of(*values: float, **options) -> Reference:
    return Reference.from_rows(np.array(values).reshape(-1, 1), ["width"], **options)


def test_the_bounds_are_the_inner_quantiles():
    reference = reference_of(*range(1, 101), bins=4)

    assert reference.bounds == {"width": (25.0, 50.0, 75.0)}
    assert reference.cdf == {"width": (0.25, 0.5, 0.75, 1.0)}
    assert reference.n_rows == 100


def test_twenty_bins_of_smooth_data_hold_a_twentieth_each():
    reference = Reference.from_rows(ROWS, ["length", "width"])

    assert len(reference.bounds["length"]) == 19
    assert np.diff(reference.cdf["length"]) == pytest.approx(np.full(19, 0.05), abs=0.006)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6) | st.sampled_from([1.0, 2.0, -0.0])))
def test_the_cdf_is_the_empirical_one_at_the_bounds(values):
    reference = reference_of(*values)

    expected = ecdf(values).cdf.evaluate(np.array(reference.bounds["width"]))
    assert reference.cdf["width"][:-1] == pytest.approx(expected)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e9, 1e9)))
def test_bounds_rise_and_no_two_of_them_print_alike(values):
    labels = bucket_labels(reference_of(*values).bounds["width"])

    assert len(set(labels)) == len(labels)
    assert list(map(float, labels)) == sorted(map(float, labels))


def test_bounds_keep_the_digits_that_the_spread_calls_for():
    seconds = 1_700_000_000 + np.arange(1_000) / 7

    bounds = reference_of(*seconds).bounds["width"]

    assert len(bounds) == 19
    assert all(len(f"{bound:.10g}".partition(".")[2]) <= 2 for bound in bounds)


def test_a_constant_feature_has_one_bound():
    reference = reference_of(*[3.5] * 50)

    assert (reference.bounds, reference.cdf) == ({"width": (3.5,)}, {"width": (1.0, 1.0)})


def test_missing_and_infinite_values_are_left_out():
    with_holes = reference_of(1, np.nan, 2, np.inf, 3, -np.inf, 4, bins=4)

    assert with_holes.bounds == reference_of(1, 2, 3, 4, bins=4).bounds
    assert with_holes.n_rows == 7


def test_minus_zero_is_printed_as_zero():
    assert bucket_labels(reference_of(-0.0, -0.0).bounds["width"]) == ["0.0", "+Inf"]


def test_the_shares_of_the_predicted_classes_are_kept():
    reference = reference_of(1, 2, 3, 4, predictions=iter(["a", "b", "a", "a"]))

    assert reference.prediction_ratio == {"a": 0.75, "b": 0.25}


def test_a_reference_survives_json():
    reference = Reference.from_rows(ROWS, ["length", "width"], ["a"] * len(ROWS))

    assert Reference.from_dict(json.loads(json.dumps(reference.to_dict()))) == reference


@pytest.mark.parametrize(
    ("rows", "names"),
    [(ROWS, ["length"]), (ROWS[:, 0], ["length"]), (np.full((5, 1), np.nan), ["width"]), (np.empty((0, 1)), ["width"])],
)
def test_rows_that_say_nothing_are_refused(rows, names):
    with pytest.raises(InputError):
        Reference.from_rows(rows, names)


@pytest.mark.parametrize(
    "damage",
    [
        {"bounds": {"width": [2, 1, 3]}},
        {"bounds": {"width": [1, 2, float("nan")]}},
        {"bounds": {}},
        {"cdf": {"width": [0.25, 0.5, 0.75]}},
        {"cdf": {"width": [0.5, 0.25, 0.75, 1.0]}},
        {"cdf": {"width": [0.25, 0.5, 0.75, 0.9]}},
        {"cdf": 5},
        {"n_rows": "many"},
        {"feature_names": []},
    ],
)
def test_a_damaged_reference_is_refused(damage):
    sound = reference_of(1, 2, 3, 4, bins=4).to_dict()

    with pytest.raises(InputError):
        Reference.from_dict(sound | damage)


def test_distances_are_those_of_ks_at_the_bounds():
    rng = np.random.default_rng(3)
    rows, moved = rng.normal(size=(20_000, 2)), rng.normal((0.0, 0.6), size=(5_000, 2))
    found = Reference.from_rows(rows, ("stays", "moves"), bins=50).ks_distances(moved)
    for column, name in enumerate(("stays", "moves")):
        exact = ks_2samp(rows[:, column], moved[:, column]).statistic
        assert exact - 0.04 <= found[name] <= exact


def test_the_distance_of_rows_to_their_own_reference_is_zero():
    rows = np.random.default_rng(4).normal(size=(1_000, 1))
    assert Reference.from_rows(rows, ("x",)).ks_distances(rows) == {"x": 0.0}


def test_missing_values_are_left_out_of_a_distance_and_all_missing_is_unknown():
    rows = np.random.default_rng(5).normal(size=(1_000, 1))
    reference = Reference.from_rows(rows, ("x",))
    assert reference.ks_distances(np.vstack([rows, [[np.nan]]])) == {"x": 0.0}
    assert np.isnan(reference.ks_distances(np.full((3, 1), np.nan))["x"])
