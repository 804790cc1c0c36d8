"""What only the tests of the stack share."""

import socket
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def listener() -> Iterator[Callable[[int], None]]:
    """Listen on a port of 127.0.0.1 as another program would, until the test ends."""
    sockets = []

    def listen(port: int) -> None:
        sockets.append(socket.create_server(("127.0.0.1", port)))

    yield listen
    for each in sockets:
        each.close()
