"""What watching the model service costs: metrics, log line and store, per request of 5 rows.

All in processor time: the service works in one thread, so that this is what limits its throughput.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labkit.clock import Clock, wait_until
from labkit.model.iris import SCHEMA, sample
from labkit.model.registry import ModelRegistry
from labkit.model.training import train_first_champion
from labkit.observe.logs import bind_request, configure_logging, get_logger
from labkit.observe.metrics import ModelMonitor, Reference, track_prediction
from labkit.observe.store import PredictionStore
from labkit.stack.ports import free_port

__all__ = ["benchmark_service"]

ROUNDS = 15
REQUESTS = 1_000

INSTANCES, LABELS = sample(5, np.random.default_rng(0))
PREDICTIONS, CONFIDENCES = LABELS.tolist(), np.full(5, 0.97)
Handler = Callable[[Request], Awaitable[object]]


def benchmark_service() -> list[dict[str, object]]:
    """Return a row for metrics against their peer, and one for what all three take of the service's throughput."""
    ours, peer = metrics_seconds()
    costs = {"metrics": ours, "log line": log_seconds(), "store": store_seconds()}
    service = service_seconds()
    shown = ", ".join(f"{name} {seconds * 1e6:.1f}" for name, seconds in costs.items())
    return [
        {
            "name": "metrics added to a request against prometheus-fastapi-instrumentator",
            "ours": f"{ours * 1e6:.1f} µs",
            "peer": f"{peer * 1e6:.1f} µs",
            "ratio": ours / peer,
            "goal": "at most 1/5",
        },
        {
            "name": f"metrics, log line and store against a whole request ({shown} µs)",
            "ours": f"{sum(costs.values()) * 1e6:.1f} µs",
            "peer": f"{service * 1e6:.0f} µs",
            "ratio": sum(costs.values()) / service,
            "goal": "at most 1/10",
        },
    ]


def metrics_seconds() -> tuple[float, float]:
    """Return the seconds that our metrics and the peer's add to a request, a scrape per 1,000 requests included."""
    our_registry, peer_registry = CollectorRegistry(), CollectorRegistry()
    bare, ours, peer = app_of(answer), app_of(watched(our_registry)), app_of(answer)
    Instrumentator(registry=peer_registry).instrument(peer)
    added = []
    for _ in range(ROUNDS):
        plain = request_seconds(bare)
        added.append(
            (request_seconds(ours, our_registry) - plain, request_seconds(peer, peer_registry) - plain),
        )
    return tuple(median(column) for column in zip(*added, strict=True))


async def answer(_request: Request) -> list[str]:
    return PREDICTIONS


def watched(registry: CollectorRegistry) -> Handler:
    """Return the same answer, tracked and monitored as the service does it."""
    reference_rows, _ = sample(10_000, np.random.default_rng(1))
    reference = Reference.from_rows(reference_rows, SCHEMA.feature_names)
    monitor = ModelMonitor(
        "iris-classifier",
        "v1",
        reference,
        class_names=SCHEMA.class_names,
        plausible_ranges=SCHEMA.plausible_ranges,
        registry=registry,
    )

    @track_prediction("iris-classifier", "v1", registry=registry)
    async def watched_answer(_request: Request) -> list[str]:
        monitor.observe(INSTANCES, PREDICTIONS, CONFIDENCES)
        return PREDICTIONS

    return watched_answer


def app_of(handler: Handler) -> Starlette:
    async def predict(request: Request) -> Response:
        return JSONResponse({"request_id": "0" * 32, "predictions": await handler(request)})

    return Starlette(routes=[Route("/v1/predict", predict, methods=["POST"])])


def request_seconds(app: Starlette, registry: CollectorRegistry | None = None) -> float:
    """Return the mean seconds of a request through ASGI, without a socket."""
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"}
    scope |= {"path": "/v1/predict", "raw_path": b"/v1/predict", "query_string": b"", "root_path": ""}
    scope |= {"headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: dict) -> None:
        pass

    async def run() -> float:
        started = time.process_time()
        for _ in range(REQUESTS):
            await app(dict(scope), receive, send)
        if registry is not None:
            generate_latest(registry)
        return (time.process_time() - started) / REQUESTS

    return asyncio.run(run())


def log_seconds() -> float:
    """Return the seconds of the service's log line, written to a file."""
    with tempfile.TemporaryFile("w") as stream:
        configure_logging("model", stream)
        log = get_logger(__name__)

        def write_line() -> None:
            with bind_request(uuid.uuid4().hex):
                log.info("predicted", model_version="v1", rows=5, seconds=0.000123)

        return call_seconds(write_line)


def store_seconds() -> float:
    """Return the seconds in which the store has committed a request."""
    with (
        tempfile.TemporaryDirectory() as folder,
        PredictionStore(Path(folder, "store.db"), SCHEMA.feature_names, clock=Clock()) as store,
    ):
        return call_seconds(
            lambda: store.append(uuid.uuid4().hex, "iris-classifier", "v1", INSTANCES, PREDICTIONS, CONFIDENCES)
        )


def call_seconds(call: Callable[[], None]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(REQUESTS):
            call()
        rounds.append((time.process_time() - started) / REQUESTS)
    return median(rounds)


def service_seconds() -> float:
    """Return the processor seconds of a request in a real service process: what limits its throughput."""
    with tempfile.TemporaryDirectory() as folder:
        train_first_champion(ModelRegistry(Path(folder, "registry")))
        token_file = Path(folder, "token")
        token_file.touch(mode=0o600)
        token_file.write_text("benchmark")
        port = free_port()
        command = [sys.executable, "-m", "labkit.model.service", f"--port={port}", f"--token-file={token_file}"]
        command += [f"--registry={folder}/registry", f"--store={folder}/store.db"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as service:
            try:
                wait_until(lambda: is_ready(port), 30, "the model service")
                return median(processor_seconds(port, psutil.Process(service.pid)) for _ in range(5))
            finally:
                service.terminate()


def is_ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def processor_seconds(port: int, process: psutil.Process) -> float:
    body = json.dumps({"instances": INSTANCES.tolist()})
    connection = HTTPConnection("127.0.0.1", port)
    before = process.cpu_times()
    for _ in range(REQUESTS):
        connection.request("POST", "/v1/predict", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
    after = process.cpu_times()
    connection.close()
    return (after.user - before.user + after.system - before.system) / REQUESTS
