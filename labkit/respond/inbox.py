"""The inbox: a local Slack, PagerDuty and mail server in one small process, which lists what they received."""

import hmac
from collections.abc import Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from labkit.errors import InputError, LabError
from labkit.observe.http import application, bearer_matches, read_secret, serve
from labkit.observe.logs import configure_logging, get_logger
from labkit.observe.metrics import exposition
from labkit.respond.formats import read_mail, read_pagerduty, read_slack
from labkit.respond.http import read_json, read_limit
from labkit.respond.mailbox import CHANNELS, MAX_CHARACTERS, Draft, Mailbox
from labkit.respond.mailserver import serve_mail
from labkit.respond.page import CONTENT_SECURITY_POLICY, inbox_page

__all__ = ["Inbox", "Secrets", "create_app", "main"]

_log = get_logger(__name__)


@dataclass(frozen=True)
class Secrets:
    """What senders must know: the last part of the Slack URL, PagerDuty's routing key, the mail password, a token."""

    slack_token: str
    pagerduty_key: str
    smtp_password: str
    heartbeat_token: str


class Inbox:
    """The mailbox with its counters; every channel delivers through it."""

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self.registry = CollectorRegistry()
        self._received = Counter("inbox_messages", "Messages received", ["channel"], registry=self.registry)
        self._rejected = Counter("inbox_rejected", "Messages refused", ["channel"], registry=self.registry)
        self._heartbeat = Gauge(
            "inbox_heartbeat_timestamp_seconds", "When the Watchdog last called, 0 before", registry=self.registry
        )
        for channel in (*CHANNELS, "heartbeat"):
            self._rejected.labels(channel)
        for channel in CHANNELS:
            self._received.labels(channel)

    def receive(self, draft: Draft) -> None:
        """Keep a message and count it."""
        message = self.mailbox.add(draft)
        self._received.labels(draft.channel).inc()
        _log.info("message_received", channel=draft.channel, status=draft.status, alertnames=message.alertnames)

    def refuse(self, channel: str) -> None:
        """Count a message that was not accepted."""
        self._rejected.labels(channel).inc()
        _log.warning("message_refused", channel=channel)

    def heartbeat(self) -> None:
        """Note that the Watchdog called."""
        self._heartbeat.set_to_current_time()


def create_app(
    secrets: Secrets, smtp_port: int, *, host: str = "127.0.0.1", allowed_hosts: Iterable[str] = ()
) -> Starlette:
    """Return the application; while it runs it serves SMTP on ``smtp_port`` of ``host`` too."""
    inbox = Inbox()

    @asynccontextmanager
    async def lifespan(_app):
        async with serve_mail(
            smtp_port,
            secrets.smtp_password,
            on_mail=lambda content: inbox.receive(read_mail(content)),
            on_refused=lambda: inbox.refuse("email"),
            host=host,
        ):
            yield

    return application([*_channels(inbox, secrets), *_views(inbox)], lifespan, allowed_hosts=allowed_hosts)


def _channels(inbox: Inbox, secrets: Secrets) -> list[Route]:
    async def slack(request: Request) -> Response:
        if not _same(request.path_params["token"], secrets.slack_token):
            inbox.refuse("slack")
            raise HTTPException(401, "the token in the URL is wrong")
        await _deliver(inbox, "slack", request, read_slack)
        return PlainTextResponse("ok")  # Alertmanager takes any other answer of Slack for a failure

    async def pagerduty(request: Request) -> Response:
        def read(event: Any) -> Draft:
            if not isinstance(event, dict) or not _same(event.get("routing_key"), secrets.pagerduty_key):
                raise HTTPException(401, "the routing key is wrong")
            return read_pagerduty(event)

        event = await _deliver(inbox, "pagerduty", request, read)
        answer = {"status": "success", "message": "Event processed", "dedup_key": event.get("dedup_key")}
        return JSONResponse(answer, status_code=202)

    async def heartbeat(request: Request) -> Response:
        if not bearer_matches(request.headers.get("authorization"), secrets.heartbeat_token):
            inbox.refuse("heartbeat")
            raise HTTPException(401, "the bearer token is wrong or missing", {"WWW-Authenticate": "Bearer"})
        inbox.heartbeat()
        return JSONResponse({"status": "ok"})

    return [
        Route("/slack/{token}", slack, methods=["POST"]),
        Route("/v2/enqueue", pagerduty, methods=["POST"]),
        Route("/heartbeat", heartbeat, methods=["POST"]),
    ]


def _views(inbox: Inbox) -> list[Route]:
    async def messages(request: Request) -> Response:
        channel = request.query_params.get("channel")
        if channel not in (None, *CHANNELS):
            raise HTTPException(422, f"channel: one of {', '.join(CHANNELS)} is expected")
        found = inbox.mailbox.messages(channel, read_limit(request, 1000))
        return JSONResponse([message.to_dict() for message in found])

    async def clear(_request: Request) -> Response:
        inbox.mailbox.clear()
        return JSONResponse({"status": "ok"})

    async def page(_request: Request) -> Response:
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(inbox_page(inbox.mailbox.messages()), headers=headers)

    async def metrics(request: Request) -> Response:
        body, content_type = exposition(inbox.registry, request.headers.get("accept"))
        return Response(body, headers={"Content-Type": content_type})

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return [
        Route("/messages", messages),
        Route("/messages", clear, methods=["DELETE"]),
        Route("/", page),
        Route("/metrics", metrics),
        Route("/healthz", healthz),
    ]


async def _deliver(inbox: Inbox, channel: str, request: Request, read: Callable[[Any], Draft]) -> Any:
    """Put a request's message into the mailbox and return its JSON; a message that cannot be read is counted."""
    try:
        payload = await read_json(request, MAX_CHARACTERS)
        inbox.receive(read(payload))
    except InputError as error:
        inbox.refuse(channel)
        raise HTTPException(400, str(error)) from error
    except HTTPException:
        inbox.refuse(channel)
        raise
    return payload


def _same(given: Any, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(errors="replace"), expected.encode())


_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, required=True)
@click.option("--smtp-port", type=int, required=True)
@click.option("--slack-token-file", type=_FILE, required=True)
@click.option("--pagerduty-key-file", type=_FILE, required=True)
@click.option("--smtp-password-file", type=_FILE, required=True)
@click.option("--heartbeat-token-file", type=_FILE, required=True)
@click.option("--allowed-host", multiple=True, help="Host name besides loopback's under which clients come.")
def main(host: str, port: int, smtp_port: int, allowed_host: tuple[str, ...], **files: Path) -> None:
    """Play Slack, PagerDuty and a mail server until SIGTERM, and list what came."""
    configure_logging("inbox")
    try:
        secrets = Secrets(**{name.removesuffix("_file"): read_secret(path) for name, path in files.items()})
    except LabError as error:
        _log.error("cannot_start", problem=error.problem, remedy=error.remedy)
        raise SystemExit(1) from None
    serve(create_app(secrets, smtp_port, host=host, allowed_hosts=allowed_host), host, port)


if __name__ == "__main__":
    main()
