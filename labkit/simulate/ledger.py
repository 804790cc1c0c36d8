"""Count what happened to requests and labels, and how far sending keeps up with what was asked."""

from collections import Counter, deque

from labkit.simulate.client import Outcome

__all__ = ["Ledger"]

_WINDOW_SECONDS = 5.0


class Ledger:
    """The counts of one run, from its start to its stop. Times are real seconds of a clock that never goes back."""

    def __init__(self, now: float) -> None:
        self._started_at = now
        self._sends: deque[tuple[float, float]] = deque()  # when, and how late
        self._counts: Counter[str] = Counter()

    def send(self, scheduled_at: float, now: float) -> None:
        """Count a request that is being sent."""
        self._counts["sent"] += 1
        self._sends.append((now, now - scheduled_at))
        self._forget(now)

    def answer(self, outcome: Outcome) -> None:
        """Count how a request ended."""
        self._counts[outcome] += 1

    def label(self, outcome: Outcome) -> None:
        """Count how the labels of a request ended; ``failed`` means given up."""
        self._counts["labels_sent" if outcome == "answered" else f"labels_{outcome}"] += 1

    def summary(self, now: float) -> dict[str, float]:
        """Return the counts, and achieved rate and lateness over the last 5 s, named as in Status."""
        self._forget(now)
        late = sorted(lateness for _, lateness in self._sends)
        seconds = min(_WINDOW_SECONDS, now - self._started_at)
        return {
            "achieved_rate": len(late) / seconds if seconds else 0.0,
            "late_seconds_p99": late[int(0.99 * len(late))] if late else 0.0,
            **self._counts,
        }

    def _forget(self, now: float) -> None:
        while self._sends and self._sends[0][0] <= now - _WINDOW_SECONDS:
            self._sends.popleft()
