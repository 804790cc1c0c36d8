"""Pictures of a model's answers: their shares, how sure they are, and labels that stop."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from labkit.plots.style import BLUE, GREY, ORANGE, RED, SKY, Picture, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["class_shares", "frozen_gauge", "reliability"]


def class_shares(shares: "pd.DataFrame") -> Picture:
    """Draw shares by class, a line of ``shares`` each, its columns (``reference``, ``now``) side by side."""
    figure = Picture(figsize=(7.5, 3.2), dpi=110, layout="constrained")
    axis = figure.subplots()
    width = 0.8 / shares.shape[1]
    for number, (name, values) in enumerate(shares.items()):
        places = [place - 0.4 + (number + 0.5) * width for place in range(len(shares))]
        bars = axis.bar(places, values, width * 0.92, label=str(name), color=(SKY, ORANGE, BLUE)[number % 3])
        axis.bar_label(bars, fmt=lambda value: f"{value:.0%}", fontsize=9, padding=2)
    axis.set_xticks(range(len(shares)), [str(name) for name in shares.index])
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_title("Share of each class among the answers", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9)
    plain(axis)
    return figure


def reliability(bins: "pd.DataFrame") -> Picture:
    """Draw accuracy over confidence: a line of ``bins`` with ``confidence``, ``accuracy`` and ``rows`` for each bin."""
    figure = Picture(figsize=(5.6, 4.4), dpi=110, layout="constrained")
    axis = figure.subplots()
    low = min(bins["confidence"].min(), bins["accuracy"].min()) - 0.05
    axis.plot([low, 1], [low, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), label="as sure as right")
    axis.plot(bins["confidence"], bins["accuracy"], color=BLUE, marker="o", linewidth=1.8, label="this model")
    for point in bins[bins["rows"] < 0.1 * bins["rows"].sum()].itertuples():  # few rows, so that chance moves it far
        axis.annotate(
            f"{point.rows:,} rows", (point.confidence, point.accuracy), xytext=(8, -10), textcoords="offset points",
            fontsize=8, color=GREY,
        )  # fmt: skip
    axis.set(xlabel="confidence", ylabel="share of right answers", xlim=(low, 1.02), ylim=(low, 1.04))
    axis.set_title("How often it is right when it is that sure", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    plain(axis)
    return figure


def frozen_gauge(curves: Mapping[str, "pd.Series"], speed: float) -> Picture:
    """Draw series ``gauge``, ``counters``, ``rows`` and ``labels``, each over its own times (UTC).

    ``speed`` is how many production seconds a lab second has; 0 on the axis is the last moment of all.
    """
    figure = Picture(figsize=(9, 4.6), dpi=110, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2]})
    lines = {
        "gauge": (above, RED, "-", "gauge model_accuracy"),
        "counters": (above, BLUE, "--", "from label counters"),
        "rows": (below, ORANGE, "-", "rows predicted"),
        "labels": (below, BLUE, "--", "labels arrived"),
    }
    last = max(series.index[-1] for series in curves.values())
    for name, (axis, colour, style, label) in lines.items():
        minutes = (curves[name].index - last).total_seconds() * speed / 60
        axis.plot(minutes, curves[name], color=colour, linestyle=style, linewidth=2, label=label)
    above.set_ylim(0, 1.05)
    above.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    above.set_title("Accuracy", loc="left", fontsize=10.5)
    below.set_title("In the last 5 minutes", loc="left", fontsize=10.5)
    below.set_ylim(bottom=0)
    below.set_xlabel("production minutes before the end")
    for axis in (above, below):
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5, frameon=False)
        plain(axis)
    return figure
