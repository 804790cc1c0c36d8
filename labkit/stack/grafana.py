"""Grafana as a local process, where there is one on PATH: locked down, and fed from the rendered files alone."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from labkit.stack.binaries import cache_folder
from labkit.stack.home import Home
from labkit.stack.processes import Service

__all__ = ["find_grafana", "grafana_service", "grafana_settings"]

# Packages keep the web pages apart from the program; archives keep both in one folder.
_SHARED_FOLDERS = ("/usr/share/grafana", "/usr/local/share/grafana", "/opt/homebrew/share/grafana")


def find_grafana() -> tuple[Sequence[str], Path] | None:
    """Return Grafana's command, from PATH or our cache, and the folder of its pages; None where one is missing."""
    for name, more in (("grafana", ("server",)), ("grafana-server", ())):
        if found := shutil.which(name) or shutil.which(name, path=str(cache_folder() / "grafana" / "bin")):
            program = Path(found).resolve()
            around = (program.parents[1], program.parents[1] / "share" / "grafana", *map(Path, _SHARED_FOLDERS))
            for folder in around:
                if (folder / "conf" / "defaults.ini").is_file():
                    return (str(program), *more), folder
    return None


def grafana_service(home: Home, ready: Callable[[], bool]) -> Service | None:
    """Return the service of a home whose configuration is rendered, None where there is no Grafana."""
    found = find_grafana()
    if not found:
        return None
    command, folder = found
    return Service(
        "grafana", [*command, f"--homepath={folder}"], [home.ports["grafana"]], ready, env=grafana_settings(home)
    )


def grafana_settings(home: Home) -> dict[str, str]:
    """Return the environment: anybody on this machine may look, nobody changes, and nothing leaves the machine."""
    settings = {
        "server.http_addr": "127.0.0.1",
        "server.http_port": str(home.ports["grafana"]),
        "paths.data": str(home.grafana_data),
        "paths.logs": str(home.grafana_data / "log"),
        "paths.plugins": str(home.grafana_data / "plugins"),
        "paths.provisioning": str(home.rendered / "grafana" / "provisioning"),
        "auth.anonymous.enabled": "true",
        "auth.anonymous.org_role": "Viewer",
        "security.admin_password": f"$__file{{{home.secrets / 'grafana_password'}}}",  # not seen in the environment
        "security.allow_embedding": "false",
        "security.disable_gravatar": "true",
        "users.allow_sign_up": "false",
        "users.allow_org_create": "false",
        "analytics.reporting_enabled": "false",
        "analytics.check_for_updates": "false",
        "analytics.check_for_plugin_updates": "false",
        "news.news_feed_enabled": "false",
        "snapshots.external_enabled": "false",
        "plugins.preinstall_disabled": "true",
        "plugins.plugin_admin_enabled": "false",
        "dashboards.min_refresh_interval": "250ms",  # lab time; Grafana's own is 5s
        "dashboards.default_home_dashboard_path": str(home.rendered / "grafana" / "dashboards" / "loop.json"),
        "log.mode": "console",
        "log.level": "warn",
    }
    return {"GF_" + name.replace(".", "_").upper(): value for name, value in settings.items()}
