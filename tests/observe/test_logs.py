"""Every line of a process's log is one JSON object of the same form."""

import asyncio
import io
import json
import logging
import warnings
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from labkit.observe.logs import bind_request, configure_logging, get_logger


@pytest.fixture
def lines():
    """Configure logging to memory, return a function that reads the lines, and put everything back."""
    root = logging.getLogger()
    handlers, level, httpx_level = root.handlers[:], root.level, logging.getLogger("httpx").level
    stream = io.StringIO()
    configure_logging("model", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.getLogger("httpx").setLevel(httpx_level)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_says_when_what_where_and_how_grave(lines):
    get_logger("labkit.model").warning("slow", seconds=0.2)

    (line,) = lines()
    written = datetime.fromisoformat(line.pop("timestamp"))
    assert line == {"level": "warning", "event": "slow", "service": "model", "source": "labkit.model", "seconds": 0.2}
    assert written.tzinfo == UTC
    assert abs(datetime.now(UTC) - written) < timedelta(seconds=30)


def test_lines_of_the_standard_library_and_uvicorn_have_the_same_form(lines):
    get_logger("ours").info("one")
    logging.getLogger("uvicorn.error").info("started on port %d", 8000)

    ours, theirs = lines()
    assert set(theirs) == set(ours)
    assert (theirs["event"], theirs["source"], theirs["level"]) == ("started on port 8000", "uvicorn.error", "info")


def test_warnings_of_libraries_are_lines_too(lines):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", stacklevel=1)

    (line,) = lines()
    assert "careful" in line["event"]


def test_lines_below_the_level_are_left_out(lines):
    get_logger("ours").debug("detail")
    logging.getLogger("theirs").debug("detail")
    logging.getLogger("httpx").info("HTTP Request: POST http://127.0.0.1")

    assert lines() == []


def test_the_request_id_is_on_every_line_inside_and_on_none_after(lines):
    with bind_request("r-1"):
        get_logger("ours").info("in")
        logging.getLogger("theirs").info("in")
    get_logger("ours").info("out")

    assert [line.get("request_id") for line in lines()] == ["r-1", "r-1", None]


def test_requests_that_run_side_by_side_keep_their_ids(lines):
    async def answer(request_id, other_turn, my_turn):
        with bind_request(request_id):
            other_turn.set()
            await my_turn.wait()
            get_logger("ours").info(request_id)

    async def both():
        first, second = asyncio.Event(), asyncio.Event()
        await asyncio.gather(answer("r-1", first, second), answer("r-2", second, first))

    asyncio.run(both())

    assert [line["request_id"] for line in lines()] == [line["event"] for line in lines()] != []


def test_an_exception_is_told_without_the_local_variables(lines):
    def predict(instances):
        raise ValueError(f"cannot predict {len(instances)} rows")

    for logger in (get_logger("ours"), logging.getLogger("theirs")):
        try:
            predict([[5.123456, 3.5]])
        except ValueError:
            logger.exception("prediction failed")

    for line in lines():
        assert line["exception"][0]["exc_type"] == "ValueError"
        assert line["exception"][0]["frames"][-1]["name"] == "predict"
        assert "5.123456" not in json.dumps(line)


def test_a_text_with_line_ends_stays_one_line(lines):
    get_logger("ours").info('two\nlines "quoted"', thing=object)

    (line,) = lines()
    assert line["event"] == 'two\nlines "quoted"'


def test_a_logger_made_before_the_configuration_follows_it():
    logger = get_logger("early")
    root, streams = logging.getLogger(), [io.StringIO(), io.StringIO()]
    handlers, level = root.handlers[:], root.level
    try:
        for service, stream in zip(("one", "two"), streams, strict=True):
            configure_logging(service, stream)
            logger.info("hello")
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(level)

    assert [json.loads(stream.getvalue())["service"] for stream in streams] == ["one", "two"]
