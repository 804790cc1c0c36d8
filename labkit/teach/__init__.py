"""What a notebook imports to teach: exercises that check the running system."""

from labkit.teach.blank import ____
from labkit.teach.lessons import open_lesson

__all__ = ["____", "open_lesson"]
