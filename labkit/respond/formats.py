"""Read the three formats that Alertmanager writes: Slack's webhook, PagerDuty's Events API v2, and e-mail."""

import json
import re
from collections.abc import Mapping
from email import message_from_bytes, policy
from typing import Any

from labkit.errors import InputError
from labkit.respond.mailbox import Draft

__all__ = ["read_mail", "read_pagerduty", "read_slack"]

# "[FIRING:2] ModelDown iris-classifier": the subject that Alertmanager's templates write by default.
_SUBJECT = re.compile(r"\[(FIRING|RESOLVED)[^\]]*\]\s*([A-Za-z_]\w*)?", re.IGNORECASE)
_ALERTNAME = re.compile(r"\balertname\s*[=:]\s*\"?([A-Za-z_]\w*)")
_TAG = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)


def read_slack(payload: Any) -> Draft:
    """Read a message for Slack's incoming webhooks; raises InputError for what Slack calls ``invalid_payload``."""
    parts = [payload, *_list(_mapping(payload).get("attachments"))]
    titles = [_text(part, "title") for part in parts]
    texts = [text for part in parts for text in (_text(part, "pretext"), _text(part, "text"), *_fields(part)) if text]
    if not any(titles) and not texts:
        raise InputError("the Slack message has no text", "give it a text, or an attachment with a title or a text")
    title = next(filter(None, titles), texts[0] if texts else "")
    resolved = any(_text(part, "color") == "good" for part in parts) or _is_resolved(title)
    return Draft(
        channel="slack",
        status="resolved" if resolved else "firing",
        title=title,
        text="\n".join(texts),
        alertnames=_alertnames(title, *texts),
        raw=json.dumps(payload, indent=1, ensure_ascii=False),
    )


def read_pagerduty(event: Any) -> Draft:
    """Read an event of PagerDuty's Events API v2, without its routing key; raises InputError for an invalid one."""
    kept = {name: value for name, value in _mapping(event).items() if name != "routing_key"}
    action = kept.get("event_action")
    if action not in ("trigger", "acknowledge", "resolve"):
        raise InputError("event_action is none of trigger, acknowledge, resolve", "see PagerDuty's Events API v2")
    payload = _mapping(kept.get("payload", {}))
    summary = _text(payload, "summary")
    if action == "trigger" and not summary:
        raise InputError("payload.summary is missing", "an event that triggers an incident needs a summary")
    details = payload.get("custom_details")
    lines = [f"{name}: {value}" for name, value in details.items()] if isinstance(details, Mapping) else []
    return Draft(
        channel="pagerduty",
        status="resolved" if action == "resolve" else "firing",
        title=summary,
        text="\n".join(lines),
        alertnames=_alertnames(summary, *lines),
        raw=json.dumps(kept, indent=1, ensure_ascii=False),
    )


def read_mail(content: bytes) -> Draft:
    """Read an e-mail; when it has HTML only, the text is the HTML without its tags."""
    mail = message_from_bytes(content, policy=policy.default)
    subject = str(mail.get("subject", ""))
    plain, html = (_body(mail, kind) for kind in ("plain", "html"))
    text = plain or _without_tags(html or "")
    return Draft(
        channel="email",
        status="resolved" if _is_resolved(subject) else "firing",
        title=subject,
        text=text,
        alertnames=_alertnames(subject, text),
        raw=content.decode("utf-8", errors="replace"),
        html=html,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError("a JSON object was expected")
    return value


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def _text(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    return value.strip() if isinstance(value, str) else ""


def _fields(part: Mapping[str, Any]) -> list[str]:
    return [f"{_text(field, 'title')}: {_text(field, 'value')}" for field in _list(part.get("fields"))]


def _is_resolved(title: str) -> bool:
    match = _SUBJECT.search(title)
    return match is not None and match[1].upper() == "RESOLVED"


def _alertnames(title: str, *texts: str) -> tuple[str, ...]:
    """Return the alert in the title's subject, then those named in labels, each once; none when nothing names them."""
    match = _SUBJECT.search(title)
    named = [match[2]] if match and match[2] else []
    return tuple(dict.fromkeys([*named, *(name for text in texts for name in _ALERTNAME.findall(text))]))


def _body(mail: Any, kind: str) -> str | None:
    part = mail.get_body(preferencelist=(kind,))
    # Decoded here, because a wrong charset in a header must not lose the message.
    content = part.get_payload(decode=True) if part is not None else None
    return content.decode("utf-8", errors="replace") if content is not None else None


def _without_tags(html: str) -> str:
    lines = (line.strip() for line in _TAG.sub("\n", html).splitlines())
    return "\n".join(filter(None, lines))
