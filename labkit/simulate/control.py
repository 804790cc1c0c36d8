"""What traffic is asked to do and what it has done: two small files, each always whole."""

import base64
import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

from labkit.errors import InputError
from labkit.simulate.scenarios import scenario
from labkit.stack.files import write_private

__all__ = ["Control", "ControlFile", "Status", "read_control", "read_status", "seal", "write_control", "write_status"]

_MAX_RATE = 1000.0

Record = TypeVar("Record", "Control", "Status")


@dataclass(frozen=True)
class Control:
    """What to send: ``rate`` requests per lab second, in random order, the rows drawn from ``seed``.

    ``onset`` is the Unix time at which the scenario begins; None means when it is read. ``severity`` from 0 to 1 says
    how much of its change comes. ``sealed`` is what ``seal`` makes of a scenario's name: that scenario is played
    instead, and neither status nor log names it. Raises InputError for an unknown scenario, a severity that is none, a
    rate that is not from 0 to 1000, or a seed below 0.
    """

    scenario: str = "steady"
    rate: float = 20.0
    seed: int = 0
    running: bool = False
    onset: float | None = None
    severity: float = 1.0
    sealed: str = ""

    def __post_init__(self) -> None:
        scenario(self.played).at(self.severity)
        if not _is_number(self.rate) or not 0 <= self.rate <= _MAX_RATE:
            raise InputError(f"rate is {self.rate!r}", f"choose 0 to {_MAX_RATE:g} requests per lab second, e.g. 20")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise InputError(f"seed is {self.seed!r}", "choose a whole number from 0 on")
        if not isinstance(self.running, bool):
            raise InputError(f"running is {self.running!r}", "choose true or false")
        if self.onset is not None and not (_is_number(self.onset) and math.isfinite(self.onset)):
            raise InputError(f"onset is {self.onset!r}", "give a Unix time in seconds, or none")

    @property
    def played(self) -> str:
        """The name of the scenario that is played, sealed or not."""
        if not self.sealed:
            return self.scenario
        try:
            return base64.b64decode(self.sealed, validate=True).decode()
        except (ValueError, TypeError) as error:
            raise InputError(f"sealed is {self.sealed!r}", "write what seal() gives") from error


def seal(name: str) -> str:
    """Write a scenario's name so that nobody reads it in passing; no secret, only out of sight.

    >>> Control(sealed=seal("unit_error")).played
    'unit_error'
    """
    return base64.b64encode(scenario(name).name.encode()).decode()


@dataclass(frozen=True)
class Status:
    """What was sent since traffic was started last; rates are per lab second.

    ``asked_rate`` is what control and scenario ask for now, ``achieved_rate`` and ``late_seconds_p99`` (how long after
    its time a request was sent) are of the last 5 s. Requests were answered (2xx), refused (4xx), or failed; labels
    were taken by the service, refused by it, or given up. ``updated_at`` is a Unix time, 0 when nothing has run yet.
    """

    running: bool = False
    scenario: str = "steady"
    onset: float | None = None
    asked_rate: float = 0.0
    achieved_rate: float = 0.0
    late_seconds_p99: float = 0.0
    in_flight: int = 0
    sent: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    labels_sent: int = 0
    labels_refused: int = 0
    labels_failed: int = 0
    labels_pending: int = 0
    updated_at: float = 0.0

    def __str__(self) -> str:
        if not self.running:
            return f"no traffic ({self.sent:,} requests sent before)"
        return (
            f"{self.scenario}: {self.achieved_rate:.1f} of {self.asked_rate:g} requests/s, "
            f"{self.answered:,} answered, {self.refused:,} refused, {self.failed:,} failed; "
            f"{self.labels_sent:,} labelled, {self.labels_pending:,} labels to come"
        )


def write_control(path: Path | str, control: Control) -> None:
    """Tell the traffic process that reads ``path`` what to do; it follows within a tenth of a second."""
    write_private(Path(path), json.dumps(asdict(control)))


def read_control(path: Path | str) -> Control:
    """Return what traffic is asked to do: nothing, when nobody has asked yet. Raises InputError for a damaged file."""
    return _read(Path(path), Control)


class ControlFile:
    """A control file that is followed: read when it was replaced since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int] | None = None

    def news(self) -> Control | None:
        """Return what is newly asked, None when nothing is. Raises InputError for a damaged file, once."""
        try:
            stat = self._path.stat()
            version = (stat.st_ino, stat.st_mtime_ns)
        except FileNotFoundError:
            version = None
        if version == self._version:
            return None
        self._version = version
        return read_control(self._path)


def write_status(path: Path | str, status: Status) -> None:
    """Publish what traffic has done."""
    write_private(Path(path), json.dumps(asdict(status)))


def read_status(path: Path | str) -> Status:
    """Return what traffic has done: an empty status, when none has run yet. Raises InputError for a damaged file."""
    return _read(Path(path), Status)


def _read(path: Path, kind: type[Record]) -> Record:
    names = {field.name for field in fields(kind)}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return kind(**{name: value for name, value in values.items() if name in names})
    except FileNotFoundError:
        return kind()
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged: {error}", f"rm {path}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
