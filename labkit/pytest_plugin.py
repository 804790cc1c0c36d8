"""A fixture for tests of one's own against a running lab: ``def test_x(labkit_lab): ...``. Installed with labkit."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from labkit.lab import Lab


@pytest.fixture(scope="session")
def labkit_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Lab"]:
    """A lab whose servers run, in a folder of its own; stopped and deleted after the last test.

    Tests share it: begin each that needs empty data with ``labkit_lab.reset()``.
    """
    from labkit.lab import Lab
    from labkit.stack.home import Home

    lab = Lab.attach(Home(tmp_path_factory.mktemp("labkit") / ".lab"))
    try:
        yield lab.up()
    finally:
        lab.down(purge=True)
