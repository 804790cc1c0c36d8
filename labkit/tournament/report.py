"""The tournament's results as files: a table for people, the same as CSV and JSON, a picture."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from labkit.simulate.scenarios import CATALOGUE
from labkit.tournament.scores import QUIET, visible

__all__ = ["BEGIN", "END", "markdown", "summary", "write_files", "write_into"]

BEGIN, END = "<!-- tournament: begin -->", "<!-- tournament: end -->"


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return a line per detector: false alarms a day, cost, then the delays as a person reads them.

    A cell is ``median (p90)`` in minutes; ``p90`` is a dash where more than one run of ten was missed, and a cell says
    which share was missed where that is more than half.
    """
    lines = []
    played = set(table["scenario"])
    for name, of_one in table.groupby("detector", sort=False):
        by_scenario = of_one.set_index("scenario")
        quiet = {
            f"false/day {each}": f"{by_scenario.loc[each, 'false_alarms_per_day']:.2f}"
            for each in QUIET
            if each in played
        }
        cost = f"{of_one['milliseconds_per_minute'].mean():.2g}"
        delays = {each: _delay(by_scenario.loc[each]) for each in _judged(table)}
        lines.append({"detector": name, "watches": of_one["watches"].iloc[0], **quiet, "ms/minute": cost, **delays})
    return pd.DataFrame(lines)


def _judged(table: pd.DataFrame) -> list[str]:
    played = set(table["scenario"])
    return [name for name, each in CATALOGUE.items() if name in played and name not in QUIET and visible(each)]


def _delay(line: pd.Series) -> str:
    if line["missed_ratio"] > 0.5:
        return "missed" if line["missed_ratio"] == 1 else f"missed {line['missed_ratio']:.0%}"
    p90 = "–" if np.isinf(line["delay_p90"]) else f"{line['delay_p90']:.0f}"  # noqa: RUF001
    return f"{line['delay_median']:.0f} ({p90})"


def markdown(table: pd.DataFrame) -> str:
    """Return the summary as a Markdown table, with what was played."""
    lines = summary(table)
    rows = [list(lines.columns), ["---"] * lines.shape[1], *lines.to_numpy().tolist()]
    text = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
    few = table[table["seeds"] < table["seeds"].max()].drop_duplicates("detector")
    fewer = "".join(f" {line.detector} is slow and ran on {line.seeds}." for line in few.itertuples())
    return f"{text}\n\nEach cell rests on {table['seeds'].max()} seeds.{fewer}\n"


def write_files(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Write tournament.md, .csv, .json and .png into a folder; returns the paths."""
    from labkit import plots

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"tournament.{ending}" for ending in ("md", "csv", "json", "png")]
    paths[0].write_text(markdown(table), encoding="utf-8")
    table.to_csv(paths[1], index=False, float_format="%.6g")
    records = [{key: _plain(value) for key, value in line.items()} for line in table.to_dict("records")]
    paths[2].write_text(json.dumps(records, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    shown = table[table["scenario"].isin([*QUIET, *_judged(table)])]
    plots.detectors(shown, quiet=QUIET).savefig(paths[3])
    return paths


def write_into(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a Markdown page; a new page gets both."""
    page = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    path.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}", encoding="utf-8")


def _plain(value: object) -> object:
    """Return what JSON can hold: no infinity, no NaN."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
