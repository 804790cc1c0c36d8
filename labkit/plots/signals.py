"""What was recorded of an incident, in the order in which to look: service, inputs, answers, labels."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from labkit.plots.style import GREY, RED, SERIES, Picture, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["signals"]

_ROWS = {  # name: (title, the limit that an alert has, the least that the axis shows)
    "requests": ("Service: requests in 5 min", None, 1.0),
    "errors": ("Service: share of requests that failed, 5 min", None, 0.1),
    "latency": ("Service: share of answers within 50 ms, 30 min", 0.95, 1.05),
    "invalid": ("Inputs: share of values missing or implausible, 15 min", 0.05, 0.2),
    "drift": ("Inputs: KS distance to the reference, 1 h", 0.15, 0.3),
    "answers": ("Answers: share that moved to another class, 1 h", 0.15, 0.3),
    "accuracy": ("Labels: accuracy, 15 min", 0.90, 1.05),
}
_AFTERMATH_MINUTES = 40.0  # what comes later would press the change into a corner


def signals(curves: Mapping[str, "pd.DataFrame"], fired: Mapping[str, float]) -> Picture:
    """Draw each signal over production minutes since the start, and when each alert fired first.

    ``curves`` maps the names requests, errors, latency, invalid, drift, answers and accuracy to frames that are indexed
    by minutes; what is missing or empty says so. What came later than 40 minutes after the first alert is left out.
    """
    end = min(fired.values(), default=math.inf) + _AFTERMATH_MINUTES
    fired = {alert: minute for alert, minute in fired.items() if minute <= end}
    curves = {name: frame[frame.index <= end] for name, frame in curves.items()}
    figure = Picture(figsize=(9, 9.5), dpi=90, layout="constrained")
    axes = figure.subplots(len(_ROWS), 1, sharex=True)
    for axis, (name, (title, limit, top)) in zip(axes, _ROWS.items(), strict=True):
        axis.set_title(title, loc="left", fontsize=9.5)
        frame = curves.get(name)
        if frame is None or frame.empty:
            axis.text(0.5, 0.5, "no data yet", transform=axis.transAxes, ha="center", color=GREY)
        else:
            _draw(axis, frame)
            axis.set_ylim(0, max(top, axis.get_ylim()[1]))
        if limit is not None:
            axis.axhline(limit, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        for minute in fired.values():
            axis.axvline(minute, color=RED, linewidth=0.9)
        plain(axis)
    for number, (alert, minute) in enumerate(sorted(fired.items(), key=lambda item: item[1])):
        place = {"xycoords": ("data", "axes fraction"), "xytext": (4, 0), "textcoords": "offset points"}
        axes[0].annotate(alert, (minute, 0.8 - 0.25 * (number % 4)), fontsize=8, color=RED, **place)
    axes[-1].set_xlim(left=0)
    axes[-1].set_xlabel("production minutes since the game began; dashed: what an alert compares with")
    return figure


def _draw(axis, frame: "pd.DataFrame") -> None:
    for (label, series), colour in zip(frame.items(), SERIES, strict=False):
        axis.plot(series.index, series.to_numpy(), color=colour, linewidth=1.6, label=str(label))
    if frame.shape[1] > 1:
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.05), fontsize=8, frameon=False)
