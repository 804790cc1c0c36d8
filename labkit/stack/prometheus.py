"""Prometheus's query API: PromQL in production time in, pandas out."""

import time
from typing import TYPE_CHECKING, Any

from labkit.clock import Clock
from labkit.stack.api import Api
from labkit.stack.frames import frame, series_index, time_index
from labkit.stack.timescale import scale_promql

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prometheus"]


class Prometheus:
    """A client for the Prometheus at ``url``, which runs by ``clock``.

    Expressions and durations are written in production time, and scaled before they are sent. Bad PromQL raises
    InputError with Prometheus's own message, a server that does not answer LabError.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._api = Api("Prometheus", url)
        self.clock = clock

    def ready(self) -> bool:
        """Say whether it answers queries."""
        return self._api.ready()

    def query(self, expr: str, at: float | None = None) -> "pd.DataFrame":
        """Evaluate ``expr`` now, or ``at`` a Unix time: a row per series, its labels and ``value`` as columns.

        A range such as ``up[5m]`` gives a row per sample, with a column ``time`` (UTC).
        """
        moment = {} if at is None else {"time": at}
        result = self._ask("query", query=scale_promql(expr, self.clock.speed), **moment)
        kind, series = result["resultType"], result["result"]
        if kind in ("scalar", "string"):
            return frame([{"value": series[1] if kind == "string" else float(series[1])}], ["value"])
        if kind == "vector":
            table = frame([{**each["metric"], "value": float(each["value"][1])} for each in series], ["value"])
            return table.astype({"value": float})[[*table.columns[1:], "value"]]
        rows = [{**each["metric"], "time": at, "value": float(text)} for each in series for at, text in each["values"]]
        table = frame(rows, ["time", "value"])
        return table.assign(time=time_index(table["time"]))

    def query_range(
        self, expr: str, since: float | str = "1h", step: float | str = "15s", end: float | None = None
    ) -> "pd.DataFrame":
        """Evaluate ``expr`` over ``since`` up to now or a Unix time, every ``step``: a row a time, a column a series.

        The index holds times (UTC). Columns are named by the series' labels: a single label gives an index of its
        values, several a MultiIndex, none one column ``value``. A moment without a value is NaN.
        """
        import pandas as pd

        series = self.series(expr, since, step, time.time() if end is None else end)
        columns = [pd.Series(dict(samples), dtype=float) for _, samples in series]
        table = pd.concat(columns, axis=1).sort_index() if columns else pd.DataFrame()
        table.index = time_index(table.index)
        table.columns = series_index([labels for labels, _ in series])
        return table

    def exemplars(self, expr: str, since: float | str = "1h") -> "pd.DataFrame":
        """Return the exemplars that the series of ``expr`` brought: time, value, the series' labels and their own."""
        now = time.time()
        span = {"start": now - self.clock.lab_seconds(since), "end": now}
        rows = [
            {**each["seriesLabels"], **one["labels"], "time": one["timestamp"], "value": float(one["value"])}
            for each in self._ask("query_exemplars", query=scale_promql(expr, self.clock.speed), **span)
            for one in each["exemplars"]
        ]
        table = frame(rows, ["time", "value"])
        return table.assign(time=time_index(table["time"]))

    def series(
        self, expr: str, since: float | str, step: float | str, end: float
    ) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Evaluate ``expr`` over ``since`` up to ``end``: the labels and the (Unix time, value) of each series."""
        span = {"start": end - self.clock.lab_seconds(since), "end": end, "step": self.clock.lab_seconds(step)}
        found = self._ask("query_range", query=scale_promql(expr, self.clock.speed), **span)["result"]
        return [(each["metric"], [(at, float(text)) for at, text in each["values"]]) for each in found]

    def metric_names(self) -> list[str]:
        """Return the name of every metric and recorded series that it has."""
        return self._ask("label/__name__/values", method="GET")

    def alerts(self) -> "pd.DataFrame":
        """Return the pending and firing alerts: state, active_at, value, every label, and every annotation."""
        found = self._ask("alerts", method="GET")["alerts"]
        return frame(
            [
                {
                    "alertname": each["labels"]["alertname"],
                    "state": each["state"],
                    "active_at": each["activeAt"],
                    "value": float(each["value"]),
                    **each["labels"],
                    **each["annotations"],
                }
                for each in found
            ],
            ["alertname", "state", "active_at", "value", "severity", "model_name", "summary", "description"],
            ["active_at"],
        )

    def rules(self) -> "pd.DataFrame":
        """Return every rule: group, name, type, state and for_seconds (of alerts), health, last_error, query, seconds.

        ``for_seconds`` is production time; ``query`` is as the server runs it, in lab time.
        """
        groups = self._ask("rules", method="GET")["groups"]
        return frame(
            [
                {
                    "group": group["name"],
                    "name": rule["name"],
                    "type": rule["type"],
                    "state": rule.get("state", ""),
                    "for_seconds": self.clock.production_seconds(rule.get("duration", 0.0)),
                    "health": rule["health"],
                    "last_error": rule.get("lastError", ""),
                    "query": rule["query"],
                    "evaluation_seconds": rule["evaluationTime"],
                }
                for group in groups
                for rule in group["rules"]
            ],
            ["group", "name", "type", "state", "for_seconds", "health", "last_error", "query", "evaluation_seconds"],
        )

    def targets(self) -> "pd.DataFrame":
        """Return every scraped target: job, instance, health, last_error, last_scrape, scrape_seconds, url."""
        found = self._ask("targets", method="GET", state="active")["activeTargets"]
        return frame(
            [
                {
                    "job": each["labels"]["job"],
                    "instance": each["labels"]["instance"],
                    "health": each["health"],
                    "last_error": each["lastError"],
                    "last_scrape": each["lastScrape"],
                    "scrape_seconds": each["lastScrapeDuration"],
                    "url": each["scrapeUrl"],
                }
                for each in found
            ],
            ["job", "instance", "health", "last_error", "last_scrape", "scrape_seconds", "url"],
            ["last_scrape"],
        )

    def finds_alertmanager(self) -> bool:
        """Say whether it knows an Alertmanager to send alerts to."""
        return bool(self._ask("alertmanagers", method="GET")["activeAlertmanagers"])

    def _ask(self, what: str, method: str = "POST", **params: Any) -> Any:
        # Queries are posted: a long expression does not fit into an address.
        place = {"data": params} if method == "POST" else {"params": params}
        return self._api.call(method, f"/api/v1/{what}", **place)["data"]
