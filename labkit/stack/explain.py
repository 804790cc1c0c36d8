"""Say why an expression returns nothing: PromQL itself does not, it is just empty."""

import difflib
import time
from typing import TYPE_CHECKING

from labkit.clock import format_duration, parse_duration
from labkit.stack.promql import COMPARISONS, Node, parse

if TYPE_CHECKING:
    import pandas as pd

    from labkit.stack.prometheus import Prometheus

__all__ = ["why_empty"]

_NEED_TWO = frozenset(("rate", "irate", "increase", "delta", "idelta", "deriv"))
_SCRAPE = "15s"


def why_empty(prometheus: "Prometheus", expr: str, since: str = "1h", at: float | None = None) -> str:
    """Return in one or two sentences why ``expr`` has no number at ``at``, an empty text when it has one.

    ``since`` is how far back samples count as "in range". Raises InputError for what is no PromQL.
    """
    # One moment for every question: between two of them a series may come or go.
    return _Inquiry(prometheus, since, time.time() if at is None else at).why(parse(expr))


class _Inquiry:
    def __init__(self, prometheus: "Prometheus", since: str, at: float) -> None:
        self._prometheus = prometheus
        self._since = since
        self._at = at

    def why(self, node: Node) -> str:
        """Go down to the first part that is empty while its own parts are not."""
        if node.kind in ("number", "string"):
            return ""
        frame = self._ask(node.text)
        if len(frame):
            return _not_a_number(node) if not node.window and frame["value"].isna().all() else ""
        if node.kind == "selector":
            return self._selector(node)
        if node.kind == "binary":
            return self._binary(node)
        reason = self._too_short(node) or next(filter(None, map(self.why, node.children)), "")
        if not reason and len(self._ask(node.text)):
            return ""  # samples of this moment came while we asked for the parts
        return reason or self._call(node)

    def _ask(self, expr: str) -> "pd.DataFrame":
        return self._prometheus.query(expr, self._at)

    def _selector(self, node: Node) -> str:
        if node.name and node.name not in self._prometheus.metric_names():
            close = difflib.get_close_matches(node.name, self._prometheus.metric_names(), n=3, cutoff=0.5)
            return f"There is no metric {node.name}." + (f" Similar names: {', '.join(close)}." if close else "")
        bare = f"last_over_time({node.name}[{self._since}])"
        if node.name and self._ask(bare).empty:
            return f"No samples in range: {node.name} has none in the last {self._since}."
        plain = node.text.partition("[")[0].partition(" offset ")[0].strip()
        if self._ask(f"last_over_time({plain}[{self._since}])").empty:
            return self._matchers(node)
        if not node.window:
            return (
                f"{plain} is stale: it has samples in the last {self._since}, and none now. Its target is gone or down."
            )
        return f"No samples in range: {plain} has none in the last {node.window}."

    def _matchers(self, node: Node) -> str:
        """Name the first matcher that no series of the metric satisfies."""
        known = self._ask(f"last_over_time({node.name}[{self._since}])")
        labels = [name for name in known.columns if name not in ("value", "__name__")]
        for label, operator, value in node.matchers:
            if self._ask(f'last_over_time({node.name}{{{label}{operator}"{value}"}}[{self._since}])').empty:
                if label not in labels:
                    return f"Label mismatch: {node.name} has no label {label}. Its labels: {', '.join(labels)}."
                values = sorted(known[label].dropna().unique())[:6]
                return (
                    f'Label mismatch: no {node.name} has {label}{operator}"{value}". Its values: {", ".join(values)}.'
                )
        return f"Label mismatch: each of the matchers of {node.text} finds series, and no series has them all."

    def _binary(self, node: Node) -> str:
        left, right = node.children
        missing = (self.why(left), self.why(right))
        if node.name == "unless" and not missing[0]:
            return f"Nothing is left: {right.text} has the labels of every series on the left."
        if any(missing):
            return next(filter(None, missing))
        if node.name in COMPARISONS and "number" in (left.kind, right.kind):
            return f"The comparison drops every value: none is {node.name} {right.text} now."
        sides = [self._labels(side) for side in (left, right)]
        if node.name in COMPARISONS and sides[0] == sides[1]:
            return f"The comparison drops every value: none is {node.name} its partner now."
        if sides[0] == sides[1]:
            return f"Label mismatch: no series left of {node.name!r} has the same values of its labels as one right."
        return (
            f"Label mismatch: left of {node.name!r} the labels are {_listed(sides[0])}, right {_listed(sides[1])}. "
            "Only series with equal labels meet: sum both sides to the same labels."
        )

    def _labels(self, node: Node) -> list[str]:
        frame = self._ask(node.text)
        return sorted(name for name in frame.columns if name not in ("value", "__name__"))

    def _too_short(self, node: Node) -> str:
        """Say so when a range holds too few scrapes for what is asked of it, though the series is there."""
        inner = node.children[-1] if node.children else node
        if node.name not in _NEED_TWO or inner.kind != "selector" or not inner.window or not _is_short(inner.window):
            return ""
        plain = inner.text.partition("[")[0].strip()
        if self._ask(f"last_over_time({plain}[{self._since}])").empty:
            return ""
        return (
            f"Fewer than two samples: {inner.window} holds too few scrapes for {node.name}(), which needs two. "
            f"Scrapes come every {_SCRAPE}: take at least {format_duration(4 * parse_duration(_SCRAPE))}."
        )

    def _call(self, node: Node) -> str:
        inner = node.children[-1] if node.children else node
        if node.name == "absent":
            return f"{inner.text} exists, and absent() is empty for what exists."
        if node.name in _NEED_TWO and inner.window:
            return f"Fewer than two samples: {inner.text} has only one in its range."
        if node.name == "histogram_quantile":
            return (
                "histogram_quantile() finds no label le: ask for the metric that ends in _bucket, and keep le where "
                "you sum: sum by (..., le) (rate(..._bucket[5m]))."
            )
        return f"{node.text} returns nothing, although its parts do."


def _not_a_number(node: Node) -> str:
    return (
        f"Every value is NaN, as 0 / 0 is: nothing was counted in the window of {_short(node.text)}. No traffic is "
        "not 0, and `or vector(0)` does not help, for NaN is a value."
    )


def _is_short(window: str) -> bool:
    return not window.startswith("$") and parse_duration(window.partition(":")[0]) < 2 * parse_duration(_SCRAPE)


def _listed(labels: list[str]) -> str:
    return "{" + ", ".join(labels) + "}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
