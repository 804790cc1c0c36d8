"""The model behind HTTP: one process that serves the registry's champion."""

from collections.abc import Iterable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import click
from prometheus_client import CollectorRegistry, ProcessCollector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from labkit.clock import Clock
from labkit.errors import LabError
from labkit.model.artifacts import import_skops_quickly
from labkit.model.body import Refused
from labkit.model.iris import SCHEMA
from labkit.model.operations import operation_routes
from labkit.model.predictions import prediction_routes
from labkit.model.serving import Serving
from labkit.observe.http import application, read_secret, serve
from labkit.observe.logs import configure_logging, get_logger
from labkit.observe.store import PredictionStore

__all__ = ["create_app", "main"]

_log = get_logger(__name__)


def create_app(
    registry_dir: Path | str,
    store_path: Path | str,
    token: str,
    model_name: str,
    clock: Clock,
    *,
    allowed_hosts: Iterable[str] = (),
) -> Starlette:
    """Return the service with the registry's champion loaded; it closes the store when it shuts down.

    ``token`` lets a caller reload and inject faults. Raises LabError when there is no champion or no usable store.
    """
    metrics = CollectorRegistry()
    ProcessCollector(registry=metrics)
    with ExitStack() as opening:
        store = opening.enter_context(PredictionStore(store_path, SCHEMA.feature_names, clock=clock))
        serving = Serving(registry_dir, model_name, store, metrics)
        opened = opening.pop_all()

    @asynccontextmanager
    async def lifespan(_app: Starlette):
        with opened:
            yield

    return application(
        [*prediction_routes(serving, store), *operation_routes(serving, metrics, token)],
        lifespan,
        allowed_hosts=allowed_hosts,
        # It judges the media type itself: a refused prediction must be counted as a failed request.
        form_paths={"/v1/predict"},
        exception_handlers={Refused: _answer_refused, Exception: _answer_failure},
    )


async def _answer_refused(request: Request, refusal: Refused) -> Response:
    answer = {"error_type": refusal.error_type, "detail": str(refusal), **_request_id(request)}
    # What is left of a body that stalled must not be read as the next request.
    headers = {"Connection": "close"} if refusal.status == 408 else None
    return JSONResponse(answer, refusal.status, headers)


async def _answer_failure(request: Request, _error: Exception) -> Response:
    answer = {"error_type": "internal", "detail": "the service failed; its log says how", **_request_id(request)}
    return JSONResponse(answer, 500)


def _request_id(request: Request) -> dict[str, str]:
    request_id = getattr(request.state, "request_id", None)
    return {"request_id": request_id} if request_id else {}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, required=True)
@click.option("--registry", type=click.Path(path_type=Path), required=True, help="Folder of the model registry.")
@click.option("--store", type=click.Path(path_type=Path), required=True, help="File of the prediction store.")
@click.option("--token-file", type=click.Path(path_type=Path), required=True, help="Token for /-/reload and /-/faults.")
@click.option("--model-name", default="iris-classifier", show_default=True)
@click.option("--speed", type=float, default=60.0, show_default=True, help="Production seconds in a lab second.")
@click.option("--allowed-host", multiple=True, help="Host name besides loopback's under which clients come.")
def main(
    host: str,
    port: int,
    registry: Path,
    store: Path,
    token_file: Path,
    model_name: str,
    speed: float,
    allowed_host: tuple[str, ...],
) -> None:
    """Serve the champion of a model registry until SIGTERM."""
    configure_logging("model")
    import_skops_quickly()
    try:
        app = create_app(registry, store, read_secret(token_file), model_name, Clock(speed), allowed_hosts=allowed_host)
    except LabError as error:
        _log.error("cannot start", problem=error.problem, remedy=error.remedy)
        raise SystemExit(1) from None
    serve(app, host, port)


if __name__ == "__main__":
    main()
