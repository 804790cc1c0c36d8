"""The checks of notebook 05: write logs that can be queried."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from io import StringIO
from typing import TYPE_CHECKING, Any

import structlog

from labkit.lab import Lab
from labkit.observe.outcomes import CONFIDENCE_BOUNDS
from labkit.teach.exercise import Incorrect, Lesson

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["lesson"]

lesson = Lesson("05", "Write logs that can be queried")

_ALLOWED = {"event", "level", "timestamp", "request_id", "service", "model_version", "rows", "seconds", "error_type"}
_BEFORE_ITS_LINE_SECONDS = 60


@lesson.exercise(
    hints=(
        "Four processors do it. The last one makes the text, the others each add something to the event.",
        "In this order: contextvars.merge_contextvars, then from structlog.processors: add_log_level, "
        'TimeStamper(fmt="iso", utc=True), JSONRenderer().',
    )
)
def q1(processors: Sequence[Callable]) -> str:
    """Build the chain of processors that writes event, level, request id and a UTC timestamp as JSON."""
    if not isinstance(processors, list | tuple) or not all(map(callable, processors)):
        raise Incorrect("A chain is a list of processors, each a function: [first, second, ..., renderer].")
    _judge_fields(_written(list(processors), "petals\nof two lines"))
    return "Each line says what happened, when, how grave it is and to which request, and a newline cannot break it."


def _written(processors: list[Callable], event: str) -> dict[str, Any]:
    stream = StringIO()
    log = structlog.wrap_logger(structlog.WriteLogger(stream), processors=processors)
    with structlog.contextvars.bound_contextvars(request_id="5f1c"):
        try:
            log.warning(event, rows=3)
        except TypeError as error:
            raise Incorrect(
                f"Nothing is written ({error}): the last processor has to make text of the event, a renderer."
            ) from error
    lines = stream.getvalue().splitlines()
    try:
        fields = json.loads(stream.getvalue())
    except ValueError:
        raise Incorrect(
            f"A line is no JSON object. An event with a newline in it was written as {len(lines)} line(s), "
            f"the first one is: {lines[0] if lines else ''!r}"
        ) from None
    if fields.get("rows") != 3 or fields.get("event") != event:
        raise Incorrect(f"The event's own fields must stay as they are; of rows=3 this came out: {fields}")
    return fields


def _judge_fields(fields: Mapping[str, Any]) -> None:
    if fields.get("request_id") != "5f1c":
        raise Incorrect(
            "The line has no request_id, although one is bound to the context: nothing merges the context into it."
        )
    if fields.get("level") != "warning":
        raise Incorrect(f"The line of log.warning(...) has the level {fields.get('level')!r}; a processor adds it.")
    if "timestamp" not in fields:
        raise Incorrect("The line does not say when it happened: the field timestamp is missing.")
    stamp = fields["timestamp"]
    try:
        moment = datetime.fromisoformat(str(stamp))
    except ValueError:
        raise Incorrect(f"The timestamp {stamp!r} is not in ISO 8601, so a reader has to guess its format.") from None
    if moment.utcoffset() is None or moment.utcoffset().total_seconds():
        raise Incorrect(f"The timestamp {stamp!r} is not in UTC: lines of two machines could not be put in order.")


@lesson.exercise(
    hints=(
        "Choose the rows by two conditions, one on `event` and one on `timestamp`; join them with & and parentheses.",
        'log[(log["event"] == "prediction refused") & in_span]["error_type"].value_counts()',
    )
)
def q2(lab: Lab, count_refused: Callable) -> str:
    """Count the refused predictions of a time span by error_type."""
    if not callable(count_refused):
        raise Incorrect("count_refused must be a function of log, since and until.")
    log = lab.logs("model")
    refused = log[log["event"] == "prediction refused"]
    if len(refused) < 8:
        raise Incorrect(
            f"The log of the model holds {len(refused)} refused predictions, too few to judge: run the cells that "
            'start traffic and lab.fault("bad_requests") again, and wait for the alert.'
        )
    # The span begins and ends at a refused request, so that both bounds matter.
    since, until = refused["timestamp"].iloc[len(refused) // 4], refused["timestamp"].iloc[3 * len(refused) // 4]
    before = log.copy()
    given = _counts(count_refused(log, since, until))
    if not log.equals(before):
        raise Incorrect("Your function changes the log that it is given; look at it, and leave it as it is.")
    _judge_counts(given, log, refused, since, until)
    return f"Between the two moments {sum(given.values())} of {len(refused)} refusals happened, each with its id."


def _counts(found: Any) -> dict[str, int]:
    try:
        return {str(name): int(count) for name, count in dict(found).items() if int(count)}
    except (TypeError, ValueError):
        raise Incorrect(
            f"Return a number for each error_type, such as .value_counts() gives; this is a {type(found).__name__}."
        ) from None


def _judge_counts(given: dict[str, int], log: "pd.DataFrame", refused: "pd.DataFrame", since: Any, until: Any) -> None:
    def expected(span: "pd.Series") -> dict[str, int]:
        return refused[span]["error_type"].value_counts().to_dict()

    stamps = refused["timestamp"]
    right = expected((stamps >= since) & (stamps < until))
    if given == right:
        return
    if not given:
        raise Incorrect(
            "Your function finds nothing. A refusal is a client's fault and logged at level info, not error: choose by "
            'event == "prediction refused".'
        )
    if given == expected(stamps >= log["timestamp"].min()):
        raise Incorrect("These are the refusals of the whole log: since and until are not used.")
    if given in (expected((stamps >= since) & (stamps <= until)), expected((stamps > since) & (stamps < until))):
        raise Incorrect("One line at a bound is wrong: count from since on (>=) and before until (<).")
    if given in (expected(stamps >= since), expected(stamps < until)):
        raise Incorrect("Only one end of the span is used: a line must be after since and before until.")
    raise Incorrect(f"Between the two moments {right} were refused; your function says {given}.")


@lesson.exercise(
    hints=(
        "A processor gets a dictionary and returns one. Build a new one from the names in ALLOWED.",
        "dropped = sorted(set(event) - ALLOWED), and add it only if it is not empty.",
    )
)
def q3(keep_allowed: Callable) -> str:
    """Write a processor that lets only allowed fields through, and names the others."""
    if not callable(keep_allowed):
        raise Incorrect("keep_allowed must be a function of logger, method and event.")
    clean = {"event": "predicted", "level": "info", "rows": 3}
    _judge_clean(_processed(keep_allowed, clean), clean)
    private = {"instances": [[5.1, 3.5]], "email": "ada@example.org", "favourite_colour": "blue"}
    fields = _processed(keep_allowed, {**clean, **private})
    leaked = [name for name in private if name in fields]
    if leaked:
        raise Incorrect(
            f"{', '.join(leaked)} got through. A list of what is forbidden never knows the next field: keep what is "
            "in ALLOWED, and nothing else."
        )
    if {name: fields.get(name) for name in clean} != clean:
        raise Incorrect(f"With a forbidden field in the event, the allowed ones must still be written; left: {fields}")
    if fields.get("dropped") != sorted(private):
        raise Incorrect(
            f"`dropped` must list the names (never the values) of what was left out, sorted: {sorted(private)}; "
            f"it is {fields.get('dropped')!r}. Without it nobody learns that somebody logs inputs."
        )
    return "What nobody thought of stays out too, and its name tells you that somebody tried."


def _processed(keep_allowed: Callable, event: dict[str, Any]) -> dict[str, Any]:
    fields = keep_allowed(None, "info", dict(event))
    if not isinstance(fields, dict):
        raise Incorrect(f"A processor returns the event, a dictionary, for the next one; this returns {fields!r}.")
    return fields


def _judge_clean(fields: dict[str, Any], clean: dict[str, Any]) -> None:
    if "dropped" in fields:
        raise Incorrect(
            "An event with allowed fields only gets a field `dropped`: add it only if something was left out."
        )
    if fields != clean:
        raise Incorrect(f"Allowed fields must pass unchanged: of {clean} you return {fields}.")


@lesson.exercise(
    hints=(
        "The log line is lab.logs('model') where request_id is yours; the row you have seen above.",
        "le is the first of CONFIDENCE_BOUNDS that is not below the confidence: buckets count up to their bound.",
    )
)
def q4(lab: Lab, request_id: str, trace: Mapping[str, Any]) -> str:
    """Collect version and seconds from the log line, confidence from the row, and the bucket of one prediction."""
    wanted = ("model_version", "seconds", "confidence", "le")
    if not isinstance(trace, Mapping) or set(trace) != set(wanted):
        raise Incorrect(f"trace must be a dictionary with the keys {', '.join(wanted)}.")
    lines = lab.logs("model")
    line = lines[(lines["request_id"] == request_id) & (lines["event"] == "predicted")]
    if line.empty:
        raise Incorrect(f"The log has no prediction {request_id!r}: take the id from the answer of lab.predict.")
    with lab.store() as store:
        # The row was stored just before its line was written; traffic may have sent any number of rows since.
        rows = store.predictions(since=line.iloc[0]["timestamp"].timestamp() - _BEFORE_ITS_LINE_SECONDS)
    row = rows[rows["request_id"] == request_id]
    if row.empty:
        raise Incorrect("The store no longer has this prediction: run the cell with lab.predict again.")
    confidence = float(row["confidence"].iloc[0])
    _judge_line(trace, line.iloc[0])
    if not _close(trace["confidence"], confidence):
        raise Incorrect(f"The confidence {trace['confidence']!r} is not that of this row in the store.")
    le = next(bound for bound in CONFIDENCE_BOUNDS if confidence <= bound)
    if not _close(trace["le"], le):
        raise Incorrect(
            f"A bucket counts values up to its bound, and the smallest that counts {confidence:.3f} is wanted; "
            f"{trace['le']!r} is not it."
        )
    return f"One id leads from the client's answer to the line, the row, and the bucket le={le:g}."


def _judge_line(trace: Mapping[str, Any], line: "pd.Series") -> None:
    if trace["model_version"] != line["model_version"]:
        raise Incorrect(f"The log line names another model version than {trace['model_version']!r}.")
    if not _close(trace["seconds"], line["seconds"]):
        raise Incorrect(
            f"seconds is {trace['seconds']!r}, and the line of this request says {line['seconds']}. Did you take "
            "another line, or another unit?"
        )


def _close(given: Any, right: float) -> bool:
    try:
        return abs(float(given) - right) < 1e-9
    except (TypeError, ValueError):
        return False
