"""From plain data to Grafana's JSON, in the form that Grafana 7.5 reads and every later one migrates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "PURPLE", "RED", "SKY", "Panel", "Query", "dashboard"]

# Okabe and Ito's colours, which colour-blind people can tell apart; they show on a light and on a dark page.
SKY, ORANGE, GREEN, RED, PURPLE, BLUE, GREY = (
    "#56b4e9", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#0072b2", "#8c8c8c",
)  # fmt: skip
_SCHEMA_VERSION = 27


@dataclass(frozen=True)
class Query:
    """PromQL in production time, and the name of each series it returns."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel. ``limit`` is where its alert begins: above it, or ``"below"`` it.

    ``place`` is ``(x, y, width, height)`` on Grafana's grid of 24 columns. ``colours`` and ``dashed`` choose series by
    a regular expression for their names. ``each`` names a variable: the panel is repeated for every value of it.
    """

    title: str
    kind: Literal["timeseries", "stat", "bargauge", "table"]
    place: tuple[int, int, int, int]
    queries: Sequence[Query]
    description: str
    unit: str = "short"
    decimals: int | None = None
    minimum: float | None = 0
    maximum: float | None = None
    limit: float | None = None
    side: Literal["above", "below"] = "above"
    colours: Mapping[str, str] = field(default_factory=dict)
    dashed: str = ""
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)  # a value: its word and colour
    show_names: bool = False
    stacked: bool = False
    stepped: bool = False
    each: str = ""


def dashboard(
    uid: str, title: str, description: str, panels: Sequence[Panel], variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return a dashboard with links to its siblings and to where alerts are answered, and the shared annotations.

    ``variables`` maps a name to the ``label_values(...)`` that fills it.
    """
    return {
        "id": None,
        "uid": f"labkit-{uid}",
        "title": title,
        "description": description,
        "tags": ["labkit"],
        "schemaVersion": _SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,  # one cursor for all panels
        "refresh": "1m",
        "time": {"from": "now-3h", "to": "now"},
        "timepicker": {"refresh_intervals": ["15s", "1m", "5m"]},
        "timezone": "browser",
        "links": _links(),
        "annotations": {"list": _annotations()},
        "templating": {"list": [_variable(name, query) for name, query in (variables or {}).items()]},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels, start=1)],
    }


def _links() -> list[dict[str, Any]]:
    pages = {
        "Alerts": "http://localhost:9090/alerts",
        "Messages": "http://localhost:8002/",
        "Retraining runs": "http://localhost:8001/runs",
    }
    siblings = {
        "type": "dashboards", "title": "", "tags": ["labkit"], "asDropdown": False, "includeVars": False,
        "keepTime": True, "targetBlank": False, "url": "", "icon": "external link", "tooltip": "",
    }  # fmt: skip
    outside = [
        {
            "type": "link", "title": title, "url": url, "tags": [], "asDropdown": False, "includeVars": False,
            "keepTime": False, "targetBlank": True, "icon": "external link", "tooltip": "",
        }
        for title, url in pages.items()
    ]  # fmt: skip
    return [siblings, *outside]


def _annotations() -> list[dict[str, Any]]:
    deployed = (
        "count by (model_name, model_version) (model_info)"
        " unless count by (model_name, model_version) (last_over_time(model_info[15m] offset 1m))"
    )
    firing = 'max by (alertname, feature) (ALERTS{alertstate="firing", alertname!="Watchdog"})'
    return [
        _annotation("Deployments", deployed, "{{model_version}} in service", SKY),
        _annotation("Alerts", firing, "{{alertname}} {{feature}}", RED),
    ]


