"""One column of the reference, ready to be compared with: sorted numbers, or counted categories."""

from collections import Counter

import numpy as np

from labkit.errors import InputError
from labkit.observe.distances import psi_bounds
from labkit.observe.ks import marks_of

__all__ = ["Categories", "Numbers"]


class Numbers:
    """Sorted values, without the missing ones, and their counts in the bins of PSI."""

    def __init__(self, name: str, column: np.ndarray) -> None:
        self.name = name
        self.values = self.read(column, "reference")
        self.bounds = psi_bounds(self.values)
        self.counts = self.count(self.values)
        self.marks = marks_of(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def read(self, column: np.ndarray, side: str = "current") -> np.ndarray:
        """Sort the column, in place, and return the values that are there; raises InputError where none is."""
        column.sort()
        values = column[: column.searchsorted(np.nan)] if np.isnan(column[-1]) else column
        if not len(values):
            refuse_missing(self.name, side)
        return values

    def count(self, values: np.ndarray) -> np.ndarray:
        """Return how many sorted values lie in each bin."""
        ends = values.searchsorted(self.bounds, "right")
        return np.concatenate([ends[:1], ends[1:] - ends[:-1], [len(values) - ends[-1]]])


class Categories:
    """How often each category occurs."""

    def __init__(self, name: str, column: np.ndarray) -> None:
        self.name = name
        self.counter = self.read(column, "reference")
        if len(self.counter) < 2:
            single = next(iter(self.counter))
            raise InputError(
                f"column {name} of the reference rows has the single class {single!r}; the rule is at least two",
                "leave the column out",
            )

    def __len__(self) -> int:
        return self.counter.total()

    def read(self, column: np.ndarray, side: str = "current") -> Counter[str]:
        """Return the counts of what is there; raises InputError where nothing is."""
        counter = Counter(value for value in column if value is not None)
        if not counter:
            refuse_missing(self.name, side)
        return counter

    def both_counts(self, current: Counter[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the counts of both sides over the categories of either, in alphabetical order."""
        names = sorted(self.counter | current)
        return tuple(np.array([counter[name] for name in names]) for counter in (self.counter, current))


def refuse_missing(name: str, side: str) -> None:
    """Raise the InputError of a column without any value."""
    raise InputError(
        f"column {name} of the {side} rows is all missing; the rule is at least one value",
        "leave the column out, or mend what fills it",
    )
