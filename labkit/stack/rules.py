"""A learner's own rules in the running Prometheus: checked first, undone by the next reset."""

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from labkit.clock import Clock, wait_until
from labkit.errors import InputError, LabError
from labkit.stack.files import write_private
from labkit.stack.home import Home
from labkit.stack.prometheus import Prometheus
from labkit.stack.promtool import check_rules
from labkit.stack.reload import reload_prometheus
from labkit.stack.timescale import scale_config

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_rules"]

_PATIENCE_SECONDS = 60


def load_rules(text: str, home: Home, clock: Clock) -> "pd.DataFrame":
    """Let the running Prometheus evaluate the rule file ``text``, in production time, beside the shipped rules.

    It takes the place of what was loaded before; an empty text takes that away. Returns the loaded rules, as
    Prometheus lists them, once each was evaluated. Raises InputError with promtool's words when it refuses the text:
    then everything stays as it was.
    """
    path = home.rendered / "prometheus" / "rules" / "learner.yml"
    scaled = _scaled(text, clock)
    names = [rule.get("alert") or rule.get("record") for group in scaled["groups"] for rule in group["rules"]]
    before = path.read_text() if path.exists() else ""
    _write(path, yaml.safe_dump(scaled, sort_keys=False, allow_unicode=True, width=1000) if names else "")
    try:
        reload_prometheus(home)
    except LabError:
        _write(path, before)
        raise
    return _evaluated(Prometheus(home.url("prometheus"), clock), {group["name"] for group in scaled["groups"]}, names)


def _scaled(text: str, clock: Clock) -> dict:
    """Return the rules in lab time, under group names of their own, so that no shipped group is meant."""
    if not text.strip():
        return {"groups": []}
    check_rules(text)
    scaled = scale_config(yaml.safe_load(text), clock.speed)
    groups = [{**group, "name": f"learner: {group['name']}"} for group in scaled.get("groups") or []]
    return {"groups": [{**group, "rules": group.get("rules") or []} for group in groups]}


def _write(path: Path, text: str) -> None:
    if text:
        write_private(path, text)
    else:
        path.unlink(missing_ok=True)


def _evaluated(prometheus: Prometheus, groups: set[str], names: list[str]) -> "pd.DataFrame":
    def all_evaluated() -> "list[pd.DataFrame]":
        found = prometheus.rules()
        mine = found[found["group"].isin(groups)]
        complete = len(mine) == len(names) and (mine["health"] != "unknown").all()
        return [mine.reset_index(drop=True)] if complete else []

    rules = wait_until(all_evaluated, _PATIENCE_SECONDS, "Prometheus to evaluate the rules", every=0.1)[0]
    for rule in rules[rules["health"] == "err"].itertuples():
        raise InputError(f"Prometheus cannot evaluate {rule.name}: {rule.last_error}")
    return rules
