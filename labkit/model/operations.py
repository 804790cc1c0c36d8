"""The routes of those who run the service: Prometheus, the lab, and the retrainer."""

from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labkit.errors import RegistryError
from labkit.model.body import read_json_body
from labkit.model.payload import FaultsBody, parse
from labkit.model.serving import Serving
from labkit.observe.http import bearer_matches
from labkit.observe.logs import get_logger
from labkit.observe.metrics import exposition

__all__ = ["operation_routes"]

_log = get_logger(__name__)


def operation_routes(serving: Serving, metrics: CollectorRegistry, token: str) -> list[Route]:
    """Return ``/metrics``, ``/healthz``, ``/readyz``, and with the token ``/-/reload`` and ``/-/faults``."""

    def only_with_token(request: Request) -> None:
        if not bearer_matches(request.headers.get("authorization"), token):
            raise HTTPException(
                401, "send the service's token: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"}
            )

    async def scrape(request: Request) -> Response:
        body, content_type = exposition(metrics, request.headers.get("accept"))
        return Response(body, headers={"Content-Type": content_type})

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        return JSONResponse({"status": "ready", "model_version": serving.current.meta.version})

    async def reload(request: Request) -> Response:
        only_with_token(request)
        try:
            changed = await serving.reload()
        except RegistryError as error:
            _log.error("champion not loaded", problem=error.problem, remedy=error.remedy)
            kept = serving.current.meta.version
            return JSONResponse({"detail": error.problem, "remedy": error.remedy, "model_version": kept}, 500)
        return JSONResponse({"model_version": serving.current.meta.version, "changed": changed})

    async def faults(request: Request) -> Response:
        only_with_token(request)
        seconds = parse(FaultsBody, await read_json_body(request)).latency_seconds
        serving.fault_latency_seconds = seconds
        _log.warning("fault injected" if seconds else "fault ended", latency_seconds=seconds)
        return JSONResponse({"latency_seconds": seconds})

    return [
        Route("/metrics", scrape),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/-/reload", reload, methods=["POST"]),
        Route("/-/faults", faults, methods=["POST"]),
    ]
