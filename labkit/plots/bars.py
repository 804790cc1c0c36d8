"""Draw a few numbers side by side, each with its value: a line of the table is a group, a column a colour."""

from typing import TYPE_CHECKING

from labkit.plots.style import GREY, SERIES, Picture, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bars"]


def bars(
    table: "pd.DataFrame", *, title: str, unit: str, form: str = "{:.2f}", objective: float | None = None
) -> Picture:
    """Draw a group of bars for each line of ``table``, a bar for each column; ``form`` writes a value on its bar.

    ``unit`` names the vertical axis, ``objective`` is drawn as a dashed line.
    """
    figure = Picture(figsize=(1.6 + 1.9 * len(table), 3.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    width = 0.8 / table.shape[1]
    for number, (name, column) in enumerate(table.items()):
        places = [place - 0.4 + width * (number + 0.5) for place in range(len(table))]
        drawn = axis.bar(places, column.to_numpy(), width * 0.92, color=SERIES[number], label=str(name))
        for label in axis.bar_label(drawn, [form.format(value) for value in column], fontsize=9, padding=2):
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})  # the objective may run behind it
    axis.set_xticks(range(len(table)), [str(name) for name in table.index], fontsize=9.5)
    axis.set_ylabel(unit)
    axis.set_title(title, loc="left", fontsize=10.5)
    axis.margins(y=0.15)
    if objective is not None:
        axis.axhline(objective, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        axis.text(1.005, objective, f"{objective:g}", transform=axis.get_yaxis_transform(), color=GREY, va="center")
    if table.shape[1] > 1:
        figure.legend(loc="outside lower center", ncols=table.shape[1], fontsize=9, frameon=False)
    plain(axis)
    return figure
