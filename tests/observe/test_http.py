"""The guard lets our clients through, and nothing that a foreign page makes a browser send."""

import asyncio
import json
import stat

import pytest

from labkit.errors import ConfigurationError
from labkit.observe.http import LoopbackGuard, bearer_matches, read_secret

JSON = ("content-type", "application/json")


def answer_of(method="GET", *headers, host="127.0.0.1:8000", path="/v1/predict", kind="http", **options):
    """Return the status that a request gets through the guard; the application behind it answers 200."""

    async def application(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    sent = []

    async def send(message):
        sent.append(message)

    pairs = [
        (name.encode(), value.encode("latin-1")) for name, value in (("host", host), *headers) if value is not None
    ]
    scope = {"type": kind, "method": method, "path": path, "headers": pairs}
    asyncio.run(LoopbackGuard(application, **options)(scope, None, send))
    return sent


def status_of(*arguments, **options) -> int:
    return answer_of(*arguments, **options)[0]["status"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:8000", "[::1]"])
def test_loopback_hosts_pass(host):
    assert status_of(host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8000",
        "evil.example:127.0.0.1",
        "127.0.0.1@evil.example",
        "localhost:8000:1",
        "localhost:",
        "127.0.0.2",
        "0.0.0.0",
        "[::]",
        "localhost\x00",
        "",
        None,
    ],
)
def test_any_other_host_is_misdirected(host):
    assert status_of(host=host) == 421


def test_two_hosts_are_misdirected():
    assert status_of("GET", ("host", "evil.example")) == 421


def test_a_container_may_be_called_by_its_service_name():
    assert status_of(host="model:8000", allowed_hosts=["Model"]) == 200
    assert status_of(host="model:8000") == 421


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8888", "https://localhost", "http://[::1]:3000"])
def test_pages_of_this_machine_pass(origin):
    assert status_of("GET", ("origin", origin)) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "localhost",
        "file://localhost",
        "http://localhost.evil.example",
        "http://localhost/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_pages_of_other_origins_are_refused(method, origin):
    assert status_of(method, ("origin", origin), JSON) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""]
)
def test_what_a_page_may_send_without_asking_has_no_effect(method, content_type):
    assert status_of(method, ("content-type", content_type)) == 415


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_passes(content_type):
    assert status_of("POST", ("content-type", content_type)) == 200


def test_an_application_may_judge_the_media_type_of_a_path_itself():
    assert status_of("POST", path="/upload", form_paths={"/upload"}) == 200
    assert status_of("POST", path="/upload/more", form_paths={"/upload"}) == 415
    assert status_of("POST", host="evil.example", path="/upload", form_paths={"/upload"}) == 421


def test_a_refusal_is_json_allows_no_origin_and_does_not_echo():
    start, body = answer_of(host="evil.example")

    assert "evil" not in json.loads(body["body"])["detail"]
    assert dict(start["headers"])[b"content-type"] == b"application/json"
    assert not any(name.startswith(b"access-control") for name, _ in start["headers"])
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()


def test_a_foreign_websocket_is_closed():
    assert answer_of(host="evil.example", kind="websocket") == [{"type": "websocket.close", "code": 1008}]


def test_start_and_stop_of_the_application_pass():
    assert status_of(host=None, kind="lifespan") == 200


@pytest.mark.parametrize("header", ["Bearer s3cret", "bearer s3cret"])
def test_the_right_token_matches(header):
    assert bearer_matches(header, "s3cret")


@pytest.mark.parametrize(
    "header",
    [None, "", "s3cret", "Basic s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret ", "Bearer \xff\udc80"],
)
def test_any_other_token_does_not(header):
    assert not bearer_matches(header, "s3cret")


def test_an_empty_token_matches_nothing():
    assert not bearer_matches("Bearer ", "")


def test_a_secret_is_read_without_its_line_end(tmp_path):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("s3cret\n")

    assert read_secret(path) == "s3cret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_secret_that_others_can_read_or_write_is_refused_with_the_command_that_helps(tmp_path, mode):
    path = tmp_path / "token"
    path.write_text("s3cret")
    path.chmod(mode)

    with pytest.raises(ConfigurationError) as refused:
        read_secret(path)

    assert refused.value.remedy == f"chmod 600 {path}"
    assert "s3cret" not in str(refused.value)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_missing_or_empty_secret_is_refused(tmp_path):
    empty = tmp_path / "empty"
    empty.touch(mode=0o600)

    for path in (tmp_path / "missing", empty, tmp_path):
        with pytest.raises(ConfigurationError, match=str(path)):
            read_secret(path)
