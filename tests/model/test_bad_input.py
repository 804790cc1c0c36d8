"""Whatever a client sends, the service refuses what it cannot answer, says why, and goes on."""

import http.client
import json
import socket
import sqlite3
import threading
import time
from contextlib import closing

import psutil
import pytest

MARK = "sEcReT7319"
MEGABYTE = 1_000_000


def instances(value: str) -> bytes:
    """Return a body whose last value is JSON text of our choice."""
    return b'{"instances": [[5.1, 3.5, 1.4, 0.2], [5.1, 3.5, 1.4, %s]]}' % value.encode()


REFUSED = {
    "empty body": (b"", 400, "invalid_json", ["not JSON"]),
    "not JSON": (f"{MARK}{{".encode(), 400, "invalid_json", ["not JSON", "line 1 column 1"]),
    "cut off": (b'{"instances": [[5.1', 400, "invalid_json", ["not JSON"]),
    "not UTF-8": (b'{"instances": [["\xff\xfe"]]}', 400, "invalid_json", ["not JSON"]),
    "nested too deep": (b'{"instances": ' + b"[" * 100_000, 400, "invalid_json", ["not JSON", "recursion"]),
    "a number of 100,000 digits": (instances("9" * 100_000), 400, "invalid_json", ["number out of range"]),
    "not an object": (f'"{MARK}"'.encode(), 422, "invalid_input", ["body", "object"]),
    "no instances": (b"{}", 422, "invalid_input", ["instances", "required"]),
    "a field too many": (
        f'{{"instances": [[1, 2, 3, 4]], "{MARK}": 1}}'.encode(),
        422,
        "invalid_input",
        ["a field besides instances", "not permitted"],
    ),
    "one row without its list": (b'{"instances": [1, 2, 3, 4]}', 422, "invalid_input", ["instances[0]", "array"]),
    "three values": (b'{"instances": [[1, 2, 3]]}', 422, "invalid_input", ["instances[0]", "at least 4"]),
    "five values": (b'{"instances": [[1, 2, 3, 4, 5]]}', 422, "invalid_input", ["instances[0]", "at most 4"]),
    "a string": (instances(f'"{MARK}"'), 422, "invalid_input", ["instances[1][3] (petal_width)", "number"]),
    "a number in a string": (instances('"1.5"'), 422, "invalid_input", ["instances[1][3] (petal_width)", "number"]),
    "a boolean": (instances("true"), 422, "invalid_input", ["instances[1][3] (petal_width)", "number"]),
    "an object": (instances(f'{{"{MARK}": 1}}'), 422, "invalid_input", ["instances[1][3] (petal_width)", "number"]),
    "NaN": (instances("NaN"), 422, "invalid_input", ["instances[1][3] (petal_width)", "finite"]),
    "Infinity": (instances("-Infinity"), 422, "invalid_input", ["instances[1][3] (petal_width)", "finite"]),
    "1e999": (instances("1e999"), 422, "invalid_input", ["instances[1][3] (petal_width)", "finite"]),
    "an integer beyond floats": (instances("9" * 400), 422, "invalid_input", ["instances[1][3]", "finite"]),
    "0 rows": (b'{"instances": []}', 422, "invalid_input", ["instances", "at least 1"]),
    "1,001 rows": (
        json.dumps({"instances": [[1, 2, 3, 4]] * 1_001}).encode(),
        422,
        "invalid_input",
        ["instances: too many values", "at most 1000"],
    ),
    "1,001 short rows": (
        json.dumps({"instances": [[1]] * 1_001}).encode(),
        422,
        "invalid_input",
        ["instances: ", "at most 1000"],
    ),
    "100,000 rows": (
        b'{"instances": [' + b",".join([b"[1,2,3,4]"] * 100_000) + b"]}",
        422,
        "invalid_input",
        ["instances: too many values", "at most 1000"],
    ),
    "100,000 fields": (
        b"{%s}" % b",".join(b'"%d":1' % number for number in range(100_000)),
        422,
        "invalid_input",
        ["instances: too many values"],
    ),
    "too many errors to list": (
        json.dumps({"instances": [[MARK] * 4] * 1_000}).encode(),
        422,
        "invalid_input",
        ["instances[0][0] (sepal_length)", "and 3997 more"],
    ),
    "one byte too large": (b" " * (1024 * 1024 + 1), 413, "too_large", ["1,048,576 bytes"]),
    "50 MB": (b'{"instances": [' + b"[5.1,3.5,1.4,0.2]," * (50 * MEGABYTE // 18), 413, "too_large", ["1,048,576"]),
}


def stored_requests(service) -> int:
    with closing(sqlite3.connect(f"file:{service.store_path}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def send(service, body):
    return service.client.post("/v1/predict", content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("case", REFUSED)
def test_a_body_is_refused_with_field_and_rule_and_counted_without_being_repeated_or_stored(service, case):
    body, status, error_type, texts = REFUSED[case]
    requests_before = service.total("model_prediction_requests_total")
    errors_before = service.total("model_prediction_errors_total", error_type=error_type)
    all_errors_before = service.total("model_prediction_errors_total")
    rows_before, stored_before = service.total("model_prediction_rows_total"), stored_requests(service)
    answer = send(service, body)
    assert (answer.status_code, answer.json()["error_type"]) == (status, error_type)
    assert [text for text in texts if text not in answer.json()["detail"]] == []
    assert MARK not in answer.text
    assert len(answer.text) < 1_000
    assert service.total("model_prediction_errors_total", error_type=error_type) == errors_before + 1
    assert service.total("model_prediction_errors_total") == all_errors_before + 1
    assert service.total("model_prediction_requests_total") == requests_before + 1
    assert service.total("model_prediction_rows_total") == rows_before
    assert stored_requests(service) == stored_before
    assert MARK not in service.log_path.read_text()


def test_a_body_that_does_not_say_it_is_json_is_refused_and_counted(service):
    before = service.total("model_prediction_errors_total", error_type="unsupported_media_type")
    body = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
    answer = service.client.post("/v1/predict", content=body, headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["error_type"]) == (415, "unsupported_media_type")
    assert service.total("model_prediction_errors_total", error_type="unsupported_media_type") == before + 1


def stalled_request(service, framing: str, start: bytes) -> socket.socket:
    head = f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    connection.sendall(head.encode() + start)
    return connection


def test_a_body_that_stalls_is_refused_after_five_seconds_and_others_are_answered_meanwhile(service):
    before = service.total("model_prediction_errors_total", error_type="timeout")
    started = time.monotonic()
    stalled = [
        stalled_request(service, "Content-Length: 100", b'{"instances": [['),
        stalled_request(service, "Transfer-Encoding: chunked", b'5\r\n{"ins\r\n'),
    ]
    assert service.predict([[5.1, 3.5, 1.4, 0.2]]).elapsed.total_seconds() < 1
    assert service.total("model_predictions_in_progress") == 2
    for connection in stalled:
        with connection, http.client.HTTPResponse(connection) as answer:
            answer.begin()
            assert (answer.status, json.load(answer)["error_type"]) == (408, "timeout")
            assert connection.recv(1) == b""
    assert 4.9 < time.monotonic() - started < 8
    assert service.total("model_prediction_errors_total", error_type="timeout") == before + 2


def test_a_client_that_goes_away_is_counted_as_cancelled(service):
    before = service.total("model_prediction_errors_total", error_type="cancelled")
    head = (
        "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(head.encode())
    deadline = time.monotonic() + 5
    while service.total("model_prediction_errors_total", error_type="cancelled") != before + 1:
        assert time.monotonic() < deadline
    assert service.total("model_predictions_in_progress") == 0


@pytest.mark.parametrize("value", ["1e308", "-1e308", "0", "1e-320", "123456789012345678901234567890"])
def test_a_finite_value_of_any_size_is_answered(service, value):
    answer = send(service, instances(value))
    assert answer.status_code == 200
    assert all(abs(sum(row) - 1) < 1e-9 for row in answer.json()["probabilities"])


def test_an_implausible_value_is_answered_and_counted_and_kept_in_the_histogram(service):
    def seen():
        return (
            service.total("model_feature_invalid_total", feature="petal_length", reason="out_of_range"),
            service.total("model_feature_value_count", feature="petal_length"),
        )

    before = seen()
    assert service.predict([[5.1, 3.5, 14.0, 0.2], [5.1, 3.5, 1.4, 0.2]]).status_code == 200
    assert seen() == (before[0] + 1, before[1] + 2)


def test_null_is_a_missing_value_that_is_answered_and_counted(service):
    before = service.total("model_feature_invalid_total", feature="sepal_width", reason="missing")
    answer = service.predict([[5.1, None, 1.4, 0.2]])
    assert (answer.status_code, answer.json()["predictions"]) == (200, ["setosa"])
    assert service.total("model_feature_invalid_total", feature="sepal_width", reason="missing") == before + 1


def test_a_thousand_rows_are_answered(service):
    assert len(service.predict([[5.1, 3.5, 1.4, 0.2]] * 1_000).json()["predictions"]) == 1_000


class Scraper(threading.Thread):
    """Scrape as Prometheus does in lab time, every 250 ms with as much patience; keep what each scrape took."""

    def __init__(self, service) -> None:
        super().__init__()
        self.service = service
        self.finished = threading.Event()
        self.seconds, self.memory_bytes = [], []

    def run(self) -> None:
        process = psutil.Process(self.service.process.pid)
        while not self.finished.wait(0.25):
            started = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=5)
            connection.request("GET", "/metrics")
            assert connection.getresponse().read()
            connection.close()
            self.seconds.append(time.perf_counter() - started)
            self.memory_bytes.append(process.memory_info().rss)


def test_under_a_flood_of_bad_input_memory_stays_flat_and_no_scrape_is_missed(service):
    for _ in range(3):  # what the allocator takes once is no leak
        for body, *_ in REFUSED.values():
            send(service, body)
    scraper = Scraper(service)
    scraper.start()
    try:
        while len(scraper.seconds) < 8 and scraper.is_alive():
            for body, status, *_ in REFUSED.values():
                assert send(service, body).status_code == status
    finally:
        scraper.finished.set()
        scraper.join()
    assert len(scraper.seconds) >= 8
    assert max(scraper.seconds) < 0.25
    assert max(scraper.memory_bytes) - scraper.memory_bytes[0] < 20 * MEGABYTE
