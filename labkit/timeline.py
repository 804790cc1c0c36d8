"""What happened in a demo, when, and whether it is what the scenario's truth says should happen."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labkit.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.lab import Lab
    from labkit.simulate.scenarios import Scenario

__all__ = ["Timeline", "Watch"]


@dataclass
class Timeline:
    """The events of one demo. ``started`` is a Unix time; every event also carries lab and production seconds since.

    ``alert_spans`` holds ``(state, from, to)`` in Unix seconds for each alert name.
    """

    scenario: "Scenario"
    seed: int
    clock: Clock
    started: float
    events: list[dict[str, Any]] = field(default_factory=list)
    accuracy: dict[str, float | None] = field(default_factory=dict)
    stuck: str | None = None
    champion: dict[str, str] = field(default_factory=dict)
    retraining: list[dict[str, Any]] = field(default_factory=list)
    alert_spans: dict[str, list[tuple[str, float, float]]] = field(default_factory=dict)

    def add(self, event: str, at: float, **facts: Any) -> dict[str, Any]:
        """Note an event of the Unix time ``at`` and return it."""
        lab_seconds = at - self.started
        entry = {
            "event": event,
            "lab_seconds": round(lab_seconds, 2),
            "production_seconds": round(self.clock.production_seconds(lab_seconds)),
            **facts,
        }
        self.events.append(entry)
        return entry

    def find(self, event: str, **facts: Any) -> dict[str, Any] | None:
        """Return the first event of this name with these facts."""
        wanted = facts.items()
        return next((entry for entry in self.events if entry["event"] == event and wanted <= entry.items()), None)

    def alerts_fired(self) -> list[str]:
        """Return the names of the alerts that fired, in their order; Watchdog, which always fires, is left out."""
        fired = (entry["alert"] for entry in self.events if entry["event"] == "alert_firing")
        return list(dict.fromkeys(name for name in fired if name != "Watchdog"))

    def alert_minutes(self) -> dict[str, list[tuple[str, float, float]]]:
        """Return ``(state, from, to)`` of each alert that fired, in production minutes since the start."""

        def minutes(at: float) -> float:
            return self.clock.production_seconds(at - self.started) / 60

        return {
            name: [(state, minutes(begin), minutes(end)) for state, begin, end in self.alert_spans.get(name, ())]
            for name in self.alerts_fired()
        }

    def moments(self) -> list[tuple[float, str]]:
        """Return the turns of the story, each with its production minute."""
        turns = []
        for entry in self.events:
            match entry["event"]:
                case "fault_injected":
                    text = "fault"
                case "champion_changed":
                    text = f"{entry['version']} in service"
                case "retraining_finished" if entry["result"] in ("rejected", "failed"):
                    text = f"retraining {entry['result']}"
                case "fault_ended" | "recovered":
                    text = entry["event"].replace("_", " ")
                case _:
                    continue
            turns.append((entry["production_seconds"] / 60, text))
        return turns

    def problems(self) -> list[str]:
        """Say what differs from the scenario's truth."""
        fired, expected = set(self.alerts_fired()), set(self.scenario.alerts)
        pages = {entry["alert"] for entry in self.events if entry.get("severity") == "page"}
        found = [self.stuck] if self.stuck else []
        found += [f"{name} should have fired and did not" for name in sorted(expected - fired)]
        found += [f"{name} paged somebody and should not have" for name in sorted(pages - expected)]
        changed = self.champion["before"] != self.champion["after"]
        if self.scenario.response == "retrain" and not (changed and self.find("recovered")):
            found.append("the model did not recover by retraining")
        if self.scenario.response != "retrain" and changed:
            found.append(
                f"{self.champion['after']} was promoted, where the right response is: {self.scenario.response}"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return what timeline.json holds."""
        return {
            "scenario": self.scenario.name,
            "seed": self.seed,
            "speed": self.clock.speed,
            "events": sorted(self.events, key=lambda entry: entry["lab_seconds"]),
            "accuracy": self.accuracy,
            "champion": self.champion,
            "alerts_fired": self.alerts_fired(),
            "retraining": self.retraining,
        }


class Watch:
    """Looks at the lab again and again, and notes in a timeline what is new: alerts, messages, retraining."""

    def __init__(self, lab: "Lab", timeline: Timeline, tell: "Callable[[dict[str, Any]], None]") -> None:
        self._lab = lab
        self._timeline = timeline
        self._tell = tell
        self._alerts: dict[tuple[str, str], tuple[str, float]] = {}  # (name, subject): (state, since)
        self._last_message = 0
        self._runs: dict[Any, str] = {}
        self._told: set[tuple[str, str]] = set()  # (channel, alert) that somebody was told to fire, and not to resolve

    def look(self) -> None:
        """Note everything that is new since the last look."""
        now = time.time()
        self._look_at_alerts(now)
        self._look_at_runs()
        for message in self._lab.messages():
            if message["id"] > self._last_message:
                self._hear(message)

    def note(self, event: str, at: float | None = None, **facts: Any) -> None:
        """Note an event of the Unix time ``at``, by default now, and tell it."""
        self._tell(self._timeline.add(event, time.time() if at is None else at, **facts))

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        return {name for (name, _), (state, _) in self._alerts.items() if state == "firing"}

    def quiet(self) -> bool:
        """True when no alert is pending or firing, whoever heard of one also heard its end, and no retraining runs."""
        return not self._alerts and not self._told and all(state == "finished" for state in self._runs.values())

    def _hear(self, message: dict[str, Any]) -> None:
        self._last_message = message["id"]
        about = {(message["channel"], name) for name in message["alertnames"]}
        self._told = self._told | about if message["status"] == "firing" else self._told - about
        facts = {name: message[name] for name in ("channel", "status", "title", "text", "alertnames")}
        self.note("notification_received", message["received_at"], **facts)

    def _look_at_alerts(self, now: float) -> None:
        alerts = [alert for alert in self._lab.alerts().to_dict("records") if alert["alertname"] != "Watchdog"]
        present = {(alert["alertname"], _subject(alert)): alert for alert in alerts}
        for key, alert in present.items():
            if self._alerts.get(key, ("", 0))[0] != alert["state"]:
                self._close_span(key, now)
                self._alerts[key] = (alert["state"], now)
                severity = {"severity": alert["severity"]} if alert["state"] == "firing" else {}
                self.note(f"alert_{alert['state']}", now, **_named(key), **severity)
        for key in self._alerts.keys() - present.keys():
            if self._close_span(key, now) == "firing":
                self.note("alert_resolved", now, **_named(key))

    def _close_span(self, key: tuple[str, str], now: float) -> str:
        state, since = self._alerts.pop(key, ("inactive", now))
        if state != "inactive":
            self._timeline.alert_spans.setdefault(key[0], []).append((state, since, now))
        return state

    def _look_at_runs(self) -> None:
        for run in self._lab.runs():
            seen = self._runs.get(run["id"])
            if seen is None and run["started_at"]:
                self.note("retraining_started", run["started_at"], run=run["id"])
            if seen != "finished" and run["finished_at"]:
                facts = {"run": run["id"], "result": run["result"], "reason": run["reason"]}
                self._timeline.retraining.append({**facts, "details": run["details"]})
                self.note("retraining_finished", run["finished_at"], **facts)
            self._runs[run["id"]] = "finished" if run["finished_at"] else "running"


def _subject(alert: dict[str, Any]) -> str:
    """Return what else an alert is about: the feature, where its rule has one."""
    feature = alert.get("feature")
    return feature if isinstance(feature, str) else ""


def _named(key: tuple[str, str]) -> dict[str, str]:
    name, feature = key
    return {"alert": name, "feature": feature} if feature else {"alert": name}
