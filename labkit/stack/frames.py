"""Turn a server's JSON into pandas, with the same columns whether there are rows or not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame", "series_index", "time_index"]


def frame(rows: Sequence[dict[str, Any]], columns: Sequence[str], times: Sequence[str] = ()) -> "pd.DataFrame":
    """Return a DataFrame with ``columns`` first, then whatever else ``rows`` hold.

    ``times`` are parsed (UTC); Go's zero time, the year 1, means "never" and becomes NaT.
    """
    import pandas as pd

    extra = sorted({key for row in rows for key in row} - set(columns))
    table = pd.DataFrame(rows, columns=[*columns, *extra])
    for column in times:
        table[column] = pd.to_datetime(table[column], utc=True, format="ISO8601", errors="coerce")
    return table


def time_index(unix_seconds: Sequence[float]) -> "pd.DatetimeIndex":
    """Return Unix seconds as an index of UTC times, named ``time``."""
    import pandas as pd

    times = pd.to_datetime(pd.Index(unix_seconds, dtype=float), unit="s", utc=True)
    return times.as_unit("ns").round("ms").rename("time")  # Prometheus counts in ms; the rest is a float's noise


def series_index(series: Sequence[dict[str, str]]) -> "pd.Index":
    """Return names for the columns of several series: a level for each label, or ``value`` where there is none.

    A metric's name counts as a label only where series differ in it.
    """
    import pandas as pd

    if len({each.get("__name__") for each in series}) == 1:
        series = [{label: text for label, text in each.items() if label != "__name__"} for each in series]
    labels = sorted({label for each in series for label in each})
    if not labels:
        return pd.Index(["value"] * len(series))
    if len(labels) == 1:
        return pd.Index([each.get(labels[0], "") for each in series], name=labels[0])
    return pd.MultiIndex.from_tuples([tuple(each.get(label, "") for label in labels) for each in series], names=labels)
