"""Dashboards as code: plain data here, Grafana's JSON in ``docker/grafana/dashboards``.

``python -m labkit.stack.dashboards`` writes the files; a test holds that they are what was written.
"""

import json
from pathlib import Path

from labkit.stack.dashboards.drift import drift
from labkit.stack.dashboards.loop import loop
from labkit.stack.dashboards.quality import quality
from labkit.stack.dashboards.service import service

__all__ = ["DASHBOARDS", "write"]

DASHBOARDS = {"service": service, "quality": quality, "drift": drift, "loop": loop}


def write(folder: Path) -> list[Path]:
    """Write every dashboard into ``folder`` and return the paths."""
    paths = []
    for name, build in DASHBOARDS.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(build(), indent=2, ensure_ascii=False) + "\n")
        paths.append(path)
    return paths
