"""What a detector is: a name, what it watches, and the minutes in which it alarms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from labkit.tournament.streams import Stream

__all__ = ["Detector"]


@dataclass(frozen=True)
class Detector:
    """One competitor.

    ``alarms`` says for each minute ``(n_minutes,)`` whether it alarms, and may read rows and answers as they come and
    labels when they have arrived. ``max_seeds`` bounds the runs of one that is very slow.
    """

    name: str
    watches: Literal["inputs", "answers", "labels"]
    summary: str
    alarms: Callable[[Stream], np.ndarray]
    max_seeds: int | None = None
