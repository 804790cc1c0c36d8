"""Say by the exit status whether a server in this container answers: what health checks run.

``python -m labkit.stack.probe URL``; without a URL it asks this container's JupyterLab.
"""

import os
import sys
import urllib.error
import urllib.request

__all__ = ["answers"]


def answers(url: str, timeout: float = 4) -> bool:
    """Say whether ``url`` answers with success; proxies of the environment are not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout):
            return True
    except (OSError, ValueError) as error:  # URLError is an OSError
        print(f"{url} does not answer: {error}", file=sys.stderr)  # noqa: T201 - docker inspect shows it
        return False


def _jupyter() -> str:
    return f"http://127.0.0.1:8888{os.environ.get('JUPYTERHUB_SERVICE_PREFIX', '/')}api"


if __name__ == "__main__":
    sys.exit(not answers(sys.argv[1] if len(sys.argv) > 1 else _jupyter()))
