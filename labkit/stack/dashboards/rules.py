"""What the alert rules say, for dashboards: a limit is typed once, in the rule that judges by it."""

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from labkit.errors import ConfigurationError
from labkit.stack.render import config_dir

__all__ = ["bound", "floor", "limit", "runbook"]

_NUMBER = r"\d+(?:\.\d+)?(?:\s*\*\s*\d+(?:\.\d+)?)*"


def limit(alert: str, after: str = "") -> float:
    """Return the first number that the alert's expression compares with, behind the text ``after``: a guard, say.

    A product such as ``14.4 * 0.005`` is worked out. Raises ConfigurationError where there is none.
    """
    rest = _rule("alert", alert)["expr"].partition(after)[2] if after else _rule("alert", alert)["expr"]
    found = re.search(rf"(?:[<>]=?|==)\s*({_NUMBER})\s*$", rest, re.MULTILINE)
    if not found:
        raise ConfigurationError(
            f"{alert} compares nothing with a number after {after!r}", "mend the rule or the panel"
        )
    return _plain(math.prod(float(factor) for factor in found[1].split("*")))


def floor(record: str) -> float:
    """Return the least value of a recorded limit, the number in its ``clamp_min(..., 0.15)``."""
    found = re.search(r",\s*([\d.]+)\s*\)\s*$", _rule("record", record)["expr"])
    if not found:
        raise ConfigurationError(f"{record} does not end with a floor", "mend the rule or the panel")
    return _plain(float(found[1]))


def bound(record: str) -> float:
    """Return the bucket bound, ``le="0.05"``, that a recorded share counts up to."""
    found = re.search(r'le="([\d.]+)"', _rule("record", record)["expr"])
    if not found:
        raise ConfigurationError(f"{record} counts no bucket", "mend the rule or the panel")
    return _plain(float(found[1]))


def runbook(*alerts: str) -> str:
    """Return the last sentence of a description: which alerts judge by this panel, and what to do then."""
    pages = [_rule("alert", alert)["annotations"]["runbook_url"] for alert in alerts]
    return "\n\nAlerts: " + "; ".join(f"{alert} ({page})" for alert, page in zip(alerts, pages, strict=True)) + "."


def _plain(number: float) -> float:
    """Return a whole number as one, and no noise of floating point."""
    return int(number) if number == int(number) else round(number, 6)


def _rule(kind: str, name: str) -> dict[str, Any]:
    for rule in _rules(config_dir() / "prometheus" / "rules"):
        if rule.get(kind) == name:
            return rule
    raise ConfigurationError(f"no rule file has the {kind} {name!r}", "mend the name in labkit/stack/dashboards")


@cache
def _rules(folder: Path) -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]
