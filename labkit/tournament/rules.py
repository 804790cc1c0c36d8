"""The lab's rules in PromQL, played in NumPy, and two rules of thumb from elsewhere."""

from functools import cache

import numpy as np

from labkit.model.iris import SCHEMA
from labkit.tournament.detector import Detector
from labkit.tournament.exact import exact_distances
from labkit.tournament.streams import Stream, world
from labkit.tournament.windows import cells_of, held_for, shares, totals, window_sums

__all__ = ["RULES", "binned_distances", "prediction_distances", "rule_limit"]

_HOUR = 60


def binned_distances(stream: Stream, minutes: int = _HOUR) -> np.ndarray:
    """Return what ``model_feature:ks:distance_rate1h`` records, at each minute ``(n_minutes, n_features)``."""
    columns = []
    for column, name in enumerate(SCHEMA.feature_names):
        bounds, cdf = world().reference.bounds[name], np.array(world().reference.cdf[name])
        counts = window_sums(_bins(stream, column, np.array(bounds)), minutes)
        cumulative = np.cumsum(counts, axis=1)
        columns.append(np.abs(shares(cumulative, cumulative[:, -1]) - cdf).max(axis=1))
    return np.column_stack(columns)


def prediction_distances(stream: Stream) -> np.ndarray:
    """Return what ``model_version:prediction_shift:distance_rate1h`` records, at each minute ``(n_minutes,)``."""
    usual = np.array([world().reference.prediction_ratio[name] for name in SCHEMA.class_names])
    counts = window_sums(cells_of(stream.predicted, stream.minute, stream.n_minutes, len(usual)), _HOUR)
    return 0.5 * np.abs(shares(counts, counts.sum(axis=1)) - usual).sum(axis=1)


def rule_limit(n_rows: np.ndarray) -> np.ndarray:
    """Return the limit of both rules: ``clamp_min(2.47 * sqrt(1/n + 1/m), 0.15)``."""
    return np.maximum(2.47 * np.sqrt(1 / np.maximum(n_rows, 1) + 1 / len(world().rows)), 0.15)


def _input_drift(stream: Stream) -> np.ndarray:
    n = totals(stream.minute, stream.n_minutes, _HOUR)
    beyond = (binned_distances(stream) > rule_limit(n)[:, np.newaxis]) & (n >= 500)[:, np.newaxis]
    return held_for(beyond.any(axis=1), 5)


def _prediction_drift(stream: Stream) -> np.ndarray:
    n = totals(stream.minute, stream.n_minutes, _HOUR)
    return held_for(prediction_distances(stream) > rule_limit(n), 5)


def _input_invalid(stream: Stream) -> np.ndarray:
    low, high = np.array([SCHEMA.plausible_ranges[name] for name in SCHEMA.feature_names]).T
    bad = ~((stream.rows >= low) & (stream.rows <= high))
    n = totals(stream.minute, stream.n_minutes, 15)
    invalid = [window_sums(np.bincount(stream.minute[column], minlength=stream.n_minutes), 15) for column in bad.T]
    beyond = (shares(np.column_stack(invalid), n) > 0.05).any(axis=1) & (n >= 100)
    return held_for(beyond, 5)


def _accuracy_low(stream: Stream) -> np.ndarray:
    arrived = stream.labelled_minute < stream.n_minutes
    right = arrived & stream.correct
    n, n_right = (totals(stream.labelled_minute[which], stream.n_minutes, 15) for which in (arrived, right))
    return held_for((shares(n_right[:, np.newaxis], n)[:, 0] < 0.90) & (n >= 100), 5)


def _psi(stream: Stream) -> np.ndarray:
    found = np.zeros(stream.n_minutes, dtype=bool)
    for column in range(stream.rows.shape[1]):
        edges, expected = _deciles(column)
        counts = window_sums(_bins(stream, column, edges), _HOUR) + 0.5  # a half row in each bin: none is empty
        actual = counts / counts.sum(axis=1, keepdims=True)
        found |= ((actual - expected) * np.log(actual / expected)).sum(axis=1) > 0.2
    return found & (totals(stream.minute, stream.n_minutes, _HOUR) >= 500)


def _textbook(stream: Stream) -> np.ndarray:
    n = np.maximum(totals(stream.minute, stream.n_minutes, _HOUR), 1)
    limit = 1.358 * np.sqrt(1 / n + 1 / len(world().rows))  # 1.358 is sqrt(-ln(0.05 / 2) / 2)
    beyond = (exact_distances(stream, (_HOUR,))[_HOUR] > limit[:, np.newaxis]).any(axis=1)
    return beyond & (np.arange(1, stream.n_minutes + 1) % _HOUR == 0)


def _bins(stream: Stream, column: int, edges: np.ndarray) -> np.ndarray:
    values = stream.rows[:, column]
    cell = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left"))
    return cells_of(cell, stream.minute, stream.n_minutes, len(edges) + 1)


@cache
def _deciles(column: int) -> tuple[np.ndarray, np.ndarray]:
    values = world().rows[:, column]
    edges = np.unique(np.quantile(values, np.arange(1, 10) / 10))
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return edges, counts / len(values)


RULES = (
    Detector("ModelInputDrift", "inputs", "PromQL: binned KS over 1 h above 0.15, for 5 min", _input_drift),
    Detector("ModelInputInvalid", "inputs", "PromQL: over 5 % bad values in 15 min, for 5 min", _input_invalid),
    Detector(
        "ModelPredictionDrift", "answers", "PromQL: class shares over 1 h off by 0.15, for 5 min", _prediction_drift
    ),
    Detector("ModelAccuracyLow", "labels", "PromQL: accuracy of 15 min below 0.90, for 5 min", _accuracy_low),
    Detector("PSI > 0.2", "inputs", "rule of thumb: ten bins, sliding 1 h", _psi),
    Detector("KS, p < 0.05", "inputs", "textbook: one test per feature and hour, uncorrected", _textbook),
)
"""The rules as ``docker/prometheus/rules`` has them, evaluated once a minute, then the rules of thumb."""
