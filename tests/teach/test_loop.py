"""Waiting for a promotion: nobody is asked twice while a run goes on, and again when it gave up."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from labkit.teach import loop

ALERT = {"fingerprint": "f1", "startsAt": "2026-01-05T09:00:00Z", "labels": {"alertname": "ModelAccuracyLow"}}


def run(result: str | None) -> dict[str, Any]:
    return {"result": result, "alerts": [ALERT]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was sent to the retrainer."""
    sent: list[dict[str, Any]] = []

    def ask(method: str, url: str, *, json: dict[str, Any], **_options: Any) -> httpx.Response:
        sent.append(json)
        return httpx.Response(202, request=httpx.Request(method, url))

    monkeypatch.setattr(loop, "_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(loop, "ask", ask)
    return sent


def lab_with(*looks: list[dict[str, Any]]) -> Any:
    answers = iter(looks)
    home = SimpleNamespace(url=lambda _name: "http://127.0.0.1:1", secret=lambda _name: "sesame")
    return SimpleNamespace(runs=lambda: next(answers), home=home)


def test_a_run_that_goes_on_is_waited_for(asked: list[dict[str, Any]]) -> None:
    found = loop.promotion(lab_with([], [run(None)], [run("promoted")]))
    assert found["result"] == "promoted"
    assert asked == []


@pytest.mark.parametrize("result", ["rejected", "skipped", "failed"])
def test_a_run_that_gave_up_is_asked_again_as_a_new_episode(asked: list[dict[str, Any]], result: str) -> None:
    loop.promotion(lab_with([run(result)], [run(result), run(None)], [run(result), run("promoted")]))
    (body,) = asked
    assert body["version"] == "4"
    assert body["alerts"][0]["fingerprint"] == "f1"
    assert body["alerts"][0]["startsAt"] != ALERT["startsAt"]
