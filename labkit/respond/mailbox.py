"""Hold what the inbox received: the latest messages, each bounded in size."""

import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["CHANNELS", "MAX_CHARACTERS", "Draft", "Mailbox", "Message"]

CHANNELS = ("slack", "email", "pagerduty")
MAX_CHARACTERS = 64 * 1024
_CUT = "\n… cut here: the message was too long"


@dataclass(frozen=True)
class Draft:
    """What a channel's format says, before the mailbox numbers it. ``html`` is an e-mail's, and not to be trusted."""

    channel: str
    status: str
    title: str
    text: str
    alertnames: tuple[str, ...]
    raw: str
    html: str | None = None


@dataclass(frozen=True)
class Message(Draft):
    """A received message; ``received_at`` in Unix seconds."""

    id: int = 0
    received_at: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the message as JSON has it."""
        return asdict(self)


class Mailbox:
    """The last ``capacity`` messages, oldest first. Ids go on rising when messages are dropped or cleared."""

    def __init__(self, capacity: int = 500) -> None:
        self._messages: deque[Message] = deque(maxlen=capacity)
        self._last_id = 0

    def add(self, draft: Draft) -> Message:
        """Keep a message, its long texts cut, and return it."""
        self._last_id += 1
        fields = {name: _shortened(value) for name, value in vars(draft).items()}
        message = Message(**fields, id=self._last_id, received_at=time.time())
        self._messages.append(message)
        return message

    def messages(self, channel: str | None = None, limit: int | None = None) -> list[Message]:
        """Return messages, newest last: the newest ``limit`` of those on ``channel``."""
        chosen = [message for message in self._messages if channel in (None, message.channel)]
        return chosen if limit is None else chosen[max(0, len(chosen) - limit) :]

    def clear(self) -> None:
        """Forget every message."""
        self._messages.clear()


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_CHARACTERS:
        return value[:MAX_CHARACTERS] + _CUT
    return value
