"""A Grafana dashboard without Grafana: every panel of its JSON, on its place, over production time."""

import math
import textwrap
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from labkit.clock import format_duration
from labkit.plots.style import GREY, RED, SERIES, Picture, plain
from labkit.plots.tiles import draw_bars, draw_numbers, draw_problem, draw_table, limits, tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["dashboard"]

_COLUMNS = 24
_ROW_INCHES = 0.4
_HEAD_INCHES = 0.85
_TILES = {"stat": draw_numbers, "bargauge": draw_bars, "table": draw_table}
_PAGE, _EDGE = "#f4f5f7", "#dcdfe3"
_GAP_INCHES = 0.05
_LETTER_INCHES = 0.067  # of a legend
_REFERENCE = " in reference"
_TICKS_MINUTES = (1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)


def dashboard(board: Any, speed: float, *, width: float = 15) -> Picture:
    """Draw a board that ``labkit.stack.panels`` evaluated; ``width`` is in inches.

    The axis counts production time back from the moment of the picture.
    """
    rows = max(panel.place[1] + panel.place[3] for panel in board.panels)
    height = rows * _ROW_INCHES + _HEAD_INCHES
    figure = Picture(figsize=(width, height), dpi=110, facecolor=_PAGE)
    _head(figure, board, speed, height)
    palette = _palette(board.panels)
    for panel in board.panels:
        x, y, columns, lines = panel.place
        cell = (x / _COLUMNS * width, height - _HEAD_INCHES - (y + lines) * _ROW_INCHES)
        size = (columns / _COLUMNS * width, lines * _ROW_INCHES)
        _panel(figure, board, panel, palette, cell, size, speed)
    return figure


def _head(figure: Picture, board: Any, speed: float, height: float) -> None:
    top = 1 - 0.08 / height
    figure.text(0.012, top, board.title, fontsize=16, fontweight="bold", va="top")
    pace = f"; {_span(board.since / speed)} on the clock, as the lab runs {speed:g} times faster" if speed > 1 else ""
    about = f"the last {_span(board.since)} of production time{pace}"
    figure.text(0.012, 1 - 0.45 / height, about, fontsize=9.5, color=GREY, va="top")
    came = [f"{text} {_ago((at - board.end) * speed / 60)}" for at, _, text, colour in board.events if colour != RED]
    marks = ["dotted line: " + ", ".join(came[-2:])] if came else []
    marks += ["red bar on top: an alert fires"] if any(event[3] == RED for event in board.events) else []
    figure.text(0.988, top, "\n".join(marks), fontsize=9, color=GREY, va="top", ha="right")


