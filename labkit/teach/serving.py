"""Serve a registry of the learner's own, and have the lab's Prometheus scrape it."""

import json
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.clock import wait_until
from labkit.errors import InputError
from labkit.lab import JOBS, Lab
from labkit.stack.files import write_private

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["end_serving", "serve"]


def serve(lab: Lab, registry: "CollectorRegistry", job: str = "notebook") -> str:
    """Serve a registry at a free port of 127.0.0.1, and return the address once Prometheus has scraped it.

    The same registry goes on being served at the same address. Another one replaces it at another port, as a new
    process would, so that a cell may be run again. Raises InputError for a job that the lab has itself.
    """
    if job in JOBS:
        raise InputError(f"the lab itself has a job {job!r}", 'name another one: serve(lab, registry, job="notebook")')
    with _lock:
        servers = _servers.setdefault(lab.home.root, {})
        if job not in servers or servers[job].registry is not registry:
            if job in servers:
                servers.pop(job).end()
            servers[job] = _Server(registry)
        server = servers[job]
        _announce(lab)
    # Discovery looks at its files every five seconds, whatever the lab's speed.
    lab.wait_for(f'up{{job="{job}", instance="{server.address}"}} == 1', "5h")
    return f"http://{server.address}/metrics"


def end_serving(lab: Lab) -> None:
    """Stop serving, take the targets away from Prometheus, and return at once."""
    with _lock:
        for server in _servers.pop(lab.home.root, {}).values():
            server.end()
        if lab.home.exists():
            _announce(lab)


class _Server:
    """One registry at one port, in a thread of this process."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        import uvicorn
        from prometheus_client import make_asgi_app

        from labkit.observe.http import LoopbackGuard

        self.registry = registry
        listener = socket.create_server(("127.0.0.1", 0))  # 0: any free port
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        app = LoopbackGuard(make_asgi_app(registry))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, 30, f"a server of metrics to start at {self.address}")

    def end(self) -> None:
        """Answer what is under way, then free the port."""
        self._server.should_exit = True
        self._thread.join(timeout=30)


_servers: dict[Path, dict[str, _Server]] = {}
_lock = threading.Lock()


def _announce(lab: Lab) -> None:
    """Write the target file, which Prometheus reads again by itself; a reset had emptied it."""
    servers = _servers.get(lab.home.root, {})
    targets = [{"targets": [server.address], "labels": {"job": job}} for job, server in servers.items()]
    path = lab.home.rendered / "prometheus" / "targets" / "notebook.json"
    text = json.dumps(targets, indent=2) + "\n"
    if path.is_file() and path.read_text() != text:
        write_private(path, text)
