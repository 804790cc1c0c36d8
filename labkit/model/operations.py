"""The routes of those who run the service: Prometheus, the lab, and the retrainer."""

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry

from labkit.errors import RegistryError
from labkit.model.body import read_json_body
from labkit.model.payload import FaultsBody, parse
from labkit.model.serving import Serving
from labkit.observe.http import bearer_matches
from labkit.observe.logs import get_logger
from labkit.observe.metrics import exposition

__all__ = ["operation_routes"]

_log = get_logger(__name__)


def operation_routes(serving: Serving, metrics: CollectorRegistry, token: str) -> APIRouter:
    """Return ``/metrics``, ``/healthz``, ``/readyz``, and with the token ``/-/reload`` and ``/-/faults``."""
    router = APIRouter()

    async def only_with_token(request: Request) -> None:
        if not bearer_matches(request.headers.get("authorization"), token):
            raise HTTPException(
                401, "send the service's token: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"}
            )

    @router.get("/metrics")
    async def scrape(request: Request) -> Response:
        body, content_type = exposition(metrics, request.headers.get("accept"))
        return Response(body, headers={"Content-Type": content_type})

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz() -> dict[str, str]:
        return {"status": "ready", "model_version": serving.current.meta.version}

    @router.post("/-/reload", dependencies=[Depends(only_with_token)])
    async def reload() -> Response:
        try:
            changed = await serving.reload()
        except RegistryError as error:
            _log.error("champion not loaded", problem=error.problem, remedy=error.remedy)
            kept = serving.current.meta.version
            return JSONResponse({"detail": error.problem, "remedy": error.remedy, "model_version": kept}, 500)
        return JSONResponse({"model_version": serving.current.meta.version, "changed": changed})

    @router.post("/-/faults", dependencies=[Depends(only_with_token)])
    async def faults(request: Request) -> Response:
        seconds = parse(FaultsBody, await read_json_body(request)).latency_seconds
        serving.fault_latency_seconds = seconds
        _log.warning("fault injected" if seconds else "fault ended", latency_seconds=seconds)
        return JSONResponse({"latency_seconds": seconds})

    return router
