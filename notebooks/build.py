"""Build notebooks/*.ipynb, which learners open, from notebooks/source/*.py, which is written and reviewed.

Run it with `make notebooks`. Cell ids come from the cells' text, so that a change touches only the cells it changes.
"""

import hashlib
from collections import Counter
from pathlib import Path

import jupytext
import nbformat

__all__ = ["build", "main"]

FOLDER = Path(__file__).parent
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def build(source: Path) -> str:
    """Return the notebook of a percent script, as the text of an .ipynb file without outputs."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(_METADATA)
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cell.metadata = nbformat.from_dict({})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def main() -> None:
    """Write every notebook."""
    for source in sorted((FOLDER / "source").glob("[0-9]*.py")):
        (FOLDER / source.with_suffix(".ipynb").name).write_text(build(source), encoding="utf-8")


if __name__ == "__main__":
    main()
