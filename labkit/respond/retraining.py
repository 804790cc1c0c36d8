"""The retrainer as a process: Alertmanager's webhook in, runs out."""

from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labkit.clock import Clock
from labkit.errors import InputError, LabError
from labkit.model.iris import SCHEMA
from labkit.model.registry import ModelRegistry
from labkit.observe.http import application, bearer_matches, read_secret, serve
from labkit.observe.logs import configure_logging, get_logger
from labkit.observe.metrics import exposition
from labkit.observe.store import PredictionStore
from labkit.respond.audit import Audit
from labkit.respond.http import read_json, read_limit
from labkit.respond.policy import Policy
from labkit.respond.retrainer import Retrainer
from labkit.respond.serving import ModelService
from labkit.respond.steps import Parts
from labkit.respond.webhook import read_notification

__all__ = ["create_app", "main"]

_log = get_logger(__name__)
_MAX_BYTES = 1024 * 1024


def create_app(retrainer: Retrainer, parts: Parts, token: str, *, allowed_hosts: Iterable[str] = ()) -> Starlette:
    """Return the application; the retrainer works while it runs. ``token`` is the webhook's bearer token."""

    @asynccontextmanager
    async def lifespan(_app):
        with retrainer:
            yield

    async def alerts(request: Request) -> Response:
        if not bearer_matches(request.headers.get("authorization"), token):
            raise HTTPException(401, "the bearer token is wrong or missing", {"WWW-Authenticate": "Bearer"})
        try:
            notification = read_notification(await read_json(request, _MAX_BYTES), parts.model_name)
        except InputError as error:
            raise HTTPException(400, str(error)) from error
        if notification is None:
            reason = f"no alert about {parts.model_name} fires"
            return JSONResponse({"outcome": "ignored", "run_id": None, "reason": reason}, 202)
        return JSONResponse(asdict(retrainer.submit(notification)), 202)

    async def runs(request: Request) -> Response:
        return JSONResponse(parts.audit.runs(read_limit(request, 100)))

    async def run(request: Request) -> Response:
        run_id = request.path_params["run_id"]
        if (found := parts.audit.run(run_id)) is None:
            raise HTTPException(404, f"there is no run {run_id}")
        return JSONResponse(found)

    async def metrics(request: Request) -> Response:
        body, content_type = exposition(retrainer.metrics, request.headers.get("accept"))
        retrainer.count_interrupted()
        return Response(body, headers={"Content-Type": content_type})

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [
        Route("/alerts", alerts, methods=["POST"]),
        Route("/runs", runs),
        Route("/runs/{run_id:int}", run),
        Route("/metrics", metrics),
        Route("/healthz", healthz),
    ]
    return application(routes, lifespan, allowed_hosts=allowed_hosts)


@contextmanager
def _parts(options: dict[str, Any]) -> Iterator[Parts]:
    clock = Clock(options["speed"])
    audit = Audit(options["audit"])
    service = ModelService(options["model_url"], read_secret(options["reload_token_file"]))
    try:
        yield Parts(
            model_name=options["model_name"],
            schema=SCHEMA,
            registry=ModelRegistry(options["registry"]),
            open_store=partial(PredictionStore, options["store"], SCHEMA.feature_names, clock=clock, read_only=True),
            service=service,
            audit=audit,
            clock=clock,
            policy=Policy(),
        )
    finally:
        service.close()
        audit.close()


_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, required=True)
@click.option("--registry", type=_PATH, required=True)
@click.option("--store", type=_PATH, required=True, help="The model service's predictions.db, read only.")
@click.option("--audit", type=_PATH, required=True, help="The database of runs and steps.")
@click.option("--model-url", required=True)
@click.option("--token-file", type=_PATH, required=True, help="What Alertmanager has to show.")
@click.option("--reload-token-file", type=_PATH, required=True, help="What the model service wants to see.")
@click.option("--off-switch", type=_PATH, required=True, help="While this file exists nothing is retrained.")
@click.option("--model-name", default="iris-classifier", show_default=True)
@click.option("--speed", type=float, default=60, show_default=True)
@click.option("--allowed-host", multiple=True, help="Host name besides loopback's under which clients come.")
def main(**options) -> None:
    """Answer alerts that ask for retraining until SIGTERM."""
    configure_logging("retrainer")
    try:
        with _parts(options) as parts:
            retrainer = Retrainer(parts, options["off_switch"])
            token = read_secret(options["token_file"])
            app = create_app(retrainer, parts, token, allowed_hosts=options["allowed_host"])
            serve(app, options["host"], options["port"])
    except LabError as error:
        _log.error("cannot_start", problem=error.problem, remedy=error.remedy)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
