"""The budget of false alarms is kept where nothing is wrong: on steady days, and on days with a mild cycle."""

import pytest

from labkit.simulate.scenarios import scenario
from labkit.tournament.exact import FALSE_ALARMS_PER_WEEK, exact_detector
from labkit.tournament.scores import QUIET, episodes
from labkit.tournament.streams import draw_stream

DAY, WARM_UP = 1440, 60


def false_alarms(name: str, days: int) -> int:
    """Count the alarms of so many days, each with an hour before it that fills the windows."""
    detector = exact_detector()
    alarms = (detector.alarms(draw_stream(scenario(name), WARM_UP + DAY, 0, seed)) for seed in range(100, 100 + days))
    return sum(episodes(each[WARM_UP:]) for each in alarms)


@pytest.mark.parametrize("name", QUIET)
def test_a_quiet_day_brings_no_alarm(name: str) -> None:
    assert false_alarms(name, days=1) == 0


@pytest.mark.long
@pytest.mark.parametrize("name", QUIET)
def test_thirty_quiet_days_bring_no_more_alarms_than_the_budget(name: str) -> None:
    assert false_alarms(name, days=30) <= FALSE_ALARMS_PER_WEEK * 30 / 7
