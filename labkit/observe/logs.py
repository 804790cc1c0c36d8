"""Write logs as JSON lines with a request id; inputs stay out of them and go to the prediction store."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import structlog

__all__ = ["bind_request", "configure_logging", "get_logger"]


def configure_logging(service: str, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Write every log line of this process as one JSON object to ``stream`` (standard error).

    A line holds timestamp (ISO 8601, UTC), level, event, service, source, and request_id inside ``bind_request``. Lines
    of the standard library's loggers look the same; start uvicorn with ``log_config=None``, and its lines do, too.
    Tracebacks leave out local variables, since these can hold inputs.
    """
    stream = stream or sys.stderr

    def add_service(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        event["service"] = service
        return event

    fields = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
    ]
    as_json = [
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*fields, *as_json],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(stream, level, [_add_source, *fields], as_json)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module; keyword arguments of its methods become fields of the line."""
    return structlog.get_logger(source=name)


@contextmanager
def bind_request(request_id: str) -> Iterator[None]:
    """Put ``request_id`` on every line that is logged inside, also in tasks that are started there."""
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        yield


def _add_source(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    event["source"] = event["_record"].name
    return event


def _route_standard_logging(stream: TextIO, level: int, fields: list, as_json: list) -> None:
    handler = logging.StreamHandler(stream)
    without_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=fields, processors=[without_meta, *as_json])
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(True)
    # httpx tells each request at INFO: with a load generator that would be most of the log.
    logging.getLogger("httpx").setLevel(logging.WARNING)
