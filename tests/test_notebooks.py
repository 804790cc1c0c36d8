"""Notebooks are what their sources say, and carry no outputs."""

import copy
import importlib.util
import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SOURCES = sorted((NOTEBOOKS / "source").glob("[0-9]*.py"))

spec = importlib.util.spec_from_file_location("build", NOTEBOOKS / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_committed_notebook_is_the_built_one(source: Path) -> None:
    committed = NOTEBOOKS / source.with_suffix(".ipynb").name
    assert committed.read_text() == build.build(source), "run: make notebooks"


def test_every_notebook_has_a_source() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {path.stem for path in SOURCES}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_built_notebook_has_no_outputs_and_unique_ids(source: Path) -> None:
    cells = json.loads(build.build(source))["cells"]
    assert [cell["id"] for cell in cells if cell.get("outputs")] == []
    assert len({cell["id"] for cell in cells}) == len(cells)


@pytest.mark.long
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_cell_can_be_run_twice_and_the_whole_as_well(source: Path, tmp_path: Path) -> None:
    notebook = nbformat.reads(build.build(source), as_version=4)
    twice = [copy.deepcopy(cell) for cell in notebook.cells if cell.cell_type == "code" for _ in range(2)]
    notebook.cells = twice + copy.deepcopy(twice)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_change_of_one_cell_keeps_the_ids_of_the_others(source: Path, tmp_path: Path) -> None:
    changed = tmp_path / source.name
    changed.write_text(source.read_text() + "\n# %%\n1 + 1\n")
    before, after = (json.loads(build.build(path))["cells"] for path in (source, changed))
    assert [cell["id"] for cell in after[:-1]] == [cell["id"] for cell in before]
