"""Has the data moved? Compare rows with a reference, feature by feature: how surely, and by how much."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from labkit.errors import InputError
from labkit.observe.columns import columns_of, names_of
from labkit.observe.corrections import adjust
from labkit.observe.distances import chi_square, jensen_shannon, psi, psi_bounds, wasserstein
from labkit.observe.ks import ks_distance, ks_p_values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reference", "Scores"]


class Scores(NamedTuple):
    """What one comparison found, an array ``(n_features,)`` each; of categories ``ks`` is Cramér's V."""

    ks: np.ndarray
    p_value: np.ndarray
    psi: np.ndarray


class Reference:
    """Rows that stand for how things should be, sorted once, to compare others with.

    ``rows`` is an array ``(n_rows, n_features)`` or a DataFrame, NaN a missing value; ``categorical`` names the columns
    that hold categories. The rows themselves are kept (sorted, each column by itself), unlike in
    ``labkit.observe.reference.Reference``, which is the small yardstick that a model carries for its metrics.
    """

    def __init__(self, rows: Any, feature_names: Sequence[str] | None = None, categorical: Sequence[str] = ()) -> None:
        self.feature_names = names_of(rows, feature_names)
        self.categorical = frozenset(map(str, categorical))
        if self.categorical - set(self.feature_names):
            raise InputError(f"no column is named {', '.join(sorted(self.categorical - set(self.feature_names)))}")
        self.n_rows = len(rows)
        columns = columns_of(rows, self.feature_names, self.categorical)
        self._sides = self._sorted(columns, "reference")
        self._categories = [
            np.unique(values).tolist() if self._is_categorical(i) else [] for i, values in enumerate(self._sides)
        ]
        for name, categories in zip(self.feature_names, self._categories, strict=True):
            if name in self.categorical and len(categories) < 2:
                raise InputError(
                    f"column {name} has the single class {categories[0]!r}; the rule is two or more",
                    "leave the column out",
                )
        self._bounds = [
            np.array([]) if self._is_categorical(i) else psi_bounds(values) for i, values in enumerate(self._sides)
        ]
        self._counts = [self._count(i, values) for i, values in enumerate(self._sides)]

    def compare(
        self, current: Any, *, correction: str = "benjamini-hochberg", alpha: float = 0.01, min_effect: float = 0.15
    ) -> "pd.DataFrame":
        """Return one row per feature: how far ``current`` is from the reference, and whether that is drift.

        Drift is what is both certain (``p_adjusted < alpha``) and large (a KS distance, or Cramér's V, of at least
        ``min_effect``): with many rows every difference is certain, and most are too small to matter. ``n_reference``
        and ``n_current`` count the values that are there, ``missing`` those of ``current`` that are not. Raises
        InputError for no rows, other columns, other types, and a column without any value.
        """
        import pandas as pd

        sides = self._sides_of(current)
        effects, p_values, counts = self._tests(sides)
        p_adjusted = adjust(p_values, correction)
        numeric = np.array([not self._is_categorical(i) for i in range(len(sides))])
        return pd.DataFrame(
            {
                "feature": self.feature_names,
                "n_reference": [len(values) for values in self._sides],
                "n_current": [len(values) for values in sides],
                "missing": [len(current) - len(values) for values in sides],
                "ks": np.where(numeric, effects, np.nan),
                "p_value": p_values,
                "p_adjusted": p_adjusted,
                "psi": [float(psi(a, b)) for a, b in counts],
                "js": [float(jensen_shannon(a, b)) for a, b in counts],
                "wasserstein": [
                    np.nan if self._is_categorical(i) else wasserstein(a, b)
                    for i, (a, b) in enumerate(zip(self._sides, sides, strict=True))
                ],
                "drifted": (p_adjusted < alpha) & (effects >= min_effect),
            }
        )

    def scores(self, current: Any) -> Scores:
        """Return distance, p-value and PSI of each feature without a table: what a check of many windows wants."""
        effects, p_values, counts = self._tests(self._sides_of(current))
        return Scores(effects, p_values, np.array([float(psi(a, b)) for a, b in counts]))

    def _is_categorical(self, i: int) -> bool:
        return self.feature_names[i] in self.categorical

    def _sides_of(self, current: Any) -> list[np.ndarray]:
        return self._sorted(columns_of(current, self.feature_names, self.categorical), "current")

    def _sorted(self, columns: list[np.ndarray], side: str) -> list[np.ndarray]:
        result = []
        for i, column in enumerate(columns):
            if self._is_categorical(i):
                values = column[np.array([value is not None for value in column])]
            else:
                values = np.sort(column)
                if np.isnan(values[-1]):
                    values = values[: values.searchsorted(np.nan)]
            if not len(values):
                raise InputError(
                    f"column {self.feature_names[i]} of the {side} rows is all missing; the rule is at least one value",
                    "leave the column out, or mend what fills it",
                )
            result.append(values)
        return result

    def _count(self, i: int, values: np.ndarray) -> np.ndarray:
        if self._is_categorical(i):
            return np.array([np.count_nonzero(values == category) for category in self._categories[i]])
        return np.diff(values.searchsorted(self._bounds[i], side="right"), prepend=0, append=len(values))

    def _tests(self, sides: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        effects, p_values, counts = np.empty(len(sides)), np.empty(len(sides)), []
        numeric = [i for i in range(len(sides)) if not self._is_categorical(i)]
        for i, values in enumerate(sides):
            if self._is_categorical(i):
                counts.append(self._both_counts(i, values))
                test = chi_square(*counts[-1])
                effects[i], p_values[i] = test.cramers_v, test.p_value
            else:
                counts.append((self._counts[i], self._count(i, values)))
                effects[i] = ks_distance(self._sides[i], values)
        p_values[numeric] = ks_p_values(
            effects[numeric], [self._sides[i] for i in numeric], [sides[i] for i in numeric]
        )
        return effects, p_values, counts

    def _both_counts(self, i: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count the reference's categories, and after them those that only ``values`` have."""
        new = sorted(set(values.tolist()) - set(self._categories[i]))
        current = [*self._count(i, values), *(np.count_nonzero(values == category) for category in new)]
        return np.append(self._counts[i], np.zeros(len(new), dtype=int)), np.array(current)
