"""Widgets show the running system, steer it, and end when they should."""

import asyncio
import time

import httpx
import pytest

from labkit.clock import wait_until
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.simulate.control import read_control
from labkit.stack.credentials import ALERTMANAGER_USER
from labkit.teach import widgets
from labkit.teach.live import Live


def children(live: Live, kind: str) -> list:
    boxes = live._box.children
    return [each for box in boxes for each in getattr(box, "children", ()) if type(each).__name__ == kind]


def button(live: Live, text: str):
    return next(each for each in children(live, "Button") if each.description == text)


def test_the_start_button_sends_what_the_controls_say(lab: Lab) -> None:
    control = widgets.traffic_control(lab)
    children(control, "IntSlider")[0].value = 15
    button(control, "Start").click()
    assert (read_control(lab.home.traffic_control).running, read_control(lab.home.traffic_control).rate) == (True, 15)
    lab.wait_for("sum(increase(model_prediction_requests_total[5m])) > 5", "3h")


def test_a_slider_changes_the_traffic_that_runs_and_nothing_else_starts_it(lab: Lab) -> None:
    lab.stop_traffic()
    control = widgets.traffic_control(lab)
    children(control, "IntSlider")[0].value = 44
    assert not read_control(lab.home.traffic_control).running
    button(control, "Start").click()
    children(control, "FloatSlider")[0].value = 0.5
    children(control, "Dropdown")[0].value = "bad_requests"
    now = read_control(lab.home.traffic_control)
    assert (now.rate, now.severity, now.scenario) == (44, 0.5, "bad_requests")
    assert "three requests of ten" in (control.refresh() or control.html)


def test_the_stop_button_ends_the_traffic(lab: Lab) -> None:
    lab.traffic()
    button(widgets.traffic_control(lab), "Stop").click()
    assert not read_control(lab.home.traffic_control).running


def test_the_board_shows_every_alert_of_the_rules_and_which_fires(lab: Lab) -> None:
    lab.wait_for('ALERTS{alertname="Watchdog", alertstate="firing"}')
    board = widgets.alert_board(lab).html
    rules = lab.prometheus.rules()
    assert [name for name in rules[rules["type"] == "alerting"]["name"] if name not in board] == []
    assert "data-state='firing'" in board


def test_the_map_shows_that_all_hops_work(lab: Lab) -> None:
    svg = widgets.loop_map(lab).html
    assert svg.count("●") == 6
    assert "serves v1" in svg


def test_a_chart_is_a_picture_with_words_for_those_who_do_not_see_it(lab: Lab) -> None:
    lab.wait_for("count(up) > 4")
    html = widgets.chart(lab, {"targets up": "sum(up)"}, since="5m").html
    assert "alt='curves of targets up'" in html
    assert "data:image/png;base64," in html


def test_script_that_comes_through_a_real_alert_stays_text(lab: Lab) -> None:
    script = "<script>alert(document.cookie)</script>"
    alert = {
        "labels": {"alertname": "Untrusted", "severity": "ticket", "model_name": "iris-classifier"},
        "annotations": {"summary": script, "description": script, "runbook_url": script},
    }
    auth = (ALERTMANAGER_USER, lab.home.secret("alertmanager_password"))
    answer = httpx.post(f"{lab.home.url('alertmanager')}/api/v2/alerts", json=[alert], auth=auth, timeout=10)
    answer.raise_for_status()
    arrived = wait_until(
        lambda: [each for each in lab.messages() if "Untrusted" in each["alertnames"]], 60, "a message to arrive"
    )
    assert script in str(arrived)
    shown = widgets.inbox(lab).html
    assert "Untrusted" in shown
    assert "<script" not in shown


def test_a_lab_that_is_down_is_said_and_not_raised(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise LabError("Prometheus does not answer", "run: labkit up")

    monkeypatch.setattr(lab, "alerts", refuse)
    assert "run: labkit up" in widgets.alert_board(lab).html


def test_a_live_view_is_drawn_anew_and_a_second_one_of_its_name_ends_the_first() -> None:
    async def scene() -> None:
        first, second = (Live("clock", lambda: str(time.monotonic())) for _ in range(2))
        first.start()
        task, before = Live._running["clock"], first.html
        while first.html == before:
            await asyncio.sleep(0.05)
        second.start()
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()
        second.stop()
        assert "clock" not in Live._running

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_where_no_widget_runs_the_last_drawing_is_what_is_shown() -> None:
    drawings = iter(["<p>first</p>", "<p>second</p>"])
    bundle = Live("page", lambda: next(drawings))._repr_mimebundle_()
    assert bundle["text/html"] == "<p>second</p>"
    assert "application/vnd.jupyter.widget-view+json" in bundle
