"""Where a learner's browser finds a server: on this machine, or through what forwards to it."""

import os
from collections.abc import Mapping

__all__ = ["link"]


def link(port: int, path: str = "/", environ: Mapping[str, str] = os.environ) -> str:
    """Return the address of ``path`` on the server at ``port``, as the learner's browser reaches it.

    On a JupyterHub, on Binder, and where ``LABKIT_PROXY`` names JupyterLab's base URL, jupyter-server-proxy forwards
    ``/proxy/PORT/``; on Codespaces each port has a host name of its own; elsewhere localhost is the learner's machine.
    """
    if base := environ.get("LABKIT_PROXY") or environ.get("JUPYTERHUB_SERVICE_PREFIX"):
        return f"{base.rstrip('/')}/proxy/{port}{path}"
    if name := environ.get("CODESPACE_NAME"):
        domain = environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
        return f"https://{name}-{port}.{domain}{path}"
    return f"http://127.0.0.1:{port}{path}"
