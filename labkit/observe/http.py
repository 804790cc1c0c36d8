"""Run servers on loopback and guard them: any page open in a browser can reach them there."""

import hmac
import json
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.routing import Route

__all__ = ["LoopbackGuard", "application", "bearer_matches", "read_secret", "serve"]

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:]+\]|[a-z0-9_.-]+)(?::\d{1,5})?")
_METHODS_WITH_EFFECT = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class LoopbackGuard:
    """Refuse requests that a foreign page can make a browser send; ASGI middleware.

    A foreign ``Host`` is answered 421 (DNS rebinding), a foreign ``Origin`` 403, and a request with an effect whose
    body is not JSON 415: a page can send forms and plain text across origins without asking, JSON it cannot.
    ``allowed_hosts`` are names besides loopback's (a container's service name); on ``form_paths`` the application
    judges the media type itself.
    """

    def __init__(self, app, allowed_hosts: Iterable[str] = (), form_paths: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = _LOOPBACK_HOSTS | {host.lower() for host in allowed_hosts}
        self._form_paths = frozenset(form_paths)

    async def __call__(self, scope, receive, send) -> None:
        refusal = None if scope["type"] == "lifespan" else self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(send, *refusal)

    def _refusal(self, scope) -> tuple[int, str] | None:
        """Return status and reason, or None for a request that may pass."""
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not self._is_allowed(hosts[0]):
            return 421, "the Host header does not name this server: use http://127.0.0.1 or http://localhost"
        if not all(self._is_allowed_origin(origin) for origin in _values(scope, b"origin")):
            return 403, "requests from pages of other origins are refused"
        if scope.get("method") in _METHODS_WITH_EFFECT and scope["path"] not in self._form_paths:
            media_types = [value.partition(";")[0].strip() for value in _values(scope, b"content-type")]
            if media_types != ["application/json"]:
                return 415, "send the header Content-Type: application/json"
        return None

    def _is_allowed(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        return match is not None and match[1] in self._hosts

    def _is_allowed_origin(self, origin: str) -> bool:
        scheme, separator, host = origin.partition("://")
        return scheme in ("http", "https") and bool(separator) and self._is_allowed(host)


def application(
    routes: "Iterable[Route]",
    lifespan: Callable,
    *,
    allowed_hosts: Iterable[str] = (),
    form_paths: Iterable[str] = (),
    exception_handlers: Mapping[type[Exception], Callable] | None = None,
) -> "Starlette":
    """Return the application of ``routes`` behind a LoopbackGuard; an HTTPException is answered as its ``detail``.

    ``exception_handlers`` answer further exceptions, as in Starlette.
    """
    # Only servers need it, and this module is imported by others too.
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.responses import JSONResponse

    async def answer_refusal(_request: object, refusal: HTTPException) -> JSONResponse:
        return JSONResponse({"detail": refusal.detail}, refusal.status_code, refusal.headers)

    return Starlette(
        routes=list(routes),
        lifespan=lifespan,
        middleware=[Middleware(LoopbackGuard, allowed_hosts=allowed_hosts, form_paths=form_paths)],
        exception_handlers={HTTPException: answer_refusal, **(exception_handlers or {})},
    )


def bearer_matches(header: str | None, token: str) -> bool:
    """Say whether an Authorization header carries ``token``, in a time that does not tell how much of it matched."""
    scheme, _, given = (header or "").partition(" ")
    same = hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode())
    return same and bool(token) and scheme.lower() == "bearer"


def read_secret(path: str | Path) -> str:
    """Return the secret in a file, without surrounding white space.

    Raises ConfigurationError when the file is missing or empty, or when others than its owner may read it.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"cannot read the secret {path}: {error.strerror}", "labkit up writes it") from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(f"others may read the secret {path}", f"chmod 600 {path}")
    if not secret:
        raise ConfigurationError(f"the secret {path} is empty", f"rm {path}, and labkit up writes it anew")
    return secret


def serve(app, host: str, port: int) -> None:
    """Serve until SIGTERM. There is no access log: a Slack URL is a secret, and scrapes are no news."""
    import uvicorn  # only servers need it

    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,  # longer than clients keep idle connections: none sends into one that just closed
        timeout_graceful_shutdown=3,
    )


def _values(scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip().lower() for key, value in scope["headers"] if key == name]


async def _answer(send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
