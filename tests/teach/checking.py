"""How tests of lessons ask a check, and what they read from it."""

from typing import Any

from labkit.teach.exercise import Exercise

__all__ = ["approval", "refusal"]


def refusal(exercise: Exercise, *answer: Any) -> str:
    """Return why a wrong answer is refused; fails when it is not refused."""
    outcome = exercise.check(*answer)
    assert outcome.state == "incorrect", outcome
    return outcome.message


def approval(exercise: Exercise, *answer: Any) -> str:
    """Return what a right answer hears; fails when it is refused."""
    outcome = exercise.check(*answer)
    assert outcome.state == "correct", outcome
    return outcome.message
