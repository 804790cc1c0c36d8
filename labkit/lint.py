"""Look for mistakes in rules and dashboards that no server reports: PromQL is silent about unknown names."""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from labkit.errors import LabError
from labkit.lab import JOBS, Lab
from labkit.stack.api import ask
from labkit.stack.credentials import ALERTMANAGER_USER
from labkit.stack.home import Home
from labkit.stack.promql import COMPARISONS, Node, parse
from labkit.stack.render import config_dir

__all__ = ["Exported", "Problem", "check", "check_dashboard", "check_rules", "read_exported"]

_FORBIDDEN = {
    "time": "it is wall time, which the lab's speed does not change",
    "hour": "times of day are not scaled",
    "deriv": "it is per second of wall time",
    "predict_linear": "it counts seconds of wall time",
}
_TARGET_LABELS = frozenset(("job", "instance"))
_MADE_BY_PROMETHEUS = {"up": _TARGET_LABELS, "ALERTS": frozenset(("alertname", "alertstate"))}
_UNITLESS = frozenset(("table", "text", "row"))
_GRID_COLUMNS = 24

Exported = Mapping[str, frozenset[str]]  # the labels of every series, by its name


@dataclass(frozen=True)
class Problem:
    """One finding: the file, the rule or panel in it, and what is wrong."""

    file: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.where}: {self.text}"


def check(folder: Path | None = None, exported: Exported | None = None) -> list[Problem]:
    """Return what is wrong in ``folder`` (``docker/`` by default).

    ``exported`` is read from running servers where it is not given: those of a lab that is started for it.
    """
    folder = folder or config_dir()
    exported = exported or read_exported()
    files = {path: yaml.safe_load(path.read_text()) for path in sorted((folder / "prometheus/rules").glob("*.yml"))}
    rules = [rule for file in files.values() for group in file["groups"] for rule in group["rules"]]
    known = {**exported, **_recorded(rules)}
    found = [
        problem
        for path, file in files.items()
        for problem in check_rules(path.name, [rule for group in file["groups"] for rule in group["rules"]], known)
    ]
    for path in sorted((folder / "grafana/dashboards").glob("*.json")):
        found += check_dashboard(path.name, json.loads(path.read_text()), known)
    return found


def read_exported(lab: Lab | None = None) -> dict[str, frozenset[str]]:
    """Return what the servers of ``lab`` export, read from their own pages; without one, of a lab started for it."""
    if lab is None:
        with tempfile.TemporaryDirectory(prefix="labkit-lint-") as folder:
            lab = Lab.open(home=Home(Path(folder) / ".lab"))
            try:
                return read_exported(lab)
            finally:
                lab.down(purge=True)
    exported: dict[str, frozenset[str]] = dict(_MADE_BY_PROMETHEUS)
    for job in JOBS:
        auth = (ALERTMANAGER_USER, lab.home.secret("alertmanager_password")) if job == "alertmanager" else None
        page = ask("GET", f"{lab.home.url(job)}/metrics", auth=auth).raise_for_status().text
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                labels = exported.get(sample.name, frozenset()) | sample.labels.keys() | _TARGET_LABELS
                exported[sample.name] = labels
    return exported


def check_rules(file: str, rules: Iterable[dict[str, Any]], known: Exported) -> Iterator[Problem]:
    """Yield what is wrong with the rules of one file, given every series that exists or is recorded."""
    for rule in rules:
        where = rule.get("record") or rule["alert"]
        yield from (Problem(file, where, text) for text in _judge(rule["expr"], known))


def check_dashboard(file: str, dashboard: dict[str, Any], known: Exported) -> Iterator[Problem]:
    """Yield what is wrong with one dashboard of Grafana's."""
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    for panel in panels:
        for text in _judge_panel(panel, known):
            yield Problem(file, panel["title"], text)
        if ids.count(panel["id"]) > 1:
            yield Problem(file, panel["title"], f"its id {panel['id']} is another panel's too")
    for number, panel in enumerate(panels):
        for other in panels[number + 1 :]:
            if _overlap(panel["gridPos"], other["gridPos"]):
                yield Problem(file, panel["title"], f"it overlaps with {other['title']!r}")
    for annotation in dashboard["annotations"]["list"]:
        yield from (Problem(file, annotation["name"], text) for text in _judge(annotation["expr"], known))


