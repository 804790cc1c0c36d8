"""A log of JSON lines becomes a table."""

from pathlib import Path

from labkit.observe.log_file import read_log


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "model.log"
    path.write_text(text)
    return path


def test_each_line_is_a_row_with_its_fields(tmp_path: Path) -> None:
    line = '{"timestamp": "2026-01-02T03:04:05.5Z", "level": "info", "event": "predicted", "rows": 3}\n'
    table = read_log(write(tmp_path, line * 2))
    assert table["event"].tolist() == ["predicted", "predicted"]
    assert table["rows"].sum() == 6
    assert str(table["timestamp"][0]) == "2026-01-02 03:04:05.500000+00:00"


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    assert len(read_log(write(tmp_path, '{"event": "a"}\n{"event": "b"'))) == 1


def test_a_line_that_is_no_json_object_is_kept_as_it_is(tmp_path: Path) -> None:
    assert read_log(write(tmp_path, "out of memory\n3\n"))["event"].tolist() == ["out of memory", "3"]


def test_an_empty_log_has_its_columns(tmp_path: Path) -> None:
    assert list(read_log(write(tmp_path, ""))) == ["timestamp", "level", "event"]
