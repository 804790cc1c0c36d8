"""Chunks, and a cluster that loses a worker, give the report of the rows in one piece."""

import os
import signal

import numpy as np
import pandas as pd
import pytest

from labkit.errors import InputError
from labkit.observe.drift import Reference

EXACT = ["feature", "n_reference", "n_current", "missing", "psi", "js", "drifted"]


def table(n: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"a": rng.normal(shift, 1, n), "b": rng.exponential(1, n).round(1), "c": rng.choice(list("xyz"), n)}
    )
    frame.loc[::50, "a"] = np.nan
    return frame


def reference_of(n: int = 5_000) -> Reference:
    return Reference(table(n, 0), categorical=["c"])


def same(summary_report: pd.DataFrame, report: pd.DataFrame, cells: int = 2_000) -> None:
    pd.testing.assert_frame_equal(summary_report[EXACT], report[EXACT])
    error = (report["ks"] - summary_report["ks"]).dropna()
    assert error.between(-1e-12, 1 / cells + 1 / report["n_reference"].min()).all()
    assert np.allclose(summary_report["wasserstein"], report["wasserstein"], atol=0.01, equal_nan=True)


@pytest.mark.parametrize("chunk", [37, 1_000, 10_000])
def test_chunks_give_the_report_of_all_rows_within_the_stated_bound(chunk: int) -> None:
    reference, current = reference_of(), table(10_000, 1, shift=0.4)
    summary = reference.summary()
    for start in range(0, len(current), chunk):
        summary.update(current.iloc[start : start + chunk])
    same(reference.compare(summary), reference.compare(current))


@pytest.mark.parametrize("cells", [20, 100, 500])
def test_the_bound_holds_on_coarse_grids_and_for_odd_columns(cells: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        n, m = rng.integers(5, 3_000, 2)
        first, second = rng.normal(size=n), rng.normal(rng.choice([0, 0.3]), rng.choice([1, 0.1]), size=m)
        if rng.random() < 0.5:
            first, second = first.round(1), second.round(int(rng.integers(0, 3)))
        if rng.random() < 0.5:
            first[0], second[0], second[-1] = np.inf, -np.inf, np.inf
        reference = Reference(first[:, None])
        summary = reference.summary(cells).update(second[:, None])
        error = reference.compare(second[:, None])["ks"][0] - reference.compare(summary)["ks"][0]
        assert -1e-12 <= error <= 1 / cells + 1 / n


def test_merged_summaries_are_the_summary_of_all() -> None:
    reference, current = reference_of(), table(3_000, 1)
    parts = [reference.summary().update(current.iloc[start : start + 1_000]) for start in (2_000, 0, 1_000)]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    pd.testing.assert_frame_equal(reference.compare(merged), reference.compare(reference.summary().update(current)))


def test_summaries_of_different_references_do_not_mix() -> None:
    other = Reference(table(5_000, 7), categorical=["c"]).summary().update(table(100, 1))
    with pytest.raises(InputError, match="different references"):
        reference_of().summary().merge(other)
    with pytest.raises(InputError, match="another reference"):
        reference_of().compare(other)


def test_an_empty_summary_and_a_column_without_values_are_refused() -> None:
    with pytest.raises(InputError, match="no rows"):
        reference_of().compare(reference_of().summary())
    with pytest.raises(InputError, match=r"column a .*all missing"):
        reference_of().compare(reference_of().summary().update(table(100, 1).assign(a=np.nan)))


FATAL = 7.25


def kill_own_worker_once(rows: np.ndarray, marker: str) -> np.ndarray:
    """End the process that counts the chunk with the fatal value, the first time it comes."""
    if len(rows) and rows[0, 0] == FATAL:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return rows
        os.kill(os.getpid(), signal.SIGKILL)
    return rows


def test_a_cluster_that_loses_a_worker_gives_the_same_report(tmp_path) -> None:
    import dask.array
    from distributed import Client, LocalCluster

    rng = np.random.default_rng(0)
    reference, current, marker = (
        Reference(rng.normal(size=(5_000, 3))),
        rng.normal(0.4, 1, (12_000, 3)),
        tmp_path / "killed",
    )
    current[5_000, 0] = FATAL
    with (
        LocalCluster(
            n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
        Client(cluster) as client,
    ):
        before = set(client.run(os.getpid).values())
        chunks = dask.array.from_array(current, chunks=(1_000, 3))
        rows = chunks.map_blocks(kill_own_worker_once, str(marker), dtype=float, meta=np.empty((0, 3)))
        report = reference.compare(rows)
        client.wait_for_workers(3, timeout=120)
        after = set(client.run(os.getpid).values())
    assert marker.exists()
    assert len(before) == 3
    assert before - after
    same(report, reference.compare(current))


def test_a_dask_array_is_compared_like_the_array() -> None:
    import dask.array

    rows = np.random.default_rng(0).normal(size=(4_000, 3))
    reference = Reference(np.random.default_rng(1).normal(size=(2_000, 3)))
    report = reference.compare(dask.array.from_array(rows, chunks=(500, 2)))
    same(report, reference.compare(rows))


def test_a_dask_table_is_compared_like_the_table_with_its_categories_and_empty_partitions() -> None:
    import dask.dataframe

    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"width": rng.normal(5, 1, 4_000), "colour": rng.choice(list("aab"), 4_000)})
    rows.loc[::10, "width"] = np.nan
    rows.loc[::7, "colour"] = None
    reference = Reference(rows.assign(width=rng.normal(5, 1, 4_000)), categorical=["colour"])
    large = dask.dataframe.from_pandas(rows, npartitions=8)
    later = large.map_partitions(lambda part: part[part.index >= 600])  # the first partition is empty then
    same(reference.compare(large), reference.compare(rows))
    same(reference.compare(later), reference.compare(rows[rows.index >= 600]))
    with pytest.raises(InputError, match="no rows"):
        reference.compare(large.map_partitions(lambda part: part[part.index < 0]))
    with pytest.raises(InputError, match="colour"):
        reference.compare(large[["width"]])
