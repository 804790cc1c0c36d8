"""What a check found, as a notebook shows it and as CI judges it."""

import os
from dataclasses import dataclass
from html import escape
from typing import Literal

from labkit.errors import ConfigurationError, LabError

__all__ = ["Outcome", "UnexpectedOutcome", "insist"]

State = Literal["correct", "incorrect", "error", "not attempted"]

_SIGNS = {"correct": "✓", "incorrect": "✗", "error": "!", "not attempted": "·"}
# Told apart by sign and word as well; the colours stay distinct for a colour-blind reader.
_COLOURS = {"correct": "#0072b2", "incorrect": "#d55e00", "error": "#cc79a7", "not attempted": "#767676"}
# What a run by machine asks of every check: the solved notebook, the untouched one, or any without a mistake.
_EXPECTED = {
    "correct": {"correct"},
    "not attempted": {"not attempted"},
    "no mistake": {"correct", "not attempted"},
}


class UnexpectedOutcome(LabError):
    """A check ended otherwise than the run, by LABKIT_EXPECT, asks for."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check: which exercise, one of four states, and what helps."""

    exercise: str
    state: State
    message: str

    def __repr__(self) -> str:
        return f"{_SIGNS[self.state]} {self.state.capitalize()}. {self.message}"

    def _repr_html_(self) -> str:
        colour = _COLOURS[self.state]
        head = f"<b style='color:{colour}'>{_SIGNS[self.state]} {self.state.capitalize()}</b>"
        text = escape(self.message).replace("\n", "<br>")
        return f"<div style='border-left:4px solid {colour};padding:.3em .8em;max-width:60em'>{head}<br>{text}</div>"


def insist(outcome: Outcome) -> None:
    """Raise UnexpectedOutcome where the environment asks for another one.

    ``LABKIT_EXPECT`` is "correct", "not attempted" or "no mistake"; the last is what holds where ``CI`` is set.
    """
    asked = os.environ.get("LABKIT_EXPECT") or ("no mistake" if os.environ.get("CI") else "")
    if not asked:
        return
    if asked not in _EXPECTED:
        raise ConfigurationError(f"LABKIT_EXPECT is {asked!r}", f"choose one of: {', '.join(_EXPECTED)}")
    if outcome.state not in _EXPECTED[asked]:
        raise UnexpectedOutcome(f"exercise {outcome.exercise} is not {asked!r}: {outcome!r}")
