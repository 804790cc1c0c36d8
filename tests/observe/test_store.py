"""What the store has acknowledged is there, whatever happens to the process; labels get an answer each."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from labkit.clock import Clock, wait_until
from labkit.errors import InputError, LabError
from labkit.observe.store import PredictionStore

FEATURES = ("length", "width")
ROWS = np.array([[5.1, np.nan], [4.9, 0.2]])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictions.db"


@pytest.fixture
def store(path):
    with opened(path) as store:
        yield store


def opened(path, **options) -> PredictionStore:
    return PredictionStore(path, options.pop("features", FEATURES), clock=Clock(60), **options)


def append(store, request_id, version="v1", rows=ROWS):
    store.append(request_id, "iris", version, rows, ["a", "b"][: len(rows)], [0.9, 0.6][: len(rows)])


def test_a_labelled_request_comes_back_with_a_line_for_each_row(store):
    before = time.time()
    append(store, "r1")
    store.label("r1", ["a", "c"])

    frame = store.labelled()

    assert before <= frame["predicted_at"][0] <= frame["labelled_at"][0] <= time.time()
    expected = pd.DataFrame(
        {
            "request_id": ["r1", "r1"],
            "row": [0, 1],
            "model_version": ["v1", "v1"],
            "length": [5.1, 4.9],
            "width": [np.nan, 0.2],
            "predicted": ["a", "b"],
            "confidence": [0.9, 0.6],
            "label": ["a", "c"],
        }
    )
    pd.testing.assert_frame_equal(frame.drop(columns=["predicted_at", "labelled_at"]), expected)
    assert list(frame.columns)[3:5] == ["predicted_at", "labelled_at"]


def test_rows_without_labels_are_predictions_only(store):
    append(store, "r1")
    append(store, "r2")
    store.label("r2", ["a", "b"])

    assert store.labelled()["request_id"].tolist() == ["r2", "r2"]
    predictions = store.predictions()
    assert predictions["request_id"].tolist() == ["r1", "r1", "r2", "r2"]
    assert predictions["label"].isna().tolist() == [True, True, False, False]
    assert predictions["labelled_at"].isna().tolist() == [True, True, False, False]


def test_an_empty_store_gives_empty_tables_with_the_same_columns(store):
    assert len(store.labelled()) == len(store.predictions()) == 0
    columns = list(store.predictions().columns)

    append(store, "r1")

    assert list(store.predictions().columns) == columns
    assert store.predictions()["row"].tolist() == [0, 1]


def test_labels_that_come_twice_late_or_wrong_have_their_answer(store):
    append(store, "r1")

    outcomes = [
        store.label(*arguments).outcome
        for arguments in (
            ("nobody", ["a"]),
            ("r1", ["a"]),
            ("r1", ["a", "c"]),
            ("r1", ["a", "c"]),
            ("r1", ["b", "c"]),
            ("r1", ["b", "c", "c"]),
        )
    ]

    assert outcomes == ["unknown", "wrong_count", "stored", "duplicate", "conflict", "wrong_count"]
    assert store.labelled()["label"].tolist() == ["a", "c"]


def test_a_label_says_which_version_answered_and_what(store):
    append(store, "r1", version="v7")

    results = [store.label("r1", ["a", "c"]) for _ in range(2)]

    assert [(result.model_version, result.predictions) for result in results] == [("v7", ("a", "b"))] * 2
    assert store.label("nobody", ["a"]).model_version is None


def test_rows_are_chosen_by_version_and_by_the_time_of_prediction_or_label(store):
    append(store, "r1")
    append(store, "r2", version="v2")
    between = time.time()
    append(store, "r3")
    store.label("r3", ["a", "a"])
    store.label("r2", ["a", "a"])
    labelled_r3 = time.time()
    store.label("r1", ["a", "a"])

    def chosen(**choice):
        return store.labelled(**choice)["request_id"].drop_duplicates().tolist()

    assert chosen() == ["r1", "r2", "r3"]
    assert chosen(since=between) == ["r3"]
    assert chosen(until=between) == ["r1", "r2"]
    assert chosen(model_version="v2") == ["r2"]
    assert chosen(until=labelled_r3, by="labelled_at") == ["r2", "r3"]
    assert chosen(since=labelled_r3, by="labelled_at", model_version="v1") == ["r1"]
    with pytest.raises(InputError, match="predicted_at or labelled_at"):
        chosen(by="label; DROP TABLE requests")


def test_the_limit_keeps_the_last_rows(store):
    for n in range(5):
        append(store, f"r{n}")

    last = store.predictions(limit=3)

    assert list(zip(last["request_id"], last["row"], strict=True)) == [("r3", 1), ("r4", 0), ("r4", 1)]
    assert last.index.tolist() == [0, 1, 2]
    assert store.predictions(since=time.time()).empty


def test_counts_tell_requests_rows_and_what_is_labelled(store):
    append(store, "r1")
    append(store, "r2", rows=ROWS[:1])
    store.label("r2", ["a"])

    assert store.counts() == {"requests": 2, "rows": 3, "labelled_requests": 1, "labelled_rows": 1}

    store.clear()
    assert set(store.counts().values()) == {0}


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros((2, 3)), ["a", "b"], [0.5, 0.5]),
        (ROWS, ["a"], [0.5]),
        (ROWS, ["a", "b"], [0.5]),
        (np.zeros((0, 2)), [], []),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(store, arguments):
    with pytest.raises(InputError):
        store.append("r1", "iris", "v1", *arguments)

    assert store.counts()["requests"] == 0


def test_a_request_id_is_stored_once(store):
    append(store, "r1")

    with pytest.raises(InputError, match="r1"):
        append(store, "r1", version="v2")

    assert store.predictions()["model_version"].tolist() == ["v1", "v1"]


def test_a_new_process_finds_everything(path):
    with opened(path) as store:
        append(store, "r1")

    with opened(path) as store:
        assert store.label("r1", ["a", "b"]).outcome == "stored"


def test_a_reader_follows_the_writer_and_cannot_write(path, store):
    append(store, "r1")
    with opened(path, read_only=True) as reader:
        append(store, "r2")

        assert reader.counts()["requests"] == 2
        with pytest.raises(LabError):
            append(reader, "r3")
        assert store.counts()["requests"] == 2


def test_a_reader_does_not_create_a_store(path):
    with pytest.raises(LabError, match="cannot be used"):
        opened(path, read_only=True)

    assert not path.exists()


def test_only_the_owner_can_read_the_files_whatever_the_umask(path):
    path.touch(mode=0o644)
    umask = os.umask(0)
    try:
        with opened(path) as store:
            append(store, "r1")
            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
            assert len(list(path.parent.iterdir())) == 3
    finally:
        os.umask(umask)

    assert modes == {0o600}


WRITER = """
import sys
import numpy as np
from labkit.clock import Clock, wait_until
from labkit.observe.store import PredictionStore

