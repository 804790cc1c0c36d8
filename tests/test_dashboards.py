"""Dashboards on a running lab: every panel has data, its numbers are Prometheus's, and what is empty says why."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pandas as pd
import pytest

from labkit.clock import wait_until
from labkit.errors import InputError, WaitTimeout
from labkit.lab import Lab
from labkit.lint import check, read_exported
from labkit.stack.dashboards import DASHBOARDS
from labkit.stack.dashboards.grafana import Panel, Query, dashboard
from labkit.stack.explain import why_empty
from labkit.stack.home import Home
from labkit.stack.panels import Board, evaluate
from labkit.stack.render import read_dashboard
from labkit.stack.timescale import scale_promql


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose steady traffic has brought predictions, labels and recorded series."""
    lab = Lab.open(home=Home(tmp_path_factory.mktemp("dashboards") / ".lab"))
    lab.traffic("steady", rate=20)
    lab.wait_for("sum(increase(model_labels_total[15m])) > 200", "4h")
    yield lab
    lab.down(purge=True)


def board(expr: str, **settings: Any) -> dict[str, Any]:
    one = Panel("p", settings.pop("kind", "timeseries"), (0, 0, 12, 8), [Query(expr)], "d", **settings)
    return dashboard("x", "X", "d", [one])


@pytest.mark.parametrize("name", list(DASHBOARDS))
def test_every_panel_has_data_once_traffic_and_labels_have_come(lab: Lab, name: str) -> None:
    waiting: dict[str, str] = {}  # a lost scrape may empty a panel for a moment: each has to have had data once
    seen: set[str] = set()

    def all_seen() -> bool:
        for panel in evaluate(read_dashboard(name), lab.prometheus).panels:
            if panel.problem:
                waiting[panel.title] = panel.problem
            else:
                seen.add(panel.title)
        return seen >= waiting.keys() and len(seen) >= len(read_dashboard(name)["panels"])

    with suppress(WaitTimeout):
        wait_until(all_seen, 180, f"every panel of {name} to have had data", every=0.5)
    assert {title: why for title, why in waiting.items() if title not in seen} == {}


def test_a_repeated_panel_is_drawn_for_each_feature_side_by_side(lab: Lab) -> None:
    found = [panel for panel in evaluate(read_dashboard("drift"), lab.prometheus).panels if panel.place[1] == 9]
    assert [panel.title.split(",")[0] for panel in found] == [
        "petal_length", "petal_width", "sepal_length", "sepal_width",
    ]  # fmt: skip
    assert [panel.place[0] for panel in found] == [0, 6, 12, 18]


def ask(lab: Lab, what: str, expr: str, **params: float) -> list[dict[str, Any]]:
    """Ask Prometheus's API itself, without labkit's client."""
    data = {"query": scale_promql(expr, lab.clock.speed), **params}
    answer = httpx.post(f"{lab.home.url('prometheus')}/api/v1/{what}", data=data, timeout=10, trust_env=False)
    return answer.raise_for_status().json()["data"]["result"]


@pytest.mark.parametrize("name", list(DASHBOARDS))
def test_the_numbers_of_a_panel_are_those_of_the_query_api(lab: Lab, name: str) -> None:
    end = round(time.time() - 1, 3)
    found: Board = evaluate(read_dashboard(name), lab.prometheus, end=end, since="30m")
    for panel in found.panels:
        ours = [(each.labels, list(zip(each.moments, each.values, strict=True))) for each in panel.series]
        theirs = []
        for target in panel.spec["targets"]:
            if target["instant"]:
                answer = ask(lab, "query", target["expr"], time=end)
                theirs += [(each["metric"], [(end, float(each["value"][1]))]) for each in answer]
            else:
                answer = ask(lab, "query_range", target["expr"], start=end - 30, end=end, step=0.25)
                theirs += [(each["metric"], [(at, float(v)) for at, v in each["values"]]) for each in answer]
        assert str(ours) == str(theirs), panel.title  # as text, in which NaN is equal to NaN


def test_the_picture_shows_the_numbers_of_the_board(lab: Lab) -> None:
    from labkit.plots import dashboard as draw

    found = evaluate(read_dashboard("service"), lab.prometheus, since="30m")
    axes = {axis.get_label(): axis for axis in draw(found, lab.clock.speed).axes}
    for panel in found.panels:
        if panel.kind == "timeseries":
            lines = {line.get_label(): line.get_ydata() for line in axes[panel.title].get_lines()}
            for series in panel.series:
                drawn = [value for value in lines[series.name] if math.isfinite(value)]
                assert drawn == [value for value in series.values if math.isfinite(value)]


