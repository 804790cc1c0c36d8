"""Has the data moved? Compare rows with a reference, feature by feature: how surely, and by how much."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from labkit.errors import InputError
from labkit.observe.budget import Threshold, threshold
from labkit.observe.columns import columns_of, names_of
from labkit.observe.corrections import adjust
from labkit.observe.drift_dask import is_dask, summarize
from labkit.observe.measures import (
    Measures,
    measure_columns,
    measure_summary,
    outline,
    wasserstein_of_rows,
    wasserstein_of_summary,
)
from labkit.observe.sides import Categories, Numbers
from labkit.observe.summaries import Summary, grid_bounds
from labkit.observe.two_sample import ClassifierTest, classifier_test

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reference", "Scores"]

_SAMPLE = 10_000


class Scores(NamedTuple):
    """What one comparison found, an array ``(n_features,)`` each; of categories ``ks`` is Cramér's V."""

    ks: np.ndarray
    p_value: np.ndarray
    psi: np.ndarray


class Reference:
    """Rows that stand for how things should be, sorted once, to compare others with.

    ``rows`` is an array ``(n_rows, n_features)`` or a DataFrame, NaN a missing value; ``categorical`` names the columns
    that hold categories. All values are kept (each column sorted by itself), unlike in
    ``labkit.observe.reference.Reference``, which is the small yardstick that a model carries for its metrics.
    """

    def __init__(self, rows: Any, feature_names: Sequence[str] | None = None, categorical: Sequence[str] = ()) -> None:
        self.feature_names = names_of(rows, feature_names)
        self.categorical = frozenset(map(str, categorical))
        unknown = sorted(self.categorical - set(self.feature_names))
        if unknown:
            raise InputError(
                f"no column is named {', '.join(unknown)}", f"choose among {', '.join(self.feature_names)}"
            )
        columns = columns_of(rows, self.feature_names, self.categorical)
        self.n_rows = len(columns[0])
        chosen = np.random.default_rng(0).permutation(self.n_rows)[:_SAMPLE] if self.n_rows > _SAMPLE else slice(None)
        self._sample = [column[chosen].copy() for column in columns]
        self.features = [
            Categories(name, column) if name in self.categorical else Numbers(name, column)
            for name, column in zip(self.feature_names, columns, strict=True)
        ]

    def compare(
        self, current: Any, *, correction: str = "benjamini-hochberg", alpha: float = 0.01, min_effect: float = 0.15
    ) -> "pd.DataFrame":
        """Return one row per feature: how far ``current`` is from the reference, and whether that is drift.

        ``current`` is an array, a DataFrame, a ``Summary`` of chunks, or a Dask collection. Drift is what is both
        certain (``p_adjusted < alpha``) and large (a KS distance, or Cramér's V, of at least ``min_effect``): with many
        rows every difference is certain, and most are too small to matter. ``n_reference`` and ``n_current`` count the
        values that are there, ``missing`` those of ``current`` that are not. Raises InputError for no rows, other
        columns, other types, and a column without any value.
        """
        import pandas as pd

        found, distances = self._measure(current)
        p_adjusted = adjust(found.p_values, correction)
        numeric = np.array([name not in self.categorical for name in self.feature_names])
        return pd.DataFrame(
            {
                "feature": self.feature_names,
                "n_reference": [len(feature) for feature in self.features],
                "n_current": found.n_current,
                "missing": found.missing,
                "ks": np.where(numeric, found.effects, np.nan),
                "p_value": found.p_values,
                "p_adjusted": p_adjusted,
                "psi": found.psi(),
                "js": found.jensen_shannon(),
                "wasserstein": distances,
                "drifted": (p_adjusted < alpha) & (found.effects >= min_effect),
            }
        )

    def scores(self, current: Any) -> Scores:
        """Return distance, p-value and PSI of each feature without a table: what a check of many windows wants."""
        found, _ = measure_columns(self.features, columns_of(current, self.feature_names, self.categorical))
        return Scores(found.effects, found.p_values, found.psi())

    def summary(self, cells: int = 2_000) -> Summary:
        """Return an empty summary to ``update`` with chunks of rows: ``compare`` takes it like the rows themselves.

        The exact KS distance is at least the reported one, and larger by less than ``1 / cells + 1 / n_reference``.
        """
        numbers = [feature for feature in self.features if isinstance(feature, Numbers)]
        return Summary(
            self.feature_names, {each.name: grid_bounds(each.values, cells, each.bounds) for each in numbers}
        )

    def threshold(self, false_alarms_per_week: float, windows_per_day: float, *, n_current: int) -> Threshold:
        """Return the level that gives that many false alarms a week, for windows of ``n_current`` rows."""
        return threshold(
            false_alarms_per_week,
            windows_per_day,
            n_features=len(self.features),
            n_reference=self.n_rows,
            n_current=n_current,
        )

    def classifier_test(self, current: Any, *, confidence: float = 0.99, seed: int = 0) -> ClassifierTest:
        """Ask whether a classifier can tell ``current`` from the reference, all features jointly.

        At most 10,000 rows of each side are taken, drawn at random; categories count as numbers in alphabetical order.
        """
        columns = columns_of(current, self.feature_names, self.categorical)
        chosen = np.random.default_rng(seed).permutation(len(columns[0]))[:_SAMPLE]
        pairs = zip(self.features, self._sample, [column[chosen] for column in columns], strict=True)
        sides = zip(*(_as_numbers(feature, *both) for feature, *both in pairs), strict=True)
        return classifier_test(*map(np.column_stack, sides), confidence=confidence, seed=seed)

    def shares(self, current: Any) -> "pd.DataFrame":
        """Return the share of each category on both sides: columns feature, category, reference, current."""
        import pandas as pd

        rows = []
        for feature, column in zip(
            self.features, columns_of(current, self.feature_names, self.categorical), strict=True
        ):
            if isinstance(feature, Categories):
                side = feature.read(column)
                for name in sorted(feature.counter | side):
                    reference = feature.counter[name] / feature.counter.total()
                    rows.append((feature.name, name, reference, side[name] / side.total()))
        return pd.DataFrame(rows, columns=["feature", "category", "reference", "current"])

    def outlines(self, current: Any, bins: int = 30) -> list[dict[str, Any]]:
        """Return for each feature what a picture of both distributions needs: effect, and shares in equal bins."""
        columns = columns_of(current, self.feature_names, self.categorical)
        found, sides = measure_columns(self.features, columns)
        pairs = zip(self.features, sides, found.effects.tolist(), strict=True)
        return [{"effect": effect, **outline(feature, side, bins)} for feature, side, effect in pairs]

    def _measure(self, current: Any) -> tuple[Measures, list[float]]:
        if is_dask(current):
            current = summarize(self.summary(), current)
        if isinstance(current, Summary):
            bins = {feature.name: feature.bounds for feature in self.features if isinstance(feature, Numbers)}
            current.check_features(self.feature_names, bins)
            found = measure_summary(self.features, current)
            return found, [wasserstein_of_summary(feature, current) for feature in self.features]
        columns = columns_of(current, self.feature_names, self.categorical)
        found, sides = measure_columns(self.features, columns)
        return found, [wasserstein_of_rows(*both) for both in zip(self.features, sides, strict=True)]


def _as_numbers(feature: Numbers | Categories, *columns: np.ndarray) -> list[np.ndarray]:
    if isinstance(feature, Numbers):
        return list(columns)
    names = sorted({value for column in columns for value in column if value is not None})
    return [np.array([np.nan if value is None else names.index(value) for value in column]) for column in columns]
