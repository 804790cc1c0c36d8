"""Pictures show what they were given."""

import numpy as np
import pandas as pd

from labkit import plots

CURVES = {
    "accuracy": pd.DataFrame({"v1": [0.98, 0.4]}, index=[0.0, 10.0]),
    "drift": pd.DataFrame({"petal_length": [0.02, 0.7], "petal_width": [0.01, 0.02]}, index=[0.0, 10.0]),
    "errors": pd.DataFrame({"iris-classifier": [0.0, 0.0]}, index=[0.0, 10.0]),
}


def incident(alerts: dict) -> plots.Picture:
    return plots.incident(CURVES, alerts, [(4.0, "fault")], title="unit_error: " + "mm instead of cm " * 10)


def test_an_incident_has_a_curve_for_each_series_and_a_lane_for_each_alert() -> None:
    figure = incident({"ModelAccuracyLow": [("pending", 5.0, 8.0), ("firing", 8.0, 10.0)]})
    accuracy, drift, _, lanes = figure.axes
    assert [line.get_label() for line in drift.get_lines()[:2]] == ["petal_length", "petal_width"]
    assert accuracy.get_lines()[0].get_ydata().tolist() == [0.98, 0.4]
    assert [text.get_text() for text in lanes.get_yticklabels()] == ["ModelAccuracyLow"]


def test_an_incident_without_alerts_and_without_data_says_so() -> None:
    empty = dict.fromkeys(CURVES, pd.DataFrame())
    figure = plots.incident(empty, {}, [], title="steady")
    assert "no alert" in [text.get_text() for text in figure.axes[3].texts]


def test_a_notebook_shows_a_picture_without_pyplot() -> None:
    assert plots.loop()._repr_png_().startswith(b"\x89PNG")


def test_no_text_of_the_map_leaves_its_box_or_the_picture() -> None:
    figure = plots.loop()
    figure.draw_without_rendering()
    page = figure.bbox
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1


def test_bars_write_their_values_and_the_objective() -> None:
    table = pd.DataFrame({"champion": [0.33, 0.98], "challenger": [0.97, 0.58]}, index=["now", "later"])
    axis = plots.bars(table, title="Accuracy", unit="share", objective=0.9).axes[0]
    texts = [text.get_text() for text in axis.texts]
    assert texts == ["0.33", "0.98", "0.97", "0.58", "0.9"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["now", "later"]


def test_an_objective_does_not_strike_through_a_value_of_bars() -> None:
    axis = plots.bars(pd.DataFrame({"KS": [0.13]}, index=["fleet"]), title="Drift", unit="KS", objective=0.15).axes[0]
    value, line = axis.texts[0], axis.get_lines()[0]
    assert value.get_bbox_patch().get_facecolor() == (1, 1, 1, 1)
    assert value.get_zorder() > line.get_zorder()


def test_versions_have_a_line_each_and_moments_a_name() -> None:
    table = pd.DataFrame({"v1": [0.98, 0.4], "v2": [float("nan"), 0.97]}, index=[0.0, 10.0])
    axis = plots.versions(table, [(4.0, "promotion")]).axes[0]
    assert [line.get_label() for line in axis.get_lines()[:2]] == ["v1", "v2"]
    assert [text.get_text() for text in axis.texts] == ["promotion"]


def test_the_gap_is_drawn_where_two_samples_differ_most() -> None:
    figure = plots.ks_gap(np.arange(100.0), np.arange(50.0, 150.0), name="length")
    assert "0.500" in figure.axes[0].texts[0].get_text()


def test_distances_have_a_line_each_and_a_mark_for_each_moment() -> None:
    frame = pd.DataFrame({"1 min": [0.1, 0.3], "60 min": [0.0, 0.1]}, index=[0, 1])
    axis = plots.distances(frame, title="windows", limit=0.15, moments=[(1, "onset")]).axes[0]
    assert [line.get_label() for line in axis.get_lines()[:2]] == ["1 min", "60 min"]
    assert {"limit 0.15", "onset"} <= {text.get_text() for text in axis.texts}


def test_more_rows_have_a_panel_for_the_size_and_one_for_the_certainty() -> None:
    frame = pd.DataFrame({"distance": [0.2, 0.04], "p_value": [0.3, 0.0]}, index=[100, 10_000])
    size, certainty = plots.evidence(frame, title="season").axes
    assert size.get_lines()[0].get_ydata().tolist() == [0.2, 0.04]
    assert certainty.get_lines()[0].get_ydata().min() > 0


def test_a_silent_day_shows_quiet_operations_above_falling_accuracy() -> None:
    parts = pd.DataFrame({"scenario": ["steady", "unit_error"], "since": [0, 5], "until": [5, 9]})
    flat, falling = pd.Series([1.0, 1.0], index=[0, 9]), pd.Series([0.98, 0.33], index=[0, 9])
    figure = plots.silent_day(parts, flat, flat * 0.1, falling, objective=0.90)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert [title.split(":")[0] for title in titles] == ["What operations watches"] * 2 + ["What users got"]
    assert [text.get_text() for text in figure.axes[2].texts] == ["objective 90%", "steady", "unit\nerror"]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_signals_leave_out_what_came_long_after_the_first_alert() -> None:
    minutes = [float(minute) for minute in range(0, 301, 5)]
    curves = {"drift": pd.DataFrame({"petal_length": np.linspace(0, 0.9, len(minutes))}, index=minutes)}
    figure = plots.signals(curves, {"ModelInputDrift": 25.0, "ModelNoTraffic": 250.0})
    figure.draw_without_rendering()
    assert 65 <= figure.axes[-1].get_xlim()[1] < 70
    assert [text.get_text() for text in figure.axes[0].texts if "Model" in text.get_text()] == ["ModelInputDrift"]


def test_signals_before_any_alert_show_all_there_is() -> None:
    curves = {"errors": pd.DataFrame({"value": [0.0, 0.0]}, index=[0.0, 120.0])}
    assert plots.signals(curves, {}).axes[-1].get_xlim()[1] >= 120
