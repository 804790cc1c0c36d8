"""The two files by which traffic is told what to do and says what it did."""

import stat
from dataclasses import replace

import pytest

from labkit.errors import InputError
from labkit.simulate.control import Control, Status, read_control, read_status, seal, write_control, write_status


def test_what_is_asked_is_what_is_read(tmp_path):
    asked = Control("sensor_drift", rate=12.5, seed=4, running=True, onset=1_700_000_000.25)

    write_control(tmp_path / "control.json", asked)

    assert read_control(tmp_path / "control.json") == asked


def test_what_was_done_is_what_is_read(tmp_path):
    done = Status(running=True, scenario="seasonal", sent=7, late_seconds_p99=0.002, updated_at=1.5)

    write_status(tmp_path / "status.json", done)

    assert read_status(tmp_path / "status.json") == done


def test_nothing_is_asked_before_somebody_asks(tmp_path):
    assert read_control(tmp_path / "control.json") == Control(running=False)


def test_nothing_has_run_before_something_runs(tmp_path):
    assert read_status(tmp_path / "status.json") == Status(running=False, updated_at=0.0)


def test_only_the_owner_can_read_the_files_and_nothing_else_is_left(tmp_path):
    write_control(tmp_path / "control.json", Control())
    write_control(tmp_path / "control.json", Control(rate=3))

    assert [path.name for path in tmp_path.iterdir()] == ["control.json"]
    assert stat.S_IMODE((tmp_path / "control.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"rate": "fast"}', '{"rate": NaN}', '{"scenario": []}'])
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "control.json"
    path.write_text(text)

    with pytest.raises(InputError, match=r"control\.json is damaged"):
        read_control(path)


@pytest.mark.parametrize(
    "values",
    [
        {"rate": -1},
        {"rate": 1001},
        {"rate": float("nan")},
        {"rate": True},
        {"seed": -1},
        {"seed": 1.5},
        {"onset": float("inf")},
        {"onset": "now"},
        {"running": 1},
        {"scenario": "unknown"},
        {"sealed": "unit_error"},
        {"sealed": 7},
    ],
)
def test_impossible_wishes_are_refused_by_name(values):
    with pytest.raises(InputError, match=next(iter(values))):
        Control(**values)


def test_a_sealed_scenario_is_played_and_nowhere_written_in_plain_words(tmp_path):
    write_control(tmp_path / "control.json", Control(sealed=seal("unit_error")))

    assert read_control(tmp_path / "control.json").played == "unit_error"
    assert "unit_error" not in (tmp_path / "control.json").read_text()


def test_only_a_scenario_can_be_sealed():
    with pytest.raises(InputError, match="concept_shift"):
        seal("concept_drift")


def test_the_status_says_in_one_line_what_was_asked_and_what_was_achieved():
    status = Status(running=True, scenario="steady", asked_rate=20, achieved_rate=12.34, answered=1200, failed=3)

    assert "12.3 of 20 requests/s" in str(status)
    assert "3 failed" in str(status)
    assert str(replace(status, running=False)).startswith("no traffic")
