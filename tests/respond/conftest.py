"""Serve an application on a real loopback socket for the length of a test, and build a world around a retrainer."""

import shutil
import socket
import threading
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from world import CLOCK, NAME, PATIENCE, RELOAD_TOKEN, World

from labkit.clock import wait_until
from labkit.model.registry import ModelRegistry
from labkit.model.service import create_app
from labkit.model.training import train_first_champion
from labkit.respond.policy import Policy
from labkit.respond.retrainer import Retrainer


@contextmanager
def _serving(app):
    # asyncio switches Nagle's delay off only for sockets that say TCP; with it each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
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


@pytest.fixture(scope="session")
def first_registry(tmp_path_factory):
    """Give the folder of a registry with the first champion; to be copied, not changed."""
    root = tmp_path_factory.mktemp("first") / "registry"
    train_first_champion(ModelRegistry(root), NAME)
    return root


@pytest.fixture
def make_world(tmp_path, first_registry, serving):
    """Give a function that starts the model service and returns the world around it."""
    with ExitStack() as running:

        def make(**policy):
            shutil.copytree(first_registry, tmp_path / "registry")
            app = create_app(tmp_path / "registry", tmp_path / "predictions.db", RELOAD_TOKEN, NAME, CLOCK)
            url = running.enter_context(serving(app))
            return World(tmp_path, url, Policy(**{**PATIENCE, **policy}))

        yield make


@pytest.fixture
def world(make_world):
    """Give a world with the shipped policy and 300 rows of steady traffic."""
    world = make_world()
    world.traffic(300)
    return world


@pytest.fixture
def retrainer_of():
    """Give the context manager of a working retrainer in a world."""
    return _retrainer_of


@contextmanager
def _retrainer_of(world, on_step=None):
    parts = world.parts()
    try:
        with Retrainer(parts, world.folder / "off", on_step=on_step) as retrainer:
            yield retrainer
    finally:
        parts.service.close()
        parts.audit.close()
