"""What a notebook shows live: traffic to steer, alerts, messages, curves, and the loop itself.

Each is shown by being the last line of a cell, goes on while the kernel is free, and ends when its cell is run again.
"""

import base64
import time
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import ipywidgets

from labkit.lab import Lab
from labkit.simulate.control import read_control, read_status
from labkit.simulate.scenarios import CATALOGUE, scenario
from labkit.teach import views
from labkit.teach.live import Live

__all__ = ["alert_board", "chart", "inbox", "loop_map", "traffic_control"]

_WIDE = {"description_width": "6em"}


def traffic_control(lab: Lab) -> Live:
    """Steer the traffic: scenario, requests per lab second, severity, start and stop."""
    now = read_control(lab.home.traffic_control)
    name = ipywidgets.Dropdown(options=list(CATALOGUE), value=now.scenario, description="scenario", style=_WIDE)
    rate = ipywidgets.IntSlider(min(100, round(now.rate)), 1, 100, description="requests/s", style=_WIDE)
    severity = ipywidgets.FloatSlider(now.severity, min=0, max=1, step=0.05, description="severity", style=_WIDE)
    start, stop = ipywidgets.Button(description="Start", icon="play"), ipywidgets.Button(description="Stop")
    for slider in (rate, severity):
        slider.continuous_update = False  # one change when the mouse lets go, not fifty on the way

    def send(_event: Any = None) -> None:
        lab.traffic(name.value, rate=rate.value, severity=severity.value)

    def adjust(_event: Any) -> None:
        if read_control(lab.home.traffic_control).running:
            send()

    for control in (name, rate, severity):
        control.observe(adjust, "value")
    start.on_click(send)
    stop.on_click(lambda _event: lab.stop_traffic())

    def draw() -> str:
        truth = scenario(name.value).summary
        return f"<p>{escape(truth)}</p><p><b>{escape(str(read_status(lab.home.traffic_status)))}</b></p>"

    return Live("traffic control", draw, [ipywidgets.HBox([name, rate, severity]), ipywidgets.HBox([start, stop])])


def alert_board(lab: Lab) -> Live:
    """Show every alert of the rules: inactive, pending with the production time left, firing."""
    return Live("alert board", lambda: views.alert_board(_alerts(lab)))


def _alerts(lab: Lab) -> Iterator[dict[str, Any]]:
    rules = lab.prometheus.rules()
    active = lab.alerts().fillna("").to_dict("records")
    for rule in rules[rules["type"] == "alerting"].to_dict("records"):
        mine = [alert for alert in active if alert["alertname"] == rule["name"]]
        for alert in mine:
            waited = lab.clock.production_seconds(time.time() - alert["active_at"].timestamp())
            yield {
                "name": rule["name"],
                "state": alert["state"],
                "severity": str(alert.get("severity", "")),
                "about": str(alert.get("feature") or alert.get("model_version") or alert.get("job") or ""),
                "seconds_left": rule["for_seconds"] - waited if alert["state"] == "pending" else None,
            }
        if not mine:
            yield {"name": rule["name"], "state": "inactive", "severity": "", "about": "", "seconds_left": None}


def inbox(lab: Lab, channel: str | None = None) -> Live:
    """Show the messages that arrived, the newest on top, much as Slack, a mail program and PagerDuty would."""
    return Live("inbox", lambda: views.inbox(lab.messages(channel)[-20:]))


def chart(lab: Lab, queries: Mapping[str, str], since: str = "1h", unit: str = "") -> Live:
    """Draw the curves of PromQL, written in production time, by their names."""

    def draw() -> str:
        import pandas as pd

        from labkit.plots import curves

        tables = {name: lab.query_range(expression, since) for name, expression in queries.items()}
        several = {name: table for name, table in tables.items() if len(table)}
        table = pd.concat([_named(name, table) for name, table in several.items()], axis=1) if several else None
        picture = curves(pd.DataFrame() if table is None else table.sort_index(), lab.clock.speed, unit)
        data = base64.b64encode(picture._repr_png_()).decode()
        return f"<img alt='{escape('curves of ' + ', '.join(queries))}' src='data:image/png;base64,{data}'>"

    return Live(f"chart of {', '.join(queries)}", draw)


def _named(name: str, table: Any) -> Any:
    if len(table.columns) == 1:
        return table.set_axis([name], axis=1)
    words = (" ".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in table.columns)
    return table.set_axis([f"{name} {each}" for each in words], axis=1)


def loop_map(lab: Lab) -> Live:
    """Show the map of the loop with the state of each hop."""
    return Live("map of the loop", lambda: views.loop_map(_parts(lab)))


def _parts(lab: Lab) -> dict[str, tuple[bool, str]]:
    status = lab.status()
    works = {service.name: service.state == "ready" for service in status.services}
    traffic = read_status(lab.home.traffic_status)
    words = {
        "traffic": f"{traffic.achieved_rate:.0f} requests/s" if traffic.running else "silent",
        "model": f"serves {status.champion}" if works["model"] else "does not answer",
        "prometheus": f"{len(status.alerts_firing)} alerts fire",
        "alertmanager": _silences(lab) if works["alertmanager"] else "does not answer",
        "inbox": f"{len(lab.messages())} messages" if works["inbox"] else "does not answer",
        "retrainer": _last_run(lab) if works["retrainer"] else "does not answer",
    }
    return {name: (works[name], text) for name, text in words.items()}


def _silences(lab: Lab) -> str:
    return f"{(lab.alertmanager.silences()['state'] == 'active').sum()} silences"


def _last_run(lab: Lab) -> str:
    runs = lab.runs()
    return f"last: {runs[-1]['result'] or 'at work'}" if runs else "waits"
