"""What docs/drift.md states came out of the command, and can be had again."""

from pathlib import Path

import pandas as pd
import pytest

from labkit import tournament
from labkit.simulate.scenarios import CATALOGUE
from labkit.tournament.report import BEGIN, END, markdown
from labkit.tournament.scores import QUIET

DOCS = Path(__file__).parents[2] / "docs"
FIRST_SEED = 1


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    """The table as the command wrote it."""
    return pd.read_csv(DOCS / "tournament" / "tournament.csv")


def line(table: pd.DataFrame, detector: str, scenario: str) -> pd.Series:
    return table.set_index(["detector", "scenario"]).loc[(detector, scenario)]


def false_alarms(table: pd.DataFrame, detector: str) -> float:
    return sum(line(table, detector, name)["false_alarms_per_day"] for name in QUIET)


def test_the_page_shows_the_table_that_the_command_wrote(published: pd.DataFrame) -> None:
    page = (DOCS / "drift.md").read_text()
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == markdown(published).strip()


def test_every_detector_was_played_on_every_scenario(published: pd.DataFrame) -> None:
    played = set(zip(published["detector"], published["scenario"], strict=True))
    assert played == {(each.name, name) for each in tournament.detectors() for name in CATALOGUE}


def test_its_columns_are_those_of_the_command(published: pd.DataFrame) -> None:
    assert list(published) == list(tournament.run(["no_traffic"], seeds=1, names=["ModelInputDrift"]))


@pytest.mark.parametrize("detector", ["ModelInputInvalid", "ModelAccuracyLow"])
def test_a_cell_comes_out_again_from_the_same_seeds(published: pd.DataFrame, detector: str) -> None:
    expected = line(published, detector, "unit_error")
    again = tournament.run(["unit_error"], seeds=int(expected["seeds"]), seed=FIRST_SEED, names=[detector])
    found = line(again, detector, "unit_error")
    columns = ["seeds", "delay_median", "delay_p90", "missed_ratio"]
    assert found[columns].astype(float).tolist() == expected[columns].astype(float).tolist()


@pytest.mark.parametrize("scenario", ["unit_error", "sensor_drift", "class_shift"])
def test_nobody_is_earlier_than_labkit_with_as_few_false_alarms(published: pd.DataFrame, scenario: str) -> None:
    ours = line(published, "labkit", scenario)
    earlier = {
        detector
        for detector in published["detector"].unique()
        if false_alarms(published, detector) <= false_alarms(published, "labkit")
        and line(published, detector, scenario)["delay_median"] < ours["delay_median"]
    }
    assert earlier == set()


def test_the_quiet_days_cost_labkit_no_more_than_its_budget(published: pd.DataFrame) -> None:
    assert max(line(published, "labkit", name)["false_alarms_per_day"] for name in QUIET) <= 1 / 7
