"""The pages beside the notebooks: what they name is there."""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
REPOSITORY_PATH = re.compile(r"`((?:labkit|docker|docs|tests)/[\w./*-]*)`")


def test_what_one_takes_to_work_exists() -> None:
    named = REPOSITORY_PATH.findall((DOCS / "take_to_work.md").read_text())
    assert named
    assert [path for path in named if not list(DOCS.parent.glob(path.rstrip("/")))] == []
