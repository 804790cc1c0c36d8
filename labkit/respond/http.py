"""What the two servers of this package share: reading bodies and limits."""

import json
import re
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["read_json", "read_limit"]


def read_limit(request: Request, default: int) -> int:
    """Return how many items the query asks for; raises HTTPException 422 for what is not 1 to 1,000."""
    limit = request.query_params.get("limit", str(default))
    if re.fullmatch("[0-9]{1,4}", limit) and 1 <= int(limit) <= 1000:
        return int(limit)
    raise HTTPException(422, "limit: a whole number from 1 to 1000 is expected")


async def read_json(request: Request, max_bytes: int) -> Any:
    """Return the JSON in a request's body.

    Raises HTTPException: 413 for more than ``max_bytes``, counted while they arrive, 400 for what is not JSON.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise HTTPException(413, f"the body is larger than {max_bytes:,} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON") from error
