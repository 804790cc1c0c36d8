"""The routes of the model's clients: predictions, their labels, and what the model is."""

import uuid
from time import perf_counter

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labkit.model.body import Refused, read_json_body
from labkit.model.iris import SCHEMA
from labkit.model.payload import LabelsBody, parse
from labkit.model.serving import Prediction, Serving
from labkit.observe.logs import bind_request, get_logger
from labkit.observe.store import PredictionStore

__all__ = ["prediction_routes"]

# Labels outside the schema are kept and counted as incorrect, but their text is the client's and becomes this.
_OTHER = "other"
_LABEL_STATUS = {"stored": 200, "duplicate": 200, "unknown": 404, "conflict": 409, "wrong_count": 422}
_LABEL_PROBLEM = {
    "unknown": "request_id: no request with this id was answered",
    "conflict": "labels: this request has other labels already; the first ones are kept",
    "wrong_count": "labels: send one for each row of the request",
}

_log = get_logger(__name__)


def prediction_routes(serving: Serving, store: PredictionStore) -> list[Route]:
    """Return ``POST /v1/predict``, ``POST /v1/labels`` and ``GET /v1/model``."""

    async def predict(request: Request) -> Response:
        request.state.request_id = request_id = uuid.uuid4().hex
        with bind_request(request_id):
            return await _predict(request, request_id)

    async def _predict(request: Request, request_id: str) -> Response:
        served, started = serving.current, perf_counter()
        version = served.meta.version
        try:
            prediction = await served.answer(request, request_id, serving.fault_latency_seconds)
        except Refused as refusal:
            _log.info("prediction refused", model_version=version, error_type=refusal.error_type)
            raise
        except ClientDisconnect:
            _log.info("prediction refused", model_version=version, error_type="cancelled")
            return Response(status_code=499)
        seconds = round(perf_counter() - started, 6)
        _log.info("predicted", model_version=version, rows=len(prediction), seconds=seconds)
        return _prediction_answer(request_id, version, prediction)

    async def labels(request: Request) -> Response:
        given = parse(LabelsBody, await read_json_body(request))
        actual = [label if label in SCHEMA.class_names else _OTHER for label in given.labels]
        result = store.label(given.request_id, actual)
        if result.outcome == "stored":
            serving.record_labels(result.model_version, result.predictions, actual)
        answer = {"outcome": result.outcome}
        if problem := _LABEL_PROBLEM.get(result.outcome):
            answer["detail"] = problem
        return JSONResponse(answer, _LABEL_STATUS[result.outcome])

    async def model(_request: Request) -> Response:
        meta = serving.current.meta
        fields = ("name", "version", "trained_at", "data_version", "sha256", "feature_names", "class_names")
        known = {field: getattr(meta, field) for field in fields}
        return JSONResponse(known | {"units": SCHEMA.units, "plausible_ranges": SCHEMA.plausible_ranges})

    return [
        Route("/v1/predict", predict, methods=["POST"]),
        Route("/v1/labels", labels, methods=["POST"]),
        Route("/v1/model", model),
    ]


def _prediction_answer(request_id: str, model_version: str, prediction: Prediction) -> Response:
    return JSONResponse(
        {
            "request_id": request_id,
            "model_version": model_version,
            "predictions": prediction.class_names,
            "probabilities": prediction.probabilities,
        }
    )
