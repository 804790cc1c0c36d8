"""Build what learners open, notebooks/*.ipynb, from notebooks/source/*.py, which is written and reviewed.

Run it with `make notebooks`. A source holds the solutions, between `# solution` and `# end solution`. The build cuts
them out: each name that a solution binds and the check takes becomes a blank, and its text goes to where
`solution()` finds it.
Cell ids come from the cells' text, so that a change touches only the cells it changes.
"""

import ast
import hashlib
import json
import re
from collections import Counter
from functools import partial
from pathlib import Path

import jupytext
import nbformat

__all__ = ["SOURCES", "build", "main", "read", "solutions"]

FOLDER = Path(__file__).parent
SOURCES = sorted((FOLDER / "source").glob("[0-9]*.py"))
LESSONS = FOLDER.parent / "labkit" / "teach" / "lessons"
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_SOLUTION = re.compile(r"^# solution\n(.*?)^# end solution\n?", re.DOTALL | re.MULTILINE)
_CHECK = re.compile(r"lesson\.(q\d+)\.check\(")


def read(source: Path) -> nbformat.NotebookNode:
    """Return the notebook of a percent script, solutions and all."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(_METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def solutions(source: Path) -> dict[str, str]:
    """Return the solutions of a source by the name of their exercise, in the order of the notebook."""
    found: dict[str, str] = {}
    for cell in read(source).cells:
        blocks, checks = _SOLUTION.findall(cell.source), _CHECK.findall(cell.source)
        if len(blocks) != len(checks) or len(blocks) > 1:
            raise ValueError(f"{source.name}: a cell needs one solution and one check, not {blocks} and {checks}")
        found |= dict(zip(checks, map(str.rstrip, blocks), strict=True))
    return found


def build(source: Path) -> str:
    """Return the starter notebook of a source, as the text of an .ipynb file without outputs."""
    notebook = read(source)
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = _SOLUTION.sub(partial(_starter, asked=_asked(cell.source)), cell.source)
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cell.metadata = nbformat.from_dict({})
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def _asked(cell: str) -> set[str]:
    """Return the names that the check of a cell takes."""
    if not _CHECK.search(cell):
        return set()
    calls = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)]
    checks = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "check"]
    given = [name for call in checks for argument in call.args for name in ast.walk(argument)]
    return {name.id for name in given if isinstance(name, ast.Name)}


def _starter(solution: re.Match[str], asked: set[str]) -> str:
    names = dict.fromkeys(name for node in ast.parse(solution[1]).body for name in _bound(node))
    lines = [f"{name} = ____" for name in names if name in asked] or ["# Write your code here."]
    return "\n".join(lines) + "\n"


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def main() -> None:
    """Write every notebook, and the solutions beside the lessons' checks."""
    for source in SOURCES:
        (FOLDER / source.with_suffix(".ipynb").name).write_text(build(source), encoding="utf-8")
        kept = json.dumps(solutions(source), indent=2) + "\n"
        (LESSONS / f"solutions_{source.name[:2]}.json").write_text(kept, encoding="utf-8")


if __name__ == "__main__":
    main()
