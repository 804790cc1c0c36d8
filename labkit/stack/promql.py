"""Read PromQL: a small parser, enough to know which series an expression asks for and how it combines them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from labkit.errors import InputError

__all__ = ["AGGREGATIONS", "COMPARISONS", "Node", "parse"]

AGGREGATIONS = frozenset(
    ("sum", "avg", "min", "max", "count", "count_values", "group", "stddev", "stdvar", "topk", "bottomk", "quantile")
)
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
_PRECEDENCE = {
    "or": 1, "and": 2, "unless": 2, "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6,
}  # fmt: skip
_TOKEN = re.compile(
    r"""
    (?P<space> \s+ | \#[^\n]* )
    | (?P<string> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` )
    | (?P<duration> (?:\d+(?:ms|[ywdhms]))+ (?!\w) | \$\w+ | \$\{[^}]*\} )
    | (?P<number> 0x[0-9a-fA-F]+ | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? )
    | (?P<name> [A-Za-z_:][\w:]* )
    | (?P<sign> =~ | !~ | == | != | <= | >= | [-+*/%^=<>(){}\[\],:@] )
    """,
    re.VERBOSE,
)


@dataclass
class Node:
    """A part of an expression.

    ``kind`` is ``selector``, ``call``, ``aggregation``, ``binary``, ``number`` or ``string``. ``name`` is the metric,
    function or operator; ``text`` the part as it was written. ``matchers`` are ``(label, operator, value)``; ``window``
    is the range in brackets. ``grouping`` is what stands before the labels in parentheses: by, without, on or ignoring.
    """

    kind: str
    name: str
    text: str = ""
    children: list["Node"] = field(default_factory=list)
    matchers: list[tuple[str, str, str]] = field(default_factory=list)
    window: str = ""
    grouping: str = ""
    labels: list[str] = field(default_factory=list)
    offset: str = ""

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def selectors(self) -> list["Node"]:
        """Return every selector in it, in the order in which they are written."""
        return [node for node in self.walk() if node.kind == "selector"]


def parse(expr: str) -> Node:
    """Return the expression as a tree; raises InputError that quotes the place it does not understand."""
    return _Parser(expr).whole()


class _Parser:
    def __init__(self, expr: str) -> None:
        self._expr = expr
        self._tokens: list[tuple[str, str, int]] = []
        at = 0
        while at < len(expr):
            found = _TOKEN.match(expr, at)
            if not found:
                raise InputError(f"{expr!r} cannot be read at {expr[at : at + 20]!r}")
            if found.lastgroup != "space":
                self._tokens.append((found.lastgroup or "", found[0], at))
            at = found.end()
        self._next = 0

    def whole(self) -> Node:
        node = self._binary(1)
        if self._next < len(self._tokens):
            self._fail()
        return node

    def _peek(self) -> str:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else ""

    def _kind(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> str:
        if self._next >= len(self._tokens) or (wanted and self._peek() != wanted):
            self._fail(wanted)
        self._next += 1
        return self._tokens[self._next - 1][1]

    def _fail(self, wanted: str = "") -> None:
        at = self._tokens[self._next][2] if self._next < len(self._tokens) else len(self._expr)
        found = repr(self._expr[at : at + 20]) if at < len(self._expr) else "its end"
        raise InputError(f"{self._expr!r} is no PromQL: {f'{wanted!r} expected, ' if wanted else ''}found {found}")

    def _since(self, first: int) -> str:
        _, text, at = self._tokens[self._next - 1]
        return self._expr[self._tokens[first][2] : at + len(text)]

    def _binary(self, least: int) -> Node:
        first, left = self._next, self._unary()
        while (strength := _PRECEDENCE.get(self._peek().lower(), 0)) >= least:
            node = Node("binary", self._take().lower())
            while self._peek().lower() in ("bool", "on", "ignoring", "group_left", "group_right"):
                word = self._take().lower()
                labels = self._labels() if self._peek() == "(" and word != "bool" else []
                if word in ("on", "ignoring"):
                    node.grouping, node.labels = word, labels
            right = self._binary(strength if node.name == "^" else strength + 1)
            node.children, node.text = [left, right], self._since(first)
            left = node
        return left

    def _unary(self) -> Node:
        if self._peek() in ("-", "+"):
            self._take()
            return self._unary()
        return self._postfix(self._next, self._primary())

    def _postfix(self, first: int, node: Node) -> Node:
        while self._peek().lower() in ("[", "offset", "@"):
            sign = self._take().lower()
            if sign == "[":
                node.window = self._until("]")
            elif sign == "@":
                self._postfix_at()
            else:
                node.offset = ("-" if self._peek() == "-" and self._take() else "") + self._take()
            node.text = self._since(first)
        return node

    def _postfix_at(self) -> None:
        if self._take() in ("start", "end"):
            self._take("("), self._take(")")

    def _until(self, end: str) -> str:
        inside = ""
        while self._peek() != end:
            inside += self._take()
        self._take(end)
        return inside

    def _primary(self) -> Node:
        first, kind = self._next, self._kind()
        if self._peek() == "(":
            self._take("(")
            node = self._binary(1)
            self._take(")")
            return node
        if self._peek() == "{":
            return self._selector(first, "")
        word = self._take()
        if kind in ("number", "string", "duration") or (kind == "name" and word.lower() in ("inf", "nan")):
            return Node("string" if kind == "string" else "number", word, word)
        if kind != "name":
            self._next -= 1
            self._fail()
        if word.lower() in AGGREGATIONS and self._peek().lower() in ("(", "by", "without"):
            return self._aggregation(first, word.lower())
        if self._peek() == "(":
            children = self._arguments()
            return Node("call", word, self._since(first), children)
        return self._selector(first, word)

    def _aggregation(self, first: int, name: str) -> Node:
        node = Node("aggregation", name)
        self._grouping(node)
        node.children = self._arguments()
        self._grouping(node)
        node.text = self._since(first)
        return node

    def _grouping(self, node: Node) -> None:
        if self._peek().lower() in ("by", "without"):
            node.grouping, node.labels = self._take().lower(), self._labels()

    def _arguments(self) -> list[Node]:
        self._take("(")
        children = []
        while self._peek() != ")":
            children.append(self._binary(1))
            if self._peek() == ",":
                self._take(",")
        self._take(")")
        return children

    def _labels(self) -> list[str]:
        self._take("(")
        return [name for name in self._until(")").split(",") if name]

    def _selector(self, first: int, name: str) -> Node:
        node = Node("selector", name)
        if self._peek() == "{":
            self._take("{")
            while self._peek() != "}":
                label, operator, value = self._take(), self._take(), self._take()
                if self._peek() == ",":
                    self._take(",")
                if label == "__name__" and operator == "=":
                    node.name = value[1:-1]
                else:
                    node.matchers.append((label, operator, value[1:-1]))
            self._take("}")
        node.text = self._since(first)
        return node