def _judge_panel(panel: dict[str, Any], known: Exported) -> Iterator[str]:
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    place = panel["gridPos"]
    if panel["type"] not in _UNITLESS and not defaults.get("unit"):
        yield "it has no unit"
    if place["x"] + place["w"] > _GRID_COLUMNS:
        yield f"it reaches beyond the {_GRID_COLUMNS} columns of the page"
    limited = any(step["value"] is not None for step in defaults.get("thresholds", {}).get("steps", []))
    for target in panel.get("targets", []):
        found = list(_judge(target["expr"], known))
        yield from found
        if not found:
            yield from _judge_target(target, limited and not defaults.get("mappings"), known)


def _judge_target(target: dict[str, Any], limited: bool, known: Exported) -> Iterator[str]:
    tree = parse(target["expr"])
    for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat", "")):
        if not any(label in known[node.name] for node in tree.selectors()):
            yield f"its legend names the label {label}, which no metric of its query has"
    if limited and _per_second(tree):
        yield "it has a threshold on a rate() per second, which changes with the lab's speed"


def _judge(expr: str, known: Exported) -> Iterator[str]:
    try:
        tree = parse(expr)
    except LabError as error:
        yield error.problem
        return
    for node in tree.walk():
        if node.kind == "selector":
            yield from _judge_selector(node, known)
        elif node.kind == "call" and node.name in _FORBIDDEN:
            yield f"{node.name}() does not belong here: {_FORBIDDEN[node.name]}"
        elif node.name in COMPARISONS and node.kind == "binary":
            left, right = map(_per_second, node.children)
            if left != right:
                yield f"it compares a rate() per second: {node.text!r}; use a ratio, or increase()"
        if node.labels:
            inside = frozenset().union(*(known.get(each.name, frozenset()) for each in node.selectors()))
            yield from (
                f"no metric in {node.text!r} has the label {name}" for name in node.labels if name not in inside
            )


def _judge_selector(node: Node, known: Exported) -> Iterator[str]:
    if node.name not in known:
        kind = "no rule records" if ":" in node.name else "nobody exports"
        yield f"{kind} {node.name}"
        return
    for label, _, _ in node.matchers:
        if label not in known[node.name]:
            yield f"{node.name} has no label {label}"


def _recorded(rules: Iterable[dict[str, Any]]) -> dict[str, frozenset[str]]:
    """Return the labels of recorded series, those that their expressions sum by; and of ALERTS, those of all rules."""
    found: dict[str, frozenset[str]] = {}
    everything: frozenset[str] = frozenset()
    for rule in rules:
        tree = parse(rule["expr"])
        labels = frozenset(name for node in tree.walk() if node.grouping == "by" for name in node.labels)
        everything |= labels | rule.get("labels", {}).keys()
        if "record" in rule:
            inner = frozenset().union(*(found.get(node.name, frozenset()) for node in tree.selectors()))
            found[rule["record"]] = labels | inner
    return {**found, "ALERTS": _MADE_BY_PROMETHEUS["ALERTS"] | everything | {"severity"}}


def _per_second(node: Node) -> int:
    """Return the power of "per second" in an expression: 1 for a rate, 0 for a ratio of two."""
    if node.kind == "call":
        return 1 if node.name in ("rate", "irate") else 0 if node.name == "histogram_quantile" else _inner(node)
    if node.kind == "binary" and node.name in "*/":
        left, right = map(_per_second, node.children)
        return left + right if node.name == "*" else left - right
    return 0 if node.kind == "binary" and node.name in COMPARISONS else _inner(node)


def _inner(node: Node) -> int:
    return max(map(_per_second, node.children), default=0)


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )
