"""A small real world for the retrainer: registry, the model service over HTTP with its store, and labelled traffic."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np

from labkit.clock import Clock
from labkit.model.iris import SCHEMA, sample
from labkit.model.registry import ModelRegistry
from labkit.observe.store import PredictionStore
from labkit.respond.audit import Audit
from labkit.respond.policy import Policy
from labkit.respond.serving import ModelService
from labkit.respond.steps import Parts
from labkit.respond.webhook import Notification

NAME = "iris-classifier"
RELOAD_TOKEN = "sesame-5"
CLIENT = httpx.Client()
CLOCK = Clock(60)
# The shipped limits, with the waiting cut to tenths of a lab second.
PATIENCE = {"collect_deadline": "40s", "watch_at_least": "15s", "watch_at_most": "40s"}
SWAPPED = {"versicolor": "virginica", "virginica": "versicolor"}
SWAPPED_OTHERWISE = {"setosa": "versicolor", "versicolor": "virginica", "virginica": "setosa"}


@dataclass
class World:
    """Where everything lies, and the traffic that a test sends there."""

    folder: Path
    url: str
    policy: Policy

    def __post_init__(self):
        self.registry = ModelRegistry(self.folder / "registry")
        self._rng = np.random.default_rng(0)

    def parts(self):
        """Return what a retrainer works with, opened anew: each process needs its own."""
        return Parts(
            model_name=NAME,
            schema=SCHEMA,
            registry=self.registry,
            open_store=partial(
                PredictionStore, self.folder / "predictions.db", SCHEMA.feature_names, clock=CLOCK, read_only=True
            ),
            service=ModelService(self.url, RELOAD_TOKEN),
            audit=Audit(self.folder / "retraining.db"),
            clock=CLOCK,
            policy=self.policy,
        )

    @property
    def champion(self):
        return self.registry.champion(NAME)

    @property
    def served(self):
        return CLIENT.get(f"{self.url}/v1/model").json()["version"]

    def traffic(self, n_rows, meaning=None, scale=None, unknown_ratio=0.0):
        """Send rows and their labels; ``meaning`` renames labels, ``scale`` multiplies features."""
        for _ in range(n_rows // 50):
            instances, labels = sample(50, self._rng)
            labels = [(meaning or {}).get(label, label) for label in labels.tolist()]
            unknown = self._rng.random(50) < unknown_ratio
            labels = ["pruinosa" if is_unknown else label for label, is_unknown in zip(labels, unknown, strict=True)]
            answer = self._post("/v1/predict", {"instances": (instances * (scale or 1)).tolist()})
            self._post("/v1/labels", {"request_id": answer["request_id"], "labels": labels})

    def _post(self, path, body):
        return CLIENT.post(self.url + path, json=body).raise_for_status().json()


def notification(number=1):
    """Return the notification of an alert's episode."""
    fingerprint, starts_at = f"f{number}", "2026-01-01T00:00:00Z"
    labels = {"alertname": "ModelAccuracyLow", "model_name": NAME}
    return Notification(
        f"{fingerprint}@{starts_at}", ({"fingerprint": fingerprint, "startsAt": starts_at, "labels": labels},)
    )


def webhook(number=1):
    """Return the same as Alertmanager's JSON."""
    alerts = [{**alert, "status": "firing"} for alert in notification(number).alerts]
    return {"version": "4", "groupKey": "{}", "status": "firing", "alerts": alerts}
