"""What the training data looked like: the yardstick that a model version carries with it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from labkit.errors import InputError

__all__ = ["Reference"]


@dataclass(frozen=True)
class Reference:
    """Summary of the rows that a model version was trained on.

    ``bounds`` are quantiles of each feature, rising, finite; they become the bounds of its histogram. ``cdf`` is the
    share of reference values at or below each bound, and at +Inf: one value more than ``bounds``, the last one 1.
    ``prediction_ratio`` is the share of each class among the model's predictions for the reference rows.
    """

    n_rows: int
    feature_names: tuple[str, ...]
    bounds: Mapping[str, tuple[float, ...]]
    cdf: Mapping[str, tuple[float, ...]]
    prediction_ratio: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.feature_names or not set(self.feature_names) == set(self.bounds) == set(self.cdf):
            raise InputError("a reference needs bounds and cdf for each of its features, and for no other")
        for name in self.feature_names:
            bounds, cdf = self.bounds[name], self.cdf[name]
            if not bounds or not _rises(bounds) or not all(map(math.isfinite, bounds)):
                raise InputError(f"the bounds of {name} are not finite and strictly rising")
            if len(cdf) != len(bounds) + 1 or sorted(cdf) != list(cdf) or cdf[0] < 0 or cdf[-1] != 1:
                raise InputError(f"the cdf of {name} does not rise from its first bound to 1 at +Inf")

    @classmethod
    def from_rows(
        cls,
        rows: np.ndarray,
        feature_names: Sequence[str],
        predictions: Iterable[str] | None = None,
        bins: int = 20,
    ) -> "Reference":
        """Summarise reference rows ``(n_rows, n_features)``; NaN is a missing value and is left out.

        ``predictions (n_rows,)`` are the model's own, not the labels. Raises InputError for a wrong shape or a feature
        without a finite value.
        """
        rows = np.asarray(rows, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(feature_names) or bins < 2:
            raise InputError(f"rows of shape {rows.shape} in {bins} bins do not fit {len(feature_names)} features")
        columns = {name: _finite(column, name) for name, column in zip(feature_names, rows.T, strict=True)}
        bounds = {name: _quantile_bounds(column, bins) for name, column in columns.items()}
        return cls(
            n_rows=len(rows),
            feature_names=tuple(feature_names),
            bounds=bounds,
            cdf={name: _shares_at(columns[name], bounds[name]) for name in columns},
            prediction_ratio={} if predictions is None else _class_shares(predictions),
        )

    def ks_distances(self, rows: np.ndarray) -> dict[str, float]:
        """Return per feature how far rows ``(n_rows, n_features)`` are from the reference, from 0 to 1.

        This is Kolmogorov and Smirnov's distance taken at the bounds only, as the rules in PromQL take it: at most the
        exact one, and less than it by no more than the largest share of either side in one bin. NaN where a feature has
        no finite value.
        """
        distances = {}
        for name, column in zip(self.feature_names, np.asarray(rows, dtype=np.float64).T, strict=True):
            values = np.sort(column[np.isfinite(column)])
            shares = _shares_at(values, self.bounds[name]) if len(values) else (math.nan,)
            distances[name] = float(np.max(np.abs(np.subtract(shares, self.cdf[name]))))
        return distances

    def to_dict(self) -> dict[str, Any]:
        """Return the reference as what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Reference":
        """Rebuild what ``to_dict`` gave, also after a way through JSON; raises InputError for anything else."""
        try:
            return cls(
                n_rows=int(data["n_rows"]),
                feature_names=tuple(data["feature_names"]),
                bounds={name: tuple(map(float, values)) for name, values in data["bounds"].items()},
                cdf={name: tuple(map(float, values)) for name, values in data["cdf"].items()},
                prediction_ratio={name: float(share) for name, share in data["prediction_ratio"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"this is not a reference: {error!r}") from error


def _rises(values: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(values))


def _finite(column: np.ndarray, name: str) -> np.ndarray:
    """Return the finite values of a column, sorted."""
    values = np.sort(column[np.isfinite(column)])
    if not len(values):
        raise InputError(f"the reference rows have no value for {name}", "leave the feature out, or fill it")
    return values


def _quantile_bounds(values: np.ndarray, bins: int) -> tuple[float, ...]:
    """Return the inner quantiles of sorted values, rounded to about 1/10,000 of their spread, each once."""
    quantiles = np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")
    spread = values[-1] - values[0]
    if spread > 0:
        # The spread decides, not the size: Unix times must keep their last digits.
        quantiles = np.round(quantiles, 4 - math.floor(math.log10(spread)))
    return tuple(np.unique(quantiles + 0.0).tolist())  # -0.0 becomes 0.0


def _shares_at(values: np.ndarray, bounds: Sequence[float]) -> tuple[float, ...]:
    at_or_below = np.searchsorted(values, bounds, side="right") / len(values)
    return (*at_or_below.tolist(), 1.0)


def _class_shares(predictions: Iterable[str]) -> dict[str, float]:
    names, counts = np.unique(np.asarray(list(predictions), dtype=str), return_counts=True)
    return dict(zip(names.tolist(), (counts / counts.sum()).tolist(), strict=True))
