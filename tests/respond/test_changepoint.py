"""The onset of a fault is where accuracy fell, and chance alone is seldom called a fall."""

import time

import numpy as np
import pytest
from scipy import stats

from labkit.respond.changepoint import largest_drop, last_drop


def answers(*parts, seed=0):
    """Return correct and incorrect answers of parts, each given as (how many, accuracy)."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random(n) < accuracy for n, accuracy in parts])


def test_the_split_is_the_one_of_highest_likelihood():
    correct = answers((80, 0.9), (70, 0.6), seed=3)

    def log_likelihood(k):
        parts = correct[:k], correct[k:]
        return sum(stats.bernoulli.logpmf(part, part.mean()).sum() for part in parts)

    falls = [k for k in range(30, len(correct) - 29) if correct[:k].mean() > correct[k:].mean()]
    best = max(falls, key=log_likelihood)
    drop = largest_drop(correct)

    assert drop.index == best
    assert drop.log_likelihood_ratio == pytest.approx(
        log_likelihood(best) - stats.bernoulli.logpmf(correct, correct.mean()).sum()
    )
    assert (drop.before, drop.after) == pytest.approx((correct[:best].mean(), correct[best:].mean()))


@pytest.mark.parametrize("seed", range(5))
def test_a_concept_shift_is_found_within_ten_answers(seed):
    drop = last_drop(answers((5000, 0.97), (500, 0.40), seed=seed))

    assert abs(drop.index - 5000) <= 10
    assert drop.p_value < 1e-12


def test_a_rise_of_accuracy_is_no_drop():
    assert last_drop(answers((500, 0.4), (500, 0.97))) is None


def test_after_a_fault_that_came_and_went_the_present_one_counts():
    drop = last_drop(answers((2000, 0.97), (400, 0.4), (600, 0.97), (300, 0.4)))

    assert abs(drop.index - 3000) <= 10


@pytest.mark.parametrize("correct", [[], [True] * 59, [True] * 500, [False] * 500])
def test_without_two_different_parts_there_is_no_drop(correct):
    assert largest_drop(np.array(correct, dtype=bool)) is None


@pytest.mark.parametrize(("n", "accuracy"), [(500, 0.95), (2000, 0.98), (2000, 0.5)])
def test_p_values_of_steady_answers_are_below_a_level_about_as_often_as_it_says(n, accuracy):
    drops = [largest_drop(answers((n, accuracy), seed=seed)) for seed in range(2000)]
    p_values = np.array([drop.p_value if drop else 1.0 for drop in drops])

    for level in (0.1, 0.05, 0.01):
        # No more often than the level but for chance (99.99 % of binomial counts), and not so seldom as to be useless.
        count = (p_values < level).sum()
        assert stats.binom.ppf(0.0001, 2000, 0.4 * level) <= count <= stats.binom.ppf(0.9999, 2000, level)


def test_a_million_answers_take_less_than_a_second():
    correct = answers((500_000, 0.95), (500_000, 0.94))

    started = time.perf_counter()
    largest_drop(correct)

    assert time.perf_counter() - started < 1
