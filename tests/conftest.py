"""What tests of several parts share: a free port, a lab's folder, and the servers' binaries."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.stack import binaries as stack_binaries
from labkit.stack import ports, processes
from labkit.stack.home import Home


@pytest.fixture
def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on."""
    return ports.free_port()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A new lab's folder with ports and secrets; whatever a test starts in it is stopped."""
    home = Home(tmp_path / ".lab").create()
    home.choose_ports()
    yield home
    processes.stop(home)


@pytest.fixture(scope="session")
def binaries() -> dict[str, Path]:
    """Prometheus, promtool, Alertmanager and amtool, by name; fetched on the first use."""
    return stack_binaries.ensure()
