"""Exercises: a prompt, a check of the answer or of the running system, hints in steps, a solution."""

import inspect
import json
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from labkit.errors import InputError, LabError
from labkit.teach.blank import is_blank
from labkit.teach.outcome import Outcome, insist
from labkit.teach.progress import Progress

__all__ = ["Exercise", "Incorrect", "Lesson", "NotAttempted", "Note"]

_SOLUTIONS = Path(__file__).parent / "lessons"
_BLANK_MESSAGE = "Write your answer in place of ____, then run the cell again. Stuck? {name}.hint()"


class Incorrect(Exception):
    """The answer is wrong; the message says what is wrong with it."""


class NotAttempted(Exception):
    """The learner has done nothing yet; for exercises that change the system instead of binding a name."""


class Note:
    """A hint or a solution, as a notebook and a terminal show it."""

    def __init__(self, title: str, text: str, *, code: bool = False) -> None:
        self.title, self.text, self._code = title, text, code

    def __repr__(self) -> str:
        return f"{self.title}\n{self.text}"

    def _repr_html_(self) -> str:
        tag, style = ("pre", "") if self._code else ("div", ' style="white-space: pre-wrap"')  # a hint may have lines
        return f"<b>{escape(self.title)}</b><{tag}{style}>{escape(self.text)}</{tag}>"


class Exercise:
    """One exercise of a lesson. ``check`` never raises for a wrong answer, unless CI asks it to."""

    def __init__(self, lesson: "Lesson", judge: Callable[..., str], hints: tuple[str, ...]) -> None:
        self.name = judge.__name__
        self.prompt = inspect.getdoc(judge) or ""
        self.hints = hints
        self._lesson = lesson
        self._judge = judge
        self._hints_seen = 0

    @property
    def title(self) -> str:
        """The exercise's number in the course, such as 3.2."""
        return f"{int(self._lesson.number)}.{self.name.removeprefix('q')}"

    def check(self, *answer: Any) -> Outcome:
        """Judge an answer: correct, incorrect, error or not attempted, each with a message that helps."""
        outcome = Outcome(self.title, *self._judged(answer))
        Progress.find().note(self._lesson.number, self.name, outcome.state)
        insist(outcome)
        return outcome

    def _judged(self, answer: tuple[Any, ...]) -> tuple[Any, str]:
        if any(map(is_blank, answer)):
            return "not attempted", _BLANK_MESSAGE.format(name=f"lesson.{self.name}")
        try:
            inspect.signature(self._judge).bind(*answer)
        except TypeError as error:
            wanted = ", ".join(inspect.signature(self._judge).parameters)
            return "error", f"{error}. Call it as lesson.{self.name}.check({wanted})."
        try:
            return "correct", self._judge(*answer)
        except Incorrect as wrong:
            return "incorrect", str(wrong)
        except NotAttempted as nothing:
            return "not attempted", str(nothing) or _BLANK_MESSAGE.format(name=f"lesson.{self.name}")
        except LabError as error:
            return "error", str(error)
        except Exception as error:  # whatever a learner's own code raises is theirs to read
            return "error", f"{type(error).__name__}: {error}"

    def hint(self) -> Note:
        """Return the next hint; after the last one, all of them again."""
        self._hints_seen = self._hints_seen % len(self.hints) + 1
        return Note(f"Hint {self._hints_seen} of {len(self.hints)}", self.hints[self._hints_seen - 1])

    def solution(self) -> Note:
        """Return a solution, the one that CI runs."""
        try:
            text = json.loads((_SOLUTIONS / f"solutions_{self._lesson.number}.json").read_text())[self.name]
        except (FileNotFoundError, KeyError) as error:
            raise LabError(f"exercise {self.title} has no solution on file", "run: make notebooks") from error
        return Note(f"A solution of {self.title}", text, code=True)

    def __repr__(self) -> str:
        return f"Exercise {self.title}: {self.prompt}"


class Lesson:
    """The exercises of one notebook, by name: ``lesson.q1``. Shown, it is a progress bar."""

    def __init__(self, number: str, title: str) -> None:
        self.number, self.title = number, title
        self._exercises: dict[str, Exercise] = {}

    def exercise(self, hints: tuple[str, ...]) -> Callable[[Callable[..., str]], Exercise]:
        """Make an exercise of a function that returns why an answer is right, or raises Incorrect."""

        def add(judge: Callable[..., str]) -> Exercise:
            made = Exercise(self, judge, hints)
            self._exercises[made.name] = made
            return made

        return add

    def __iter__(self) -> Iterator[Exercise]:
        return iter(self._exercises.values())

    def __len__(self) -> int:
        return len(self._exercises)

    def __getattr__(self, name: str) -> Exercise:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Exercise:
        if name not in self._exercises:
            raise InputError(f"lesson {self.number} has no exercise {name!r}", f"choose {', '.join(self._exercises)}")
        return self._exercises[name]

    def states(self) -> dict[str, str]:
        """Return the state of each exercise, as far as this lab remembers."""
        kept = Progress.find().states(self.number)
        return {name: kept.get(name, "not attempted") for name in self._exercises}

    def __repr__(self) -> str:
        states = self.states()
        done = sum(state == "correct" for state in states.values())
        bar = "".join("■" if state == "correct" else "□" for state in states.values())
        return f"{self.number} {self.title}  {bar}  {done} of {len(states)} exercises"

    def _repr_html_(self) -> str:
        states = self.states()
        done = sum(state == "correct" for state in states.values())
        label = f"{escape(self.title)}: {done} of {len(states)} exercises"
        return (
            f"<div style='display:flex;align-items:center;gap:.8em'><progress max='{len(states)}' value='{done}' "
            f"style='width:16em' aria-label='{label}'></progress><span>{label}</span></div>"
        )
