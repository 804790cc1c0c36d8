"""What the two servers of this package share: reading bodies that are bounded."""

import json
from typing import Any

from fastapi import HTTPException, Request

__all__ = ["read_json"]


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