def _palette(panels: Iterable[Any]) -> dict[tuple[str, str], tuple[str, Any]]:
    """Give each name one colour on the whole page, among its kind: versions, features, and so on."""
    kinds: dict[str, dict[str, None]] = {}
    for series in (each for panel in panels for each in panel.series if not each.colour):
        kinds.setdefault(series.kind, {})[series.name] = None
    strokes = ("-", (0, (5, 1.5)), (0, (1, 1)))  # another one when the colours are used up
    return {
        (kind, name): (SERIES[place % len(SERIES)], strokes[place // len(SERIES) % len(strokes)])
        for kind, names in kinds.items()
        for place, name in enumerate(sorted(names))
    }


def _panel(figure: Picture, board: Any, panel: Any, palette: dict, cell: tuple, size: tuple, speed: float) -> None:
    """Draw one panel into the rectangle of ``size`` inches at ``cell``."""
    width, height = figure.get_size_inches()
    _card(figure, cell, size)
    title = textwrap.wrap(panel.title, max(12, int(size[0] * 12.5)))
    is_curve = panel.kind == "timeseries" and panel.series
    legend = _legend(panel, palette, size[0]) if is_curve else []
    left, right = (0.66, 0.3) if is_curve else (0.24, 0.24)
    top = 0.2 + 0.19 * len(title)
    bottom = 0.42 + 0.19 * len(legend) if is_curve else 0.18
    place = (cell[0] + left, cell[1] + bottom, size[0] - left - right, size[1] - top - bottom)
    axis = figure.add_axes((place[0] / width, place[1] / height, place[2] / width, place[3] / height))
    axis.set_label(panel.title)
    x, y = (cell[0] + 0.18) / width, (cell[1] + size[1] - 0.15) / height
    figure.text(x, y, "\n".join(title), fontsize=10, fontweight="bold", va="top")
    if not panel.series or all(not math.isfinite(value) for each in panel.series for value in each.values):
        draw_problem(axis, panel.problem, size[0])
    elif panel.kind in _TILES:
        _TILES[panel.kind](axis, panel)
    else:
        _curves(axis, board, panel, palette, speed)
        _write_legend(figure, legend, cell)


def _card(figure: Picture, cell: tuple, size: tuple) -> None:
    width, height = figure.get_size_inches()
    corner = ((cell[0] + _GAP_INCHES) / width, (cell[1] + _GAP_INCHES) / height)
    box = ((size[0] - 2 * _GAP_INCHES) / width, (size[1] - 2 * _GAP_INCHES) / height)
    figure.add_artist(Rectangle(corner, *box, facecolor="white", edgecolor=_EDGE, linewidth=0.8, zorder=-1))


def _curves(axis: "Axes", board: Any, panel: Any, palette: dict, speed: float) -> None:
    custom = panel.defaults.get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    stepped = custom.get("lineInterpolation") == "stepAfter"
    base: dict[float, float] = {}
    for series in panel.series:
        colour, stroke = _look(series, palette)
        minutes, values = _with_gaps(series, board, speed)
        if stacked:
            floor = [base.get(at, 0.0) for at in minutes]
            values = [low + value for low, value in zip(floor, values, strict=True)]
            base |= dict(zip(minutes, values, strict=True))
            axis.fill_between(minutes, floor, values, color=colour, alpha=0.35, lw=0, step="post" if stepped else None)
        axis.plot(
            minutes, values, color=colour, linestyle=stroke, linewidth=1.1 if series.dashed else 1.7,
            drawstyle="steps-post" if stepped else "default", label=series.name,
        )  # fmt: skip
    _events(axis, board, speed)
    _scales(axis, board, panel)


def _look(series: Any, palette: dict) -> tuple[str, Any]:
    colour, stroke = (series.colour, "-") if series.colour else palette[series.kind, series.name]
    return colour, (0, (4, 2.5)) if series.dashed else stroke


def _with_gaps(series: Any, board: Any, speed: float) -> tuple[list[float], list[float]]:
    """Return production minutes before the end, and values, with a break where samples are missing."""
    minutes = [(at - board.end) * speed / 60 for at in series.moments]
    steps = [later - earlier for earlier, later in pairwise(minutes)]
    usual = min(steps, default=0)
    xs, ys = minutes[:1], series.values[:1]
    for at, value, step in zip(minutes[1:], series.values[1:], steps, strict=True):
        if step > 1.5 * usual:
            xs.append(at - step / 2)
            ys.append(math.nan)
        xs.append(at)
        ys.append(value)
    return xs, ys


def _events(axis: "Axes", board: Any, speed: float) -> None:
    for begin, end, _, colour in board.events:
        first, last = ((at - board.end) * speed / 60 for at in (begin, end))
        if colour == RED:
            axis.axvspan(first, last, ymin=0.985, ymax=1.015, color=colour, alpha=0.8, lw=0, clip_on=False)
        else:
            axis.axvline(first, color="#444444", linewidth=0.9, linestyle=(0, (1, 1.5)))


def _scales(axis: "Axes", board: Any, panel: Any) -> None:
    plain(axis)
    unit, decimals, span = panel.defaults.get("unit", ""), panel.defaults.get("decimals"), board.since / 60
    low, high = axis.get_ylim()
    marks = [value for value, colour in limits(panel.defaults) if colour != "transparent"]
    high = max([high, *(value * 1.15 for value in marks)])
    low = panel.defaults.get("min", low)
    if panel.defaults.get("max") is not None:
        high = panel.defaults["max"] * 1.02
    quiet = all(value == 0 for each in panel.series for value in each.values)
    axis.set_ylim(low, high if high > low and not (quiet and not marks) else low + 1)
    axis.set_xlim(-span, 0)
    for value in marks if panel.defaults.get("custom", {}).get("thresholdsStyle", {}).get("mode") != "off" else []:
        axis.axhline(value, color=RED, linewidth=1.1, linestyle=(0, (5, 3)))
        axis.annotate(
            f"limit {tick(value, unit)}", (0.005, value), xycoords=("axes fraction", "data"),
            xytext=(0, 2.5), textcoords="offset points", ha="left", fontsize=7.5, color=RED,
            bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.75},
        )  # fmt: skip
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=decimals == 0 and unit == "short"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, unit)))
    inches = axis.get_position().width * axis.figure.get_size_inches()[0]
    every = next((step for step in _TICKS_MINUTES if span / step <= max(2, inches / 0.75)), span / 2)
    axis.xaxis.set_major_locator(MultipleLocator(every))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda minute, _: _ago(minute)))
    axis.tick_params(labelsize=8, length=3, color=GREY)


def _legend(panel: Any, palette: dict, width: float) -> list[list[tuple[str, str, Any]]]:
    """Return the lines of the legend, each as many (name, colour, stroke) as fit beside each other."""
    entries = {each.name: _look(each, palette) for each in panel.series if not each.name.endswith(_REFERENCE)}
    if len(entries) < len({each.name for each in panel.series}):
        entries["dashed: the reference"] = (GREY, (0, (4, 2.5)))
    lines: list[list[tuple[str, str, Any]]] = [[]]
    used = 0.0
    for full, (colour, stroke) in entries.items():
        room = int((width - 1) / _LETTER_INCHES)
        name = full if len(full) <= room else f"{full[: room - 3]}..."
        needed = _entry_inches(name)
        if lines[-1] and used + needed > width - 0.4:
            lines.append([])
            used = 0.0
        lines[-1].append((name, colour, stroke))
        used += needed
    return lines


def _write_legend(figure: Picture, lines: list, cell: tuple) -> None:
    width, height = figure.get_size_inches()
    for number, line in enumerate(reversed(lines)):
        x, y = cell[0] + 0.3, cell[1] + 0.2 + 0.19 * number
        for name, colour, stroke in line:
            figure.add_artist(_stroke((x / width, (x + 0.2) / width), y / height, colour, stroke))
            figure.text((x + 0.27) / width, y / height, name, fontsize=8, va="center")
            x += _entry_inches(name)


def _stroke(xs: tuple[float, float], y: float, colour: str, stroke: Any) -> Any:
    return Line2D(xs, (y, y), color=colour, linestyle=stroke, linewidth=2)


def _entry_inches(name: str) -> float:
    return 0.45 + _LETTER_INCHES * len(name)


def _ago(minute: float) -> str:
    """Write minutes before now: -90 is "-1:30 h"."""
    whole = round(-minute)
    if whole <= 0:
        return "now"
    return f"-{whole} min" if whole < 60 else f"-{whole // 60}:{whole % 60:02} h"


def _span(seconds: float) -> str:
    return format_duration(seconds).replace("h", " h ").replace("m", " min ").replace("s", " s").strip()
