"""What moved, and by how much: both distributions of each feature."""

from typing import Any

import numpy as np

from labkit.plots.style import BLUE, GREY, ORANGE, RED, Picture, plain

__all__ = ["drift"]

_COLUMNS = 4


def drift(reference: Any, current: Any, **rules: Any) -> Picture:
    """Draw each feature's distribution in ``reference`` and in ``current``, the largest effect first.

    ``reference`` is a ``labkit.observe.drift.Reference``; ``rules`` go to its ``compare``. A title in red says
    drift. The axis spans what lies between the outer percents of both sides, so that no outlier flattens the picture.
    """
    report = reference.compare(current, **rules)
    outlines = reference.outlines(current)
    order = np.argsort(-np.array([outline["effect"] for outline in outlines]), kind="stable")
    n_columns = min(_COLUMNS, len(order))
    n_rows = -(-len(order) // n_columns)
    figure = Picture(figsize=(3.1 * n_columns, 2.5 * n_rows + 0.5), dpi=110, layout="constrained")
    axes = np.atleast_1d(figure.subplots(n_rows, n_columns)).ravel()
    for axis, i in zip(axes, order, strict=False):
        _feature(axis, outlines[i], report.iloc[i])
    for axis in axes[len(order) :]:
        axis.axis("off")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _feature(axis: Any, outline: dict[str, Any], row: Any) -> None:
    sides = (("reference", BLUE), ("current", ORANGE))
    if "edges" in outline:
        for side, colour in sides:
            axis.stairs(outline[side], outline["edges"], color=colour, lw=1.8, label=side)
    else:
        places = np.arange(len(outline["categories"]))
        for (side, colour), shift in zip(sides, (-0.2, 0.2), strict=True):
            axis.bar(places + shift, outline[side], width=0.4, color=colour, label=side)
        axis.set_xticks(places, outline["categories"], fontsize=8)
    drifted = bool(row["drifted"])
    axis.set_title(
        f"{row['feature']}: {outline['measure']} {outline['effect']:.2f}{', drifted' if drifted else ''}",
        fontsize=9.5,
        color=RED if drifted else "black",
    )
    if row["missing"]:
        axis.set_xlabel(f"{row['missing']:,} missing", fontsize=8, color=GREY)
    axis.set_yticks([])
    plain(axis)
