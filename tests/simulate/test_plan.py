"""Arrivals are a Poisson process, and a seed says what is sent."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from labkit.simulate.plan import Arrivals, Plan
from labkit.simulate.scenarios import scenario

STEADY = scenario("steady")


def arrivals_until(now, rate, seed=0):
    arrivals = Arrivals(seed)
    arrivals.set_rate(rate, 0.0)
    return np.array(list(arrivals.due(now)))


def test_gaps_between_arrivals_are_exponential():
    gaps = np.diff(arrivals_until(1000, rate=20))

    assert len(gaps) > 19_000
    assert stats.kstest(gaps, stats.expon(scale=1 / 20).cdf).pvalue > 0.01


def test_gaps_are_independent_of_each_other():
    gaps = np.diff(arrivals_until(1000, rate=20))

    assert stats.spearmanr(gaps[:-1], gaps[1:]).pvalue > 0.01


def test_counts_per_second_have_the_variance_of_a_poisson_distribution():
    counts = np.bincount(arrivals_until(1000, rate=20).astype(int), minlength=1000)

    # Index of dispersion: (n - 1) * variance / mean is chi-squared with n - 1 degrees of freedom.
    p = stats.chi2(len(counts) - 1).sf((len(counts) - 1) * counts.var(ddof=1) / counts.mean())
    assert counts.mean() == pytest.approx(20, abs=0.5)
    assert 0.005 < p < 0.995


def test_a_late_caller_gets_every_arrival_that_a_punctual_one_gets():
    punctual = Arrivals(4)
    punctual.set_rate(50, 0.0)

    often = [at for now in np.arange(0, 10.01, 0.01) for at in punctual.due(now)]

    assert often == arrivals_until(10, rate=50, seed=4).tolist()


def test_without_a_rate_nothing_arrives():
    arrivals = Arrivals(0)
    arrivals.set_rate(20, 0.0)
    arrivals.set_rate(0, 1.0)

    assert list(arrivals.due(1e9)) == []
    assert arrivals.next_at == math.inf


def test_a_new_rate_holds_from_the_moment_it_is_set():
    arrivals = Arrivals(0)
    arrivals.set_rate(0.001, 0.0)
    arrivals.set_rate(100, 50.0)

    times = list(arrivals.due(60))

    assert min(times) >= 50
    assert len(times) == pytest.approx(1000, abs=150)


def test_the_same_rate_again_changes_nothing():
    arrivals = Arrivals(0)
    arrivals.set_rate(1, 0.0)
    expected = arrivals.next_at

    arrivals.set_rate(1, 0.5)

    assert arrivals.next_at == expected


def test_the_same_seed_plans_the_same_requests():
    plans = Plan(1), Plan(1)

    assert [plans[0].next(STEADY, None) for _ in range(20)] == [plans[1].next(STEADY, None) for _ in range(20)]


def test_another_seed_plans_other_requests():
    assert Plan(1).next(STEADY, None) != Plan(2).next(STEADY, None)


def test_a_change_of_scenario_changes_only_what_the_scenario_is_about():
    plans = Plan(1), Plan(1)

    steady, swapped = (
        [plan.next(scenario(name), 0.0) for _ in range(30)]
        for plan, name in zip(plans, ("steady", "concept_shift"), strict=True)
    )

    assert [request.body for request in steady] == [request.body for request in swapped]
    assert [request.labels for request in steady] != [request.labels for request in swapped]


def test_requests_have_1_to_9_rows_five_on_average_each_with_its_label():
    plan = Plan(0)
    requests = [plan.next(STEADY, None) for _ in range(2000)]
    sizes = [len(json.loads(request.body)["instances"]) for request in requests]

    assert set(sizes) == set(range(1, 10))
    assert np.mean(sizes) == pytest.approx(5, abs=0.2)
    assert sizes == [len(request.labels) for request in requests]


def test_labels_come_5_to_10_minutes_late_at_any_moment_of_these():
    plan = Plan(0)
    delays = [plan.next(STEADY, None).label_delay_seconds for _ in range(2000)]

    assert stats.kstest(delays, stats.uniform(300, 300).cdf).pvalue > 0.01
