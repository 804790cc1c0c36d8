"""Run a server as a process of its own for the length of a test."""

import subprocess
from contextlib import contextmanager

import httpx


@contextmanager
def process(command, log, cwd=None):
    """Run a command, its output in the file ``log``, and end it with SIGTERM."""
    with log.open("wb") as stream:
        running = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=cwd)
        try:
            yield running
        finally:
            running.terminate()
            running.wait(10)


def answers(url):
    """Say whether a GET of ``url`` succeeds."""
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
