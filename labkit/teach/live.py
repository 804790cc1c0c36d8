"""A piece of HTML that is drawn anew while the kernel is free, and once where widgets do not run."""

import asyncio
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets

from labkit.errors import LabError

__all__ = ["Live"]

_EVERY_SECONDS = 1.0


class Live:
    """Show what ``draw()`` returns, below ``controls``, every second until another one of this ``name`` begins.

    A cell that is run again so ends what it had started. Where there is no browser the HTML of the last drawing is
    what an export shows. ``draw`` runs in a thread; a LabError of it is shown, and drawing goes on.
    """

    _running: ClassVar[dict[str, asyncio.Task]] = {}

    def __init__(self, name: str, draw: Callable[[], str], controls: Sequence[ipywidgets.Widget] = ()) -> None:
        self.name = name
        self._draw = draw
        self._html = ipywidgets.HTML(self._drawn())
        self._box = ipywidgets.VBox([*controls, self._html])

    @property
    def html(self) -> str:
        """What is shown now."""
        return self._html.value

    def refresh(self) -> None:
        """Draw now."""
        self._html.value = self._drawn()

    def stop(self) -> None:
        """Draw no more."""
        if task := self._running.pop(self.name, None):
            task.cancel()

    def start(self) -> None:
        """Go on drawing, in place of the one of this name that was started before; needs a running event loop."""
        self.stop()
        self._running[self.name] = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            drawn = await asyncio.to_thread(self._drawn)
            if drawn != self._html.value:  # what did not change is not sent
                self._html.value = drawn

    def _drawn(self) -> str:
        try:
            return self._draw()
        except LabError as error:
            return f"<p>Nothing to show: {escape(str(error))}</p>"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        try:
            self.start()
        except RuntimeError:  # no event loop: a script, which shows it once
            self.refresh()
        return {**self._box._repr_mimebundle_(**kwargs), "text/html": self.html, "text/plain": f"<{self.name}>"}
