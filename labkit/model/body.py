"""Read a request's body within limits of size and time, and the ways in which a request is refused."""

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from starlette.requests import ClientDisconnect, Request

__all__ = [
    "ERROR_TYPES",
    "MAX_BODY_BYTES",
    "BodyTimeout",
    "InvalidInput",
    "InvalidJson",
    "Refused",
    "TooLarge",
    "UnsupportedMediaType",
    "read_json_body",
]

MAX_BODY_BYTES = 1024 * 1024
_BODY_TIMEOUT_SECONDS = 5.0


class Refused(Exception):
    """A request that is answered with ``status``; the message never repeats what the client sent."""

    status: ClassVar[int]
    error_type: ClassVar[str]


class InvalidJson(Refused):
    """The body is not JSON."""

    status = 400
    error_type = "invalid_json"


class InvalidInput(Refused):
    """The body is JSON, but not what was asked for."""

    status = 422
    error_type = "invalid_input"


class TooLarge(Refused):
    """The body has more than ``MAX_BODY_BYTES``."""

    status = 413
    error_type = "too_large"


class UnsupportedMediaType(Refused):
    """The body does not claim to be JSON: a page of another origin could have sent it."""

    status = 415
    error_type = "unsupported_media_type"


class BodyTimeout(Refused):
    """The body did not arrive in time."""

    status = 408
    error_type = "timeout"


# The closed set of error_type; whatever is no Exception at all (KeyboardInterrupt) remains "other".
ERROR_TYPES: Mapping[type[BaseException], str] = {
    **{kind: kind.error_type for kind in (InvalidJson, InvalidInput, TooLarge, UnsupportedMediaType, BodyTimeout)},
    ClientDisconnect: "cancelled",
    asyncio.CancelledError: "cancelled",
    Exception: "internal",
}


async def read_json_body(request: Request) -> bytes:
    """Return the body of a request that says it is JSON.

    A body that is too large is received to its end, else its sender would not see the answer, but it is not kept.
    Raises a Refused, or ClientDisconnect when the sender went away.
    """
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= MAX_BODY_BYTES:
                    body += chunk
                else:
                    body.clear()
    except TimeoutError as error:
        raise BodyTimeout(f"the body did not arrive within {_BODY_TIMEOUT_SECONDS:g} s") from error
    if size > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES:,} bytes")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("send the header Content-Type: application/json")
    return bytes(body)
