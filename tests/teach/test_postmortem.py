"""A postmortem is drafted from events, completed by people, and checked before it is filed."""

import pytest

from labkit.teach.postmortem import complete, draft, gaps

EVENTS = [
    {"event": "recovered", "production_seconds": 2400},
    {"event": "traffic_started", "production_seconds": 0},
    {"event": "alert_firing", "production_seconds": 1080, "alert": "ModelInputInvalid"},
    {"event": "alert_firing", "production_seconds": 1500, "alert": "ModelInputInvalid"},
    {"event": "alert_pending", "production_seconds": 60, "alert": "ModelAccuracyUnknown"},
    {
        "event": "notification_received",
        "production_seconds": 1100,
        "status": "firing",
        "channel": "email",
        "title": "A|B",
    },
    {
        "event": "notification_received",
        "production_seconds": 2500,
        "status": "resolved",
        "channel": "email",
        "title": "C",
    },
    {"event": "responded", "production_seconds": 2390, "response": "fix_data"},
]
DRAFT = draft(EVENTS, {"to detect": 6.4, "to diagnose": float("nan")}, ["12 rows were answered wrongly."])
GOOD = {
    "summary": "A client sent millimetres for half an hour, and a third of its flowers were named wrongly.",
    "root_cause": "The contract names no unit, so a release could change it, and nothing refused implausible values.",
    "not_noticed": "Nobody was told of the release, and the alert waits for five minutes.",
    "actions": [
        ("Put the unit into the schema and refuse other ones", "Ada", "2030-01-31"),
        ("Alert on implausible values after two minutes", "Linus", "2030-01-15"),
    ],
}


def report(**changes: object) -> str:
    return complete(DRAFT, **(GOOD | changes))


def test_a_draft_tells_what_happened_in_order_and_each_thing_once() -> None:
    rows = [line for line in DRAFT.splitlines() if line.startswith(("| 1", "| 4"))]
    assert rows == [
        "| 18 | ModelInputInvalid fires |",
        "| 18 | email: A/B |",
        "| 40 | response: fix_data |",
        "| 40 | the response is in effect |",
    ]


def test_a_draft_holds_the_impact_and_the_times_that_are_known() -> None:
    assert "- 12 rows were answered wrongly." in DRAFT
    assert "- Time to detect: 6 production minutes" in DRAFT
    assert "to diagnose" not in DRAFT


def test_a_draft_cannot_be_filed() -> None:
    assert gaps(DRAFT) == [
        f"{name}: a TODO is left." for name in ("Summary", "Root cause", "Why it was not noticed earlier", "Actions")
    ]


def test_a_complete_one_can_be_filed_and_keeps_its_timeline() -> None:
    assert gaps(report()) == []
    assert "| 18 | ModelInputInvalid fires |" in report()


def test_completing_twice_replaces_what_was_written_first() -> None:
    assert complete(report(summary="The first try."), **GOOD) == report()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"root_cause": "Human error: somebody changed the unit in a release."}, "blames a person"),
        ({"root_cause": "The accuracy of the model fell below the objective."}, "that is a symptom"),
        ({"root_cause": "A unit error."}, "a few words"),
        ({"actions": GOOD["actions"][:1]}, "name at least two"),
        ({"actions": [*GOOD["actions"], ("Be more careful", "everybody", "2030-01-31")]}, "owned by 'everybody'"),
        ({"actions": [*GOOD["actions"], ("Be more careful", "", "2030-01-31")]}, "owned by 'nobody'"),
        ({"actions": [*GOOD["actions"], ("Write a test", "Ada", "soon")]}, "is due 'soon'"),
        ({"summary": "TODO"}, "Summary: a TODO is left"),
    ],
)
def test_what_does_not_help_anybody_is_not_filed(changes: dict, said: str) -> None:
    assert said in gaps(report(**changes))[0]


def test_a_text_without_the_sections_says_which() -> None:
    assert "The section 'Impact' is missing." in gaps("# Postmortem\n\nIt broke, we fixed it.\n")
