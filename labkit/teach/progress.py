"""What a learner has solved, kept in the lab's folder: ``.lab/progress.json``."""

import json

from labkit.stack.files import write_private
from labkit.stack.home import Home
from labkit.stack.locks import file_lock

__all__ = ["Progress"]


class Progress:
    """The states of exercises, by lesson and name. Where there is no lab's folder yet nothing is kept."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.root / "progress.json"

    @classmethod
    def find(cls) -> "Progress":
        """Return the progress of the lab around the current folder."""
        return cls(Home.find())

    def note(self, lesson: str, exercise: str, state: str) -> None:
        """Keep a state; what was once solved stays solved, and an untouched exercise is no news."""
        if state == "not attempted" or not self._home.exists():
            return
        with file_lock(self._home.root / "progress.lock", "writing the progress file", timeout=5):
            kept = self.read()
            if kept.get(lesson, {}).get(exercise) != "correct":
                kept.setdefault(lesson, {})[exercise] = state
                write_private(self._path, json.dumps(kept, indent=2, sort_keys=True) + "\n")

    def states(self, lesson: str) -> dict[str, str]:
        """Return the states that are kept of one lesson."""
        return self.read().get(lesson, {})

    def read(self) -> dict[str, dict[str, str]]:
        """Return all that is kept; a damaged file is put aside, not overwritten."""
        try:
            kept = json.loads(self._path.read_text())
            return {str(lesson): {str(name): str(state) for name, state in of.items()} for lesson, of in kept.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError):
            self._path.replace(self._path.with_suffix(".damaged.json"))
            return {}
