"""Watch what goes into a model version and what comes out of it."""

from collections.abc import Mapping, Sequence

import numpy as np
from prometheus_client import REGISTRY, CollectorRegistry

from labkit.observe.reference import Reference

__all__ = ["ModelMonitor"]


class ModelMonitor:
    """Count the feature values, predictions, confidences and labels of one model version."""

    def __init__(
        self,
        model_name: str,
        model_version: str,
        reference: Reference,
        *,
        class_names: Sequence[str],
        plausible_ranges: Mapping[str, tuple[float, float]] | None = None,
        registry: CollectorRegistry = REGISTRY,
        info: Mapping[str, str] | None = None,
        accuracy_window: int = 500,
    ) -> None: ...

    def observe(self, instances: np.ndarray, predictions: Sequence[str], confidences: np.ndarray) -> None: ...

    def record_labels(self, predicted: Sequence[str], actual: Sequence[str]) -> None: ...

    def retire(self) -> None: ...
