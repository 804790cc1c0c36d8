"""Detectors say when they alarm; their statistics are those of scipy, labkit's metrics, and the rules."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import ks_2samp

from labkit.simulate.scenarios import scenario
from labkit.tournament import detectors, missing
from labkit.tournament.exact import FALSE_ALARMS_PER_WEEK, MARGIN, exact_detector, exact_distances, limit
from labkit.tournament.libraries import looks
from labkit.tournament.rules import binned_distances, prediction_distances, rule_limit
from labkit.tournament.streams import Stream, draw_stream, world
from labkit.tournament.windows import held_for, window_sums


@pytest.fixture
def stream() -> Stream:
    """Half an hour as usual, then half an hour of a shift in all features."""
    return draw_stream(scenario("class_shift"), 60, 30, seed=3)


def rows_of(stream: Stream, minute: int, length: int) -> np.ndarray:
    return stream.rows[(stream.minute <= minute) & (stream.minute > minute - length)]


@pytest.mark.parametrize("minute", [0, 29, 34, 59])
@pytest.mark.parametrize("length", [1, 5, 60])
def test_the_distance_of_every_window_is_scipys_to_the_last_bit(stream: Stream, minute: int, length: int) -> None:
    window = rows_of(stream, minute, length)
    expected = [
        ks_2samp(reference, current, method="asymp").statistic
        for reference, current in zip(world().rows.T, window.T, strict=True)
    ]
    assert exact_distances(stream, (length,))[length][minute].tolist() == expected


def test_the_binned_distance_is_that_of_labkits_metrics(stream: Stream) -> None:
    expected = world().reference.ks_distances(rows_of(stream, 45, 60))
    assert dict(zip(expected, binned_distances(stream)[45], strict=True)) == pytest.approx(expected, abs=1e-12)


def test_a_share_of_missing_values_is_a_distance() -> None:
    stream = draw_stream(scenario("missing_values"), 40, 20, seed=1)
    missing = np.isnan(rows_of(stream, 39, 15)[:, 1]).mean()
    assert exact_distances(stream, (15,))[15][39, 1] == pytest.approx(missing)
    assert missing > 0.3


def test_the_distance_of_answers_is_half_of_what_all_classes_moved(stream: Stream) -> None:
    now = np.bincount(stream.predicted, minlength=3) / len(stream.predicted)
    usual = np.array([world().reference.prediction_ratio[name] for name in ("setosa", "versicolor", "virginica")])
    assert prediction_distances(stream)[59] == pytest.approx(np.abs(now - usual).sum() / 2)


def test_the_limit_adds_chance_to_the_margin() -> None:
    alpha = FALSE_ALARMS_PER_WEEK / 1000
    chance = np.sqrt(-np.log(alpha / 2) / 2) * np.sqrt(1 / 500 + 1 / 10_000)
    assert limit(np.array([500]), 1000) == pytest.approx(MARGIN + chance)


def test_a_handful_of_rows_never_alarms() -> None:
    assert np.isinf(limit(np.array([0, 10]), 1000)).all()


def test_the_rules_limit_is_the_one_that_the_rules_file_states() -> None:
    assert rule_limit(np.array([100, 6000])).tolist() == pytest.approx([2.47 * np.sqrt(1 / 100 + 1 / 10_000), 0.15])


def test_a_condition_must_hold_without_a_break() -> None:
    condition = np.array([0, 1, 1, 1, 0, 1, 1, 1, 1, 1], dtype=bool)
    assert np.flatnonzero(held_for(condition, 2)).tolist() == [3, 7, 8, 9]


def test_a_window_in_the_beginning_holds_what_there_is() -> None:
    assert window_sums(np.array([1, 2, 3, 4]), 2).tolist() == [1, 3, 5, 7]


def test_nobody_alarms_without_rows() -> None:
    silent = draw_stream(scenario("no_traffic"), 10, 0, seed=1)
    assert [each.name for each in detectors() if each.alarms(silent).any()] == []


@pytest.mark.parametrize(
    ("name", "detector"),
    [
        ("unit_error", "ModelInputInvalid"),
        ("class_shift", "ModelInputDrift"),
        ("class_shift", "ModelPredictionDrift"),
        ("concept_shift", "ModelAccuracyLow"),
        ("concept_shift", "ADWIN on answers"),
        ("unit_error", "Page-Hinkley, tuned"),
        ("unit_error", "ADWIN"),
        ("unit_error", "KSWIN"),
        ("class_shift", "PSI > 0.2"),
        ("class_shift", "KS, p < 0.05"),
    ],
)
def test_each_detector_notices_what_it_is_made_for(name: str, detector: str) -> None:
    if detector not in [each.name for each in detectors()]:
        pytest.skip("river is not installed")
    stream = draw_stream(scenario(name), 120, 60, seed=1)
    assert detectors([detector])[0].alarms(stream)[60:].any()


def test_libraries_that_are_not_installed_are_named_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("streaming", "libraries"):
        monkeypatch.setattr(f"labkit.tournament.{module}.find_spec", lambda _name: None)
    assert missing() == ("river", "alibi-detect", "Evidently", "NannyML")
    assert not {"ADWIN", "Evidently"} & {each.name for each in detectors()}


def test_a_library_looks_at_the_last_hour_four_times_an_hour_and_never_at_missing_values(stream: Stream) -> None:
    seen: list[np.ndarray] = []

    def prepare(reference: np.ndarray) -> Callable[[np.ndarray], bool]:
        assert reference is world().rows
        return lambda rows: seen.append(rows) or len(seen) == 4

    stream.rows[0, 0] = np.nan
    assert np.flatnonzero(looks(prepare)(stream)).tolist() == [59]
    assert [len(rows) for rows in seen] == [len(rows_of(stream, minute, 60)) - 1 for minute in (14, 29, 44, 59)]


def test_nobody_sees_a_new_meaning_in_the_inputs() -> None:
    stream = draw_stream(scenario("concept_shift"), 150, 60, seed=1)
    assert not exact_detector().alarms(stream).any()
