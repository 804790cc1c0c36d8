"""Write the course into a folder, for somebody who has installed labkit and has no repository."""

import shutil
from pathlib import Path

from labkit.errors import ConfigurationError, InputError

__all__ = ["course_files", "write_course"]

_PACKAGE = Path(__file__).resolve().parents[1]


def course_files() -> dict[str, Path]:
    """Return the notebooks and the pages they link to: places such as ``docs/runbooks.md``, and where they lie.

    They are those of the repository, else those that an installed labkit carries.
    """
    for root in (_PACKAGE.parent, _PACKAGE):
        notebooks = sorted((root / "notebooks").glob("[0-9]*.ipynb"))
        if notebooks:
            docs = sorted(path for path in (root / "docs").rglob("*") if path.is_file())
            return {str(path.relative_to(root)): path for path in (*notebooks, *docs)}
    raise ConfigurationError(f"labkit in {_PACKAGE} lacks its notebooks/ folder", "install labkit again")


def write_course(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write notebooks/ and docs/ into a folder; returns what was written, and what was there and was left as it is.

    A learner's own answers are never overwritten. Raises InputError for a path that is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file", "name a folder, such as: labkit notebooks course")
    written, kept = [], []
    for place, source in course_files().items():
        target = folder / place
        if target.exists():
            kept.append(target)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        written.append(target)
    return written, kept
