"""Evaluate the panels of a dashboard's JSON as Grafana would, for where there is no Grafana."""

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from labkit.clock import format_duration, parse_duration
from labkit.errors import LabError
from labkit.stack.explain import why_empty
from labkit.stack.prometheus import Prometheus

__all__ = ["Board", "PanelData", "Series", "evaluate"]

_POINTS = 240  # along the time axis of a panel
_SCRAPE_SECONDS = 15.0


@dataclass(frozen=True)
class Series:
    """A curve or a number: ``moments`` are Unix times. ``colour`` is empty where the picture may choose.

    ``kind`` is the pattern of the name: series of one kind get their colours from one row.
    """

    name: str
    kind: str
    labels: dict[str, str]
    moments: list[float]
    values: list[float]
    colour: str = ""
    dashed: bool = False


@dataclass(frozen=True)
class PanelData:
    """A panel with its numbers. ``problem`` says which query returned nothing, and why; ``spec`` is Grafana's JSON."""

    title: str
    kind: str
    place: tuple[int, int, int, int]
    spec: dict[str, Any]
    series: list[Series] = field(default_factory=list)
    problem: str = ""

    @property
    def defaults(self) -> dict[str, Any]:
        """Unit, minimum, thresholds and whatever else is true of every series."""
        return self.spec.get("fieldConfig", {}).get("defaults", {})


@dataclass(frozen=True)
class Board:
    """A dashboard with its numbers at the Unix time ``end``; ``since`` is its range in production seconds.

    ``events`` are ``(from, to, text, colour)`` of annotations in Unix time.
    """

    title: str
    since: float
    end: float
    panels: list[PanelData]
    events: list[tuple[float, float, str, str]]


def evaluate(
    dashboard: dict[str, Any], prometheus: Prometheus, *, since: str | None = None, end: float | None = None
) -> Board:
    """Ask every query of ``dashboard``, written in production time, up to ``end`` (now by default).

    ``since`` replaces the dashboard's own range, such as ``"3h"``.
    """
    span = since or dashboard["time"]["from"].removeprefix("now-")
    work = _Evaluation(prometheus, span, time.time() if end is None else end, _variables(dashboard, prometheus))
    panels = [work.panel(each) for panel in dashboard["panels"] for each in work.repeated(panel)]
    events = [event for each in dashboard["annotations"]["list"] for event in work.events(each)]
    return Board(dashboard["title"], work.seconds, work.end, panels, events)


def _variables(dashboard: dict[str, Any], prometheus: Prometheus) -> dict[str, list[str]]:
    """Return the values of each variable that is filled by ``label_values(metric, label)``."""
    values = {}
    for variable in dashboard.get("templating", {}).get("list", []):
        metric, label = re.fullmatch(r"label_values\((.+),\s*(\w+)\)", variable["query"]).groups()
        frame = prometheus.query(f"group by ({label}) (last_over_time({metric}[1h]))")
        values[variable["name"]] = sorted(frame[label]) if len(frame) else []
    return values


