"""Asking the lab's servers: one request, without the environment's proxies and without certificates."""

import http.server
import ssl
import threading
from collections.abc import Iterator

import httpx
import pytest

from labkit.stack.api import ask


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers every request with its path."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def echo() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_reads_no_certificates_and_asks_no_proxy(echo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_arguments: object, **_options: object) -> None:
        raise AssertionError("certificates were loaded for a plain connection")

    monkeypatch.setattr(ssl, "create_default_context", load)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    assert ask("GET", f"{echo}/metrics", params={"a": "b"}).text == "/metrics?a=b"


def test_a_server_that_does_not_answer_is_an_error(free_port: int) -> None:
    with pytest.raises(httpx.HTTPError):
        ask("GET", f"http://127.0.0.1:{free_port}", timeout=2)
