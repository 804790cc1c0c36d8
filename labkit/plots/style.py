"""What every picture shares. Colours are Okabe and Ito's, which colour-blind people can tell apart."""

import io
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "PURPLE", "RED", "SERIES", "SKY", "YELLOW", "Picture", "plain"]

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442",
)  # fmt: skip
GREY = "#666666"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)


class Picture(Figure):
    """A figure that a notebook shows by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def plain(axis: "Axes") -> None:
    """Take the frame away and leave faint lines to read values by."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
