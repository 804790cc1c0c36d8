"""Draw how accurate each version of a model was over time, with what happened to it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from labkit.plots.style import GREY, SERIES, Picture, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["versions"]


def versions(
    accuracy: "pd.DataFrame", moments: Sequence[tuple[float, str]] = (), *, objective: float = 0.90
) -> Picture:
    """Draw a line for each column of ``accuracy``, over production minutes; ``moments`` are vertical lines.

    The index of ``accuracy`` and the first part of each moment are production minutes since a start of your choice.
    """
    figure = Picture(figsize=(9, 3.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    for (version, series), colour in zip(accuracy.items(), SERIES, strict=False):
        axis.plot(series.index, series.to_numpy(), color=colour, linewidth=2, label=str(version))
    axis.axhline(objective, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axis.set_ylim(0, 1.05)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for height, (minute, name) in enumerate(moments):
        axis.axvline(minute, color=GREY, linewidth=1)
        place = (minute, 0.3 - 0.09 * (height % 3))
        axis.annotate(name, place, xytext=(4, 0), textcoords="offset points", fontsize=8.5, color="#333333")
    axis.set_title("Accuracy of each version, last 15 min of labels", loc="left", fontsize=10.5)
    axis.set_xlabel("production time, minutes")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9, frameon=False)
    plain(axis)
    return figure
