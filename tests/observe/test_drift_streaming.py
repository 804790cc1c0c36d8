"""Detectors of streams: one protocol, drift found after it began, nothing said before."""

import sys

import numpy as np
import pytest

from labkit.errors import ConfigurationError, InputError
from labkit.observe.drift import Reference
from labkit.observe.streaming import ADWIN, PageHinkley, WindowedTest

STREAM = np.concatenate([np.random.default_rng(0).normal(0, 1, 1_000), np.random.default_rng(1).normal(2, 1, 1_000)])


def detectors() -> dict:
    reference = Reference(np.random.default_rng(2).normal(size=(20_000, 1)))
    return {
        "page-hinkley": PageHinkley(delta=0.5, threshold=30.0),
        "adwin": ADWIN(),
        "windows": WindowedTest(reference, size=200),
    }


@pytest.mark.parametrize("name", detectors())
def test_a_detector_is_silent_before_the_change_and_speaks_soon_after(name: str) -> None:
    detector = detectors()[name]
    found = [i for i, value in enumerate(STREAM.tolist()) if detector.update(value)]
    assert 1_000 <= found[0] < 1_250


@pytest.mark.parametrize("detector", [PageHinkley, ADWIN])
def test_missing_and_infinite_values_are_counted_and_change_nothing(detector: type) -> None:
    plain, spoilt = detector(), detector()
    expected = [plain.update(value) for value in STREAM.tolist()]
    found = [[spoilt.update(value), spoilt.update(np.nan), spoilt.update(np.inf)][0] for value in STREAM.tolist()]
    assert found == expected
    assert spoilt.skipped == 4_000


@pytest.mark.parametrize("value", ["1.0", True, [1.0], None])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="one number at a time"):
        ADWIN().update(value)


def test_without_river_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(ConfigurationError, match=r"labkit\[streaming\]"):
        ADWIN()


def test_sliding_windows_are_tested_every_so_many_rows_and_leave_their_report() -> None:
    reference = Reference(np.random.default_rng(2).normal(size=(20_000, 2)))
    window = WindowedTest(reference, size=100, every=10)
    rows = np.random.default_rng(3).normal([0, 3], size=(150, 2))
    found = [i for i, row in enumerate(rows) if window.update(row)]
    assert found == [99, 109, 119, 129, 139, 149]
    assert window.report["drifted"].tolist() == [False, True]


def test_a_row_of_another_width_is_refused() -> None:
    window = WindowedTest(Reference(np.zeros((5, 2))), size=3)
    with pytest.raises(InputError, match="1 values, and the features are 2"):
        window.update(1.0)
