"""The tournament: detectors on every scenario of the catalogue, scored against its truth, without servers.

Read in this order: ``streams`` (production, simulated), ``exact``, ``rules``, ``streaming`` and
``libraries`` (who takes part),
``scores`` (who wins), ``report`` (how it is told).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labkit.errors import InputError
from labkit.simulate.scenarios import CATALOGUE, scenario
from labkit.tournament.detector import Detector
from labkit.tournament.exact import exact_detector
from labkit.tournament.libraries import LIBRARIES, installed_libraries
from labkit.tournament.rules import RULES
from labkit.tournament.scores import Run, play, scores
from labkit.tournament.streaming import rivals

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Detector", "Run", "detectors", "missing", "run"]


def detectors(names: Sequence[str] | None = None) -> tuple[Detector, ...]:
    """Return everybody who can take part here, or those of these names; raises InputError for an unknown one."""
    everybody = {each.name: each for each in (exact_detector(), *RULES, *rivals(), *installed_libraries())}
    if unknown := set(names or ()) - set(everybody):
        raise InputError(f"there is no detector {', '.join(sorted(unknown))}", f"choose of: {', '.join(everybody)}")
    return tuple(everybody.values()) if names is None else tuple(everybody[name] for name in names)


def missing() -> tuple[str, ...]:
    """Return the libraries whose detectors cannot take part, as they are not installed here."""
    there = {each.name for each in installed_libraries()}
    return (*(() if rivals() else ("river",)), *(name for name in LIBRARIES if name not in there))


def run(
    scenarios: Sequence[str] = tuple(CATALOGUE),
    *,
    seeds: int = 50,
    seed: int = 1,
    names: Sequence[str] | None = None,
) -> "pd.DataFrame":
    """Play and score; the same table for the same seeds, but for the cost.

    Columns: detector, watches, scenario, seeds, delay_median, delay_p90, missed_ratio, false_alarms_per_day,
    milliseconds_per_minute.
    """
    if not 1 <= seeds <= 10_000 or seed < 0:
        raise InputError(f"{seeds} seeds from {seed} on cannot be played", "choose 1 to 10,000 seeds, from 0 on")
    for name in scenarios:
        scenario(name)
    return scores(play(detectors(names), scenarios, seeds, seed))
