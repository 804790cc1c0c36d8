"""Panels that show the present: numbers, bars and tables. And how a number is written in its unit."""

import math
import textwrap
from typing import TYPE_CHECKING, Any

from labkit.plots.style import GREY, RED, SKY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_bars", "draw_numbers", "draw_problem", "draw_table", "limits", "tick", "written"]

_INK = "#222222"
_WHITE = {"fc": "white", "ec": "none", "pad": 0.8}
_HIDDEN_COLUMNS = {"__name__", "instance", "job", "model_name", "action"}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a number as a reader wants it: 0.953 of ``percentunit`` is 95.3%, 0.0042 of ``s`` 4.2 ms."""
    if not math.isfinite(value):
        return "no value"
    if unit == "percentunit":
        return f"{value * 100:.{_places(value * 100, decimals)}f}%"
    if unit == "s" and abs(value) < 1:
        return f"{value * 1000:.{_places(value * 1000, decimals)}f} ms"
    suffix = " s" if unit == "s" else ""
    if abs(value) >= 10_000:
        return f"{value / 1000:.3g} K{suffix}"
    return f"{value:.{_places(value, decimals)}f}{suffix}"


def tick(value: float, unit: str) -> str:
    """Return a number as an axis shows it, as short as can be."""
    if unit == "percentunit":
        return f"{value * 100:.6g}%"
    if unit == "s" and abs(value) < 1:
        return f"{value * 1000:.6g} ms"
    return f"{value:.6g}" + (" s" if unit == "s" else "")


def _places(value: float, decimals: int | None) -> int:
    if decimals is not None and (round(value, decimals) or not value):
        return decimals
    return 0 if value == round(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2


def limits(defaults: dict[str, Any]) -> list[tuple[float, str]]:
    """Return where each threshold begins, with the colour of what is above it."""
    steps = defaults.get("thresholds", {}).get("steps", [])
    return [(step["value"], step["color"]) for step in steps if step["value"] is not None]


def draw_numbers(axis: "Axes", panel: Any) -> None:
    """Draw one large number or word for each series, side by side."""
    axis.axis("off")
    words = {float(each["value"]): each["text"] for each in panel.defaults.get("mappings", [])}
    by_name = panel.spec["options"].get("textMode") == "name"
    count = len(panel.series)
    for number, series in enumerate(panel.series):
        value = series.values[-1]
        text = words.get(value) or written(value, panel.defaults.get("unit", ""), panel.defaults.get("decimals"))
        x = (number + 0.5) / count
        size = 26 if count == 1 else 17
        axis.text(
            x, 0.5 if count == 1 else 0.6, series.name if by_name else text,
            ha="center", va="center", fontsize=size, fontweight="bold", color=_colour_at(value, panel.defaults),
        )  # fmt: skip
        if count > 1 and not by_name:
            axis.text(x, 0.14, series.name, ha="center", va="center", fontsize=9, color=_INK)


def draw_bars(axis: "Axes", panel: Any) -> None:
    """Draw a bar for each series, the limit across them, and each number at its bar's end."""
    unit, decimals = panel.defaults.get("unit", ""), panel.defaults.get("decimals")
    longest = max([panel.defaults.get("max", 0), *(each.values[-1] for each in panel.series)])
    for lane, series in enumerate(panel.series):
        value = series.values[-1]
        axis.barh(lane, longest, color="#eeeeee", height=0.5)
        axis.barh(lane, value, color=_colour_at(value, panel.defaults), height=0.5)
        axis.text(longest * 1.02, lane, written(value, unit, decimals), va="center", fontsize=9, color=_INK)
        axis.text(0, lane - 0.32, series.name, va="bottom", fontsize=9, color=_INK)
    for value, _ in limits(panel.defaults):
        axis.axvline(value, color=RED, linewidth=1.2, linestyle=(0, (4, 3)))
        axis.text(
            value,
            len(panel.series) - 0.42,
            f"limit {tick(value, unit)}",
            ha="center",
            fontsize=8,
            color=RED,
            bbox=_WHITE,
        )
    axis.set(xlim=(0, longest * 1.2), ylim=(len(panel.series) - 0.2, -0.75))
    axis.axis("off")


def draw_table(axis: "Axes", panel: Any) -> None:
    """Draw a line for each series with its labels as columns; as many lines as there is room for."""
    axis.axis("off")
    columns = sorted({name for each in panel.series for name in each.labels} - _HIDDEN_COLUMNS)
    rows = sorted([each.labels.get(name, "") for name in columns] for each in panel.series)
    room = max(2, panel.place[3] * 2 - 5)
    widths = [max([len(name), *(len(row[place]) for row in rows)]) + 2 for place, name in enumerate(columns)]
    starts = [sum(widths[:place]) / sum(widths) for place in range(len(columns))]
    size = min(9, 62 * panel.place[2] / 8 / sum(widths) * 9)
    shown = rows if len(rows) <= room else [*rows[: room - 1], [f"and {len(rows) - room + 1} more"]]
    for line, row in enumerate([columns, *shown]):
        for x, text in zip(starts, row, strict=False):
            colour = GREY if line == 0 else RED if text == "firing" and row[0] != "Watchdog" else _INK
            weight = "bold" if line == 0 else "normal"
            y = 0.97 - line / (room + 1.2)
            axis.text(x, y, text, fontsize=size, color=colour, fontweight=weight, va="top")


def draw_problem(axis: "Axes", problem: str, width_inches: float) -> None:
    """Say in the middle of an empty panel why it is empty."""
    axis.axis("off")
    lines = [line for part in problem.split("\n") for line in textwrap.wrap(part, int(width_inches * 14))]
    axis.text(
        0.5, 0.5 + 0.06 * len(lines), "No data", ha="center", va="bottom", fontsize=12, fontweight="bold", color=RED
    )
    axis.text(0.5, 0.5 + 0.05 * len(lines), "\n".join(lines), ha="center", va="top", fontsize=8.5, color=_INK)


def _colour_at(value: float, defaults: dict[str, Any]) -> str:
    steps = defaults.get("thresholds", {}).get("steps", [])
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return reached[-1] if reached else SKY
