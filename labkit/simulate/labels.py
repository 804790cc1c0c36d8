"""True labels on their way: they come minutes after the prediction, and again when the service was away."""

import heapq
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["LabelQueue", "PendingLabels"]

# Real time: a service needs seconds to start again, on a busy machine half a minute, at any speed of the lab.
_RETRY_SECONDS = 1.0
_MAX_RETRIES = 60


class PendingLabels(NamedTuple):
    """The labels of one request, due at a time of the caller's clock, and how often they were tried again."""

    due_at: float
    request_id: str
    labels: list[str]
    retries: int = 0


class LabelQueue:
    """Labels in the order in which they are due."""

    def __init__(self) -> None:
        self._heap: list[PendingLabels] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, pending: PendingLabels) -> None:
        """Keep labels until they are due."""
        heapq.heappush(self._heap, pending)

    def due(self, now: float) -> Iterator[PendingLabels]:
        """Take out and yield all labels that are due at ``now``."""
        while self._heap and self._heap[0].due_at <= now:
            yield heapq.heappop(self._heap)

    def retry(self, pending: PendingLabels, now: float) -> bool:
        """Keep labels for another attempt, a second later; returns False when there were enough."""
        if pending.retries >= _MAX_RETRIES:
            return False
        self.add(pending._replace(due_at=now + _RETRY_SECONDS, retries=pending.retries + 1))
        return True
