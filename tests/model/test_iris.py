"""Sampled flowers are like the measured ones, and always the same for a seed."""

import numpy as np
import pytest
from scipy import stats

from labkit.errors import InputError
from labkit.model.iris import SCHEMA, reference_rows, sample


def test_the_measured_flowers_are_fifty_of_each_class():
    instances, labels = reference_rows()
    assert instances.shape == (150, 4)
    assert dict(zip(*np.unique(labels, return_counts=True), strict=True)) == dict.fromkeys(SCHEMA.class_names, 50)


def test_the_measured_flowers_are_those_that_scikit_learn_ships():
    from sklearn.datasets import load_iris

    instances, labels = reference_rows()
    expected, codes = load_iris(return_X_y=True)
    np.testing.assert_array_equal(instances, expected)
    np.testing.assert_array_equal(labels, np.array(SCHEMA.class_names)[codes])


def test_the_same_seed_gives_the_same_flowers():
    first, second = (sample(50, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("name", SCHEMA.class_names)
def test_each_class_has_the_mean_and_covariance_that_was_measured(name):
    instances, labels = sample(60_000, np.random.default_rng(0))
    measured, measured_labels = reference_rows()
    drawn, real = instances[labels == name], measured[measured_labels == name]
    np.testing.assert_allclose(drawn.mean(axis=0), real.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(real.T), atol=0.01)


@pytest.mark.parametrize("feature", range(4))
def test_sampled_flowers_pass_for_measured_ones(feature):
    drawn, _ = sample(20_000, np.random.default_rng(1))
    measured, _ = reference_rows()
    assert stats.ks_2samp(drawn[:, feature], measured[:, feature]).pvalue > 0.01


def test_values_are_hundredths_of_a_centimetre_above_zero():
    instances, _ = sample(50_000, np.random.default_rng(2))
    assert instances.min() > 0
    np.testing.assert_allclose(instances, instances.round(2), atol=0, rtol=0)


def test_hardly_any_flower_is_implausible():
    instances, _ = sample(200_000, np.random.default_rng(3))
    low, high = np.array([SCHEMA.plausible_ranges[name] for name in SCHEMA.feature_names]).T
    assert ((instances < low) | (instances > high)).mean(axis=0).max() < 0.001


def test_class_shares_are_kept():
    _, labels = sample(50_000, np.random.default_rng(4), class_shares=(0.1, 0.2, 0.7))
    shares = [np.mean(labels == name) for name in SCHEMA.class_names]
    np.testing.assert_allclose(shares, (0.1, 0.2, 0.7), atol=0.01)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.5, 0.6, 0.1), (-0.1, 0.6, 0.5)])
def test_numbers_that_are_no_shares_are_refused(shares):
    with pytest.raises(InputError, match="class_shares"):
        sample(10, np.random.default_rng(0), class_shares=shares)
