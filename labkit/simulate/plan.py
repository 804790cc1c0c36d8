"""What is sent, and when: all of traffic's randomness, none of its clocks and sockets."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from labkit.simulate.scenarios import Scenario

__all__ = ["Arrivals", "Plan", "Request"]

_MAX_ROWS = 9
_LABEL_DELAY_SECONDS = (300.0, 600.0)


@dataclass(frozen=True)
class Request:
    """One request's body, its rows' true names, and the production seconds until somebody has looked them up."""

    body: bytes
    labels: list[str]
    label_delay_seconds: float


class Plan:
    """The requests of a seed: the i-th is the same in every run, however fast they are sent.

    Of rows that change with time (a ramp, a cycle) only the randomness is the same.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._index = 0

    def next(self, scenario: Scenario, since_onset: float | None) -> Request:
        """Return the next request, of 1 to 9 rows, ``since_onset`` production seconds after the scenario's onset."""
        rng = _generator(self._seed, 1, self._index)
        self._index += 1
        batch = scenario.batch(int(rng.integers(1, _MAX_ROWS + 1)), since_onset, rng)
        body = scenario.payload(batch, since_onset, rng)
        return Request(body, batch.labels.tolist(), rng.uniform(*_LABEL_DELAY_SECONDS))


class Arrivals:
    """Times of a Poisson process: independent exponential gaps, whatever the server does meanwhile (an open loop).

    Times are in seconds of any clock that never goes back.
    """

    def __init__(self, seed: int) -> None:
        self._rng = _generator(seed, 0)
        self._rate = 0.0
        self.next_at = math.inf

    def set_rate(self, rate: float, now: float) -> None:
        """Go on with ``rate`` arrivals per second from ``now`` on; the process has no memory, so nothing is lost."""
        if rate != self._rate:
            self._rate = rate
            self.next_at = now + self._gap()

    def due(self, now: float) -> Iterator[float]:
        """Yield every arrival up to ``now`` that was not yielded yet: a late caller gets them all."""
        while self.next_at <= now:
            yield self.next_at
            self.next_at += self._gap()

    def _gap(self) -> float:
        return self._rng.exponential(1 / self._rate) if self._rate else math.inf


def _generator(seed: int, *stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=stream))
