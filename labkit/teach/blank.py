"""The blank that a starter notebook leaves where the learner writes."""

from typing import Any

__all__ = ["Blank", "____", "is_blank"]


class Blank:
    """What stands for an answer that is not written yet; every check reads it as "not attempted"."""

    def __repr__(self) -> str:
        return "____"


____ = Blank()


def is_blank(answer: Any) -> bool:
    """Say whether an answer is the blank, or a text, list, tuple or dict that still holds one."""
    if isinstance(answer, str):
        return "____" in answer
    if isinstance(answer, dict):
        return any(map(is_blank, (*answer, *answer.values())))
    if isinstance(answer, list | tuple):
        return any(map(is_blank, answer))
    return isinstance(answer, Blank)
