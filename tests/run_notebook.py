"""Execute one notebook as a learner would: solved, untouched, or every cell twice.

Run it with ``python -m tests.run_notebook 03 [--untouched] [--twice] [--out DIR]``, in a lab of its own. ``make
minutes`` runs them all and writes README's table of what they take.
"""

import base64
import copy
import importlib.util
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import nbformat
from nbclient import NotebookClient

from labkit.lab import Lab

ROOT = Path(__file__).parent.parent

_spec = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)


def source(number: str) -> Path:
    """Return the source of the notebook with this number."""
    return next(path for path in build.SOURCES if path.name.startswith(f"{number}_"))


def solved(number: str) -> nbformat.NotebookNode:
    """Return a notebook with its solutions."""
    return build.read(source(number))


def untouched(number: str) -> nbformat.NotebookNode:
    """Return a notebook as learners open it."""
    return nbformat.reads(build.build(source(number)), as_version=4)


def doubled(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return every code cell twice in a row, and then all of that again."""
    twice = [copy.deepcopy(cell) for cell in notebook.cells if cell.cell_type == "code" for _ in range(2)]
    notebook.cells = twice + copy.deepcopy(twice)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


@contextmanager
def expecting(outcome: str) -> Iterator[None]:
    """Let every check of kernels started meanwhile raise when its outcome is another."""
    before = os.environ.get("LABKIT_EXPECT")
    os.environ["LABKIT_EXPECT"] = outcome
    try:
        yield
    finally:
        if before is None:
            del os.environ["LABKIT_EXPECT"]
        else:
            os.environ["LABKIT_EXPECT"] = before


def execute(notebook: nbformat.NotebookNode, folder: Path, outcome: str) -> float:
    """Run every cell in a new kernel, in the lab of LABKIT_HOME; return the seconds, raise at the first error."""
    started = time.monotonic()
    with expecting(outcome):
        NotebookClient(notebook, timeout=240, resources={"metadata": {"path": folder}}).execute()
    return time.monotonic() - started


def keep(notebook: nbformat.NotebookNode, folder: Path, name: str) -> None:
    """Write an executed notebook and its pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if picture := output.get("data", {}).get("image/png"):
                (folder / f"{name}-{number:03}.png").write_bytes(base64.b64decode(picture))


def table(seconds: dict[str, float]) -> str:
    """Return README's table: a row for each notebook, with the learner's minutes and the machine's seconds."""
    rows = ["| notebook | minutes | machine |", "|---|---|---|"]
    for path in build.SOURCES:
        text = path.read_text()
        title = re.search(r"^# # (.+)$", text, re.MULTILINE)[1]
        minutes = re.search(r"\*\*You need:\*\* (\d+) minutes", text)[1]
        link = f"notebooks/{path.with_suffix('.ipynb').name}"
        rows.append(f"| {path.name[:2]} [{title}]({link}) | {minutes} | {seconds[path.name[:2]]:.0f} s |")
    return "\n".join(rows)


def write_minutes(out: Path | None) -> None:
    """Run every solved notebook alone, and put the measured seconds into README's table."""
    seconds = {}
    for number in (path.name[:2] for path in build.SOURCES):
        notebook = solved(number)
        seconds[number] = run_alone(notebook, "correct")
        if out:
            keep(notebook, out, number)
        click.echo(f"{number}: {seconds[number]:.1f} s")
    readme = ROOT / "README.md"
    marks = r"(<!-- minutes -->\n).*?(\n<!-- end of minutes -->)"
    text = re.sub(marks, lambda match: match[1] + table(seconds) + match[2], readme.read_text(), flags=re.DOTALL)
    readme.write_text(text)


def run_alone(notebook: nbformat.NotebookNode, outcome: str) -> float:
    """Execute a notebook in a lab of its own, which is gone in the end; return the seconds."""
    with tempfile.TemporaryDirectory(prefix="labkit-notebook-") as folder:
        os.environ["LABKIT_HOME"] = str(Path(folder, "lab"))
        try:
            return execute(notebook, Path(folder), outcome)
        finally:
            Lab.attach().down(purge=True)


@click.command()
@click.argument("number")
@click.option("--untouched", "as_opened", is_flag=True)
@click.option("--twice", is_flag=True)
@click.option("--out", type=click.Path(path_type=Path))
def main(number: str, as_opened: bool, twice: bool, out: Path | None) -> None:
    """Execute the notebook with this NUMBER, such as 03; "minutes" runs all and writes README's table."""
    if number == "minutes":
        write_minutes(out)
        return
    notebook = untouched(number) if as_opened else solved(number)
    try:
        seconds = run_alone(doubled(notebook) if twice else notebook, "not attempted" if as_opened else "correct")
    finally:
        if out:
            keep(notebook, out, number)
    click.echo(f"{number}: {seconds:.1f} s")


if __name__ == "__main__":
    main()
