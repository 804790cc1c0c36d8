"""A registry with a first champion, trained once and copied for each test; and the service as a real process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from labkit.clock import wait_until
from labkit.model.registry import ModelRegistry
from labkit.model.training import train_first_champion
from labkit.stack.ports import free_port

TOKEN = "a-token-of-the-tests"


class Service:
    """A running ``python -m labkit.model.service`` and a client for it."""

    def __init__(self, process: subprocess.Popen, port: int, folder: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.registry = ModelRegistry(folder / "registry")
        self.store_path = folder / "predictions.db"
        self.log_path = folder / "service.log"
        self.bearer = {"Authorization": f"Bearer {TOKEN}"}
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def predict(self, instances) -> httpx.Response:
        return self.client.post("/v1/predict", json={"instances": instances})

    def label(self, request_id, labels) -> httpx.Response:
        return self.client.post("/v1/labels", json={"request_id": request_id, "labels": labels})

    def reload(self) -> httpx.Response:
        return self.client.post("/-/reload", json={}, headers=self.bearer)

    def samples(self, **labels: str) -> dict[str, dict[frozenset, float]]:
        """Return what a scrape says, by sample name and labels; only the samples that carry ``labels``."""
        found: dict[str, dict[frozenset, float]] = {}
        for family in text_string_to_metric_families(self.client.get("/metrics").text):
            for sample in family.samples:
                if labels.items() <= sample.labels.items():
                    found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
        return found

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that carry ``labels``."""
        return sum(self.samples(**labels).get(name, {}).values())

    def log_lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]


@contextmanager
def running_service(folder: Path) -> Iterator[Service]:
    token_file = folder / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(TOKEN)
    port = free_port()
    command = [sys.executable, "-m", "labkit.model.service", f"--port={port}", f"--registry={folder / 'registry'}"]
    command += [f"--store={folder / 'predictions.db'}", f"--token-file={token_file}", "--speed=60"]
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ)
    service = Service(process, port, folder)
    try:
        wait_until(lambda: is_ready(service), 30, "the model service")
        yield service
    finally:
        service.client.close()
        process.terminate()
        process.wait(10)


def is_ready(service: Service) -> bool:
    assert service.process.poll() is None, service.log_path.read_text()
    try:
        return service.client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> ModelRegistry:
    registry = ModelRegistry(tmp_path_factory.mktemp("trained"))
    train_first_champion(registry)
    return registry


@pytest.fixture
def registry(trained, tmp_path) -> ModelRegistry:
    shutil.copytree(trained.root, tmp_path / "registry")
    return ModelRegistry(tmp_path / "registry")


@pytest.fixture(scope="module")
def service(trained, tmp_path_factory) -> Iterator[Service]:
    """A service that the tests of a module share: they look at what changes."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copytree(trained.root, folder / "registry")
    with running_service(folder) as service:
        yield service


@pytest.fixture
def start_service(trained, tmp_path) -> Iterator[Callable[[], Service]]:
    """Start a service of one's own; started again it finds its registry and store as they were left."""
    shutil.copytree(trained.root, tmp_path / "registry")
    with ExitStack() as running:
        yield lambda: running.enter_context(running_service(tmp_path))
