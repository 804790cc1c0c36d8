"""Distances of distributions, against scipy and against what can be calculated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, norm, wasserstein_distance
from scipy.stats.contingency import association

from labkit.errors import InputError
from labkit.observe.corrections import adjust
from labkit.observe.distances import chi_square, jensen_shannon, psi, psi_bounds, wasserstein

counts = arrays(np.int64, 6, elements=st.integers(0, 1_000)).filter(lambda each: each.sum() > 0)
samples = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)).map(np.sort)


def in_bins(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    return np.histogram(values, np.concatenate([[-np.inf], np.nextafter(bounds, np.inf), [np.inf]]))[0]


def test_psi_of_shifted_normals_is_what_their_distribution_functions_give() -> None:
    rng = np.random.default_rng(0)
    reference, current = np.sort(rng.normal(size=400_000)), rng.normal(0.5, 1, size=400_000)
    edges = norm.ppf(np.arange(1, 10) / 10)
    p, q = (np.diff(norm.cdf(edges - mean), prepend=0, append=1) for mean in (0, 0.5))
    bounds = psi_bounds(reference)
    found = psi(in_bins(reference, bounds), in_bins(current, bounds))
    assert found == pytest.approx(np.sum((q - p) * np.log(q / p)), abs=0.005)


def test_psi_is_finite_with_empty_bins_and_small_without_drift() -> None:
    assert psi([100, 0, 0], [0, 0, 100]) == pytest.approx(2 * (100 / 101.5) * np.log(201))
    rng = np.random.default_rng(0)
    bounds = psi_bounds(np.sort(rng.normal(size=10_000)))
    null = [psi(*(in_bins(rng.normal(size=10_000), bounds) for _ in "ab")) for _ in range(200)]
    assert np.mean(null) == pytest.approx(9 * 2 / 10_000, rel=0.35)  # bins - 1, times 1 / n + 1 / m


def test_psi_tells_constant_1_from_constant_2() -> None:
    bounds = psi_bounds(np.ones(100))
    assert psi(in_bins(np.ones(100), bounds), in_bins(np.full(100, 2.0), bounds)) > 5
    assert psi(in_bins(np.ones(100), bounds), in_bins(np.full(100, 0.5), bounds)) > 5


def test_a_value_that_is_common_has_a_bin_of_its_own() -> None:
    reference = np.sort(np.concatenate([np.zeros(500), np.linspace(1, 2, 500)]))
    bounds = psi_bounds(reference)
    assert in_bins(np.full(10, -0.001), bounds)[0] == 10
    assert in_bins(reference, bounds)[1] == 500


@settings(deadline=None, derandomize=True)
@given(counts, counts)
def test_jensen_shannon_is_scipys(first: np.ndarray, second: np.ndarray) -> None:
    # The root of a difference near 0 keeps half of the digits.
    assert jensen_shannon(first, second) == pytest.approx(np.nan_to_num(jensenshannon(first, second, base=2)), abs=2e-8)


@settings(deadline=None, derandomize=True)
@given(counts, counts)
def test_psi_and_jensen_shannon_are_symmetric_and_zero_on_themselves(first: np.ndarray, second: np.ndarray) -> None:
    assert psi(first, second) == pytest.approx(psi(second, first))
    assert jensen_shannon(first, second) == pytest.approx(jensen_shannon(second, first))
    assert psi(first, first) == jensen_shannon(first, first) == 0


@settings(deadline=None, derandomize=True)
@given(samples, samples)
def test_wasserstein_is_scipys_in_units_of_the_spread(first: np.ndarray, second: np.ndarray) -> None:
    spread = (first[3 * len(first) // 4] - first[len(first) // 4]) / 1.349 or np.std(first) or 1.0
    if 0 < spread < 1e-9:  # rounding is larger than that
        return
    expected = wasserstein_distance(first, second) / spread
    assert wasserstein(first, second) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_wasserstein_of_shifted_normals_is_the_shift() -> None:
    rng = np.random.default_rng(0)
    reference, current = np.sort(rng.normal(5, 3, 200_000)), np.sort(rng.normal(6.5, 3, 150_000))
    assert wasserstein(reference, current) == pytest.approx(0.5, abs=0.01)


def test_chi_square_and_cramers_v_are_scipys() -> None:
    table = np.array([[120, 60, 20], [50, 30, 40]])
    found, expected = chi_square(*table), chi2_contingency(table, correction=False)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.cramers_v == pytest.approx(association(table, "cramer"))


def test_chi_square_of_a_single_class_says_that_it_needs_two() -> None:
    with pytest.raises(InputError, match="two categories"):
        chi_square(np.array([5, 0]), np.array([7, 0]))


def test_corrections_give_what_their_authors_give() -> None:
    p_values = np.array([0.01, 0.04, 0.03, 0.5])
    assert adjust(p_values, "bonferroni") == pytest.approx([0.04, 0.16, 0.12, 1.0])
    assert adjust(p_values, "benjamini-hochberg") == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert adjust(p_values, "none") == pytest.approx(p_values)


def test_an_unknown_correction_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"(?s)holm.*bonferroni"):
        adjust(np.array([0.1]), "holm")
