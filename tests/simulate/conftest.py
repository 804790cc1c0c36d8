import asyncio
import json
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from labkit.clock import Clock, wait_until
from labkit.simulate.client import ModelClient
from labkit.simulate.control import Control, read_status, write_control
from labkit.simulate.traffic import Traffic

TOKEN = "a-reload-token"


class RecordingModel:
    """A real HTTP server with the model service's routes that writes down what it is sent, and when."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.predict_seconds = 0.0
        self.predicted = []  # (received at, request id, body)
        self.answered_at = {}
        self.labelled = []  # (received at, request id, labels)
        self.latencies = []
        self._port = port
        self._thread = None

    def start(self):
        config = uvicorn.Config(self._app, port=self._port, interface="asgi3", lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        wait_until(lambda: self._server.started, 60, "the recording server", every=0.01)

    def stop(self):
        self._server.force_exit = self._server.should_exit = True
        self._thread.join()

    async def _app(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        status, answer = await self._answer(scope, body)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async def _answer(self, scope, body):
        received_at = time.monotonic()
        if scope["path"] == "/v1/predict":
            request_id = f"request-{len(self.predicted)}"
            self.predicted.append((received_at, request_id, body))
            if self.predict_seconds:
                await asyncio.sleep(self.predict_seconds)
            self.answered_at[request_id] = time.monotonic()
            return (200, {"request_id": request_id}) if is_well_formed(body) else (422, {})
        if scope["path"] == "/v1/labels":
            labels = json.loads(body)
            self.labelled.append((received_at, labels["request_id"], labels["labels"]))
            return 200, {"outcome": "stored"}
        if dict(scope["headers"]).get(b"authorization") != f"Bearer {TOKEN}".encode():
            return 401, {}
        self.latencies.append(json.loads(body)["latency_seconds"])
        return 200, {}


def is_well_formed(body):
    try:
        instances = json.loads(body)["instances"]
        numbers = [value for row in instances for value in row if value is not None]
        return bool(instances) and all(len(row) == 4 for row in instances) and all(type(v) is float for v in numbers)
    except (ValueError, KeyError, TypeError):
        return False


class RunningTraffic:
    """Traffic in a thread of this process, told what to do by its control file, as the lab does it."""

    def __init__(self, folder, clock):
        self.control_path, self.status_path = folder / "control.json", folder / "status.json"
        self.clock = clock

    @property
    def status(self):
        return read_status(self.status_path)

    def obey(self, **control):
        write_control(self.control_path, Control(**control))

    def wait(self, condition, what, timeout=60):
        wait_until(lambda: condition(self.status), timeout, what, every=0.02)
        return self.status

    @contextmanager
    def running(self, url):
        client = ModelClient(url, TOKEN)
        traffic = Traffic(client, self.control_path, self.status_path, self.clock)

        async def run():
            await traffic.run()
            await client.close()

        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        try:
            yield
        finally:
            traffic.stop()
            thread.join()


@pytest.fixture
def model(free_port):
    server = RecordingModel(free_port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def traffic(tmp_path, model):
    """Traffic to ``model`` at 600 times real time: labels come after 0.5 to 1 s."""
    traffic = RunningTraffic(tmp_path, Clock(600))
    with traffic.running(model.url):
        yield traffic
