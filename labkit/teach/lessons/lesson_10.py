"""The checks of notebook 10: game day."""

from labkit.teach.exercise import Incorrect, Lesson, NotAttempted
from labkit.teach.gameday import GameDay
from labkit.teach.postmortem import gaps

lesson = Lesson("10", "Game day")


@lesson.exercise(
    hints=(
        "Look in order: service, inputs, answers, labels. plots.signals(...) draws all of them. What moved first?",
        "If values are missing or implausible they are broken. If they are sound and moved, it is another population. "
        "If no input moved, compare predicted with label in game.labelled().",
    )
)
def q1(game: GameDay, kind: str, places: set[str]) -> str:
    """Say what kind of incident it is, and in which places."""
    if wrong := game.diagnose(kind, places):
        raise Incorrect(wrong)
    return f"That is what it is, diagnosed in minute {game.diagnosed:.0f}. Since when?"


@lesson.exercise(
    hints=(
        "A window of an hour blurs the edge by up to an hour. Draw what changed with game.over_time and [2m].",
        "Take the last minute in which the signal still was as before: frame.index[frame['value'] < limit][-1].",
    )
)
def q2(game: GameDay, since: float) -> str:
    """Say since when, in production minutes since the game began."""
    if wrong := game.date(since):
        raise Incorrect(wrong)
    return f"Minute {since:.0f} it is, give or take the width of your window."


@lesson.exercise(
    hints=(
        "Is anybody answered wrongly, late, or not at all? Who can change that: a source, a caller, a new model?",
        "RESPONSES says what each response does. Where the answers are as good as before, no new model is better.",
    )
)
def q3(game: GameDay) -> str:
    """Respond: game.respond(...) with a key of RESPONSES."""
    if not game.responses:
        raise NotAttempted("Call game.respond(...) with one of RESPONSES, then run the cell again.")
    if wrong := game.last_response():
        raise Incorrect(wrong)
    return f"That is the right response, and it is in effect since minute {game.mended:.0f}."


@lesson.exercise(
    hints=(
        "complete(draft, summary=..., root_cause=..., not_noticed=..., actions=[(what, owner, due), ...]).",
        "A root cause says what made it possible. An action has one owner and a day: two of them, one to prevent it, "
        "one to notice it sooner.",
    )
)
def q4(game: GameDay, report: str) -> str:
    """Complete the postmortem: summary, root cause, why it was not noticed, and actions with owners and days."""
    if not isinstance(report, str):
        raise Incorrect(
            f"A postmortem is a text in Markdown; this is {type(report).__name__}. complete(...) gives one."
        )
    if found := gaps(report):
        raise Incorrect(found[0])
    alert = next((event["alert"] for event in game.timeline().events if event["event"] == "alert_firing"), "")
    if alert not in report:
        raise Incorrect(f"This is the postmortem of another day: its timeline does not tell that {alert} fired.")
    return "It says what happened, why, and who does what until when. It can be filed."
