"""Count what a model version answered, how sure it was, and whether it was right."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock

import numpy as np

from labkit.errors import InputError
from labkit.observe.buffers import Folding, take
from labkit.observe.collector import Scrape
from labkit.observe.histogram import BatchHistogram

__all__ = ["CONFIDENCE_BOUNDS", "LabelCounts", "PredictionCounts"]

CONFIDENCE_BOUNDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_FOLD_AT_ROWS = 8192


class PredictionCounts(Folding):
    """Rows by predicted class, and the histogram of their confidences."""

    def __init__(self, class_names: Iterable[str]) -> None:
        self._class_names = tuple(class_names)
        self._classes: list[str] = []
        self._confidences = bytearray()
        super().__init__(fold_at=_FOLD_AT_ROWS)
        self._reset()

    def add(self, predictions: Sequence[str], confidences: Sequence[float]) -> None:
        """Count rows: their classes ``(n_rows,)`` and the probabilities of these ``(n_rows,)``."""
        self._confidences.extend(np.asarray(confidences, dtype=np.float64).tobytes())
        self._classes.extend(predictions)
        if len(self._classes) >= self.fold_at:
            self.fold_grown()

    def report(self, scrape: Scrape, labels: Mapping[str, str]) -> None:
        """Add the rows by class, every class from the start, and the confidences."""
        with self.folded():
            for name, count in self._rows.items():
                scrape.value("model_predictions", {**labels, "predicted_class": name}, count)
            scrape.histogram("model_prediction_confidence", labels, self._confidence)

    def start_empty(self) -> None:
        super().start_empty()
        self._classes.clear()
        self._confidences.clear()
        self._reset()

    def _reset(self) -> None:
        self._rows = Counter(dict.fromkeys(self._class_names, 0))
        self._confidence = BatchHistogram(CONFIDENCE_BOUNDS)

    def _fold(self) -> None:
        for name, count in Counter(take(self._classes)).items():
            # A label's values must stay a closed set, whatever a model answers.
            self._rows[name if name in self._class_names else "other"] += count
        confidences = np.frombuffer(take(self._confidences))
        self._confidence.add(confidences[np.isfinite(confidences)])


class LabelCounts:
    """Rows whose true label arrived, by outcome, and the accuracy over the last ``window`` of them."""

    def __init__(self, window: int) -> None:
        self._window = window
        self.start_empty()

    def add(self, predicted: Sequence[str], actual: Sequence[str]) -> None:
        """Compare classes ``(n_rows,)`` with labels ``(n_rows,)``; raises InputError when their numbers differ."""
        if len(predicted) != len(actual):
            raise InputError(f"{len(actual)} labels came for {len(predicted)} predictions")
        outcomes = [bool(answer == label) for answer, label in zip(predicted, actual, strict=True)]
        with self._lock:
            self._correct += sum(outcomes)
            self._incorrect += len(outcomes) - sum(outcomes)
            self._last.extend(outcomes)

    def report(self, scrape: Scrape, labels: Mapping[str, str], in_service: bool) -> None:
        """Add the counts, and the accuracy once there is a label."""
        with self._lock:
            scrape.value("model_labels", {**labels, "outcome": "correct"}, self._correct)
            scrape.value("model_labels", {**labels, "outcome": "incorrect"}, self._incorrect)
            if in_service and self._last:
                scrape.value("model_accuracy", labels, sum(self._last) / len(self._last))

    def start_empty(self) -> None:
        """Forget everything and make a new lock, in a process that was just forked off."""
        self._lock = Lock()
        self._correct = self._incorrect = 0
        self._last: deque[bool] = deque(maxlen=self._window)
