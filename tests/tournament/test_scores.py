"""Scores: delays from the onset, misses, false alarms; the same for the same seeds."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from labkit import plots, tournament
from labkit.cli import main
from labkit.errors import InputError
from labkit.simulate.scenarios import CATALOGUE
from labkit.tournament import report
from labkit.tournament.scores import QUIET, Run, delay_minutes, episodes, scores, visible

FAST = ("labkit", "ModelInputDrift", "ModelAccuracyLow")


def alarms(*minutes: int, n: int = 200) -> np.ndarray:
    return np.isin(np.arange(n), minutes)


def test_a_delay_ends_with_the_minute_of_the_first_alarm() -> None:
    assert [delay_minutes(alarms(0)), delay_minutes(alarms(7, 8)), delay_minutes(alarms())] == [1, 8, np.inf]


@pytest.mark.parametrize(("minutes", "counted"), [((), 0), ((5, 6, 30), 1), ((5, 65, 66), 2), (range(180), 3)])
def test_false_alarms_count_once_an_hour(minutes: tuple[int, ...], counted: int) -> None:
    assert episodes(alarms(*minutes)) == counted


def runs(*delays: float, scenario: str = "unit_error") -> list[Run]:
    return [Run("labkit", "inputs", scenario, seed, late, np.nan, 0.001) for seed, late in enumerate(delays)]


def test_a_miss_is_an_infinite_delay() -> None:
    (line,) = scores(runs(1, 2, 3, 4, np.inf)).to_dict("records")
    assert (line["delay_median"], line["delay_p90"], line["missed_ratio"]) == (3, np.inf, 0.2)
    assert line["milliseconds_per_minute"] == pytest.approx(1)


def test_a_quiet_day_has_false_alarms_and_no_delay() -> None:
    quiet = [Run("labkit", "inputs", "steady", seed, np.nan, n, 0.001) for seed, n in enumerate((0, 3))]
    (line,) = scores(quiet).to_dict("records")
    assert line["false_alarms_per_day"] == 1.5
    assert np.isnan([line["delay_median"], line["missed_ratio"]]).all()


def test_lines_come_in_the_order_of_the_catalogue() -> None:
    table = scores(runs(1, scenario="class_shift") + runs(1, scenario="unit_error"))
    assert list(table["scenario"]) == ["unit_error", "class_shift"]


def test_what_is_visible_changes_rows_or_their_meaning() -> None:
    hidden = {name for name, entry in CATALOGUE.items() if not visible(entry)}
    assert hidden == {"steady", "bad_requests", "slow_model", "no_traffic"}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return tournament.run(["steady", "unit_error", "concept_shift"], seeds=1, names=FAST)


def test_the_same_seeds_give_the_same_table_but_for_its_cost() -> None:
    first, again = (
        tournament.run(["sensor_drift"], seeds=3, seed=5, names=FAST).drop(columns="milliseconds_per_minute")
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, again)


def test_a_summary_has_a_line_per_detector_and_a_column_per_fault(table: pd.DataFrame) -> None:
    lines = report.summary(table).set_index("detector")
    assert list(lines.index) == list(FAST)
    assert {"false/day steady", "unit_error", "concept_shift"} < set(lines.columns)
    assert lines.loc["labkit", ["unit_error", "concept_shift"]].tolist() == ["1 (1)", "missed"]


def test_files_say_the_same_in_four_ways(table: pd.DataFrame, tmp_path) -> None:
    page, csv, as_json, picture = report.write_files(table, tmp_path)
    assert page.read_text() == report.markdown(table)
    assert pd.read_csv(csv).shape == table.shape
    assert len(json.loads(as_json.read_text())) == len(table)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_picture_has_a_panel_per_scenario_that_somebody_noticed(table: pd.DataFrame) -> None:
    figure = plots.detectors(table, quiet=QUIET)
    assert [axis.get_title() for axis in figure.axes] == ["false alarms a day", "unit_error", "concept_shift"]


def test_the_picture_says_what_its_marks_watch_and_counts_alarms_in_round_numbers(table: pd.DataFrame) -> None:
    figure = plots.detectors(table, quiet=QUIET)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        f"watches {each}" for each in table["watches"]
    }
    figure.draw_without_rendering()
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["0", "0.1", "1", "10", "100"][: len(ticks)] and len(ticks) >= 3


def test_a_page_keeps_what_stands_around_the_table(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Head\n\n{report.BEGIN}\nold\n{report.END}\n\nTail\n")
    for text in ("new\n", "newer\n"):
        report.write_into(page, text)
    assert page.read_text() == f"# Head\n\n{report.BEGIN}\n\nnewer\n\n{report.END}\n\nTail\n"


def test_the_command_plays_writes_and_shows(tmp_path) -> None:
    page = tmp_path / "page.md"
    arguments = ["--seeds", "1", "--scenario", "unit_error", "--out", tmp_path / "out", "--write", page]
    result = CliRunner().invoke(main, ["tournament", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert "| labkit | inputs |" in result.output
    assert "| labkit | inputs |" in page.read_text()
    assert (tmp_path / "out" / "tournament.csv").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"scenarios": ["flood"]}, "flood"), ({"names": ["oracle"]}, "oracle"), ({"seeds": 0}, "0 seeds")],
)
def test_what_cannot_be_played_is_named(asked: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tournament.run(**{"scenarios": ["steady"], "seeds": 1, **asked})
