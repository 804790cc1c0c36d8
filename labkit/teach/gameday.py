"""Game days: an incident drawn from the catalogue and not named, the responder's moves, and how long they took."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from labkit.clock import format_duration, wait_until
from labkit.errors import InputError, LabError
from labkit.lab import Lab
from labkit.respond.gates import data_gate, label_gate, sensor_gate
from labkit.respond.policy import Policy
from labkit.simulate.control import Control, read_status, seal, write_control
from labkit.simulate.scenarios import RESPONSES
from labkit.stack.api import ask
from labkit.teach.diagnosis import PLAYABLE, SIGNALS, Evidence, Truth
from labkit.teach.postmortem import draft
from labkit.teach.review import review_kind, review_places, review_response, review_since
from labkit.timeline import Timeline

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GameDay"]

_RATE = 20.0
_QUIET_MINUTES = (6.0, 10.0)  # before the incident: what is usual must be seen first
_PATIENCE = "12h"
_GAP_MINUTES = 2.0  # a shorter one is a lost scrape
_ALERTS = 'max by (alertname, alertstate) (ALERTS{alertname!="Watchdog"})'
_FIRING = 'max by (alertname) (ALERTS{alertname!="Watchdog", alertstate="firing"})'


class GameDay:
    """One incident in a lab. Minutes are production minutes since the game began; the truth is told when it is over.

    The incident is drawn by ``seed`` and begins after some quiet minutes. ``rehearse`` names one instead. The retrainer
    is switched off meanwhile: retraining is a response that somebody has to choose.
    """

    def __init__(self, lab: Lab, seed: int = 0, *, rehearse: str = "") -> None:
        drawn, onset = self._draw(seed)
        if rehearse and rehearse not in PLAYABLE:
            raise InputError(f"{rehearse!r} cannot be rehearsed", f"choose one of {', '.join(PLAYABLE)}")
        self._truth = Truth.of(rehearse or drawn, onset)
        self.lab, self.seed = lab, seed
        self.refused: list[tuple[float, str]] = []
        self.diagnosed: float | None = None
        self.responses: list[tuple[float, str]] = []
        self.mended: float | None = None
        self.told = False
        if read_status(lab.home.traffic_status).sent:
            lab.reset()  # an hour of other traffic would be part of every window
        lab.home.retraining_off.touch()
        self.started = time.time()
        begins = self.started + lab.clock.lab_seconds(60 * onset)
        control = Control(rate=_RATE, seed=seed, running=True, onset=begins, sealed=seal(self._truth.scenario.name))
        write_control(lab.home.traffic_control, control)

    @staticmethod
    def _draw(seed: int) -> tuple[str, float]:
        """Return the scenario of a seed, and in which minute it begins."""
        rng = np.random.default_rng(seed)
        return PLAYABLE[rng.integers(len(PLAYABLE))], float(rng.uniform(*_QUIET_MINUTES))

    @property
    def minute(self) -> float:
        """The production minute that it is now."""
        return self.minute_of(time.time())

    def minute_of(self, at: float) -> float:
        """Return the production minute of a Unix time."""
        return self.lab.clock.production_seconds(at - self.started) / 60

    # -- what there is to see

    def wait_for_alert(self) -> "pd.DataFrame":
        """Wait until the incident raises an alert, and return what is pending or firing now, but for the Watchdog."""
        names = "|".join(self._truth.scenario.alerts)
        self.lab.wait_for(f'ALERTS{{alertname=~"{names}", alertstate="firing"}}', _PATIENCE)
        now = self.lab.alerts().query("alertname != 'Watchdog'").rename(columns={"alertname": "alert"})
        now["since minute"] = self.minute_of(now["active_at"].dt.as_unit("ns").astype("int64") / 1e9).round(1)
        return now.groupby(["alert", "state"])["since minute"].min().sort_values().reset_index()

    def over_time(self, expression: str) -> "pd.DataFrame":
        """Evaluate PromQL over the whole game: a line per moment, indexed by production minutes."""
        seconds = self.lab.clock.production_seconds(time.time() - self.started)
        frame = self.lab.query_range(expression, format_duration(seconds), format_duration(max(15.0, seconds / 1000)))
        frame.index = self.minute_of(frame.index.astype("int64") / 1e9).rename("minute")
        return frame

    def answered(self) -> "pd.DataFrame":
        """Return the rows that were answered so far, oldest first; ``minute`` is that of their prediction."""
        with self.lab.store() as store:
            rows = store.predictions(since=self.started)
        return rows.assign(minute=self.minute_of(rows["predicted_at"]))

    def labelled(self) -> "pd.DataFrame":
        """Return those of them that have a label by now."""
        rows = self.answered()
        return rows[rows["label"].notna()]

    def evidence(self) -> Evidence:
        """Gather what has been recorded so far."""
        return Evidence(
            minutes=self.minute,
            curves={name: self.over_time(expression) for name, expression in SIGNALS.items()},
            fired=_first_minutes(self.over_time(_FIRING)).to_dict(),
            labelled=self.labelled(),
            refusal=self._refusal(),
            stall=self._stall(),
        )

    # -- what the responder does

    def diagnose(self, kind: object, places: object) -> str:
        """Say what it is and where; returns why that is wrong, and an empty text when it is right."""
        evidence = self.evidence()
        wrong = review_kind(kind, self._truth, evidence) or review_places(places, self._truth, evidence)
        if wrong:
            self.refused.append((self.minute, wrong))
        elif self.diagnosed is None:
            self.diagnosed = self.minute
        return wrong

    def date(self, minute: object) -> str:
        """Say since when; returns why that is wrong, and an empty text when it is right."""
        wrong = review_since(minute, self._truth, self.evidence())
        if wrong:
            self.refused.append((self.minute, wrong))
        return wrong

    def respond(self, response: str) -> None:
        """Do what RESPONSES says. The right one ends the incident or lets it be; another one changes nothing."""
        if response not in RESPONSES:
            raise InputError(f"there is no response {response!r}", f"choose one of {', '.join(RESPONSES)}")
        self.responses.append((self.minute, response))
        right = response == self._truth.scenario.response
        if response == "retrain":
            self._retrain(wait=right)
        elif right and response != "keep":
            self.lab.end_fault()
        if right and self.mended is None:
            self.mended = self.minute

    def last_response(self) -> str:
        """Return why the last response was wrong, and an empty text when it was right."""
        return review_response(self.responses[-1][1], self._truth, self.evidence())

    def tell(self) -> Truth:
        """End the game and tell what it was; whatever still goes wrong is ended."""
        if not self.told and self.mended is None:
            self.lab.end_fault()
        self.told = True
        return self._truth

    # -- what remains of it

    def scores(self) -> "pd.DataFrame":
        """Return how long each step took, in production minutes since the onset and in minutes of your own."""
        import pandas as pd

        if self.mended is None and not self.told:
            raise InputError("the incident goes on", "diagnose it and respond, or give up: game.tell()")
        fired = _first_minutes(self.over_time(_FIRING))
        expected = [minute for name, minute in fired.items() if name in self._truth.scenario.alerts]
        steps = {"detect": min(expected, default=None), "diagnose": self.diagnosed, "mend": self.mended}
        minutes = pd.Series({f"to {name}": minute for name, minute in steps.items()}, dtype=float) - self._truth.onset
        own = minutes * 60 / self.lab.clock.speed / 60
        return pd.DataFrame({"production minutes": minutes.round(1), "minutes of your own": own.round(1)})

    def timeline(self) -> Timeline:
        """Return what happened: alerts, messages, retraining, the responder's moves, and in the end the fault."""
        timeline = Timeline(self._truth.scenario, self.seed, self.lab.clock, self.started)
        timeline.add("traffic_started", self.started, rate=_RATE)
        self._add_alerts(timeline)
        for message in self.lab.messages():
            facts = {name: message[name] for name in ("channel", "status", "title")}
            timeline.add("notification_received", message["received_at"], **facts)
        for run in self.lab.runs():
            if run["finished_at"] and run["result"] != "skipped":
                facts = {"result": run["result"], "reason": run["reason"]}
                timeline.add("retraining_finished", run["finished_at"], **facts)
        if self.diagnosed is not None:
            timeline.add("diagnosed", self._at(self.diagnosed))
        for minute, response in self.responses:
            timeline.add("responded", self._at(minute), response=response)
        if self.told or self.mended is not None:
            timeline.add("fault_injected", self._at(self._truth.onset), scenario=self._truth.scenario.name)
        if self.mended is not None:
            timeline.add("recovered", self._at(self.mended))
        timeline.events.sort(key=lambda entry: entry["lab_seconds"])
        return timeline

    def postmortem(self) -> str:
        """Draft a postmortem in Markdown: what was recorded is written, what people have to think is left open."""
        rows = self.labelled()
        wrong = int((rows["predicted"] != rows["label"]).sum())
        refused = self.evidence().highest("errors")
        impact = [f"{wrong:,} of {len(rows):,} rows that have a label by now were answered wrongly."]
        if refused is not None:
            impact.append(f"At the worst {refused:.1%} of the requests of five minutes failed.")
        times = {} if self.mended is None and not self.told else self.scores()["production minutes"].to_dict()
        return draft(self.timeline().events, times, impact)

    def _add_alerts(self, timeline: Timeline) -> None:
        frame = self.over_time(_ALERTS)
        for name, state in frame.columns:
            minutes = frame[name, state].dropna().index.to_numpy()
            for span in np.split(minutes, np.flatnonzero(np.diff(minutes) > _GAP_MINUTES) + 1):
                begin, end = self._at(span[0]), self._at(span[-1])
                timeline.add(f"alert_{state}", begin, alert=name)
                timeline.alert_spans.setdefault(name, []).append((state, begin, end))

    def _at(self, minute: float) -> float:
        return self.started + self.lab.clock.lab_seconds(60 * float(minute))

    def _retrain(self, *, wait: bool) -> None:
        """Switch the retrainer on and ask it; its gates have the last word."""
        lab, before = self.lab, self.lab.model()["version"]
        lab.home.retraining_off.unlink(missing_ok=True)
        now = datetime.now(UTC).isoformat()
        alert = {"status": "firing", "labels": {"alertname": "GameDay"}, "fingerprint": "game-day", "startsAt": now}
        answer = ask(
            "POST",
            f"{lab.home.url('retrainer')}/alerts",
            headers={"Authorization": f"Bearer {lab.home.secret('retrainer_token')}"},
            json={"version": "4", "alerts": [alert]},
        )
        if answer.is_error:
            raise LabError(f"the retrainer answered {answer.status_code}: {answer.text}", "run: labkit doctor")
        if wait:
            patience = lab.clock.lab_seconds("3h")
            wait_until(lambda: lab.model()["version"] != before, patience, "a challenger to be promoted", every=0.2)

    def _stall(self) -> float:
        """Return for how many minutes the service gave no answer, at the longest, while the incident began."""
        minutes = self.answered()["minute"]
        near = minutes[(minutes > self._truth.onset - 2) & (minutes < self._truth.onset + 15)]
        return float(near.diff().max()) if len(near) > 1 else 0.0

    def _refusal(self) -> str:
        """Return what the retrainer's gates say of the rows of the last minutes; empty when they would accept them."""
        from labkit.model.iris import SCHEMA

        policy, names = Policy(), list(SCHEMA.feature_names)
        with self.lab.store() as store:
            rows = store.predictions(since=time.time() - self.lab.clock.lab_seconds(policy.recent))
        if rows.empty:
            return ""
        instances = rows[names].to_numpy(dtype=float)
        reference = self.lab.registry.meta("iris-classifier", "champion").reference
        refusal = (
            data_gate(instances, {name: SCHEMA.plausible_ranges[name] for name in names}, policy)
            or label_gate(list(rows["label"].dropna()), SCHEMA.class_names, policy)
            or sensor_gate(reference.ks_distances(instances), len(instances), reference.n_rows, policy)
        )
        return refusal.detail if refusal else ""


def _first_minutes(frame: "pd.DataFrame") -> "pd.Series":
    """Return the minute of each column's first value."""
    import pandas as pd

    return pd.Series({name: frame[name].first_valid_index() for name in frame.columns}, dtype=float)
