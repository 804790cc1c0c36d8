"""The lessons, one module per notebook."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import InputError

if TYPE_CHECKING:
    from labkit.teach.exercise import Lesson

__all__ = ["NUMBERS", "open_lesson"]

NUMBERS = tuple(sorted(path.stem.removeprefix("lesson_") for path in Path(__file__).parent.glob("lesson_[0-9]*.py")))
"""The number of every lesson, such as "03"."""


def open_lesson(number: str) -> "Lesson":
    """Return the lesson of a notebook: its exercises are ``lesson.q1``, ``lesson.q2``, ..."""
    if number not in NUMBERS:
        raise InputError(f"there is no lesson {number!r}", f"choose one of {', '.join(NUMBERS)}")
    return import_module(f"labkit.teach.lessons.lesson_{number}").lesson
