"""The summary of a Dask collection: each worker counts its partitions, and small summaries travel."""

import copy
from typing import Any

from labkit.errors import InputError
from labkit.observe.summaries import Summary

__all__ = ["is_dask", "summarize"]

_FAN_IN = 8


def is_dask(rows: Any) -> bool:
    """Say whether rows are a Dask collection, without importing Dask."""
    return type(rows).__module__.split(".")[0] in ("dask", "dask_expr")


def summarize(empty: Summary, rows: Any) -> Summary:
    """Return the summary of a Dask DataFrame or Array, on the cluster of the current client if there is one.

    Partitions are counted without side effects: Dask repeats those of a worker that died, and nothing counts twice.
    """
    from dask import delayed

    if hasattr(rows, "rechunk"):
        if len(rows.shape) != 2:
            raise InputError(
                f"rows have the shape {rows.shape}, not (n_rows, n_features)", "pass one row per observation"
            )
        rows = rows.rechunk({1: -1})
    partitions = rows.to_delayed()
    grid = delayed(empty)
    level = [delayed(_updated)(grid, partition) for partition in getattr(partitions, "flat", partitions)]
    while len(level) > 1:
        level = [delayed(_merged)(level[i : i + _FAN_IN]) for i in range(0, len(level), _FAN_IN)]
    return level[0].compute()


def _updated(empty: Summary, rows: Any) -> Summary:
    return copy.deepcopy(empty).update(rows)


def _merged(summaries: list[Summary]) -> Summary:
    first, *others = summaries
    for other in others:
        first = first.merge(other)
    return first
