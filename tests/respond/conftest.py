"""Run an ASGI application on a real loopback socket for the length of a test."""

import socket
import threading
from contextlib import contextmanager

import pytest
import uvicorn

from labkit.clock import wait_until


@contextmanager
def _serving(app):
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive(), 10, "the application to start")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def serving():
    """Give the context manager that serves an application and yields its URL."""
    return _serving


@pytest.fixture
def unused_port():
    """Give a function that returns a port nobody listens on."""

    def choose():
        with socket.create_server(("127.0.0.1", 0)) as probe:
            return probe.getsockname()[1]

    return choose
