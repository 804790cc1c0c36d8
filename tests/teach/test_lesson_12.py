"""Notebook 12: a second model is watched as the first one is; wrong answers hear why."""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
from prometheus_client import CollectorRegistry

from labkit.clock import wait_until
from labkit.lab import Lab
from labkit.observe.monitor import ModelMonitor
from labkit.observe.reference import Reference
from labkit.observe.tracking import track_prediction
from labkit.teach import open_lesson
from labkit.teach.serving import end_serving, serve
from labkit.teach.wines import MODEL, call_steadily, end_calls, monitored
from tests.teach.checking import approval, refusal

lesson = open_lesson("12")
FEATURES = ("alcohol", "ash", "hue")
GROWERS = ["grower_0", "grower_1", "grower_2"]
ROWS = np.random.default_rng(0).normal(size=(50, 3))
REFERENCE = Reference.from_rows(ROWS, FEATURES, [GROWERS[i % 3] for i in range(50)])


class Model:
    """Stands in for a classifier of scikit-learn."""

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return np.tile([0.2, 0.5, 0.3], (len(rows), 1))


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ModelMonitor(MODEL, "v1", REFERENCE, class_names=GROWERS, registry=registry)
    return registry


def tracked(registry: CollectorRegistry, function: Callable) -> Callable:
    return track_prediction(MODEL, "v1", registry=registry)(function)


def observed(registry: CollectorRegistry, answers: list, confidence: float = 0.5, times: int = 1) -> Callable:
    monitor = ModelMonitor(MODEL, "v1", REFERENCE, class_names=GROWERS, registry=registry)

    def predict(rows: np.ndarray) -> list:
        for _ in range(times):
            monitor.observe(rows, answers, [confidence] * len(rows))
        return answers

    return predict


NAMES = [GROWERS[1]] * 5
WRONG: dict[str, list] = {
    "q1": [
        (lambda _registry: "a model", "this is str"),
        (lambda registry: tracked(registry, lambda _rows: [1] * 5), "'1' is no name of a class"),
        (lambda registry: tracked(registry, lambda _rows: None), "one answer a row is needed"),
        (lambda registry: tracked(registry, lambda _rows: NAMES), "monitor.observe(rows, answers, confidences)"),
        (lambda registry: observed(registry, NAMES), "No call is counted in this registry"),
        (lambda registry: tracked(CollectorRegistry(), observed(registry, NAMES)), "the calls are counted elsewhere"),
        (lambda registry: tracked(registry, observed(registry, NAMES, times=2)), "counted as 1 and 10"),
        (lambda registry: tracked(registry, observed(registry, NAMES, confidence=0.1)), "from 1/3 to 1"),
    ],
    "q2": [
        ("model_feature:ks:distance_rate1h", "also asks for the irises"),
        ('max(model_feature:ks:distance_rate1h{model_name="wine-classifier"})', "No feature is in what comes back"),
        ('model_feature:ks:distance_rate1h{model_name="wine"}', "Nothing comes back"),
        ('model_feature:ks:distance_rate1h{model_name="wine-classifier", feature="ash"}', "1 of 3 features"),
        ('max by (feature) (model_feature:ks:distance_rate1h{feature=~"ash|hue|alcohol"})', "Whose features"),
        ('model_feature:values:increase1h{model_name="wine-classifier"}', "other numbers than distances"),
        (0.15, "this is float"),
    ],
    "q3": [
        (lambda table: table.to_numpy(), "to_numpy() forgets the names"),
        (lambda table: table[sorted(table.columns, reverse=True)].to_numpy(), "an order of its own"),
        (lambda table: table.reindex(columns=list(FEATURES)).to_numpy(), "'alcohol' is missing is accepted"),
        (lambda table: table[list(FEATURES)].to_numpy(), "comes KeyError. Raise ValueError"),
        (lambda table: _nameless(table), "say which name"),
        ("by name", "this is str"),
    ],
}


def _nameless(table: pd.DataFrame) -> np.ndarray:
    if set(table.columns) != set(FEATURES):
        raise ValueError("wrong columns")
    return table[list(FEATURES)].to_numpy()


@pytest.mark.parametrize(("made", "said"), WRONG["q1"])
def test_a_function_that_is_not_watched_hears_what_is_missing(
    registry: CollectorRegistry, made: Callable, said: str
) -> None:
    assert said in refusal(lesson.q1, registry, ROWS[:5], made(registry))


def test_labkits_own_ten_lines_are_accepted(registry: CollectorRegistry) -> None:
    approval(lesson.q1, registry, ROWS[:5], monitored(Model(), REFERENCE, GROWERS, registry))


@pytest.mark.parametrize(("ordered", "said"), WRONG["q3"])
def test_an_order_that_names_do_not_keep_is_refused(ordered: Callable, said: str) -> None:
    assert said in refusal(lesson.q3, FEATURES, ordered)


@pytest.fixture(scope="module")
def watched(lab: Lab) -> Iterator[Lab]:
    """A lab in which wines and irises are asked for."""
    registry = CollectorRegistry()
    answer = monitored(Model(), REFERENCE, GROWERS, registry)
    serve(lab, registry, job="wine")
    lab.traffic("steady")
    call_steadily("wines", lambda: answer(ROWS))
    for name in (MODEL, "iris-classifier"):
        # At four steps of the check's subquery: a first sample may be younger than the last step.
        lab.wait_for(
            f'count_over_time((model_feature:ks:distance_rate1h{{model_name="{name}"}} >= 0)[5m:15s]) > 3', "6h"
        )
    yield lab
    end_calls()
    end_serving(lab)
    lab.stop_traffic()


@pytest.mark.parametrize(("expression", "said"), WRONG["q2"])
def test_a_query_for_something_else_hears_what_it_asks_for(watched: Lab, expression: object, said: str) -> None:
    assert said in refusal(lesson.q2, watched, expression)


def test_the_rules_of_the_first_model_judge_the_second(watched: Lab) -> None:
    approval(lesson.q2, watched, f'model_feature:ks:distance_rate1h{{model_name="{MODEL}"}}')


def test_the_query_is_judged_at_the_moment_at_which_wines_were_seen(
    watched: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments: list[float | None] = []
    query = type(watched.prometheus).query

    def noted(self: object, expression: str, at: float | None = None) -> pd.DataFrame:
        moments.append(at)
        return query(self, expression, at)

    monkeypatch.setattr(type(watched.prometheus), "query", noted)
    approval(lesson.q2, watched, f'model_feature:ks:distance_rate1h{{model_name="{MODEL}"}}')
    assert moments[-1] == moments[-2] is not None


def test_a_caller_of_the_same_name_takes_over_and_none_is_left_in_the_end() -> None:
    before = threading.active_count()
    seen: list[str] = []
    first = call_steadily("test", lambda: seen.append("first"), per_second=100)
    wait_until(lambda: seen, 30, "the first call")
    second = call_steadily("test", lambda: seen.append("second"), per_second=100)
    wait_until(lambda: "second" in seen, 30, "the second caller")
    assert repr(first).startswith("ended")
    end_calls()
    assert repr(second).startswith("ended")
    assert threading.active_count() <= before


def test_a_caller_goes_on_after_an_error_and_keeps_it() -> None:
    caller = call_steadily("test", lambda: 1 / 0, per_second=100)
    wait_until(lambda: caller.failed > 1, 30, "two failures")
    end_calls()
    assert "ZeroDivisionError" in repr(caller)
