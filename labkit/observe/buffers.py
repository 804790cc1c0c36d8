"""Buffers that many threads append to without a lock, and that one thread at a time folds into sums.

Appending to the end of a list or bytearray, copying a slice and deleting a slice are one step each for CPython, and
only the holder of the lock cuts off: so nothing is lost, and nothing is counted twice.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

__all__ = ["Folding", "take"]

B = TypeVar("B", list, bytearray)


def take(buffer: B) -> B:
    """Cut off what a buffer holds now; what other threads append meanwhile stays in it."""
    taken = buffer[:]
    del buffer[: len(taken)]
    return taken


class Folding(ABC):
    """Sums that are fed from buffers: before they are read, and when the buffers have grown to ``fold_at`` entries."""

    def __init__(self, fold_at: int) -> None:
        self.fold_at = self._first_fold_at = fold_at
        self._lock = Lock()

    @abstractmethod
    def _fold(self) -> None:
        """Take the buffers and add them to the sums."""

    def fold_grown(self) -> None:
        """Fold, or let the buffers grow on while another thread is at it (or this one, interrupted)."""
        if not self._lock.acquire(blocking=False):
            self.fold_at += self._first_fold_at
            return
        try:
            self._fold()
        finally:
            self.fold_at = self._first_fold_at
            self._lock.release()

    @contextmanager
    def folded(self) -> Iterator[None]:
        """Hold sums still that are exact for all that was appended before."""
        with self._lock:
            self._fold()
            yield

    def start_empty(self) -> None:
        """Forget everything and make a new lock, in a process that was just forked off."""
        self.fold_at = self._first_fold_at
        self._lock = Lock()
