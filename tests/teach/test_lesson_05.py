"""The checks of notebook 05 refuse what is wrong, and say why."""

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
import structlog

from labkit.clock import wait_until
from labkit.lab import Lab
from labkit.model.iris import SCHEMA
from labkit.observe.store import PredictionStore
from labkit.teach import ____, open_lesson
from tests.teach.checking import approval, refusal

lesson = open_lesson("05")

MERGE = structlog.contextvars.merge_contextvars
LEVEL = structlog.processors.add_log_level
UTC = structlog.processors.TimeStamper(fmt="iso", utc=True)
JSON = structlog.processors.JSONRenderer()


def refused(log: pd.DataFrame) -> pd.DataFrame:
    return log[log["event"] == "prediction refused"]


def counted(chosen: pd.DataFrame) -> pd.Series:
    return chosen["error_type"].value_counts()


def from_since_on(log: pd.DataFrame, since: Any, _until: Any) -> pd.Series:
    return counted(refused(log[log["timestamp"] >= since]))


def with_both_bounds(log: pd.DataFrame, since: Any, until: Any) -> pd.Series:
    return counted(refused(log[log["timestamp"].between(since, until)]))


def errors_only(log: pd.DataFrame, _since: Any, _until: Any) -> pd.Series:
    return counted(log[log["level"] == "error"])


def right_trace(lab: Lab, request_id: str) -> dict[str, Any]:
    lines = lab.logs("model")
    line = lines[lines["request_id"] == request_id].iloc[0]
    with lab.store() as store:
        rows = store.predictions()
    row = rows[rows["request_id"] == request_id].iloc[0]
    le = next(bound for bound in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0) if row["confidence"] <= bound)
    return {
        "model_version": line["model_version"],
        "seconds": line["seconds"],
        "confidence": row["confidence"],
        "le": le,
    }


def forbids_two(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ("email", "instances")}


def always_adds_dropped(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "dropped": []}


def drops_in_silence(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name in ("event", "level", "rows")}


WRONG: dict[str, list[tuple[Any, str]]] = {
    "q1": [
        ([MERGE, LEVEL, UTC], "last processor has to make text"),
        ([MERGE, LEVEL, UTC, structlog.processors.KeyValueRenderer()], "no JSON object"),
        ([LEVEL, UTC, JSON], "no request_id"),
        ([MERGE, UTC, JSON], "has the level None"),
        ([MERGE, LEVEL, JSON], "timestamp is missing"),
        ([MERGE, LEVEL, structlog.processors.TimeStamper(fmt="%d.%m. %H:%M", utc=True), JSON], "not in ISO 8601"),
        ([MERGE, LEVEL, structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S", utc=True), JSON], "not in UTC"),
        (JSON, "A chain is a list"),
    ],
    "q2": [
        (errors_only, "at level info, not error"),
        (lambda log, _since, _until: counted(refused(log)), "the whole log"),
        (from_since_on, "Only one end"),
        (with_both_bounds, "One line at a bound"),
        (lambda _log, _since, _until: {"invalid_input": 4711}, "your function says"),
        (lambda log, _since, _until: len(log), "Return a number for each error_type"),
        ({"invalid_input": 3}, "must be a function"),
    ],
    "q3": [
        (forbids_two, "favourite_colour got through"),
        (always_adds_dropped, "gets a field `dropped`"),
        (drops_in_silence, "Without it nobody learns"),
        (lambda _logger, _method, _event: None, "A processor returns the event"),
        (lambda _logger, _method, _event: {}, "must pass unchanged"),
    ],
    "q4": [
        ({"seconds": 0.004711}, "the line of this request says"),
        ({"model_version": "v99"}, "another model version"),
        ({"confidence": 0.5}, "not that of this row"),
        ({"le": 1.5}, "counts values up to its bound"),
        (None, "must be a dictionary"),
    ],
}


@pytest.mark.parametrize(("answer", "said"), WRONG["q1"])
def test_a_wrong_chain_of_processors_hears_why(answer: Any, said: str) -> None:
    assert said in refusal(lesson.q1, answer)


@pytest.fixture(scope="module")
def failing(lab: Lab) -> Iterator[Lab]:
    """A lab whose log holds refused requests."""
    lab.traffic("bad_requests", rate=40)
    wait_until(lambda: len(refused(lab.logs())) > 20, 120, "twenty refused requests in the log")
    yield lab
    lab.stop_traffic()


@pytest.mark.parametrize(("answer", "said"), WRONG["q2"])
def test_a_wrong_count_of_refusals_hears_why(failing: Lab, answer: Callable, said: str) -> None:
    assert said in refusal(lesson.q2, failing, answer)


def test_counts_may_be_a_plain_dictionary(failing: Lab) -> None:
    def count(log: pd.DataFrame, since: Any, until: Any) -> dict[str, int]:
        span = refused(log)[lambda lines: (lines["timestamp"] >= since) & (lines["timestamp"] < until)]
        return counted(span).to_dict()

    assert "each with its id" in approval(lesson.q2, failing, count)


@pytest.mark.parametrize(("answer", "said"), WRONG["q3"])
def test_a_wrong_processor_hears_why(answer: Callable, said: str) -> None:
    assert said in refusal(lesson.q3, answer)


@pytest.mark.parametrize(("mistake", "said"), WRONG["q4"])
def test_a_wrong_trace_hears_why(lab: Lab, mistake: dict[str, Any] | None, said: str) -> None:
    request_id = lab.predict([[6.1, 2.8, 4.9, 1.7]])["request_id"]
    trace = mistake if mistake is None else {**right_trace(lab, request_id), **mistake}
    assert said in refusal(lesson.q4, lab, request_id, trace)


def test_a_request_that_nobody_made_is_named(lab: Lab) -> None:
    lab.predict([[6.1, 2.8, 4.9, 1.7]])
    trace = dict.fromkeys(("model_version", "seconds", "confidence", "le"), 1)
    assert "has no prediction 'made-up'" in refusal(lesson.q4, lab, "made-up", trace)


def test_a_prediction_is_found_among_all_that_came_after_it(lab: Lab) -> None:
    request_id = lab.predict([[6.1, 2.8, 4.9, 1.7]])["request_id"]
    for _ in range(6):
        lab.predict([[5.1, 3.5, 1.4, 0.2]] * 1_000)
    assert "One id leads from the client's answer" in approval(lesson.q4, lab, request_id, right_trace(lab, request_id))


def test_a_prediction_that_the_store_has_forgotten_is_to_be_made_again(lab: Lab) -> None:
    request_id = lab.predict([[6.1, 2.8, 4.9, 1.7]])["request_id"]
    trace = right_trace(lab, request_id)
    with PredictionStore(lab.home.predictions, SCHEMA.feature_names, clock=lab.clock) as store:
        store.clear()
    assert "run the cell with lab.predict again" in refusal(lesson.q4, lab, request_id, trace)


def test_a_blank_is_not_attempted() -> None:
    assert {exercise.check(____).state for exercise in (lesson.q1, lesson.q3)} == {"not attempted"}
