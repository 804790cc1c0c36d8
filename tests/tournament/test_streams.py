"""Streams are what the lab's traffic sends, without the servers."""

import numpy as np
import pytest

from labkit.simulate.scenarios import scenario
from labkit.tournament.streams import draw_stream


def test_a_minute_has_a_hundred_rows_as_a_second_of_the_lab_has() -> None:
    stream = draw_stream(scenario("steady"), 300, 0, seed=1)
    assert len(stream.rows) / 300 == pytest.approx(100, rel=0.05)
    assert sorted(set(stream.minute)) == list(range(300))


def test_the_same_seed_draws_the_same_rows_and_another_one_others() -> None:
    first, again, other = (draw_stream(scenario("unit_error"), 20, 10, seed).rows for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:100], other[:100])


def test_nothing_is_wrong_before_the_onset() -> None:
    stream = draw_stream(scenario("unit_error"), 40, 20, seed=1)
    late = stream.minute >= 20
    assert stream.rows[~late, 2].max() < 9 < stream.rows[late, 2].max()
    assert stream.correct[~late].mean() > 0.95
    assert stream.correct[late].mean() < 0.5


def test_labels_arrive_five_to_ten_minutes_after_their_rows() -> None:
    stream = draw_stream(scenario("steady"), 200, 0, seed=1)
    delays = stream.labelled_minute - stream.minute
    assert (delays.min(), delays.max()) == (5, 10)


def test_a_ramp_grows_from_minute_to_minute() -> None:
    stream = draw_stream(scenario("sensor_drift"), 80, 40, seed=1)
    means = [stream.rows[stream.minute == minute, 3].mean() for minute in (39, 55, 75)]
    assert means[0] + 0.5 < means[1] < means[2] - 0.5


@pytest.mark.parametrize(("name", "share"), [("no_traffic", 0.0), ("bad_requests", 0.7)])
def test_what_cannot_be_read_brings_no_rows(name: str, share: float) -> None:
    stream = draw_stream(scenario(name), 200, 100, seed=1)
    after, before = (stream.minute >= 100).sum(), (stream.minute < 100).sum()
    assert after / before == pytest.approx(share, abs=0.1)
