"""`labkit notebooks DIR`: the course for somebody who has only installed the package."""

import re
import tomllib
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from labkit.cli import main
from labkit.errors import InputError
from labkit.stack.home import Home
from labkit.teach.files import course_files, write_course

ROOT = Path(__file__).parents[2]


def test_the_command_writes_every_notebook_and_says_how_to_go_on(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["notebooks", str(tmp_path / "course")])
    assert done.exit_code == 0, done.output
    assert "jupyter lab" in done.output
    names = {path.name for path in (tmp_path / "course" / "notebooks").iterdir()}
    assert names == {path.name for path in ROOT.glob("notebooks/[0-9]*.ipynb")}


def test_links_inside_the_written_course_lead_somewhere(tmp_path: Path) -> None:
    write_course(tmp_path)
    planned = {path.stem for path in ROOT.glob("notebooks/source/[0-9]*.py")}
    broken = []
    for path in tmp_path.glob("notebooks/*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            is_missing_notebook = target.endswith(".ipynb") and Path(target).stem not in planned
            if not is_missing_notebook and not (path.parent / target).exists():
                broken.append(f"{path.name}: {target}")
    assert broken == []


def test_what_a_learner_wrote_is_never_overwritten(tmp_path: Path) -> None:
    (written, _) = write_course(tmp_path)
    written[0].write_text("my answers")
    (again, kept) = write_course(tmp_path)
    assert (again, written[0] in kept, written[0].read_text()) == ([], True, "my answers")


def test_a_lab_opened_in_the_written_notebooks_lives_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABKIT_HOME", raising=False)
    write_course(tmp_path / "course")
    assert Home.find(tmp_path / "course" / "notebooks").root == tmp_path / "course" / ".lab"


def test_a_file_is_no_folder_to_write_into(tmp_path: Path) -> None:
    (tmp_path / "course").touch()
    with pytest.raises(InputError, match="name a folder"):
        write_course(tmp_path / "course")


def test_the_wheel_carries_the_folders_that_the_command_reads() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    folders = {place.split("/")[0] for place in course_files()}
    assert {name: wheel["force-include"].get(name) for name in folders} == {name: f"labkit/{name}" for name in folders}
