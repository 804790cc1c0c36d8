"""Receive e-mail as a mail server does: SMTP with a login, on the event loop of the inbox."""

import asyncio
import hmac
import logging
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiosmtpd.smtp import SMTP, AuthResult

__all__ = ["serve_mail"]

_MAX_BYTES = 1024 * 1024
_STALLED_SECONDS = 60


@asynccontextmanager
async def serve_mail(
    port: int,
    password: str,
    *,
    on_mail: Callable[[bytes], None],
    on_refused: Callable[[], None],
    user: str = "labkit",
    host: str = "127.0.0.1",
) -> AsyncIterator[None]:
    """Serve SMTP on ``port`` while the block runs; a client has to log in before it can send."""
    handler = _Handler(on_mail)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # else each connection is warned of

    def authenticator(_server, _session, _envelope, _mechanism, given) -> AuthResult:
        accepted = given.login == user.encode() and hmac.compare_digest(given.password, password.encode())
        if not accepted:
            on_refused()
        return AuthResult(success=accepted, handled=False)

    def connection() -> _Connection:
        with warnings.catch_warnings(action="ignore"):  # warns that there is no TLS: the lab stays on loopback
            return _Connection(
                handler,
                authenticator=authenticator,
                auth_required=True,
                auth_require_tls=False,
                # Go's mail client, Alertmanager's, sends PLAIN without TLS to localhost only; LOGIN it sends anywhere.
                auth_exclude_mechanism=["PLAIN"],
                data_size_limit=_MAX_BYTES,
                hostname="inbox",
                ident="labkit inbox",
                timeout=_STALLED_SECONDS,
            )

    server = await asyncio.get_running_loop().create_server(connection, host, port)
    try:
        yield
    finally:
        server.close()


class _Connection(SMTP):
    # The words that Alertmanager waits for; aiosmtpd's own are others.
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"


class _Handler:
    def __init__(self, on_mail: Callable[[bytes], None]) -> None:
        self._on_mail = on_mail

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802 - the name that aiosmtpd looks for
        self._on_mail(envelope.content)
        return "250 Message accepted"
