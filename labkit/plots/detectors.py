"""The picture of a tournament: how late each detector is, against how often it alarms for nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from labkit.plots.style import BLUE, GREY, ORANGE, PURPLE, Picture, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["detectors"]

_COLOURS = {"inputs": BLUE, "answers": ORANGE, "labels": PURPLE}
_MARKS = {"inputs": "o", "answers": "s", "labels": "^"}


def detectors(table: "pd.DataFrame", *, quiet: Sequence[str]) -> Picture:
    """Draw a panel per scenario that somebody noticed: median delay of each detector, and its false alarms beside it.

    ``table`` has a line per detector and scenario: detector, watches, scenario, delay_median (minutes, infinite when
    mostly missed), false_alarms_per_day; ``quiet`` are the scenarios in which every alarm is false.
    """
    names = list(dict.fromkeys(table["detector"]))
    loud = table[~table["scenario"].isin(quiet)]
    seen = [name for name, each in loud.groupby("scenario", sort=False) if np.isfinite(each["delay_median"]).any()]
    figure = Picture(figsize=(3.2 + 2.1 * (len(seen) + 1), 1.7 + 0.34 * len(names)), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(seen) + 1, sharey=True, squeeze=False)[0]
    _false_alarms(axes[0], table[table["scenario"].isin(quiet)], names)
    for axis, name in zip(axes[1:], seen, strict=True):
        _delays(axis, loud[loud["scenario"] == name], names)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("minutes", fontsize=9)
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    figure.legend(handles=_watched(table), loc="outside lower right", ncols=3, fontsize=9, frameon=False)
    return figure


def _watched(table: "pd.DataFrame") -> list[Line2D]:
    """Return a key for each thing that detectors of the table watch."""
    return [
        Line2D([], [], linestyle="", marker=mark, color=_COLOURS[name], markersize=7, label=f"watches {name}")
        for name, mark in _MARKS.items()
        if name in set(table["watches"])
    ]


def _false_alarms(axis, lines: "pd.DataFrame", names: Sequence[str]) -> None:
    for number, (scenario, each) in enumerate(lines.groupby("scenario", sort=False)):
        places = [names.index(name) + 0.18 * (2 * number - 1) for name in each["detector"]]
        axis.barh(
            places, each["false_alarms_per_day"], height=0.34, color=(GREY, "#bbbbbb")[number % 2], label=scenario
        )
    axis.set_title("false alarms a day", fontsize=10)
    axis.set_xscale("symlog", linthresh=0.1)
    most = max(1.0, lines["false_alarms_per_day"].max() * 1.2) if len(lines) else 1.0
    axis.set_xlim(0, most)
    axis.set_xticks([0, *(tick for tick in (0.1, 1, 10, 100) if tick <= most)])
    axis.xaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    if len(lines):
        axis.legend(fontsize=8, frameon=False, loc="upper right")
    plain(axis)


def _delays(axis, lines: "pd.DataFrame", names: Sequence[str]) -> None:
    for line in lines.itertuples():
        place, colour, mark = names.index(line.detector), _COLOURS[line.watches], _MARKS[line.watches]
        if np.isfinite(line.delay_median):
            axis.plot(line.delay_median, place, mark, color=colour, markersize=7)
            if np.isfinite(line.delay_p90):
                axis.plot([line.delay_median, line.delay_p90], [place, place], color=colour, lw=1.5)
        else:
            axis.text(1, place, "missed", color=GREY, fontsize=8, va="center")
    axis.set_xscale("log")
    axis.set_xlim(0.8, 150)
    axis.set_xticks([1, 5, 20, 60], ["1", "5", "20", "60"], minor=False)
    axis.minorticks_off()
    plain(axis)
