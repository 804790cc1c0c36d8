"""Rows as checked columns: numbers or categories, and an error that names column and rule where they are neither."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from labkit.errors import InputError

__all__ = ["columns_of", "names_of"]


def names_of(rows: Any, feature_names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the names of the columns of an array ``(n_rows, n_features)`` or a DataFrame."""
    if hasattr(rows, "columns"):
        found = tuple(map(str, rows.columns))
        if feature_names is not None and set(feature_names) != set(found):
            _refuse_columns(tuple(feature_names), found)
        names = found if feature_names is None else tuple(map(str, feature_names))
    else:
        shape = np.shape(rows)
        if len(shape) != 2:
            raise InputError(f"rows have the shape {shape}, not (n_rows, n_features)", "pass one row per observation")
        names = tuple(f"feature_{i}" for i in range(shape[1])) if feature_names is None else tuple(feature_names)
        if len(names) != shape[1]:
            raise InputError(f"rows have {shape[1]} columns, and the features are {len(names)}: {', '.join(names)}")
    if len(set(names)) != len(names) or not names:
        raise InputError(f"feature names must be there and differ from each other: {', '.join(names)}")
    return names


def columns_of(rows: Any, names: Sequence[str], categorical: Iterable[str] = ()) -> list[np.ndarray]:
    """Return one array for each of ``names``: float64 with NaN for missing, or objects with None for missing.

    They are the caller's own, to sort in place: none shares its memory with ``rows``. Raises InputError for no rows,
    for other columns than ``names``, and for a column that breaks its rule.
    """
    categorical = set(categorical)
    if names_of(rows, names if hasattr(rows, "columns") else None) and np.shape(rows)[1] != len(names):
        raise InputError(
            f"rows have {np.shape(rows)[1]} columns, and the features are {len(names)}: {', '.join(names)}"
        )
    if not len(rows):
        raise InputError(
            f"there are no rows to compare, for any of {', '.join(names)}", "wait for traffic, or widen the window"
        )
    if not hasattr(rows, "columns"):
        rows = np.asarray(rows)
        if rows.dtype == np.float64 and not categorical:
            return list(_transposed(rows))
        columns = list(rows.T)
    else:
        by_name = dict(zip(map(str, rows.columns), range(rows.shape[1]), strict=True))
        columns = [rows.iloc[:, by_name[name]] for name in names]
    return [
        _categories(column) if name in categorical else _numbers(column, name)
        for name, column in zip(names, columns, strict=True)
    ]


def _transposed(rows: np.ndarray, block: int = 1024) -> np.ndarray:
    """Return columns one after the other in memory, copied in blocks that stay in the processor's cache."""
    columns = np.empty(rows.shape[::-1])
    for i in range(0, len(rows), block):
        columns[:, i : i + block] = rows[i : i + block].T
    return columns


def _refuse_columns(expected: tuple[str, ...], found: tuple[str, ...]) -> None:
    lacking, strange = set(expected) - set(found), set(found) - set(expected)
    parts = [f"lack {', '.join(sorted(lacking))}"] * bool(lacking) + [f"have {', '.join(sorted(strange))}"] * bool(
        strange
    )
    raise InputError(
        f"the columns differ from the reference's: they {' and '.join(parts)}", "select the reference's columns"
    )


def _numbers(column: Any, name: str) -> np.ndarray:
    dtype = getattr(column, "dtype", None)
    kind = getattr(dtype, "kind", "O")
    if kind in "fiu":
        return _as_float(column)
    if kind == "O":
        values = np.asarray(column, dtype=object)
        strange = next((value for value in values if not _is_number(value)), None)
        if strange is None:
            return np.array([np.nan if _is_missing(value) else float(value) for value in values])
        raise InputError(
            f"column {name} holds {type(strange).__name__}, and its rule is numbers",
            f"convert it, or pass categorical=[{name!r}]",
        )
    raise InputError(
        f"column {name} is of type {dtype}, and its rule is numbers", f"convert it, or pass categorical=[{name!r}]"
    )


def _as_float(column: Any) -> np.ndarray:
    if hasattr(column, "to_numpy"):
        return column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    return np.array(column, dtype=np.float64)


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ == "NAType" or bool(value != value)  # NaN alone differs from itself


def _is_number(value: object) -> bool:
    return _is_missing(value) or (isinstance(value, Real) and not isinstance(value, bool | np.bool_))


def _categories(column: Any) -> np.ndarray:
    values = np.asarray(column, dtype=object)
    return np.array([None if _is_missing(value) else str(value) for value in values], dtype=object)
