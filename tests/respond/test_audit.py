"""The audit log tells what happened, also after the process was killed, and to its owner only."""

import sqlite3

import pytest

from labkit.errors import LabError
from labkit.respond.audit import Audit

ALERTS = [{"fingerprint": "f1", "startsAt": "t1", "labels": {"alertname": "ModelAccuracyLow"}}]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "retraining.db"


@pytest.fixture
def audit(path):
    audit = Audit(path)
    yield audit
    audit.close()


def test_a_run_is_told_with_its_alerts_steps_and_end(audit):
    run_id = audit.begin("k1", ALERTS)
    with audit.step(run_id, "train") as details:
        details["n_rows"] = 400
    audit.finish(run_id, "rejected", "not_better: …", {"train": {"n_rows": 400}})

    run = audit.run(run_id)

    told = [run[name] for name in ("key", "alerts", "state", "result", "reason", "details")]
    assert told == ["k1", ALERTS, "finished", "rejected", "not_better: …", {"train": {"n_rows": 400}}]
    assert [(step["name"], step["details"]) for step in run["steps"]] == [("train", {"n_rows": 400})]
    assert run["received_at"] <= run["started_at"] <= run["steps"][0]["at"] <= run["finished_at"]


def test_another_connection_sees_a_step_as_soon_as_it_has_begun(audit, path):
    run_id = audit.begin("k1", ALERTS)
    with audit.step(run_id, "train"):
        other = Audit(path)
        (unfinished,) = other.unfinished()
        other.close()

    assert [step["name"] for step in unfinished["steps"]] == ["train"]


def test_the_details_of_a_step_that_fails_are_kept(audit):
    run_id = audit.begin("k1", ALERTS)
    with pytest.raises(ZeroDivisionError), audit.step(run_id, "train") as details:
        details["n_rows"] = 400
        _ = 1 / 0

    assert audit.run(run_id)["steps"][0]["details"] == {"n_rows": 400}


def test_a_skipped_run_has_a_reason_and_was_never_started(audit):
    run_id = audit.skip("k1", ALERTS, "cooldown")

    run = audit.run(run_id)
    assert (run["result"], run["reason"], run["started_at"]) == ("skipped", "cooldown", None)
    assert (audit.last_with_key("k1"), audit.started_since(0), audit.unfinished()) == (None, [], [])


def test_runs_are_listed_newest_last_and_limited_to_the_newest(audit):
    ids = [audit.begin(f"k{number}", ALERTS) for number in range(3)]

    assert [run["id"] for run in audit.runs(limit=2)] == ids[1:]


def test_an_unknown_run_is_none(audit):
    assert audit.run(7) is None


def test_only_its_owner_can_read_the_files(audit, path):
    audit.begin("k1", ALERTS)

    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
        "retraining.db": 0o600,
        "retraining.db-wal": 0o600,
        "retraining.db-shm": 0o600,
    }


def test_a_damaged_file_is_refused_and_left_alone(path):
    path.write_bytes(b"not a database, " * 100)

    with pytest.raises(LabError, match="move it away"):
        Audit(path)

    assert path.read_bytes().startswith(b"not a database")
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT * FROM runs")
