"""What the two servers of this package share: reading bounded bodies, and running until SIGTERM."""

import json
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request

__all__ = ["read_json", "serve"]


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


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGTERM. There is no access log: a Slack URL is a secret, and scrapes are no news."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,  # longer than clients keep idle connections: none sends into one that just closed
        timeout_graceful_shutdown=3,
    )
