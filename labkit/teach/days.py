"""Play a day of incidents in seconds, and keep which rows were answered during which."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labkit.clock import parse_duration, wait_until
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.simulate.scenarios import scenario
from labkit.stack.api import ask

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Day", "play"]

_EVERY_SECONDS = 30  # production time between two requests
_ROWS = 75  # in each
_LABELS_LATE = 16  # labels come as many requests later: eight production minutes
_AFTERWARDS_MINUTES = 2  # of what follows a day, for the last scrapes and rules


@dataclass(frozen=True)
class Day:
    """What happened: ``parts`` (scenario, since, until), and ``rows`` with scenario, minute, features, answer, label.

    Minutes are production minutes since the day began.
    """

    lab: Lab
    began_at: float
    parts: "pd.DataFrame"
    rows: "pd.DataFrame"

    def watch(self, expression: str) -> "pd.DataFrame":
        """Evaluate PromQL at every scrape from the day's begin to its end: a line per moment, indexed by minutes."""
        clock = self.lab.clock
        minutes = float(self.parts["until"].iloc[-1]) + _AFTERWARDS_MINUTES
        end = min(time.time(), self.began_at + clock.lab_seconds(60 * minutes))
        frame = self.lab.prometheus.query_range(expression, clock.production_seconds(end - self.began_at), end=end)
        if len(frame):
            at = frame.index.as_unit("ns").astype("int64") / 1e9
            frame.index = ((at - self.began_at) * clock.speed / 60).rename("minute")
        return frame


def play(lab: Lab, plan: Sequence[tuple[str, str]], seed: int = 1) -> Day:
    """Send the scenarios of ``plan``, each for a duration of production time, one after another, and return the day.

    A client sends a request of 75 rows every 30 s; their labels follow eight minutes later, so that those of the last
    eight minutes are missing. The same seed gives the same rows. Labels of an earlier day would be judged together with
    this one's, so where there are any the lab is reset first; the retrainer stays off if it was.
    """
    lab.stop_traffic()
    if len(lab.query("sum(increase(model_labels_total[1h])) > 0")):
        off = lab.home.retraining_off.exists()
        lab.reset()
        if off:
            lab.home.retraining_off.touch()
    rng, began_at = np.random.default_rng(seed), time.time()
    steps = [
        (name, number * _EVERY_SECONDS)
        for name, duration in plan
        for number in range(round(parse_duration(duration) / _EVERY_SECONDS))
    ]
    sent: dict[str, str] = {}
    waiting: deque[tuple[str, list[str]]] = deque()
    for number, (name, since_onset) in enumerate(steps):
        due = began_at + lab.clock.lab_seconds(number * _EVERY_SECONDS)
        wait_until(lambda due=due: time.time() >= due, 3600, "the next request to be due")
        batch = scenario(name).batch(_ROWS, since_onset, rng)
        request_id = lab.predict(batch.instances.tolist())["request_id"]
        sent[request_id] = name
        waiting.append((request_id, batch.labels.tolist()))
        if len(waiting) > _LABELS_LATE:
            _label(lab, *waiting.popleft())
    return _day(lab, began_at, [name for name, _ in plan], sent)


def _label(lab: Lab, request_id: str, labels: list[str]) -> None:
    body = {"request_id": request_id, "labels": labels}
    answer = ask("POST", f"{lab.home.url('model')}/v1/labels", json=body, timeout=30)
    if answer.is_error:
        raise LabError(f"the service answered {answer.status_code} to labels: {answer.text}", "run: labkit doctor")


def _day(lab: Lab, began_at: float, names: list[str], sent: dict[str, str]) -> Day:
    import pandas as pd

    with lab.store() as store:
        rows = store.predictions(since=began_at)
    rows = rows[rows["request_id"].isin(list(sent))].reset_index(drop=True)
    rows.insert(0, "scenario", rows["request_id"].map(sent))
    rows.insert(1, "minute", (rows["predicted_at"] - began_at) * lab.clock.speed / 60)
    since = rows.groupby("scenario")["minute"].min()[names]
    until = [*since[1:], rows["minute"].max()]
    return Day(lab, began_at, pd.DataFrame({"scenario": names, "since": since.to_numpy(), "until": until}), rows)
