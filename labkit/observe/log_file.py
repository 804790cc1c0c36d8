"""Read a log of JSON lines as a table."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_log"]


def read_log(path: str | Path) -> "pd.DataFrame":
    """Return the lines of a log that ``configure_logging`` writes: a row each, their fields as columns, oldest first.

    ``timestamp`` is parsed (UTC). A last line that is still being written is left out; a line that is no JSON object
    becomes one with only an ``event``.
    """
    import pandas as pd

    whole, _, _ = Path(path).read_text(encoding="utf-8", errors="replace").rpartition("\n")
    table = pd.DataFrame([_fields(line) for line in whole.split("\n") if line])
    for column in {"timestamp", "level", "event"} - set(table.columns):
        table[column] = None
    table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True, format="ISO8601")
    first = [name for name in ("timestamp", "level", "event", "request_id") if name in table.columns]
    return table[first + [name for name in table.columns if name not in first]]


def _fields(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {"event": line}
    return fields if isinstance(fields, dict) else {"event": line}