def test_a_dashboard_is_a_picture_of_every_size(lab: Lab) -> None:
    for width in (8, 20):
        picture = lab.dashboard("loop", "1h", width=width)
        assert picture.get_size_inches()[0] == width
        assert picture._repr_png_().startswith(b"\x89PNG")


def test_an_unknown_dashboard_is_refused_and_the_known_ones_are_named(lab: Lab) -> None:
    with pytest.raises(InputError, match="drift, loop, quality, service"):
        lab.dashboard("quallity")


ERRORS = "sum(rate(model_prediction_errors_total[5m]))"
EMPTY = {
    "a wrong name": ("rate(model_predictions[5m])", "There is no metric model_predictions. Similar names: "),
    "too short a range": ("rate(model_predictions_total[1s])", "Fewer than two samples"),
    "a label that the metric lacks": ('up{feature="x"}', "Label mismatch: up has no label feature"),
    "a value that no series has": ('up{job="modell"}', "Its values: alertmanager, inbox, model"),
    "sides with unequal labels": (
        "rate(model_prediction_errors_total[5m]) / rate(model_prediction_requests_total[5m])",
        "Label mismatch: left of '/'",
    ),
    "sides with other values": ('up{job="model"} + up{job="inbox"}', "no series left of '+' has the same values"),
    "zero over zero": (f"{ERRORS} / {ERRORS}", "Every value is NaN"),
    "zero over zero, or 0": (f"{ERRORS} / {ERRORS} or vector(0)", "Every value is NaN"),
    "no bucket": ("histogram_quantile(0.9, model_prediction_latency_seconds_count)", "no label le"),
    "a comparison": ("up > 1", "The comparison drops every value"),
    "what exists is not absent": ('absent(up{job="model"})', "absent() is empty for what exists"),
    "an inner part": ("sum(max_over_time(model_inf[5m])) + 1", "There is no metric model_inf."),
}


@pytest.mark.parametrize("case", list(EMPTY))
def test_an_empty_answer_is_explained(lab: Lab, case: str) -> None:
    expr, reason = EMPTY[case]
    assert reason in lab.explain(expr)


def test_samples_that_come_between_the_questions_need_no_explanation() -> None:
    class JustScraped:
        """The first question finds nothing, all later ones find a number."""

        asked = 0

        def query(self, _expr: str, _at: float) -> pd.DataFrame:
            self.asked += 1
            return pd.DataFrame({"value": [1.0] * (self.asked > 1)})

    assert why_empty(JustScraped(), "sum(rate(model_prediction_rows_total[5m]))") == ""


def test_what_has_data_needs_no_explanation(lab: Lab) -> None:
    assert lab.explain("sum by (job) (up) / 2") == ""


def test_a_panel_says_which_query_is_empty_and_why(lab: Lab) -> None:
    (panel,) = evaluate(board("sum(rate(model_predictions[5m]))"), lab.prometheus).panels
    assert panel.problem.startswith("A: There is no metric model_predictions.")


def test_a_panel_of_another_data_source_says_so(lab: Lab) -> None:
    one = board("up")
    one["panels"][0]["datasource"] = {"uid": "P1809F7CD0C75ACF3"}
    (panel,) = evaluate(one, lab.prometheus).panels
    assert "The data source 'P1809F7CD0C75ACF3' does not exist" in panel.problem


def test_what_is_no_promql_stands_in_the_panel_and_hurts_no_other(lab: Lab) -> None:
    one = dashboard("x", "X", "d", [Panel("p", "stat", (0, 0, 8, 4), [Query("sum("), Query("count(up)")], "d")])
    (panel,) = evaluate(one, lab.prometheus).panels
    assert panel.problem.startswith("A: Prometheus refuses the request")
    assert [each.values for each in panel.series] == [[5.0]]


def test_rules_and_dashboards_ask_only_for_what_the_servers_export(lab: Lab) -> None:
    assert list(map(str, check(exported=read_exported(lab)))) == []


def test_the_command_line_lints_with_the_running_lab(lab: Lab) -> None:
    env = {**os.environ, "LABKIT_HOME": str(lab.home.root)}
    command = [sys.executable, "-m", "labkit.cli", "lint"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Every metric and label exists" in done.stdout
