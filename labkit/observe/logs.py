"""Write logs as JSON lines with a request id; inputs stay out of them and go to the prediction store."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog

__all__ = ["bind_request", "configure_logging", "get_logger"]

# uvicorn installs handlers of its own; they are taken off so that its lines come in the same form as ours.
_LOGGERS_WITH_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access")


def configure_logging(service: str, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Write every log line of this process as one JSON object to ``stream`` (standard error).

    Lines hold timestamp (ISO 8601, UTC), level, event, service, and request_id inside ``bind_request``. Lines of the
    standard library's loggers look the same. Tracebacks leave out local variables: these could hold inputs.
    """
    stream = stream or sys.stderr

    def add_service(_logger, _method, event):
        return {"service": service, **event}

    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
    ]
    rendering = [
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
        structlog.processors.JSONRenderer(default=repr),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, *rendering],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; its keyword arguments become fields of the line."""
    return structlog.stdlib.get_logger(name)


@contextmanager
def bind_request(request_id: str) -> Iterator[None]:
    """Put ``request_id`` on every line that is logged inside, also in tasks started there."""
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        yield