def _annotation(name: str, expr: str, title: str, colour: str) -> dict[str, Any]:
    return {
        "name": name, "datasource": "prometheus", "enable": True, "hide": False, "iconColor": colour, "type": "tags",
        "showIn": 0, "expr": expr, "step": "15s", "titleFormat": title, "textFormat": "", "tagKeys": "",
        "useValueForTime": False,
    }  # fmt: skip


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name, "label": name, "type": "query", "datasource": "prometheus", "query": query, "definition": query,
        "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": None, "regex": "", "hide": 0,
        "skipUrlSync": False, "options": [], "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }  # fmt: skip


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    x, y, width, height = panel.place
    built = {
        "id": number,
        "title": panel.title,
        "type": panel.kind,
        "description": panel.description,
        "datasource": "prometheus",
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "interval": "15s",
        "targets": [_target(query, "ABCDEFGH"[place], panel.kind) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
    }
    if panel.kind == "table":
        built["transformations"] = [_tidy_table()]
    if panel.each:
        built |= {"repeat": panel.each, "repeatDirection": "h", "maxPerRow": 24 // width}
    return built


def _target(query: Query, ref: str, kind: str) -> dict[str, Any]:
    target = {"refId": ref, "expr": " ".join(query.expr.split()), "legendFormat": query.legend}
    if kind == "timeseries":
        return {**target, "range": True, "instant": False, "format": "time_series"}
    return {**target, "range": False, "instant": True, "format": "table" if kind == "table" else "time_series"}


def _defaults(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": _steps(panel)},
        "mappings": [
            {"id": number, "type": 1, "value": str(value), "text": word}
            for number, (value, (word, _)) in enumerate(panel.words.items())
        ],
    }
    optional = {"min": panel.minimum, "max": panel.maximum, "decimals": panel.decimals}
    defaults |= {name: value for name, value in optional.items() if value is not None}
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line", "lineWidth": 2, "showPoints": "never", "spanNulls": False,
            "lineInterpolation": "stepAfter" if panel.stepped else "linear",
            "fillOpacity": 45 if panel.stacked else 0,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if panel.limit is None else "line"},
        }  # fmt: skip
    return defaults


def _steps(panel: Panel) -> list[dict[str, Any]]:
    """Return the thresholds: the base, then upwards; a line is drawn in the colour of the step that it begins."""
    if panel.words:
        (_, (_, colour)), *more = sorted(panel.words.items())
        return [{"color": colour, "value": None}, *({"color": each[1], "value": value} for value, each in more)]
    if panel.limit is None:
        return [{"color": SKY, "value": None}]
    if panel.kind == "timeseries":
        return [{"color": "transparent", "value": None}, {"color": RED, "value": panel.limit}]
    below, above = (RED, SKY) if panel.side == "below" else (SKY, RED)
    return [{"color": below, "value": None}, {"color": above, "value": panel.limit}]


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    coloured = [
        _override(pattern, "color", {"mode": "fixed", "fixedColor": colour})
        for pattern, colour in panel.colours.items()
    ]
    dashes = {"fill": "dash", "dash": [6, 6]}
    return coloured + ([_override(panel.dashed, "custom.lineStyle", dashes)] if panel.dashed else [])


def _override(pattern: str, name: str, value: Any) -> dict[str, Any]:
    return {"matcher": {"id": "byRegexp", "options": f"/{pattern}/"}, "properties": [{"id": name, "value": value}]}


def _options(panel: Panel) -> dict[str, Any]:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi"},
            "tooltipOptions": {"mode": "multi"},  # the name that 7.5 has for it
        }
    if panel.kind == "table":
        return {"showHeader": True}
    if panel.kind == "bargauge":
        return {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True}
    text_mode = "name" if panel.show_names else "value_and_name" if len(panel.words) else "auto"
    return {
        "reduceOptions": last, "orientation": "auto", "textMode": text_mode, "colorMode": "value",
        "graphMode": "none", "justifyMode": "auto",
    }  # fmt: skip


def _tidy_table() -> dict[str, Any]:
    hidden = ("Time", "Value", "__name__", "instance", "job", "model_name", "action")
    return {
        "id": "organize",
        "options": {"excludeByName": dict.fromkeys(hidden, True), "indexByName": {}, "renameByName": {}},
    }