class _Evaluation:
    def __init__(self, prometheus: Prometheus, span: str, end: float, variables: dict[str, list[str]]) -> None:
        self.end = end
        self.seconds = parse_duration(span)
        self._prometheus = prometheus
        self._span = span
        self._variables = variables
        self._step = max(_SCRAPE_SECONDS, math.ceil(self.seconds / _POINTS / _SCRAPE_SECONDS) * _SCRAPE_SECONDS)

    def repeated(self, panel: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the panel once, or once for each value of the variable that it repeats for, side by side."""
        name = panel.get("repeat")
        place = panel["gridPos"]
        for number, value in enumerate(self._variables[name]) if name else [(0, "")]:
            row, column = divmod(number, panel.get("maxPerRow", 1))
            moved = {**place, "x": place["x"] + column * place["w"], "y": place["y"] + row * place["h"]}
            chosen = {name: [value]} if name else {}
            targets = [{**each, "expr": self._filled(each["expr"], chosen)} for each in panel.get("targets", [])]
            yield {**panel, "title": self._filled(panel["title"], chosen), "targets": targets, "gridPos": moved}

    def panel(self, panel: dict[str, Any]) -> PanelData:
        """Return the panel with its numbers, or with the reason why there are none."""
        place = tuple(panel["gridPos"][key] for key in "xywh")
        source = panel.get("datasource")
        source = source.get("uid") if isinstance(source, dict) else source
        if source not in (None, "prometheus"):
            problem = f"The data source {source!r} does not exist: it is called prometheus here."
            return PanelData(panel["title"], panel["type"], place, panel, problem=problem)
        series: list[Series] = []
        problems = []
        for target in panel["targets"]:
            try:
                found = [self._styled(each, panel) for each in self._ask(target)]
                series += found
                if not any(math.isfinite(value) for each in found for value in each.values):
                    problems.append(f"{target['refId']}: {self._why(target['expr'])}")
            except LabError as error:
                problems.append(f"{target['refId']}: {error.problem}")
        return PanelData(panel["title"], panel["type"], place, panel, series, "\n".join(problems))

    def events(self, annotation: dict[str, Any]) -> Iterator[tuple[float, float, str, str]]:
        """Yield where an annotation's expression is true: from, to, text and colour."""
        step = parse_duration(annotation["step"])
        lab_step = step * (self.end - self._start()) / self.seconds
        for labels, samples in self._prometheus.series(annotation["expr"], self._span, step, self.end):
            text, begin, last = _named(annotation["titleFormat"], labels, ""), None, None
            for at, _ in samples:
                if last is not None and at - last > 1.5 * lab_step:
                    yield begin, last, text, annotation["iconColor"]
                    begin = at
                begin, last = (at if begin is None else begin), at
            if begin is not None:
                yield begin, last, text, annotation["iconColor"]

    def _start(self) -> float:
        return self.end - self._prometheus.clock.lab_seconds(self.seconds)

    def _ask(self, target: dict[str, Any]) -> list[Series]:
        legend = target.get("legendFormat", "")
        kind = legend if "{{" in legend else ""
        if not target.get("instant"):
            found = self._prometheus.series(target["expr"], self._span, self._step, self.end)
            return [
                Series(_named(legend, labels, target["expr"]), kind, labels, *map(list, zip(*samples, strict=True)))
                for labels, samples in found
            ]
        rows = self._prometheus.query(target["expr"], self.end).to_dict("records")
        found = [({k: v for k, v in row.items() if k != "value" and v == v}, row["value"]) for row in rows]
        return [
            Series(_named(legend, labels, target["expr"]), kind, labels, [self.end], [value]) for labels, value in found
        ]

    def _why(self, expr: str) -> str:
        reason = why_empty(self._prometheus, expr, self._span, self.end)
        return reason or "no value in this range, although there is one now."

    def _filled(self, text: str, chosen: dict[str, list[str]]) -> str:
        """Put values in the place of variables, Grafana's own and the dashboard's."""
        own = {
            "__rate_interval": format_duration(max(self._step + _SCRAPE_SECONDS, 4 * _SCRAPE_SECONDS)),
            "__interval": format_duration(self._step),
            "__range": self._span,
        }
        values = {name: "|".join(each) for name, each in {**self._variables, **chosen}.items()} | own
        return re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], match[0]), text)

    def _styled(self, series: Series, panel: dict[str, Any]) -> Series:
        colour, dashed = "", False
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            if re.search(override["matcher"]["options"].strip("/"), series.name):
                for change in override["properties"]:
                    colour = change["value"]["fixedColor"] if change["id"] == "color" else colour
                    dashed = dashed or change["id"] == "custom.lineStyle"
        return replace(series, colour=colour, dashed=dashed)


def _named(legend: str, labels: dict[str, str], expr: str) -> str:
    if legend:
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), legend).strip()
    named = ", ".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__")
    return labels.get("__name__", "") + (f"{{{named}}}" if named else "") or expr
