"""A budget of false alarms is kept, by windows in which nothing drifts."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from labkit.errors import InputError
from labkit.observe.corrections import adjust
from labkit.observe.drift import Reference
from labkit.simulate.scenarios import scenario

WINDOWS, ROWS, FEATURES = 2_000, 200, 5


@cache
def null(draw) -> tuple[np.ndarray, float]:
    """Return the p-values (2,000, n_features) of windows in which nothing drifts, and the level for the budget."""
    rng = np.random.default_rng(0)
    reference = Reference(draw(rng, 100_000))
    p_values = np.array([reference.scores(draw(rng, ROWS)).p_value for _ in range(WINDOWS)])
    return p_values, reference.threshold(5.0, 24, n_current=ROWS).alpha


def alarms(draw, correction: str) -> tuple[int, float]:
    """Return how many windows are called drift, and the share that was promised."""
    p_values, promised = null(draw)
    return sum(adjust(window, correction).min() < promised for window in p_values), promised


def independent(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=(n, FEATURES))


def correlated(rng: np.random.Generator, n: int) -> np.ndarray:
    return 0.8 * rng.normal(size=(n, 1)) + 0.6 * rng.normal(size=(n, FEATURES))


@pytest.mark.parametrize("correction", ["benjamini-hochberg", "bonferroni"])
def test_windows_of_independent_features_alarm_as_often_as_was_promised(correction: str) -> None:
    found, promised = alarms(independent, correction)
    low, high = binom.interval(0.99, WINDOWS, promised)
    assert low <= found <= high


@pytest.mark.parametrize("correction", ["benjamini-hochberg", "bonferroni"])
def test_windows_of_correlated_features_alarm_no_more_often(correction: str) -> None:
    found, promised = alarms(correlated, correction)
    assert 0 < found <= binom.interval(0.99, WINDOWS, promised)[1]


@pytest.mark.parametrize("name", ["steady", "seasonal"])
def test_thirty_production_days_without_drift_keep_the_budget(name: str) -> None:
    rng = np.random.default_rng(0)
    calm = scenario(name)
    reference = Reference(scenario("steady").batch(20_000, None, rng).instances)
    allowed = reference.threshold(1.0, 24, n_current=600)
    hours = range(30 * 24)
    windows = (calm.batch(600, 3600.0 * hour, rng).instances for hour in hours)
    found = sum(reference.compare(window, alpha=allowed.alpha)["drifted"].any() for window in windows)
    assert found <= 30 / 7


def test_a_threshold_states_level_distance_and_coefficient() -> None:
    reference = Reference(np.random.default_rng(0).normal(size=(10_000, 4)))
    found = reference.threshold(1.0, 24, n_current=10_000)
    assert found.alpha == pytest.approx(1 / 168)
    assert found.coefficient == pytest.approx(np.sqrt(-np.log(found.alpha / 4 / 2) / 2), rel=0.01)
    assert found.ks == pytest.approx(found.coefficient * np.sqrt(2 / 10_000))


@pytest.mark.parametrize(("alarms_per_week", "windows"), [(0, 24), (1, 0), (200, 24)])
def test_a_budget_that_cannot_be_is_refused(alarms_per_week: float, windows: float) -> None:
    with pytest.raises(InputError, match="false alarms"):
        Reference(np.zeros((5, 2))).threshold(alarms_per_week, windows, n_current=10)
