"""The map of the loop."""

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from labkit.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, Picture

__all__ = ["loop"]

_BOXES = {  # name: (x, y, what it does, colour)
    "traffic": (0, 1, "flowers,\nlate labels", SKY),
    "model": (1, 1, "predictions,\nmetrics, logs", BLUE),
    "prometheus": (2, 1, "scrapes,\njudges by rules", ORANGE),
    "alertmanager": (3, 1, "groups, routes,\nsilences", RED),
    "inbox": (4, 1, "Slack, e-mail,\nPagerDuty", PURPLE),
    "retrainer": (2, 0, "trains, tests,\npromotes or refuses", GREEN),
}
_WIDTH, _HEIGHT = 0.62, 0.5
_DOWN, _UP = "angle,angleA=-90,angleB=0,rad=10", "angle,angleA=0,angleB=-90,rad=10"
_ARROWS = (  # what passes, where its name stands, from, to, how the arrow bends
    ("requests", (0.5, 1.09), (0.34, 1), (0.66, 1), "arc3"),
    ("metrics", (1.5, 1.09), (1.34, 1), (1.66, 1), "arc3"),
    ("alerts", (2.5, 1.09), (2.34, 1), (2.66, 1), "arc3"),
    ("messages", (3.5, 1.09), (3.34, 1), (3.66, 1), "arc3"),
    ("webhook", (2.72, -0.1), (3, 0.71), (2.36, 0), _DOWN),
    ("new champion", (1.28, -0.1), (1.64, 0), (1, 0.71), _UP),
)


def loop() -> Picture:
    """Draw the map of the loop: its six parts and what passes between them."""
    figure = Picture(figsize=(11, 3.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(-0.45, 4.45), ylim=(-0.4, 1.4))
    axis.axis("off")
    for name, (x, y, does, colour) in _BOXES.items():
        corner = (x - _WIDTH / 2, y - _HEIGHT / 2)
        style = "round,pad=0.02,rounding_size=0.06"
        axis.add_patch(FancyBboxPatch(corner, _WIDTH, _HEIGHT, boxstyle=style, fc=f"{colour}22", ec=colour, lw=1.8))
        axis.text(x, y + 0.13, name, ha="center", va="center", fontsize=12, fontweight="bold")
        axis.text(x, y - 0.09, does, ha="center", va="center", fontsize=9)
    for what, label_at, begin, end, bend in _ARROWS:
        style = {"arrowstyle": "-|>", "mutation_scale": 14, "lw": 1.6, "color": GREY, "shrinkA": 0, "shrinkB": 0}
        axis.add_patch(FancyArrowPatch(begin, end, connectionstyle=bend, **style))
        axis.text(*label_at, what, ha="center", va="center", fontsize=8.5, color=GREY)
    return figure
