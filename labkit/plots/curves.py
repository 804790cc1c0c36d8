"""Curves over production time, as a live chart shows them."""

from typing import TYPE_CHECKING

from labkit.plots.style import GREY, SERIES, Picture, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["curves"]


def curves(table: "pd.DataFrame", speed: float, unit: str = "") -> Picture:
    """Draw each column of a table of ``Lab.query_range`` over production minutes before its last moment.

    ``speed`` is how many production seconds a lab second has. Gaps stay gaps; an empty table says so.
    """
    figure = Picture(figsize=(9, 2.8), dpi=100, layout="constrained")
    axis = figure.subplots()
    plain(axis)
    axis.set(xlabel="production minutes ago", ylabel=unit)
    if not len(table):
        axis.text(0.5, 0.5, "no data yet", transform=axis.transAxes, ha="center", color=GREY)
        return figure
    minutes = (table.index - table.index[-1]).total_seconds() * speed / 60
    for colour, name in zip(SERIES * len(table.columns), table.columns, strict=False):
        label = " ".join(map(str, name)) if isinstance(name, tuple) else str(name)
        axis.plot(minutes, table[name], color=colour, lw=1.8, label=label)
    axis.set_xlim(minutes[0], 0)
    if len(table.columns) > 1 or table.columns[0] != "value":
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)
    return figure
