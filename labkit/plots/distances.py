"""Pictures of drift: the gap that a distance measures, distances over time, and what more rows do to them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from labkit.plots.style import BLUE, GREY, ORANGE, RED, SERIES, Picture, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["distances", "evidence", "ks_gap"]


def ks_gap(reference: np.ndarray, current: np.ndarray, *, name: str) -> Picture:
    """Draw the cumulative shares of two samples (n,) and (m,), and the largest gap between them."""
    figure = Picture(figsize=(7.5, 3.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    reference, current = np.sort(reference), np.sort(current)
    places = np.concatenate([reference, current])
    shares = [np.searchsorted(values, places, side="right") / len(values) for values in (reference, current)]
    widest = int(np.argmax(np.abs(shares[0] - shares[1])))
    at, low, high = places[widest], *sorted((shares[0][widest], shares[1][widest]))
    for values, label, colour in ((reference, "reference", BLUE), (current, "current", ORANGE)):
        axis.step(values, np.arange(1, len(values) + 1) / len(values), where="post", color=colour, lw=1.8, label=label)
    axis.plot([at, at], [low, high], color=RED, lw=3, solid_capstyle="butt")
    axis.annotate(
        f"KS distance {high - low:.3f}\nat {at:.2f}", (at, (low + high) / 2),
        xytext=(10, 0), textcoords="offset points", va="center", color=RED, fontsize=10,
        bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1.5},
    )  # fmt: skip
    axis.set(xlabel=name, ylabel="share at or below", ylim=(0, 1.02))
    axis.legend(frameon=False, loc="lower right")
    plain(axis)
    return figure


def distances(
    frame: "pd.DataFrame",
    *,
    title: str,
    limit: float | None = None,
    moments: Sequence[tuple[float, str]] = (),
    xlabel: str = "production minutes",
    ylabel: str = "KS distance",
) -> Picture:
    """Draw distances over time: a column is a line, the index is production minutes; ``moments`` are vertical lines."""
    figure = Picture(figsize=(8.5, 3.4), dpi=110, layout="constrained")
    axis = figure.subplots()
    for (label, series), colour in zip(frame.items(), SERIES, strict=False):
        axis.plot(series.index, series.to_numpy(), color=colour, lw=1.6, label=str(label))
    if limit is not None:
        axis.axhline(limit, color=GREY, lw=1, linestyle=(0, (4, 3)))
        axis.annotate(
            f"limit {limit:g}", (1.0, limit), xycoords=("axes fraction", "data"),
            xytext=(0, 3), textcoords="offset points", ha="right", fontsize=8.5, color=GREY,
        )  # fmt: skip
    for minute, label in moments:
        axis.axvline(minute, color="black", lw=0.9)
        axis.annotate(
            label, (minute, 1), xycoords=("data", "axes fraction"),
            xytext=(4, -3), textcoords="offset points", va="top", fontsize=8.5,
        )  # fmt: skip
    axis.set_title(title, loc="left", fontsize=10.5)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.set_ylim(bottom=0)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5, frameon=False)
    plain(axis)
    return figure


def evidence(frame: "pd.DataFrame", *, title: str) -> Picture:
    """Draw what more rows do: ``distance`` stays where it is, ``p_value`` falls. The index is the number of rows."""
    figure = Picture(figsize=(8.5, 3.2), dpi=110, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5)
    left, right = figure.subplots(1, 2)
    left.plot(frame.index, frame["distance"], "o-", color=BLUE)
    left.set(xscale="log", xlabel="rows in the window", ylabel="KS distance", ylim=(0, 0.3))
    right.plot(frame.index, np.maximum(frame["p_value"], 1e-30), "s-", color=ORANGE)
    right.axhline(0.05, color=GREY, lw=1, linestyle=(0, (4, 3)))
    right.annotate(
        "0.05", (1.0, 0.05), xycoords=("axes fraction", "data"),
        xytext=(0, 3), textcoords="offset points", ha="right", fontsize=8.5, color=GREY,
    )  # fmt: skip
    right.set(xscale="log", yscale="log", xlabel="rows in the window", ylabel="p-value (cut at 1e-30)")
    for axis in (left, right):
        plain(axis)
    return figure
