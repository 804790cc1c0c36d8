"""Keep every answered prediction and its labels, so that what was answered with 2xx survives a killed process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from labkit.clock import Clock

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LabelResult", "PredictionStore"]


@dataclass(frozen=True)
class LabelResult:
    """What became of labels that arrived; version and predictions are those of the request they belong to."""

    outcome: Literal["stored", "duplicate", "conflict", "unknown", "wrong_count"]
    model_version: str | None = None
    predictions: tuple[str, ...] = ()


class PredictionStore:
    """A SQLite file with one line per answered request; a context manager."""

    def __init__(
        self,
        path: str | Path,
        feature_names: Sequence[str],
        *,
        clock: Clock,
        retention: str = "7d",
        max_bytes: int = 500_000_000,
        read_only: bool = False,
    ) -> None: ...

    def __enter__(self) -> "PredictionStore":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None: ...

    def append(
        self,
        request_id: str,
        model_name: str,
        model_version: str,
        instances: np.ndarray,
        predictions: Sequence[str],
        confidences: Sequence[float],
    ) -> None: ...

    def label(self, request_id: str, labels: Sequence[str]) -> LabelResult: ...

    def labelled(
        self,
        since: float | None = None,
        until: float | None = None,
        model_version: str | None = None,
        by: Literal["predicted_at", "labelled_at"] = "predicted_at",
    ) -> "pd.DataFrame": ...

    def predictions(self, since: float | None = None, limit: int | None = None) -> "pd.DataFrame": ...

    def counts(self) -> dict[str, int]: ...
