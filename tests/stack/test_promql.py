from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import InputError
from labkit.stack.dashboards import DASHBOARDS
from labkit.stack.promql import parse
from labkit.stack.render import config_dir


def shape(expr: str) -> str:
    def text(node) -> str:
        return f"{node.name}({', '.join(map(text, node.children))})" if node.children else node.name

    return text(parse(expr))


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("a + b * c", "+(a, *(b, c))"),
        ("(a + b) * c", "*(+(a, b), c)"),
        ("a ^ b ^ c", "^(a, ^(b, c))"),
        ("a - b - c", "-(-(a, b), c)"),
        ("a or b and c", "or(a, and(b, c))"),
        ("a / b > 0.5", ">(/(a, b), 0.5)"),
        ("a > bool 1", ">(a, 1)"),
        ("-a", "a"),
        ("sum by (x) (rate(a[5m]))", "sum(rate(a))"),
        ("sum(rate(a[5m])) by (x)", "sum(rate(a))"),
        ("topk(3, a)", "topk(3, a)"),
        ("histogram_quantile(0.95, a)", "histogram_quantile(0.95, a)"),
        ("vector(1)", "vector(1)"),
        ("a:b:c5m == on () group_left (x) d", "==(a:b:c5m, d)"),
        ("max_over_time(rate(a[5m])[1h:15s] offset 1h)", "max_over_time(rate(a))"),
        ("a @ end()", "a"),
        ("absent(sum)", "absent(sum)"),
    ],
)
def test_operators_bind_as_prometheus_says(expr, expected):
    assert shape(expr) == expected


def test_a_selector_tells_its_matchers_range_and_offset():
    (selector,) = parse('rate(x{a="b", c=~"d|e"}[5m] offset 1h)').selectors()

    assert selector.matchers == [("a", "=", "b"), ("c", "=~", "d|e")]
    assert (selector.name, selector.window, selector.offset) == ("x", "5m", "1h")


def test_a_metric_may_be_named_by_its_label():
    assert parse('{__name__="x", a="b"}').name == "x"


@pytest.mark.parametrize("grouping", ["by", "without"])
def test_an_aggregation_tells_its_labels(grouping):
    assert parse(f"sum {grouping} (a, b) (x)").labels == ["a", "b"]


@pytest.mark.parametrize("expr", ["sum(", "a +", "a b", "rate(x[5m)", 'x{a="b"', "", "x{a=}", "1 ?"])
def test_what_is_no_promql_is_refused_and_quoted(expr):
    with pytest.raises(InputError, match=r"is no PromQL|cannot be read"):
        parse(expr)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text("abx01[]{}()\"'=~,:+-*/ 5msumby", max_size=20))
def test_any_text_gives_a_tree_or_an_input_error(text):
    with suppress(InputError):
        parse(text)


def test_every_rule_and_panel_can_be_read_and_the_text_of_a_part_is_as_it_was_written():
    files = [yaml.safe_load(path.read_text()) for path in (config_dir() / "prometheus" / "rules").glob("*.yml")]
    exprs = [rule["expr"] for file in files for group in file["groups"] for rule in group["rules"]]
    exprs += [t["expr"] for build in DASHBOARDS.values() for panel in build()["panels"] for t in panel["targets"]]

    assert len(exprs) > 60
    for expr in exprs:
        for node in parse(expr).walk():
            assert node.text in expr
            assert node.kind == "string" or parse(node.text).text == node.text
