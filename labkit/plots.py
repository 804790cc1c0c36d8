"""Pictures: data in, Figure out. Colours are Okabe and Ito's, which colour-blind people can tell apart."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import PercentFormatter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Picture", "incident", "loop"]

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442",
)  # fmt: skip
_GREY = "#666666"
_SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)


class Picture(Figure):
    """A figure that a notebook shows by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


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
    for (label, series), colour in zip(frame.items(), _SERIES, strict=False):
        axis.plot(series.index, series.to_numpy(), color=colour, linewidth=1.8, label=str(label))
    if objective is not None:
        axis.axhline(objective, color=_GREY, linewidth=1, linestyle=(0, (4, 3)))
        axis.annotate(
            f"alerts {side} {objective:g}", (0.005, objective), xycoords=("axes fraction", "data"),
            xytext=(0, -11), textcoords="offset points", ha="left", fontsize=8, color=_GREY,
        )  # fmt: skip
    if frame.shape[1] > 1:
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5, frameon=False)
    _plain(axis)


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
        axis.text(0.5, 0.5, "no alert", transform=axis.transAxes, ha="center", va="center", color=_GREY)
    _plain(axis)


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


def _plain(axis: "Axes") -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)


_BOXES = {  # name: (x, y, what it does, colour)
    "traffic": (0, 1, "flowers,\nlate labels", SKY),
    "model": (1, 1, "predictions,\nmetrics, logs", BLUE),
    "prometheus": (2, 1, "scrapes,\njudges by rules", ORANGE),
    "alertmanager": (3, 1, "groups, routes,\nsilences", RED),
    "inbox": (4, 1, "Slack, e-mail,\nPagerDuty", PURPLE),
    "retrainer": (2, 0, "trains, tests,\npromotes or refuses", GREEN),
}
_WIDTH, _HEIGHT = 0.62, 0.5
_DOWN, _UP = "angle,angleA=-90,angleB=0,rad=10", "angle,angleA=0,angleB=-90,rad=10"
_ARROWS = (  # what passes, where its name stands, from, to, how the arrow bends
    ("requests", (0.5, 1.09), (0.34, 1), (0.66, 1), "arc3"),
    ("metrics", (1.5, 1.09), (1.34, 1), (1.66, 1), "arc3"),
    ("alerts", (2.5, 1.09), (2.34, 1), (2.66, 1), "arc3"),
    ("messages", (3.5, 1.09), (3.34, 1), (3.66, 1), "arc3"),
    ("webhook", (2.72, -0.1), (3, 0.71), (2.36, 0), _DOWN),
    ("new champion", (1.28, -0.1), (1.64, 0), (1, 0.71), _UP),
)


def loop() -> Picture:
    """Draw the map of the loop: its six parts and what passes between them."""
    figure = Picture(figsize=(11, 3.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(-0.45, 4.45), ylim=(-0.4, 1.4))
    axis.axis("off")
    for name, (x, y, does, colour) in _BOXES.items():
        corner = (x - _WIDTH / 2, y - _HEIGHT / 2)
        style = "round,pad=0.02,rounding_size=0.06"
        axis.add_patch(FancyBboxPatch(corner, _WIDTH, _HEIGHT, boxstyle=style, fc=f"{colour}22", ec=colour, lw=1.8))
        axis.text(x, y + 0.13, name, ha="center", va="center", fontsize=12, fontweight="bold")
        axis.text(x, y - 0.09, does, ha="center", va="center", fontsize=9)
    for what, label_at, begin, end, bend in _ARROWS:
        style = {"arrowstyle": "-|>", "mutation_scale": 14, "lw": 1.6, "color": _GREY, "shrinkA": 0, "shrinkB": 0}
        axis.add_patch(FancyArrowPatch(begin, end, connectionstyle=bend, **style))
        axis.text(*label_at, what, ha="center", va="center", fontsize=8.5, color=_GREY)
    return figure
