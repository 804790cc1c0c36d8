"""Every notebook runs: solved with all checks correct, untouched with none attempted, and each cell twice."""

import os
from pathlib import Path

import pytest

from tests.run_notebook import build, doubled, execute, solved, untouched

# Backwards: beside them nbmake runs the untouched ones forwards, and so no two that are heavy meet.
NUMBERS = [path.name[:2] for path in reversed(build.SOURCES)]


@pytest.fixture(autouse=True)
def errors_come_from_checks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CI is set a check would judge the untouched notebook by other rules than the learner's kernel."""
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_solved_notebook_runs_and_every_check_is_correct(number: str, tmp_path: Path) -> None:
    execute(solved(number), tmp_path, "correct")


@pytest.mark.long
@pytest.mark.parametrize("number", NUMBERS)
def test_every_cell_can_be_run_twice_and_the_whole_as_well(number: str, tmp_path: Path) -> None:
    execute(doubled(solved(number)), tmp_path, "correct")


def test_a_run_insists_on_the_outcome_that_it_asks_for(tmp_path: Path) -> None:
    notebook = untouched("00")
    notebook.cells = [cell for cell in notebook.cells if "lesson" in cell.source and cell.cell_type == "code"]
    for cell in notebook.cells:
        cell.source = cell.source.replace("lab = Lab.open(fresh=True)", "lab = Lab.attach()")
    with pytest.raises(Exception, match="is not 'correct'"):
        execute(notebook, tmp_path, "correct")
    assert "LABKIT_EXPECT" not in os.environ or os.environ["LABKIT_EXPECT"] != "correct"
