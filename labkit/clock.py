"""Production time and lab time: at speed 60, one lab second is one production minute."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from labkit.errors import InputError, WaitTimeout

__all__ = ["Clock", "format_duration", "parse_duration", "wait_until"]

T = TypeVar("T")

_UNITS_SECONDS = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
# Prometheus's grammar: units in falling order, each at most once.
_DURATION = re.compile(r"(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m(?!s))?(\d+s)?(\d+ms)?")


def parse_duration(text: str) -> float:
    """Return the seconds in a Prometheus duration such as ``"1h30m"`` or ``"250ms"``."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise InputError(f"{text!r} is not a duration", "write it as Prometheus does: 15s, 5m, 1h30m, 250ms")
    parts = (re.fullmatch(r"(\d+)([a-z]+)", part) for part in match.groups() if part)
    return float(sum(int(part[1]) * _UNITS_SECONDS[part[2]] for part in parts))


def format_duration(seconds: float) -> str:
    """Write seconds as a Prometheus duration, in whole milliseconds; never 0, which would mean "none"."""
    left = max(1, round(seconds * 1000))
    text = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, round(_UNITS_SECONDS[unit] * 1000))
        text += f"{count}{unit}" if count else ""
    return text


@dataclass(frozen=True)
class Clock:
    """Converts between production time and the lab's faster time.

    Durations are production seconds or a text such as ``"5m"``; timestamps are Unix seconds, never scaled.
    """

    speed: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.speed <= 600:
            raise InputError(f"speed is {self.speed}", "choose a speed from 1 (real time) to 600, e.g. LAB_SPEED=60")

    def lab_seconds(self, production: float | str) -> float:
        """Return the lab (wall) seconds that a production duration takes."""
        return (parse_duration(production) if isinstance(production, str) else production) / self.speed

    def production_seconds(self, lab: float) -> float:
        """Return the production seconds that pass in ``lab`` wall seconds."""
        return lab * self.speed


def wait_until(condition: Callable[[], T], timeout: float, what: str, every: float = 0.05) -> T:
    """Return the first true value of ``condition()``, asked every ``every`` seconds.

    Raises WaitTimeout naming ``what`` when it stays false for ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise WaitTimeout(f"waited {timeout:g} s for {what}, in vain")
        time.sleep(every)
    return value
