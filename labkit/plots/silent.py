"""A day of incidents, as its operators saw it and as its users got it."""

from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from labkit.plots.style import BLUE, GREY, ORANGE, RED, Picture, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["silent_day"]


def silent_day(
    parts: "pd.DataFrame", answered: "pd.Series", cores: "pd.Series", accuracy: "pd.Series", objective: float
) -> Picture:
    """Draw the share of requests without error, the cores used, and the accuracy, over production minutes.

    ``parts`` has a line per scenario: scenario, since, until. The other three are indexed by minutes.
    """
    figure = Picture(figsize=(10, 6.2), dpi=110, layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [1, 1, 2]})
    _curve(axes[0], answered, BLUE, "What operations watches: requests answered without error")
    _curve(axes[1], cores, ORANGE, "What operations watches: CPU of the model's process, cores")
    _curve(axes[2], accuracy, RED, "What users got: share of right answers, by the minute in which they were given")
    axes[1].set_ylim(0, max(1.0, float(cores.max()) * 1.1 if len(cores) else 1.0))
    for axis in (axes[0], axes[2]):
        axis.set_ylim(0, 1.08)
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes[2].axhline(objective, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes[2].set_xlim(0, float(parts["until"].max()))
    axes[2].text(0.1, objective - 0.09, f"objective {objective:.0%}", fontsize=8, color=GREY)
    axes[2].set_xlabel("production minutes since the day began")
    _mark_parts(axes, parts)
    return figure


def _curve(axis: "Axes", series: "pd.Series", colour: str, title: str) -> None:
    axis.plot(series.index, series.to_numpy(), color=colour, linewidth=2)
    axis.set_title(title, loc="left", fontsize=10.5)
    plain(axis)


def _mark_parts(axes: "list[Axes]", parts: "pd.DataFrame") -> None:
    for number, part in enumerate(parts.itertuples()):
        for axis in axes:
            if number % 2:
                axis.axvspan(part.since, part.until, color=GREY, alpha=0.1, linewidth=0)
        axes[2].text((part.since + part.until) / 2, 0.04, part.scenario.replace("_", "\n"), ha="center", fontsize=8.5)
