"""Notebooks are what their sources say, carry no outputs, and have the shape of the course."""

import ast
import importlib
import json
import re
from itertools import pairwise
from pathlib import Path
from statistics import median

import nbformat
import pytest

from tests.run_notebook import ROOT, build

NOTEBOOKS = ROOT / "notebooks"
SOURCES = build.SOURCES
NAMES = [path.stem for path in SOURCES]


def headings(cells: list) -> list[str]:
    lines = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    return [line for line in lines if re.match(r"#{1,6} ", line)]


def of_each_source(function):
    return pytest.mark.parametrize("source", SOURCES, ids=NAMES)(function)


@of_each_source
def test_the_committed_notebook_is_the_built_one(source: Path) -> None:
    committed = NOTEBOOKS / source.with_suffix(".ipynb").name
    assert committed.read_text() == build.build(source), "run: make notebooks"


@of_each_source
def test_the_committed_solutions_are_those_of_the_source(source: Path) -> None:
    committed = json.loads((build.LESSONS / f"solutions_{source.name[:2]}.json").read_text())
    assert committed == build.solutions(source), "run: make notebooks"


def test_every_notebook_has_a_source() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(NAMES)


@of_each_source
def test_a_built_notebook_has_no_outputs_and_unique_ids(source: Path) -> None:
    cells = json.loads(build.build(source))["cells"]
    assert [cell["id"] for cell in cells if cell.get("outputs")] == []
    assert len({cell["id"] for cell in cells}) == len(cells)


@of_each_source
def test_a_change_of_one_cell_keeps_the_ids_of_the_others(source: Path, tmp_path: Path) -> None:
    changed = tmp_path / source.name
    changed.write_text(source.read_text() + "\n# %%\n1 + 1\n")
    before, after = (json.loads(build.build(path))["cells"] for path in (source, changed))
    assert [cell["id"] for cell in after[:-1]] == [cell["id"] for cell in before]


def test_a_solution_is_cut_out_and_each_name_that_it_binds_is_a_blank(tmp_path: Path) -> None:
    source = tmp_path / "99_any.py"
    block = "# solution\nimport math\na, b = 1, 2\ndef f():\n    return math.pi\n# end solution\n"
    source.write_text(f"# %%\n{block}lesson.q1.check(a, b, f)\n")
    (cell,) = nbformat.reads(build.build(source), as_version=4).cells
    assert cell.source == "a = ____\nb = ____\nf = ____\nlesson.q1.check(a, b, f)"
    assert build.solutions(source) == {"q1": block.removeprefix("# solution\n").removesuffix("\n# end solution\n")}


def test_a_name_that_the_check_does_not_take_is_no_blank(tmp_path: Path) -> None:
    source = tmp_path / "99_any.py"
    source.write_text("# %%\n# solution\nknown = [1, 2]\na = sum(known)\n# end solution\nlesson.q1.check(lab, a)\n")
    (cell,) = nbformat.reads(build.build(source), as_version=4).cells
    assert cell.source == "a = ____\nlesson.q1.check(lab, a)"


def test_a_solution_that_binds_no_name_leaves_a_comment(tmp_path: Path) -> None:
    source = tmp_path / "99_any.py"
    source.write_text("# %%\n# solution\nlab.silence()\n# end solution\nlesson.q1.check(lab)\n")
    (cell,) = nbformat.reads(build.build(source), as_version=4).cells
    assert cell.source == "# Write your code here.\nlesson.q1.check(lab)"


def test_a_solution_without_a_check_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "99_any.py"
    source.write_text("# %%\n# solution\na = 1\n# end solution\n")
    with pytest.raises(ValueError, match="one solution and one check"):
        build.build(source) and build.solutions(source)


@of_each_source
def test_a_notebook_begins_with_one_title_and_what_it_takes(source: Path) -> None:
    cells = build.read(source).cells
    assert [line for line in headings(cells) if line.startswith("# ")] == headings(cells)[:1]
    bold = re.findall(r"^\*\*(You will do|You will learn|You need):\*\*", cells[0].source, re.MULTILINE)
    assert bold == ["You will do", "You will learn", "You need"]
    assert re.search(r"\*\*You need:\*\* \d+ minutes", cells[0].source)


@of_each_source
def test_headings_are_ordered_and_the_usual_sections_are_there(source: Path) -> None:
    found = headings(build.read(source).cells)
    levels = [len(line.split()[0]) for line in found]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert sum(line.startswith("## What goes wrong") for line in found) == 1
    assert {"## In practice", "## Recap"} <= set(found)
    recap = next(cell.source for cell in build.read(source).cells if cell.source.startswith("## Recap"))
    assert recap.count("\n- ") >= 3


@of_each_source
def test_the_last_cell_leads_on(source: Path) -> None:
    last = build.read(source).cells[-1]
    number = int(source.name[:2]) + 1
    following = [path.with_suffix(".ipynb").name for path in SOURCES if path.name.startswith(f"{number:02}_")]
    assert last.cell_type == "markdown"
    assert all(f"({name})" in last.source for name in following)


@of_each_source
def test_cells_are_short(source: Path) -> None:
    lengths = [len(cell.source.splitlines()) for cell in build.read(source).cells if cell.cell_type == "code"]
    assert median(lengths) <= 4
    assert max(lengths) <= 25


@of_each_source
def test_exercises_have_their_heading_and_their_check_in_order(source: Path) -> None:
    number = int(source.name[:2])
    titles = re.findall(rf"^### Exercise {number}\.(\d+): \S", "\n".join(headings(build.read(source).cells)), re.M)
    lesson = importlib.import_module(f"labkit.teach.lessons.lesson_{source.name[:2]}").lesson
    names = [exercise.name for exercise in lesson]
    assert list(build.solutions(source)) == names == [f"q{title}" for title in titles]
    assert len(names) >= (3 if number else 1)


@of_each_source
def test_every_picture_has_a_text_for_those_who_do_not_see_it(source: Path) -> None:
    assert not re.findall(r"!\[\]\(|<img(?![^>]*alt=)", source.read_text())


@of_each_source
def test_each_exercise_has_two_hints_or_more_and_a_prompt(source: Path) -> None:
    lesson = importlib.import_module(f"labkit.teach.lessons.lesson_{source.name[:2]}").lesson
    assert [exercise.name for exercise in lesson if len(exercise.hints) < 2 or not exercise.prompt] == []


@of_each_source
def test_each_exercise_is_tested_with_two_wrong_answers_that_hear_different_words(source: Path) -> None:
    test = ROOT / "tests" / "teach" / f"test_lesson_{source.name[:2]}.py"
    wrong = next(
        node.value
        for node in ast.parse(test.read_text()).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and "WRONG" in {getattr(name, "id", "") for name in getattr(node, "targets", [getattr(node, "target", None)])}
    )
    said = {
        key.value: {ast.unparse(entry.elts[-1]) for entry in entries.elts}
        for key, entries in zip(wrong.keys, wrong.values, strict=True)
    }
    assert {name for name, messages in said.items() if len(messages) >= 2} >= set(build.solutions(source))


@of_each_source
def test_links_lead_somewhere(source: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", source.read_text())
    assert [target for target in targets if not (NOTEBOOKS / target).exists()] == []


def test_the_course_has_thirteen_notebooks_and_more_than_forty_exercises() -> None:
    assert [name[:2] for name in NAMES] == [f"{number:02}" for number in range(13)]
    assert sum(len(build.solutions(source)) for source in SOURCES) >= 40
