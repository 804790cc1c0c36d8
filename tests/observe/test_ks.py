"""Kolmogorov and Smirnov's test is scipy's, to the last bit of the distance."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp, kstwo

from labkit.observe.ks import ks_distance, ks_p_values
from labkit.observe.ks_pvalue import asymptotic_p_values

values = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e9, 1e9) | st.integers(-3, 3).map(float))


def pair(rng: np.random.Generator, most: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw two samples of any two sizes, some moved, some wider, some with ties, some constant."""
    sizes = [max(1, int(10 ** rng.uniform(0, most))) for _ in "ab"]
    first, second = (rng.normal(size=size) for size in sizes)
    second = second * rng.choice([1.0, 1.0, 1.3]) + rng.choice([0.0, 0.0, 0.02, 0.1, 0.5, 3.0])
    if rng.random() < 0.4:
        first, second = (each.round(rng.integers(0, 3)) for each in (first, second))
    if rng.random() < 0.05:
        first[:] = 1.0
    if rng.random() < 0.05:
        second[:] = rng.integers(0, 3)
    return np.sort(first), np.sort(second)


@pytest.mark.parametrize(("most", "cases"), [(1.0, 1_500), (2.5, 1_700), (3.8, 700), (5.0, 150), (5.7, 10)])
def test_distance_is_scipys_bit_for_bit_and_the_p_value_within_a_billionth(most: float, cases: int) -> None:
    rng = np.random.default_rng(int(most * 10))
    for _ in range(cases):
        first, second = pair(rng, most)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy says when it leaves its exact method
            expected = ks_2samp(first, second)
        distance = ks_distance(first, second)
        assert distance == expected.statistic, (len(first), len(second))
        p_value = ks_p_values(np.array([distance]), [first], [second])[0]
        assert p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300), (len(first), len(second), distance)


def test_asymptotic_p_values_are_scipys_at_any_size_and_distance() -> None:
    rng = np.random.default_rng(3)
    n = (10 ** rng.uniform(0, 4.3, 600)).astype(int)
    distances = np.minimum(np.abs(rng.normal(size=600)) * rng.choice([0.3, 1, 3, 8], 600) / np.sqrt(n), 1.0)
    expected = [kstwo.sf(distance, rows) for distance, rows in zip(distances, n, strict=True)]
    assert asymptotic_p_values(distances, 2 * n, 2 * n) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("distance", "n"), [(0.0, 500), (1.0, 500), (1e-6, 500), (0.999, 500), (0.7, 3), (0.5, 10**6)])
def test_p_values_at_the_ends_are_scipys(distance: float, n: int) -> None:
    assert asymptotic_p_values(np.array([distance]), 2 * n, 2 * n)[0] == pytest.approx(kstwo.sf(distance, n), rel=1e-9)


@settings(deadline=None, derandomize=True)
@given(values, values)
def test_distance_is_symmetric_and_between_0_and_1(first: np.ndarray, second: np.ndarray) -> None:
    first, second = np.sort(first), np.sort(second)
    assert ks_distance(first, second) == ks_distance(second, first)
    assert 0 <= ks_distance(first, second) <= 1


@settings(deadline=None, derandomize=True)
@given(values)
def test_distance_of_a_sample_to_itself_is_zero(sample: np.ndarray) -> None:
    assert ks_distance(np.sort(sample), np.sort(sample)) == 0


@settings(deadline=None, derandomize=True)
@given(values, values)
def test_a_monotone_map_changes_no_distance(first: np.ndarray, second: np.ndarray) -> None:
    ranks = {value: float(rank) ** 3 for rank, value in enumerate(np.unique(np.concatenate([first, second])).tolist())}
    mapped = [np.sort([ranks[value] for value in (side + 0.0).tolist()]) for side in (first, second)]
    assert ks_distance(*mapped) == ks_distance(np.sort(first), np.sort(second))


def test_many_rows_are_searched_without_missing_the_largest_gap() -> None:
    rng = np.random.default_rng(0)
    for gap_at in rng.normal(size=20):
        first, second = rng.normal(size=40_000), rng.normal(size=30_000)
        second[np.abs(second - gap_at) < 0.05] = gap_at  # a gap that only few values see
        first, second = np.sort(first), np.sort(second)
        assert ks_distance(first, second) == ks_2samp(first, second, method="asymp").statistic
