"""Let the running Prometheus read its configuration again, without an API that a web page could call."""

import signal

from labkit.clock import wait_until
from labkit.errors import LabError
from labkit.stack.api import ask
from labkit.stack.home import Home
from labkit.stack.servers import running

__all__ = ["reload_prometheus"]

_PATIENCE_SECONDS = 60
_RELOADED, _RELOADED_AT = (
    f"prometheus_config_last_reload_{name}" for name in ("successful", "success_timestamp_seconds")
)


def reload_prometheus(home: Home) -> None:
    """Let the running Prometheus read its files again; raises LabError when it keeps the old configuration."""
    server = running(home).get("prometheus")
    if server is None:
        raise LabError("Prometheus does not run, so it cannot read its files again", "run: labkit up")
    before = _figures(home)[_RELOADED_AT]
    server.send_signal(signal.SIGHUP)

    def done() -> bool:
        figures = _figures(home)
        return figures[_RELOADED_AT] > before or figures[_RELOADED] == 0

    wait_until(done, _PATIENCE_SECONDS, "Prometheus to read its files again", every=0.1)
    if not _figures(home)[_RELOADED]:
        raise LabError("Prometheus did not accept its configuration", f"read {home.logs / 'prometheus.log'}")


def _figures(home: Home) -> dict[str, float]:
    """Return what Prometheus itself says about its last reload; asked directly, since a scrape comes later."""
    answer = ask("GET", f"{home.url('prometheus')}/metrics").raise_for_status()
    lines = (line.split() for line in answer.text.splitlines() if line.startswith((_RELOADED, _RELOADED_AT)))
    return {name: float(value) for name, value in lines}
