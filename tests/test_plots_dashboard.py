"""A drawn dashboard shows what the board holds, within its cards, and says why a panel is empty."""

import pytest

from labkit import plots
from labkit.plots.tiles import tick, written
from labkit.stack.dashboards.grafana import Panel, Query, dashboard
from labkit.stack.panels import Board, PanelData, Series

END = 1_000_000.0


def board(panel: Panel, series: list[Series], problem: str = "") -> Board:
    (spec,) = dashboard("x", "X", "d", [panel])["panels"]
    data = PanelData(panel.title, panel.kind, panel.place, spec, series, problem)
    return Board("X", 3600, END, [data], [(END - 30, END - 29, "v2 in service", "#56b4e9")])


def panel(**changes) -> Panel:
    return Panel(**{"title": "t", "kind": "timeseries", "place": (0, 0, 8, 8), "queries": [Query("up")],
                    "description": "d", **changes})  # fmt: skip


def curve(name: str, values: list[float], seconds: list[float] | None = None) -> Series:
    seconds = seconds or [float(place) for place in range(len(values))]
    return Series(name, "", {}, [END - 60 + second for second in seconds], values)


def words(figure: plots.Picture) -> list[str]:
    return [text.get_text() for text in (*figure.texts, *(text for axis in figure.axes for text in axis.texts))]


def test_the_axis_counts_production_minutes_back_from_now():
    figure = plots.dashboard(board(panel(), [curve("a", [1.0, 2.0])]), 60)
    assert figure.axes[0].get_lines()[0].get_xdata().tolist() == [-60.0, -59.0]


def test_a_gap_in_the_samples_is_a_gap_in_the_curve():
    figure = plots.dashboard(board(panel(), [curve("a", [1.0, 2.0, 3.0], [0, 1, 9])]), 60)
    drawn = figure.axes[0].get_lines()[0].get_ydata().tolist()
    assert [value for value in drawn if value == value] == [1.0, 2.0, 3.0]
    assert len(drawn) == 4


def test_an_empty_panel_says_why():
    figure = plots.dashboard(board(panel(), [], "A: There is no metric x."), 60)
    assert {"No data", "A: There is no metric x."} <= set(words(figure))


def test_the_head_tells_the_pace_and_what_came_into_service():
    found = "\n".join(words(plots.dashboard(board(panel(), [curve("a", [1.0])]), 60)))
    assert "1 min on the clock, as the lab runs 60 times faster" in found
    assert "v2 in service -30 min" in found


def test_in_real_time_nothing_is_said_about_the_clock():
    assert "on the clock" not in "\n".join(words(plots.dashboard(board(panel(), [curve("a", [1.0])]), 1)))


@pytest.mark.parametrize("width", [8, 15, 20])
def test_no_legend_leaves_its_panel(width):
    names = ["petal_length", "petal_width", "sepal_length", 'model_accuracy{instance="127.0.0.1:25955", job="model"}']
    figure = plots.dashboard(board(panel(), [curve(name, [1.0, 2.0]) for name in names]), 60, width=width)
    figure.draw_without_rendering()
    edge = figure.bbox.width / 3
    found = [text for text in figure.texts if text.get_text().startswith(("petal", "sepal", "model"))]
    assert len(found) == 4
    assert [text.get_text() for text in found if text.get_window_extent().x1 > edge] == []


def test_a_limit_is_drawn_and_named():
    figure = plots.dashboard(board(panel(limit=0.9, unit="percentunit"), [curve("a", [0.5])]), 60)
    assert "limit 90%" in words(figure)


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("stat", {"words": {0: ("down", "red"), 1: ("up", "blue")}}, "up"),
        ("stat", {"unit": "percentunit"}, "100%"),
        ("bargauge", {"unit": "percentunit"}, "100%"),
    ],
)
def test_a_tile_writes_the_last_value(kind, more, expected):
    assert expected in words(plots.dashboard(board(panel(kind=kind, **more), [curve("a", [0.0, 1.0])]), 60))


def test_a_table_has_a_line_for_each_series_with_its_labels():
    rows = [Series("", "", {"alertname": name, "job": "x"}, [END], [1.0]) for name in ("Watchdog", "ModelDown")]
    found = words(plots.dashboard(board(panel(kind="table"), rows), 60))
    assert {"alertname", "Watchdog", "ModelDown"} <= set(found)
    assert "job" not in found


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.9731, "percentunit", "97.3%"),
        (0.0042, "s", "4.20 ms"),
        (1.5, "s", "1.50 s"),
        (1062.0, "short", "1062"),
        (25_300.0, "short", "25.3 K"),
        (float("nan"), "short", "no value"),
    ],
)
def test_a_number_is_written_in_its_unit(value, unit, expected):
    assert written(value, unit) == expected


def test_a_tick_is_as_short_as_can_be():
    assert (tick(0.075, "percentunit"), tick(0.3, "s"), tick(2.0, "s")) == ("7.5%", "300 ms", "2 s")
