"""From production time to lab time: divide the durations in configuration, dashboards, flags and PromQL by the speed.

A duration that is not known to be scaled or to be left alone is an error: one left at its production
value would make an alert an hour late without a word.
"""

import re
from typing import Any

from labkit.clock import Clock, format_duration, parse_duration
from labkit.errors import ConfigurationError, InputError

__all__ = ["scale_config", "scale_dashboard", "scale_duration", "scale_flags", "scale_promql"]

_SCALED_KEYS = frozenset(
    [
        "scrape_interval",
        "scrape_timeout",
        "evaluation_interval",
        "refresh_interval",
        "interval",
        "for",
        "keep_firing_for",
        "query_offset",
        "group_wait",
        "group_interval",
        "repeat_interval",
        "resolve_timeout",
        "timeInterval",
        "refresh",
        "refresh_intervals",
        "step",
    ]
)
_SCALED_FLAGS = frozenset(
    [
        "--query.lookback-delta",
        "--rules.alert.resend-delay",
        "--rules.alert.for-outage-tolerance",
        "--rules.alert.for-grace-period",
        "--storage.tsdb.retention.time",
        "--data.retention",
        "--alerts.gc-interval",
    ]
)
_RANGE_KEYS = frozenset({"from", "to", "timeFrom", "timeShift"})  # of dashboards
# How long a server waits for another one is a latency, and latencies are real.
_REAL_KEYS = frozenset({"timeout", "remote_timeout", "min_backoff", "max_backoff", "batch_send_deadline"})
_REAL_FLAGS = frozenset({"--query.timeout", "--web.read-timeout"})
_FREE_TEXT = frozenset(
    ["annotations", "labels", "external_labels", "params", "match", "match_re", "title", "description", "text"]
)

# Upstream's defaults, which a file need not state, are production time too.
_DEFAULTS = {
    "scrape_configs": ("global", {"scrape_interval": "1m", "evaluation_interval": "1m"}),
    "receivers": ("route", {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}),
}

_UNITS = r"(?:\d+(?:ms|[ywdhms]))+"
# What stands in strings, comments, names and Grafana's variables is passed over; what is left may hold durations.
_PROMQL = re.compile(
    rf"""
    (?P<skip> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | \#[^\n]* | \$\w+ | \$\{{[^}}]*\}} | [A-Za-z_][\w:]* )
    | (?P<duration> {_UNITS} (?!\w) )
    | (?P<number> \d[\w.]* )
    """,
    re.VERBOSE,
)


def scale_duration(text: str, speed: float) -> str:
    """Return a Prometheus duration divided by ``speed``: ``"5m"`` at 60 is ``"5s"``.

    In whole milliseconds and never rounded to 0, which would mean "none"; a 0 stays one.
    """
    seconds = parse_duration(text)
    return format_duration(Clock(speed).lab_seconds(seconds)) if seconds else text


def scale_promql(expr: str, speed: float) -> str:
    """Return ``expr`` with its ranges, subqueries and offsets in lab time; all else stays, to the letter.

    Raises InputError for a range or offset that is a bare number of seconds.
    """

    def scaled(token: re.Match[str]) -> str:
        if token["duration"]:
            return scale_duration(token["duration"], speed)
        before = expr[: token.start()].rstrip(" \t\n-").lower()
        if token["number"] and before.endswith(("[", ":", "offset")):
            raise InputError(
                f"{expr!r} has a range or offset of {token['number']} without a unit", "write e.g. [5m] or offset 1h"
            )
        return token[0]

    return _PROMQL.sub(scaled, expr)


def scale_config(config: dict[str, Any], speed: float) -> dict[str, Any]:
    """Return a copy of a parsed configuration of Prometheus or Alertmanager, or a rule file, in lab time.

    ``expr`` holds PromQL; annotations and labels stay as they are. Raises ConfigurationError for a
    duration under a key of which it is not known whether it should be scaled.
    """
    config = dict(config)
    for marker, (section, defaults) in _DEFAULTS.items():
        if marker in config:
            config[section] = {**defaults, **(config.get(section) or {})}
    return _scaled(config, speed, key="")


def scale_dashboard(dashboard: dict[str, Any], speed: float) -> dict[str, Any]:
    """Return a copy of a Grafana dashboard in lab time: its queries, ranges, steps and refresh; its texts stay.

    Grafana's axis shows wall time whatever we do, so the title says what a second of it stands for.
    """
    events = [_scaled(each, speed, key="") for each in dashboard["annotations"]["list"]]
    note = f" (1 s on the axis is {format_duration(speed)})" if speed > 1 else ""
    scaled = {**_scaled(dashboard, speed, key=""), "annotations": {"list": events}}
    return {**scaled, "title": dashboard["title"] + note}


def scale_flags(flags: list[str], speed: float) -> list[str]:
    """Return command-line flags ``--name=value`` with those values that are durations in lab time."""
    return [_scaled_flag(flag, speed) for flag in flags]


def _scaled_flag(flag: str, speed: float) -> str:
    name, _, value = flag.partition("=")
    if name in _SCALED_FLAGS:
        return f"{name}={scale_duration(value, speed)}"
    if name not in _REAL_FLAGS:
        _refuse_duration(value, name)
    return flag


def _scaled(value: Any, speed: float, key: str) -> Any:
    if key in _FREE_TEXT:
        return value
    if isinstance(value, dict):
        return {name: _scaled(each, speed, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_scaled(each, speed, key) for each in value]
    if not isinstance(value, str) or key in _REAL_KEYS:
        return value
    if key in ("expr", "query"):
        return scale_promql(value, speed)
    if key in _SCALED_KEYS:
        return scale_duration(value, speed)
    if key in _RANGE_KEYS and (relative := re.fullmatch(f"(now-)?({_UNITS})", value)):
        return (relative[1] or "") + scale_duration(relative[2], speed)
    _refuse_duration(value, key)
    return value


def _refuse_duration(value: str, where: str) -> None:
    if re.fullmatch(_UNITS, value):
        raise ConfigurationError(
            f"{where} is {value}, and lab time does not know whether to scale it",
            f"name {where} in labkit/stack/timescale.py, among what is scaled or what is real",
        )
