"""HTML of what goes on in the lab: the alert board, the inbox, the map of the loop. Pure functions, texts escaped."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from labkit.clock import format_duration

__all__ = ["alert_board", "inbox", "loop_map"]

# Sign, colour and word together: no colour alone carries the meaning.
_STATES = {"inactive": ("○", "#767676"), "pending": ("◐", "#b07700"), "firing": ("●", "#d55e00")}
_LEFT = "style='text-align:left;padding:.15em .8em'"


def alert_board(alerts: Iterable[Mapping[str, Any]]) -> str:
    """Return a table of alerts: name, state, severity, and for pending ones the production seconds left.

    Each has ``name``, ``state``, ``severity``, ``about`` (which of several) and ``seconds_left`` (None unless pending).
    """
    head = "".join(f"<th {_LEFT}>{title}</th>" for title in ("alert", "state", "severity", "about"))
    rows = "".join(map(_alert, alerts))
    return f"<table class='labkit-alerts'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _alert(alert: Mapping[str, Any]) -> str:
    sign, colour = _STATES[alert["state"]]
    left = alert["seconds_left"]
    state = alert["state"] if left is None else f"pending, fires in {format_duration(max(1, round(left)))}"
    cells = (
        f"<b>{escape(alert['name'])}</b>",
        f"<span style='color:{colour}'>{sign} {state}</span>",
        escape(alert["severity"]),
        escape(alert["about"]),
    )
    return f"<tr data-state='{alert['state']}'>" + "".join(f"<td {_LEFT}>{cell}</td>" for cell in cells) + "</tr>"


_CHANNELS = {
    "slack": ("Slack, #model-alerts", "#4a154b"),
    "email": ("E-mail", "#0072b2"),
    "pagerduty": ("PagerDuty", "#06ac38"),
}


def inbox(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return the messages of the lab's inbox, newest first, each much as its channel would show it.

    They are strangers' texts: escaped, and the HTML of an e-mail in a frame in which nothing may run.
    """
    cards = [_card(message) for message in reversed(list(messages))]
    return "".join(cards) or "<p>Nothing has arrived yet.</p>"


def _card(message: Mapping[str, Any]) -> str:
    sender, colour = _CHANNELS.get(message["channel"], (message["channel"], "#767676"))
    resolved = message["status"] == "resolved"
    status = "✓ resolved" if resolved else "● firing"
    edge = "#2f855a" if resolved else "#d55e00"
    body = f"<pre style='white-space:pre-wrap;margin:.3em 0'>{escape(message['text'])}</pre>"
    if message.get("html"):
        frame = "width:100%;height:14em;border:1px solid #ccc;background:white"
        body = f"<iframe sandbox title='e-mail' style='{frame}' srcdoc='{escape(message['html'])}'></iframe>"
    return (
        f"<article style='border-left:4px solid {edge};padding:.3em .9em;margin:.6em 0;max-width:60em'>"
        f"<small><b style='color:{colour}'>{escape(sender)}</b> · {status}</small>"
        f"<div><b>{escape(message['title'])}</b></div>{body}</article>"
    )


_PLACES = {  # where each part stands on the map
    "traffic": (10, 10),
    "model": (180, 10),
    "prometheus": (350, 10),
    "alertmanager": (520, 10),
    "inbox": (690, 10),
    "retrainer": (350, 120),
}
_ARROWS = (
    "M150 40 H176", "M320 40 H346", "M490 40 H516", "M660 40 H686", "M590 70 V150 H494", "M350 150 H250 V74",
)  # fmt: skip


def loop_map(parts: Mapping[str, tuple[bool, str]]) -> str:
    """Return the map of the loop as SVG: each part with whether it works, and a few words on what it does now."""
    head = (
        "<svg viewBox='0 0 840 190' style='max-width:840px;width:100%;font-family:sans-serif' role='img' "
        f"aria-label='{escape('; '.join(f'{name}: {words}' for name, (_, words) in parts.items()))}'>"
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='8' markerHeight='8' orient='auto'>"
        "<path d='M0 0 L8 4 L0 8 z' fill='#666'/></marker></defs>"
    )
    arrows = "".join(f"<path d='{path}' fill='none' stroke='#666' marker-end='url(#tip)'/>" for path in _ARROWS)
    return head + arrows + "".join(_part(name, *parts[name]) for name in _PLACES if name in parts) + "</svg>"


def _part(name: str, works: bool, words: str) -> str:
    x, y = _PLACES[name]
    colour, sign = ("#0072b2", "●") if works else ("#d55e00", "○")
    return (
        f"<g transform='translate({x} {y})'><rect width='140' height='60' rx='8' fill='{colour}22' stroke='{colour}'/>"
        f"<text x='70' y='25' text-anchor='middle' font-size='14' font-weight='bold'>{sign} {escape(name)}</text>"
        f"<text x='70' y='45' text-anchor='middle' font-size='11'>{escape(words)}</text></g>"
    )
