"""Notebook 10: what is refused is judged on recorded evidence; one game is played live."""

from collections.abc import Iterator
from types import SimpleNamespace

import pandas as pd
import pytest

from labkit.clock import Clock, wait_until
from labkit.errors import InputError
from labkit.lab import Lab
from labkit.teach import ____, open_lesson
from labkit.teach.diagnosis import PLAYABLE, Evidence, Truth
from labkit.teach.gameday import GameDay
from labkit.teach.postmortem import complete, draft
from labkit.timeline import Timeline
from tests.teach.checking import approval, refusal

lesson = open_lesson("10")


class RecordedGame(GameDay):
    """A game of which only the record is left: a client sent millimetres from minute 12 on."""

    def __init__(self) -> None:
        self._truth = Truth.of("unit_error", 12.0)
        self.refused, self.responses = [], []
        self.diagnosed = self.mended = None

    @property
    def minute(self) -> float:
        return 60.0

    def evidence(self) -> Evidence:
        return Evidence(60.0, fired={"ModelAccuracyLow": 27.0})

    def respond(self, response: str) -> None:
        self.responses.append((self.minute, response))
        self.mended = self.minute

    def timeline(self) -> Timeline:
        timeline = Timeline(self._truth.scenario, 0, None, 0.0)
        timeline.events.append({"event": "alert_firing", "alert": "ModelAccuracyLow", "production_seconds": 1620})
        return timeline


EVENTS = RecordedGame().timeline().events
ANSWERS = {
    "summary": "A client sent millimetres for half an hour, and a third of its flowers were named wrongly.",
    "root_cause": "The contract names no unit, so a release could change it, and nothing refused the values.",
    "not_noticed": "Nobody was told of the release.",
    "actions": [("Name the unit", "Ada", "2030-01-31"), ("Refuse implausible values", "Linus", "2030-01-15")],
}


def report(events: list[dict] = EVENTS, **changes: object) -> str:
    return complete(draft(events, {}, []), **(ANSWERS | changes))


WRONG = {
    "q1": [
        (("changed_meaning", {"versicolor", "virginica"}), "fits the first graph"),
        (("other_population", {"petal_length"}), "still have plausible values"),
        (("broken_values", {"petal_width"}), "petal_width is as it was before"),
        (("unit_error", {"petal_length"}), "no kind of incident"),
        (("broken_values", "petals"), "'petals' is no place"),
    ],
    "q2": [((27.0,), "when ModelAccuracyLow fired"), ((3,), "the change is younger"), (("noon",), "no number")],
    "q3": [(("retrain",), "would learn the fault"), (("keep",), "go on answering wrongly"), (("scale",), "More room")],
    "q4": [
        ((draft(EVENTS, {}, []),), "a TODO is left"),
        ((report(root_cause="Human error in the client's release."),), "blames a person"),
        ((report(actions=[("Be careful", "everybody", "2030-01-31")] * 2),), "owned by 'everybody'"),
        ((report(events=[]),), "the postmortem of another day"),
        ((7,), "this is int"),
    ],
}


@pytest.mark.parametrize(
    ("name", "answer", "said"), [(name, answer, said) for name, rows in WRONG.items() for answer, said in rows]
)
def test_a_wrong_answer_hears_what_is_wrong(name: str, answer: tuple, said: str) -> None:
    game = RecordedGame()
    if name == "q3":
        game.respond(*answer)
        assert said in refusal(lesson[name], game)
    else:
        assert said in refusal(lesson[name], game, *answer)


def test_right_answers_are_accepted_on_the_record_alone() -> None:
    game = RecordedGame()
    approval(lesson.q1, game, "broken_values", {"petal_length"})
    approval(lesson.q2, game, 13)
    game.respond("fix_data")
    approval(lesson.q3, game)
    approval(lesson.q4, game, report())
    assert game.diagnosed == 60.0


def test_without_a_response_nothing_was_attempted() -> None:
    assert lesson.q3.check(RecordedGame()).state == "not attempted"
    assert lesson.q1.check(RecordedGame(), ____, ____).state == "not attempted"


def test_a_seed_draws_the_same_incident_again_and_some_seed_draws_each() -> None:
    drawn = [GameDay._draw(seed)[0] for seed in range(100)]
    assert drawn == [GameDay._draw(seed)[0] for seed in range(100)]
    assert set(drawn) == set(PLAYABLE)


def test_whoever_is_called_sees_what_is_active_now_and_nothing_that_ended() -> None:
    rows = [
        ("Watchdog", "firing", 1000.0),
        ("ModelInputDrift", "firing", 1030.0),
        ("ModelInputDrift", "firing", 1025.5),
        ("ModelAccuracyLow", "pending", 1031.0),
    ]
    alerts = pd.DataFrame(rows, columns=["alertname", "state", "active_at"])
    alerts["active_at"] = pd.to_datetime(alerts["active_at"], unit="s", utc=True)
    game = RecordedGame()
    game.lab = SimpleNamespace(clock=Clock(60), wait_for=lambda *_: None, alerts=lambda: alerts)
    game.started = 1000.0
    assert game.wait_for_alert().values.tolist() == [
        ["ModelInputDrift", "firing", 25.5],
        ["ModelAccuracyLow", "pending", 31.0],
    ]


@pytest.fixture(scope="module")
def game(lab: Lab) -> Iterator[GameDay]:
    """A game whose incident has called somebody: callers' requests are malformed."""
    game = GameDay(lab, seed=9, rehearse="bad_requests")
    assert "ModelErrorBudgetBurnFast" in set(game.wait_for_alert().query("state == 'firing'")["alert"])
    yield game
    lab.stop_traffic()


def test_nothing_that_a_learner_looks_at_tells_the_truth(game: GameDay) -> None:
    told = [str(game.lab.status()), repr(game), game.lab.home.traffic_control.read_text(), game.postmortem()]
    told += [path.read_text() for path in game.lab.home.traffic_status.parent.iterdir()]
    assert [text for text in told if "bad_requests" in text] == []


def test_a_game_is_dated_diagnosed_mended_and_scored(game: GameDay) -> None:
    with pytest.raises(InputError, match="the incident goes on"):
        game.scores()
    assert "no feature" in refusal(lesson.q1, game, "other_population", {"petal_width"}).lower()
    assert "slower" in refusal(lesson.q1, game, "slow_service", {"service"})
    approval(lesson.q1, game, "bad_requests", {"clients"})
    approval(lesson.q2, game, game._truth.onset + 1)
    game.respond("fix_client")
    approval(lesson.q3, game)
    wait_until(lambda: "steady" in game.lab.status().traffic, 60, "the incident to end")
    scores = game.scores()["production minutes"]
    assert scores["to detect"] > 0
    assert scores["to detect"] <= scores["to diagnose"] <= scores["to mend"]


def test_the_draft_of_a_postmortem_tells_what_happened(game: GameDay) -> None:
    text = game.postmortem()
    assert "ModelErrorBudgetBurnFast fires" in text
    assert "TODO" in text


@pytest.mark.long
@pytest.mark.parametrize("name", PLAYABLE)
def test_every_incident_can_be_played_to_its_end(lab: Lab, name: str) -> None:
    game = GameDay(lab, seed=9, rehearse=name)
    game.wait_for_alert()
    truth = Truth.of(name, 0.0)
    assert game.diagnose(truth.kind, set(truth.places)) == ""
    game.respond(truth.scenario.response)
    assert game.last_response() == ""
    assert game.scores()["production minutes"].notna().all()
    assert game.tell().scenario.name == name
