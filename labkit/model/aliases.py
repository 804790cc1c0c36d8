"""Which version is champion, which is challenger, and how it came to that: a value, changed by pure functions."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from labkit.errors import RegistryError
from labkit.model.files import read_regular, replace_file

__all__ = ["Aliases", "Change", "read_aliases", "write_aliases"]

_MAX_BYTES = 4_000_000


@dataclass(frozen=True)
class Change:
    """One change of champion; ``at`` is a UTC time in ISO 8601."""

    action: Literal["promote", "rollback"]
    version: str
    at: str
    reason: str


@dataclass(frozen=True)
class Aliases:
    """A model's aliases and the champions that it had, oldest first."""

    champion: str | None = None
    challenger: str | None = None
    history: tuple[Change, ...] = ()

    def promote(self, version: str, reason: str) -> "Aliases":
        """Make a version champion; it is no challenger any more."""
        challenger = None if self.challenger == version else self.challenger
        return replace(self._changed("promote", version, reason), challenger=challenger)

    def rollback(self, version: str) -> "Aliases":
        """Return to a version that was champion before."""
        return self._changed("rollback", version, f"rolled back from {self.champion}")

    def previous_champion(self) -> str | None:
        """Return the champion before this one; one that was rolled back is no candidate again."""
        line: list[str] = []
        for change in self.history:
            if change.action == "rollback" and change.version in line:
                del line[line.index(change.version) :]
            line.append(change.version)
        earlier = [version for version in line if version != self.champion]
        return earlier[-1] if earlier else None

    def _changed(self, action: Literal["promote", "rollback"], version: str, reason: str) -> "Aliases":
        change = Change(action, version, datetime.now(UTC).isoformat(timespec="seconds"), reason)
        return replace(self, champion=version, history=(*self.history, change))


def read_aliases(path: Path) -> Aliases:
    """Return a model's aliases, empty ones where there is no file; raises RegistryError when it is damaged."""
    if not path.exists() and not path.is_symlink():
        return Aliases()
    try:
        fields = json.loads(read_regular(path, _MAX_BYTES))
        history = tuple(Change(**change) for change in fields.pop("history"))
        return Aliases(**fields, history=history)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RegistryError(
            f"{path} is damaged", "delete it, then choose a champion: labkit rollback VERSION"
        ) from error


def write_aliases(path: Path, aliases: Aliases) -> None:
    """Replace the file in one step."""
    replace_file(path, json.dumps(asdict(aliases), indent=1).encode())
