"""The HTML of live views says what is, with every text escaped."""

from html.parser import HTMLParser

import pandas as pd
import pytest

from labkit.plots import curves
from labkit.teach import views

SCRIPT = "<script>alert('x')</script><img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    """The tags of a text and their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def alert(**changed: object) -> dict[str, object]:
    return {"name": "ModelDown", "state": "inactive", "severity": "", "about": "", "seconds_left": None, **changed}


def message(**changed: object) -> dict[str, object]:
    return {"channel": "slack", "status": "firing", "title": "t", "text": "x", "html": None, **changed}


@pytest.mark.parametrize("state", ["inactive", "pending", "firing"])
def test_the_board_shows_the_state_in_words(state: str) -> None:
    assert state in views.alert_board([alert(state=state)])


def test_a_pending_alert_shows_the_production_time_that_is_left() -> None:
    assert "fires in 3m20s" in views.alert_board([alert(state="pending", seconds_left=200.2)])


def test_a_pending_alert_that_is_due_never_shows_less_than_nothing() -> None:
    assert "fires in 1s" in views.alert_board([alert(state="pending", seconds_left=-4)])


def test_what_an_alert_says_is_text() -> None:
    assert "script" not in {tag for tag, _ in Tags(views.alert_board([alert(about=SCRIPT, severity=SCRIPT)])).found}


@pytest.mark.parametrize("channel", ["slack", "email", "pagerduty", "unheard-of"])
def test_what_a_message_says_is_text(channel: str) -> None:
    html = views.inbox([message(channel=channel, title=SCRIPT, text=SCRIPT)])
    assert {tag for tag, _ in Tags(html).found} <= {"article", "small", "b", "div", "pre"}


def test_the_html_of_a_mail_stays_in_a_frame_that_may_do_nothing() -> None:
    found = Tags(views.inbox([message(channel="email", html=SCRIPT)])).found
    (frame,) = [attributes for tag, attributes in found if tag == "iframe"]
    assert (frame["sandbox"], frame["srcdoc"]) == (None, SCRIPT)
    assert "script" not in {tag for tag, _ in found}


def test_the_newest_message_is_on_top() -> None:
    html = views.inbox([message(title="older"), message(title="newer")])
    assert html.index("newer") < html.index("older")


def test_an_empty_inbox_says_so() -> None:
    assert "Nothing has arrived yet" in views.inbox([])


def test_the_map_shows_each_part_with_its_words_and_whether_it_works() -> None:
    svg = views.loop_map({"model": (True, "serves v1"), "inbox": (False, "does not answer")})
    assert "● model" in svg
    assert "○ inbox" in svg
    assert "serves v1" in svg


def test_a_chart_has_a_curve_for_each_column_over_production_minutes() -> None:
    times = pd.to_datetime([0, 30, 60], unit="s", utc=True)
    figure = curves(pd.DataFrame({"a": [1, 2, 3], "b": [3, None, 1]}, index=times), speed=60, unit="ratio")
    (axis,) = figure.axes
    assert [list(line.get_xdata()) for line in axis.lines] == [[-60, -30, 0]] * 2
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b"]


def test_a_chart_without_data_says_so() -> None:
    (axis,) = curves(pd.DataFrame(), speed=60).axes
    assert axis.texts[0].get_text() == "no data yet"
