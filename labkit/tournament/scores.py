"""From alarms to a table: how late, how often missed, how often false, at what cost."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from labkit.simulate.scenarios import CATALOGUE, Scenario, scenario
from labkit.tournament.detector import Detector
from labkit.tournament.streams import draw_stream

__all__ = ["QUIET", "Run", "delay_minutes", "episodes", "play", "scores", "visible"]

QUIET = ("steady", "seasonal")
"""The scenarios in which nothing is wrong: every alarm is false."""

_WARM_UP = 60
_HORIZON = 120
_DAY = 1440
_HOUR = 60


@dataclass(frozen=True)
class Run:
    """One detector on one stream: minutes from the onset to the alarm (infinite when missed), false alarms of a day."""

    detector: str
    watches: str
    scenario: str
    seed: int
    delay_minutes: float
    false_alarms: float
    seconds_per_minute: float


def visible(entry: Scenario) -> bool:
    """Say whether a scenario changes rows or their meaning: slow answers and refused requests are other rules' work."""
    return bool(entry.features) or entry.harms_accuracy


def play(detectors: Iterable[Detector], scenarios: Sequence[str], seeds: int, first_seed: int = 1) -> list[Run]:
    """Run every detector over every scenario and seed.

    In a quiet scenario a run is a day. Otherwise the onset lies one to two hours after the start, and a detector has
    two hours for its alarm.
    """
    runs = []
    detectors = tuple(detectors)
    for name in scenarios:
        for number in range(seeds):
            runs += _play_once(detectors, scenario(name), first_seed + number, number)
    return runs


def _play_once(detectors: Sequence[Detector], entry: Scenario, seed: int, number: int) -> list[Run]:
    quiet = entry.name in QUIET
    onset = _WARM_UP if quiet else _WARM_UP + 7 * seed % 60
    stream = draw_stream(entry, _WARM_UP + _DAY if quiet else onset + _HORIZON, 0 if quiet else onset, seed)
    runs = []
    for detector in detectors:
        if detector.max_seeds is not None and number >= detector.max_seeds:
            continue
        started = time.process_time()
        alarms = detector.alarms(stream)[onset:]
        seconds = (time.process_time() - started) / stream.n_minutes
        late, false = (np.nan, episodes(alarms)) if quiet else (delay_minutes(alarms), np.nan)
        runs.append(Run(detector.name, detector.watches, entry.name, seed, late, false, seconds))
    return runs


def delay_minutes(alarms: np.ndarray) -> float:
    """Return the minutes from the onset, the first minute of ``alarms``, to the end of the first with an alarm."""
    return float(np.argmax(alarms) + 1) if alarms.any() else np.inf


def episodes(alarms: np.ndarray) -> int:
    """Count alarms, one an hour at most: what comes within an hour of one that was counted belongs to it."""
    counted, last = 0, -_HOUR
    for minute in np.flatnonzero(alarms):
        if minute - last >= _HOUR:
            counted, last = counted + 1, minute
    return counted


def scores(runs: Sequence[Run]) -> pd.DataFrame:
    """Sum runs up: a line per detector and scenario, in the order of the catalogue.

    Columns: detector, watches, scenario, seeds, delay_median and delay_p90 (minutes, a miss counts as infinite),
    missed_ratio, false_alarms_per_day (in quiet scenarios), milliseconds_per_minute (processor time).
    """
    frame = pd.DataFrame([asdict(run) for run in runs])
    order = {name: place for place, name in enumerate(CATALOGUE)}
    rank = {name: place for place, name in enumerate(frame["detector"].unique())}
    table = (
        frame.groupby(["detector", "watches", "scenario"], sort=False)
        .agg(
            seeds=("seed", "size"),
            delay_median=("delay_minutes", lambda late: _quantile(late, 0.5)),
            delay_p90=("delay_minutes", lambda late: _quantile(late, 0.9)),
            missed_ratio=("delay_minutes", lambda late: np.isinf(late).mean() if late.notna().all() else np.nan),
            false_alarms_per_day=("false_alarms", "mean"),
            milliseconds_per_minute=("seconds_per_minute", lambda each: 1000 * each.mean()),
        )
        .reset_index()
    )
    place = table["scenario"].map(order) + table["detector"].map(rank) * len(order)
    return table.loc[place.sort_values().index].reset_index(drop=True)


def _quantile(late: pd.Series, level: float) -> float:
    """Return the smallest delay within which that share of runs alarmed; infinite delays are delays too."""
    return np.nan if late.isna().any() else float(np.quantile(late, level, method="inverted_cdf"))