store = PredictionStore(sys.argv[1], ["length", "width"], clock=Clock(60))
for n in range(1_000_000):
    store.append(f"r{n}", "iris", "v1", np.full((2, 2), float(n)), ["a", "b"], [0.9, 0.6])
    if n % 2:
        store.label(f"r{n}", ["a", "a"])
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
"""


def test_what_was_acknowledged_survives_kill_9(path):
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        acknowledged = [int(writer.stdout.readline()) for _ in range(700)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += map(int, writer.stdout.read().split("\n")[:-1])

    with opened(path) as store:
        frame = store.predictions()
        labelled = set(store.labelled()["request_id"])

    found = set(frame["request_id"])
    assert {f"r{n}" for n in acknowledged} <= found
    assert {f"r{n}" for n in acknowledged if n % 2} <= labelled
    assert len(found) <= len(acknowledged) + 1
    assert (frame["length"] == frame["request_id"].str[1:].astype(float)).all()


def test_threads_share_a_store(store):
    def write(name):
        for n in range(50):
            append(store, f"{name}-{n}")
            store.label(f"{name}-{n}", ["a", "b"])

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.counts() == {"requests": 400, "rows": 800, "labelled_requests": 400, "labelled_rows": 800}


def test_old_requests_are_pruned_in_production_time(path):
    # 6 production seconds are 100 ms of lab time.
    with opened(path, retention="6s") as store:
        for n in range(1_000):
            append(store, f"old{n}")
        old_until = time.time()
        wait_until(lambda: time.time() > old_until + 0.1, 5, "the retention to pass", every=0.01)
        for n in range(200):
            append(store, f"new{n}")

        assert store.predictions()["predicted_at"].min() > old_until
        assert store.label("old999", ["a", "b"]).outcome == "unknown"


def test_nothing_younger_than_the_retention_is_pruned(path):
    with opened(path, retention="1h") as store:
        for n in range(500):
            append(store, f"r{n}")

        assert store.counts()["requests"] == 500


def test_the_file_stops_growing_at_its_limit_and_keeps_the_newest(path):
    batch = np.random.default_rng(0).random((500, 2))
    with opened(path, max_bytes=1_000_000) as store:
        for n in range(600):
            store.append(f"r{n}", "iris", "v1", batch, ["a"] * 500, np.full(500, 0.5))
        size = path.stat().st_size
        kept = store.predictions()["request_id"].unique()

    # Between two looks at the size, 64 requests of about 16 kB can come in.
    assert 500_000 < size < 2_500_000
    assert kept[-1] == "r599"
    assert 10 < len(kept) < 200


def test_pruning_never_makes_one_request_wait_for_all_of_it(path):
    with opened(path) as store:
        for n in range(3_000):
            append(store, f"r{n}")
    with opened(path, retention="1ms") as store:
        left = []
        for n in range(64 + 2):
            append(store, f"s{n}")
            left.append(store.counts()["requests"])

    assert left[62] == 3_063
    assert [before - after for before, after in pairwise(left[62:])] == [511, 511, 511]


def damaged(path, how):
    with opened(path) as store:
        for n in range(200):
            append(store, f"r{n}")
    content = bytearray(path.read_bytes())
    if how == "not a database":
        content[:16] = b"something else.."
    elif how == "overwritten":
        content[4096 : len(content)] = b"\xa5" * (len(content) - 4096)
    elif how == "cut off":
        del content[4096 + 100 :]
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("how", ["not a database", "overwritten", "cut off"])
def test_a_damaged_file_is_named_with_a_remedy_and_left_as_it_is(path, how):
    content = damaged(path, how)

    with pytest.raises(LabError, match="damaged") as refused, opened(path) as store:
        store.predictions()

    assert f"mv {path} {path}.damaged" in refused.value.remedy
    assert path.read_bytes() == content


def test_another_programs_database_is_not_touched(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE diary (entry TEXT)")
    other.close()
    content = path.read_bytes()

    with pytest.raises(LabError, match="not a prediction store"):
        opened(path)

    assert path.read_bytes() == content


def test_a_store_of_other_features_is_not_misread(path):
    opened(path).close()

    with pytest.raises(LabError, match="holds the features"):
        opened(path, features=("width", "length"))


def test_a_missing_folder_and_a_folder_in_its_place_are_named(tmp_path):
    for path in (tmp_path / "nowhere" / "predictions.db", tmp_path):
        with pytest.raises(LabError, match="cannot be opened"):
            opened(path)


def test_a_file_with_a_strange_name_can_be_used(tmp_path):
    path = tmp_path / "what? #1 & 100%.db"

    with opened(path) as store:
        append(store, "r1")

    assert path.exists()


def test_a_service_that_only_writes_never_loads_pandas():
    code = "import sys, labkit.observe.metrics, labkit.observe.store; print('pandas' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
