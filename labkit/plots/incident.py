"""One incident over production time, from four kinds of evidence."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from labkit.plots.style import GREY, RED, SERIES, YELLOW, Picture, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["incident"]


def incident(
    curves: Mapping[str, "pd.DataFrame"],
    alerts: Mapping[str, Sequence[tuple[str, float, float]]],
    moments: Sequence[tuple[float, str]],
    *,
    title: str,
) -> Picture:
    """Draw one incident over production time: accuracy, input drift, error ratio and alert states.

    ``curves`` holds frames named ``accuracy``, ``drift`` and ``errors``, indexed by production minutes, one column a
    series. ``alerts`` maps a name to ``(state, from, to)`` spans in production minutes. ``moments`` are vertical lines.
    """
    figure = Picture(figsize=(10, 8.2), dpi=120, layout="constrained")
    heights = [3, 3, 2, 0.7 + 0.45 * max(1, len(alerts))]
    axes = figure.subplots(4, 1, sharex=True, gridspec_kw={"height_ratios": heights})
    figure.suptitle(textwrap.fill(title, 105), x=0.01, ha="left", fontsize=12)
    _curve(axes[0], curves["accuracy"], "Accuracy of labelled predictions, last 15 min", "below", 0.90)
    _curve(axes[1], curves["drift"], "Input drift: KS distance to the reference, last hour", "above", 0.15)
    _curve(axes[2], curves["errors"], "Requests that ended in an error, last 5 min")
    axes[0].set_ylim(0, 1.02)
    axes[1].set_ylim(bottom=0, top=max(0.5, axes[1].get_ylim()[1]))
    axes[2].set_ylim(bottom=0, top=max(0.05, axes[2].get_ylim()[1]))
    for axis in (axes[0], axes[2]):
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _alert_lanes(axes[3], alerts)
    _moments(axes, moments)
    axes[3].set_xlabel("production time since traffic started, minutes")
    return figure


def _curve(axis: "Axes", frame: "pd.DataFrame", name: str, side: str = "", objective: float | None = None) -> None:
    axis.set_title(name, loc="left", fontsize=10.5)
    for (label, series), colour in zip(frame.items(), SERIES, strict=False):
        axis.plot(series.index, series.to_numpy(), color=colour, linewidth=1.8, label=str(label))
    if objective is not None:
        axis.axhline(objective, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        axis.annotate(
            f"alerts {side} {objective:g}", (0.005, objective), xycoords=("axes fraction", "data"),
            xytext=(0, -11), textcoords="offset points", ha="left", fontsize=8, color=GREY,
        )  # fmt: skip
    if frame.shape[1] > 1:
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5, frameon=False)
    plain(axis)


def _alert_lanes(axis: "Axes", alerts: Mapping[str, Sequence[tuple[str, float, float]]]) -> None:
    axis.set_title("Alerts", loc="left", fontsize=10.5)
    colours = {"pending": YELLOW, "firing": RED}
    for lane, spans in enumerate(alerts.values()):
        for state, begin, end in spans:
            axis.barh(lane, end - begin, left=begin, height=0.6, color=colours[state], edgecolor="none")
    axis.set_yticks(range(len(alerts)), list(alerts), fontsize=9)
    axis.set_ylim(max(len(alerts), 1) - 0.4, -0.6)
    handles = [axis.barh([0], [0], color=colour, label=state) for state, colour in colours.items()]
    axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5, frameon=False)
    if not alerts:
        axis.text(0.5, 0.5, "no alert", transform=axis.transAxes, ha="center", va="center", color=GREY)
    plain(axis)


def _moments(axes: Sequence["Axes"], moments: Sequence[tuple[float, str]]) -> None:
    for number, (minute, label) in enumerate(moments):
        for axis in axes:
            axis.axvline(minute, color="black", linewidth=0.9, alpha=0.75)
        height = (0.04, 0.17)[number % 2]  # neighbours in time stand at different heights
        axes[0].annotate(
            label,
            (minute, height),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8.5,
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8},
        )
