"""An exercise knows four outcomes, helps in steps, and remembers what was solved."""

import json
from pathlib import Path

import pytest

from labkit.errors import InputError, LabError
from labkit.stack.home import Home
from labkit.teach import ____, open_lesson
from labkit.teach.exercise import Incorrect, Lesson, NotAttempted, Note
from labkit.teach.lessons import NUMBERS
from labkit.teach.outcome import Outcome, UnexpectedOutcome
from labkit.teach.progress import Progress


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / ".lab"))
    return Home.find().create()


@pytest.fixture
def lesson() -> Lesson:
    lesson = Lesson("99", "Arithmetic")

    @lesson.exercise(hints=("Count.", "One and one is two."))
    def q1(answer: int) -> str:
        """Add one and one."""
        if answer == 3:
            raise Incorrect("That is one too many.")
        if answer == 0:
            raise NotAttempted
        if answer == -1:
            raise InputError("the answer is negative", "choose a natural number")
        return f"{4 // answer} is what you get back."

    return lesson


def test_a_right_answer_hears_why_it_is_right(lesson: Lesson) -> None:
    assert lesson.q1.check(2) == Outcome("99.1", "correct", "2 is what you get back.")


def test_a_wrong_answer_hears_what_is_wrong(lesson: Lesson) -> None:
    assert lesson.q1.check(3) == Outcome("99.1", "incorrect", "That is one too many.")


@pytest.mark.parametrize("blank", [____, [1, ____], {"a": (____,)}, "sum(____)"])
def test_a_blank_anywhere_in_the_answer_is_not_attempted(lesson: Lesson, blank: object) -> None:
    assert lesson.q1.check(blank).state == "not attempted"


def test_a_check_may_find_by_itself_that_nothing_was_attempted(lesson: Lesson) -> None:
    assert lesson.q1.check(0).state == "not attempted"


@pytest.mark.parametrize(("answer", "said"), [("two", "TypeError"), (-1, "To mend it: choose a natural number")])
def test_an_answer_that_cannot_be_judged_is_an_error_in_its_own_words(
    lesson: Lesson, answer: object, said: str
) -> None:
    outcome = lesson.q1.check(answer)
    assert (outcome.state, said in outcome.message) == ("error", True)


def test_a_check_that_is_called_wrongly_says_how_to_call_it(lesson: Lesson) -> None:
    assert "lesson.q1.check(answer)" in lesson.q1.check().message


def test_hints_come_one_after_the_other_and_then_again(lesson: Lesson) -> None:
    texts = [lesson.q1.hint().text for _ in range(3)]
    assert texts == ["Count.", "One and one is two.", "Count."]


def test_a_solution_is_the_text_that_the_build_cut_out() -> None:
    assert open_lesson("00").q1.solution().text.startswith("rows = ")


def test_an_exercise_that_is_not_there_is_answered_with_those_that_are(lesson: Lesson) -> None:
    with pytest.raises(InputError, match="choose q1"):
        _ = lesson.q2


def test_a_lesson_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(InputError, match="choose one of 00"):
        open_lesson("77")


def test_what_was_solved_stays_solved(lesson: Lesson) -> None:
    lesson.q1.check(2)
    lesson.q1.check(3)
    assert lesson.states() == {"q1": "correct"}
    assert "1 of 1" in repr(lesson)


def test_an_untouched_exercise_is_not_kept(lesson: Lesson, home: Home) -> None:
    lesson.q1.check(____)
    assert not (home.root / "progress.json").exists()


def test_a_damaged_progress_file_is_put_aside_and_nothing_is_lost(lesson: Lesson, home: Home) -> None:
    (home.root / "progress.json").write_text("{ half a fi")
    lesson.q1.check(2)
    assert json.loads((home.root / "progress.json").read_text()) == {"99": {"q1": "correct"}}
    assert (home.root / "progress.damaged.json").read_text() == "{ half a fi"


def test_without_a_labs_folder_nothing_is_written(tmp_path: Path) -> None:
    Progress(Home(tmp_path / "none")).note("99", "q1", "correct")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("asked", "answer", "accepted"),
    [
        ("correct", 2, True),
        ("correct", 3, False),
        ("correct", ____, False),
        ("not attempted", ____, True),
        ("not attempted", 2, False),
        ("no mistake", ____, True),
        ("no mistake", 2, True),
        ("no mistake", 3, False),
        ("no mistake", "two", False),
    ],
)
def test_a_run_by_machine_insists_on_its_outcome(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch, asked: str, answer: object, accepted: bool
) -> None:
    monkeypatch.setenv("LABKIT_EXPECT", asked)
    if accepted:
        lesson.q1.check(answer)
    else:
        with pytest.raises(UnexpectedOutcome, match=f"is not '{asked}'"):
            lesson.q1.check(answer)


def test_in_ci_a_wrong_answer_raises(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(UnexpectedOutcome):
        lesson.q1.check(3)


def test_what_ci_asks_for_must_be_known(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_EXPECT", "corect")
    with pytest.raises(LabError, match="choose one of: correct"):
        lesson.q1.check(2)


def test_a_message_is_shown_as_text_and_never_as_html() -> None:
    shown = Outcome("9.9", "incorrect", "<script>alert(1)</script>")._repr_html_()
    assert "<script>" not in shown


@pytest.mark.parametrize("number", NUMBERS)
def test_a_lesson_names_its_exercises_in_order(number: str) -> None:
    names = [exercise.name for exercise in open_lesson(number)]
    assert names == [f"q{i}" for i in range(1, len(names) + 1)]


def test_a_hint_of_several_lines_keeps_them_in_a_notebook() -> None:
    shown = Note("Hint 1 of 1", "a list:\n  - <one>")._repr_html_()
    assert "white-space: pre-wrap" in shown
    assert "a list:\n  - &lt;one&gt;" in shown
