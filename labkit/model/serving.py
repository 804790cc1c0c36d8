"""The version in service, watched from its first answer, and its exchange for the registry's champion."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry
from starlette.requests import Request

from labkit.errors import RegistryError
from labkit.model.artifacts import LoadedModel, ModelMeta
from labkit.model.body import ERROR_TYPES, read_json_body
from labkit.model.iris import SCHEMA
from labkit.model.payload import parse_instances
from labkit.model.registry import ModelRegistry
from labkit.observe.logs import get_logger
from labkit.observe.metrics import ModelMonitor, track_prediction
from labkit.observe.store import PredictionStore

__all__ = ["Prediction", "ServedModel", "Serving"]

# Finite inputs of any size are answered; beyond this the pipeline would overflow.
_LARGEST_INPUT = 1e100

_log = get_logger(__name__)


@dataclass(frozen=True)
class Prediction:
    """The answer to one request: class names and probabilities (n, n_classes), one for each of its rows."""

    class_names: list[str]
    probabilities: list[list[float]]

    def __len__(self) -> int:
        return len(self.class_names)


class ServedModel:
    """One version in service; every call of ``answer`` is counted, timed and judged."""

    def __init__(self, loaded: LoadedModel, monitor: ModelMonitor, store: PredictionStore, metrics: CollectorRegistry):
        self.meta = loaded.meta
        self.monitor = monitor
        self._model = loaded.model
        self._store = store
        track = track_prediction(self.meta.name, self.meta.version, registry=metrics, error_types=ERROR_TYPES)
        self.answer = track(self._answer)

    async def _answer(self, request: Request, request_id: str, latency_seconds: float) -> Prediction:
        """Read, predict, store, count: in this order, so that what is counted was stored."""
        instances = parse_instances(await read_json_body(request))
        if latency_seconds:
            await asyncio.sleep(latency_seconds)
        probabilities = self._model.predict_proba(np.clip(instances, -_LARGEST_INPUT, _LARGEST_INPUT))
        class_names = [self.meta.class_names[code] for code in probabilities.argmax(axis=1)]
        confidences = probabilities.max(axis=1)
        self._store.append(request_id, self.meta.name, self.meta.version, instances, class_names, confidences)
        self.monitor.observe(instances, class_names, confidences)
        return Prediction(class_names, probabilities.tolist())


class Serving:
    """The registry's champion in service; ``current`` changes only when its successor is ready.

    ``fault_latency_seconds`` (real seconds) is what each prediction takes longer while a fault is injected.
    """

    def __init__(
        self, registry_dir: Path | str, model_name: str, store: PredictionStore, metrics: CollectorRegistry
    ) -> None:
        self._registry = ModelRegistry(registry_dir)
        self._model_name = model_name
        self._store = store
        self._metrics = metrics
        self._monitors: dict[str, ModelMonitor] = {}
        self.fault_latency_seconds = 0.0
        self._reloading = asyncio.Lock()
        self.current = self._serve(self._load())

    async def reload(self) -> bool:
        """Put the registry's champion into service and say whether it is another version.

        Raises RegistryError when it cannot be loaded; the version in service then stays. Requests in flight are
        answered by the version that they began with.
        """
        async with self._reloading:
            loaded = await asyncio.to_thread(self._load)
            before = self.current
            if loaded.meta.version == before.meta.version:
                return False
            self.current = self._serve(loaded)
            before.monitor.retire()
            _log.info("champion changed", model_version=loaded.meta.version, previous_version=before.meta.version)
            return True

    def record_labels(self, model_version: str, predicted: tuple[str, ...], actual: list[str]) -> None:
        """Count labels under the version that answered, in service or not."""
        if model_version not in self._monitors:
            try:
                monitor = self._monitor(self._registry.meta(self._model_name, model_version))
            except RegistryError as error:
                _log.warning("labels stored but not counted", model_version=model_version, problem=error.problem)
                return
            monitor.retire()
        self._monitors[model_version].record_labels(predicted, actual)

    def _load(self) -> LoadedModel:
        loaded = self._registry.load(self._model_name, "champion")
        meta = loaded.meta
        if meta.feature_names != SCHEMA.feature_names or not set(meta.class_names) <= set(SCHEMA.class_names):
            raise RegistryError(
                f"{meta.name} {meta.version} has other features or classes than this service", "labkit rollback VERSION"
            )
        return loaded

    def _serve(self, loaded: LoadedModel) -> ServedModel:
        return ServedModel(loaded, self._monitor(loaded.meta), self._store, self._metrics)

    def _monitor(self, meta: ModelMeta) -> ModelMonitor:
        monitor = ModelMonitor(
            meta.name,
            meta.version,
            meta.reference,
            class_names=SCHEMA.class_names,
            plausible_ranges=SCHEMA.plausible_ranges,
            registry=self._metrics,
            info={"trained_at": meta.trained_at, "data_version": meta.data_version},
        )
        self._monitors[meta.version] = monitor
        return monitor
