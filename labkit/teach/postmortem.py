"""A postmortem: drafted from what was recorded, completed by those who were there, and checked before it is filed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["TODO", "complete", "draft", "gaps"]

TODO = "TODO"
_SECTIONS = ("Summary", "Impact", "Timeline", "Root cause", "Why it was not noticed earlier", "Actions")
_NOBODY = {"everybody", "everyone", "all", "nobody", "someone", "somebody", "team", "the team", "us", "we", "tbd", "?"}
_BLAME = re.compile(r"\b(careless\w*|human error|his fault|her fault|their fault|stupid\w*|should have known)\b", re.I)
_SYMPTOM = re.compile(
    r"\b(accuracy|alerts?|drift\w*|error rate|latency)\b[^.]*\b(fell|fired|was low|dropped|rose|high)\b", re.I
)
_BECAUSE = re.compile(r"\b(because|since|as|without|no|not|never|nobody|nothing|allowed|let|missing|instead)\b", re.I)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TOLD = {
    "alert_firing": lambda event: f"{event['alert']} fires",
    "notification_received": lambda event: f"{event['channel']}: {event['title']}",
    "retraining_finished": lambda event: f"retraining {event['result']}: {event['reason']}",
    "diagnosed": lambda _event: "diagnosed: kind and place are known",
    "responded": lambda event: f"response: {event['response']}",
    "fault_injected": lambda event: f"the incident begins ({event['scenario']}; known only afterwards)",
    "recovered": lambda _event: "the response is in effect",
}


def draft(events: Sequence[Mapping[str, Any]], times: Mapping[str, float], impact: Sequence[str]) -> str:
    """Return Markdown: what machines know is written, and ``TODO`` stands where people have to think.

    ``events`` are a timeline's, ``times`` maps "to detect" and so on to production minutes, ``impact`` are sentences.
    """
    lines = ["# Postmortem", "", "## Summary", "", f"{TODO}: what happened, to whom, for how long; two sentences.", ""]
    lines += ["## Impact", "", *(f"- {sentence}" for sentence in impact)]
    lines += [
        f"- Time {name}: {minutes:.0f} production minutes" for name, minutes in times.items() if minutes == minutes
    ]
    lines += ["", "## Timeline", "", "| minute | what happened |", "|---|---|", *_rows(events), ""]
    lines += ["## Root cause", "", f"{TODO}: what made it possible; not what you saw, and nobody's name.", ""]
    lines += ["## Why it was not noticed earlier", "", f"{TODO}: which signal was missing, or too slow.", ""]
    lines += ["## Actions", "", "| action | owner | due |", "|---|---|---|", f"| {TODO} | {TODO} | {TODO} |", ""]
    return "\n".join(lines)


def complete(
    text: str, *, summary: str, root_cause: str, not_noticed: str, actions: Sequence[tuple[str, str, str]]
) -> str:
    """Fill a draft in: three texts, and actions as ``(what, owner, due date such as 2030-01-31)``."""
    sections = {"Summary": summary, "Root cause": root_cause, "Why it was not noticed earlier": not_noticed}
    sections["Actions"] = "\n".join(
        ["| action | owner | due |", "|---|---|---|", *("| " + " | ".join(action) + " |" for action in actions)]
    )
    for name, body in sections.items():
        text = re.sub(
            rf"(## {name}\n\n).*?(?=\n## |\Z)", lambda match, body=body: f"{match[1]}{body}\n", text, flags=re.S
        )
    return text


def gaps(text: str) -> list[str]:
    """Say what a postmortem still lacks; empty when it can be filed."""
    found = [f"The section {name!r} is missing." for name in _SECTIONS if f"## {name}\n" not in text]
    if found:
        return found
    parts = {name: text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0].strip() for name in _SECTIONS}
    found = [f"{name}: a {TODO} is left." for name, body in parts.items() if TODO in body]
    if found:
        return found
    return _of_the_cause(parts["Root cause"]) + _of_the_actions(parts["Actions"])


def _of_the_cause(cause: str) -> list[str]:
    if blame := _BLAME.search(cause):
        return [f"Root cause: {blame[0]!r} blames a person. Write what made the slip possible, and let it pass."]
    if _SYMPTOM.search(cause) and not _BECAUSE.search(cause):
        return ["Root cause: that is a symptom, what you saw. Ask why, until the answer is something one can change."]
    if len(cause.split()) < 6:
        return ["Root cause: a few words do not let anybody prevent it. Say what happened, and what let it happen."]
    return []


def _of_the_actions(table: str) -> list[str]:
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]
    rows = [row for row in rows if any(row)]
    if len(rows) < 2:
        return ["Actions: name at least two, one so that it does not happen again, one so that it is noticed sooner."]
    for action, owner, due in ([*row, "", "", ""][:3] for row in rows):
        if not owner or owner.lower() in _NOBODY:
            return [
                f"Actions: {action!r} is owned by {owner or 'nobody'!r}. What everybody owns nobody does: name one."
            ]
        if not _DATE.fullmatch(due):
            return [f"Actions: {action!r} is due {due or 'never'!r}. Give a day, such as 2030-01-31."]
    return []


def _rows(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table row for each thing that is worth telling, the first time it happens."""
    rows: dict[str, float] = {}
    for event in sorted(events, key=lambda event: event["production_seconds"]):
        if event["event"] in _TOLD and event.get("status", "firing") == "firing":
            rows.setdefault(_TOLD[event["event"]](event).replace("|", "/"), event["production_seconds"] / 60)
    return [f"| {minute:.0f} | {what} |" for what, minute in rows.items()]
