"""The whole loop once: traffic, a fault, alerts, messages, the retrainer's answer, and the way back."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.clock import format_duration, wait_until
from labkit.errors import LabError, WaitTimeout
from labkit.lab import Lab
from labkit.simulate.scenarios import scenario
from labkit.timeline import Timeline, Watch

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Demo"]

_RATE = 20.0  # requests per lab second, of five rows on average
_WARM_UP_ROWS = 600  # labelled; labels come five to ten production minutes late
_ENOUGH_ROWS = 200
_RECOVERED = 0.90  # the objective for accuracy
_QUIET_TIME = "30m"  # how long to watch a scenario in which nothing should happen
_PATIENCE = "3h"

_IN_SERVICE = "and on (model_name, model_version) model_info"
_CURVES = {
    "accuracy": f"max by (model_version) (model_version:accuracy:ratio_rate15m {_IN_SERVICE})",
    "drift": "max by (feature) (model_feature:ks:distance_rate1h)",
    "errors": "model:errors:ratio_rate5m",
}


class Demo:
    """One play of a scenario in a freshly reset lab.

    ``tell`` is called with every event as it happens, ``tick`` a few times a second.
    """

    def __init__(
        self,
        lab: Lab,
        name: str,
        seed: int,
        *,
        tell: Callable[[dict[str, Any]], None] = lambda _entry: None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.lab = lab
        self._tick = tick
        self.scenario = scenario(name)
        self.timeline = Timeline(self.scenario, seed, lab.clock, time.time())
        self._watch = Watch(lab, self.timeline, tell)

    def play(self) -> Timeline:
        """Play the scenario to its end and return what happened, also where the loop got stuck."""
        timeline, lab = self.timeline, self.lab
        shipped = lab.model()["version"]
        onset = ended = None
        try:
            self._begin()
            onset = self._break()
            ended = self._live_through(shipped)
            self._until(lambda: self._recovered(ended), "accuracy to come back")
            self._watch.note("recovered")
            self._until(self._watch.quiet, "every alert to resolve")
        except WaitTimeout as error:
            timeline.stuck = error.problem
        finally:
            lab.stop_traffic()
        timeline.champion = {"before": shipped, "after": lab.model()["version"]}
        timeline.accuracy = {
            "before": self._accuracy(timeline.started, onset)[0],
            "during": self._accuracy(onset, ended)[0] if onset else None,
            "after": self._accuracy(ended)[0] if ended else None,
        }
        return timeline

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write timeline.json and timeline.png into ``folder`` and return their paths."""
        from labkit.plots import incident

        folder.mkdir(parents=True, exist_ok=True)
        record, picture = folder / "timeline.json", folder / "timeline.png"
        record.write_text(json.dumps(self.timeline.to_dict(), indent=2) + "\n")
        title = f"{self.scenario.name}: {self.scenario.summary}"
        figure = incident(self._curves(), self.timeline.alert_minutes(), self.timeline.moments(), title=title)
        figure.savefig(picture)
        return record, picture

    def _begin(self) -> None:
        self.timeline.started = time.time()
        self.lab.traffic("steady", rate=_RATE, seed=self.timeline.seed)
        self._watch.note("traffic_started", self.timeline.started, rate=_RATE)
        self._until(lambda: self._accuracy(self.timeline.started)[1] >= _WARM_UP_ROWS, "the first labels to arrive")

    def _break(self) -> float:
        self.lab.fault(self.scenario.name)
        self._watch.note("fault_injected", scenario=self.scenario.name)
        return time.time()

    def _live_through(self, shipped: str) -> float:
        """Wait for all that the truth announces; returns when the fault ended, or a new champion took over."""
        expected = set(self.scenario.alerts)
        if self.scenario.response == "retrain":
            self._until(lambda: self.lab.model()["version"] != shipped, "a challenger to be promoted")
            promoted = time.time()
            self._watch.note("champion_changed", promoted, version=self.lab.model()["version"])
            return promoted
        if expected:
            self._until(lambda: expected <= set(self.timeline.alerts_fired()), f"{', '.join(sorted(expected))} to fire")
            self._until(self._answered, "the retrainer to decide")
        else:
            self._until_time(time.time() + self.lab.clock.lab_seconds(_QUIET_TIME))
        self.lab.end_fault()
        self._watch.note("fault_ended")
        return time.time()

    def _answered(self) -> bool:
        """True when the retrainer has judged what it was asked; nothing is asked of it by alerts without the action."""
        asked = self.lab.alerts().get("action")
        judged = [run for run in self.timeline.retraining if run["result"] != "skipped"]
        return asked is None or not (asked == "retrain").any() or bool(judged)

    def _recovered(self, since: float) -> bool:
        accuracy, rows = self._accuracy(since, version=self.lab.model()["version"])
        return rows >= _ENOUGH_ROWS and accuracy >= _RECOVERED

    def _accuracy(
        self, since: float, until: float | None = None, version: str | None = None
    ) -> tuple[float | None, int]:
        """Return the accuracy of rows predicted in a span of Unix time, None without labels, and how many they are."""
        with self.lab.store() as store:
            rows = store.labelled(since, until, version)
        if rows.empty:
            return None, 0
        return round(float((rows["predicted"] == rows["label"]).mean()), 4), len(rows)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        """Keep watching until ``condition()`` holds."""

        def looked() -> bool:
            self._tick()
            try:
                self._watch.look()
                return condition()
            except LabError:  # a server that was killed, and is on its way back
                return False

        wait_until(looked, self.lab.clock.lab_seconds(_PATIENCE), what, every=0.1)

    def _until_time(self, end: float) -> None:
        self._until(lambda: time.time() >= end, "time to pass")

    def _curves(self) -> dict[str, "pd.DataFrame"]:
        """Return what Prometheus's recording rules saw, over production minutes since the start."""
        started, clock = self.timeline.started, self.lab.clock
        since = format_duration(clock.production_seconds(time.time() - started))
        curves = {name: self.lab.query_range(expression, since) for name, expression in _CURVES.items()}
        for frame in curves.values():
            seconds = frame.index.astype("int64") / 1e9 - started
            frame.index = clock.production_seconds(seconds) / 60
        return curves
