"""Watch one model version: what goes in, what comes out, and whether it was right."""

from collections.abc import Mapping, Sequence

import numpy as np
from prometheus_client import REGISTRY, CollectorRegistry

from labkit.errors import InputError
from labkit.observe.collector import ModelCollector, Scrape, collector_of
from labkit.observe.features import FeatureHistograms
from labkit.observe.histogram import bucket_labels
from labkit.observe.outcomes import LabelCounts, PredictionCounts
from labkit.observe.reference import Reference

__all__ = ["ModelMonitor"]


class ModelMonitor:
    """Export predictions, confidences, feature values, labels and the reference of a model version.

    There is one monitor for a version in a registry: asked for again, it is returned and back in service. That raises
    InputError when its reference, classes, ranges or window differ, for one version has one meaning. ``info`` are
    more labels for ``model_info``, such as ``trained_at`` and ``data_version``.
    """

    def __new__(
        cls,
        model_name: str,
        model_version: str,
        reference: Reference,
        *,
        class_names: Sequence[str],
        plausible_ranges: Mapping[str, tuple[float, float]] | None = None,
        registry: CollectorRegistry = REGISTRY,
        info: Mapping[str, str] | None = None,
        accuracy_window: int = 500,
    ) -> "ModelMonitor":
        settings = (reference, tuple(class_names), dict(plausible_ranges or {}), accuracy_window)
        collector = collector_of(registry)

        def create(labels: Mapping[str, str]) -> ModelMonitor:
            monitor = super(ModelMonitor, cls).__new__(cls)
            monitor._start(collector, labels, settings)
            return monitor

        monitor = collector.source(cls, model_name, model_version, create)
        if monitor._settings != settings:
            remedy = "give the model a new version, or pass registry=CollectorRegistry()"
            raise InputError(f"{model_name} {model_version} is monitored already, with another reference", remedy)
        monitor._info = dict(info or {})
        return monitor

    def _start(self, collector: ModelCollector, labels: Mapping[str, str], settings: tuple) -> None:
        self._collector, self._labels, self._settings = collector, labels, settings
        self._reference, self._class_names, plausible_ranges, accuracy_window = settings
        self._info: dict[str, str] = {}
        self._features = FeatureHistograms(self._reference, plausible_ranges)
        self._predictions = PredictionCounts(self._class_names)
        self._true_labels = LabelCounts(accuracy_window)

    def observe(self, instances: np.ndarray, predictions: Sequence[str], confidences: Sequence[float]) -> None:
        """Count rows ``(n_rows, n_features)``, NaN where missing, their classes and the probabilities of these.

        All are copied. Raises InputError when shapes do not fit.
        """
        if not len(instances) == len(predictions) == len(confidences):
            counts = f"{len(instances)} rows, {len(predictions)} predictions and {len(confidences)} confidences"
            raise InputError(f"{counts} do not belong together")
        self._features.add(instances)
        self._predictions.add(predictions, confidences)

    def record_labels(self, predicted: Sequence[str], actual: Sequence[str]) -> None:
        """Count labels that arrived for rows that this version predicted."""
        self._true_labels.add(predicted, actual)

    def retire(self) -> None:
        """Take the version out of service: its gauges vanish, its counters and histograms stay."""
        self._collector.retire(self._labels["model_name"], self._labels["model_version"])

    def report(self, scrape: Scrape, in_service: bool) -> None:
        """Add every series to a scrape."""
        self._predictions.report(scrape, self._labels)
        self._features.report(scrape, self._labels)
        self._true_labels.report(scrape, self._labels, in_service)
        if in_service:
            scrape.value("model", {**self._info, **self._labels}, 1)
            self._report_reference(scrape)

    def start_empty(self) -> None:
        """Forget everything, in a process that was just forked off."""
        for part in (self._predictions, self._features, self._true_labels):
            part.start_empty()

    def _report_reference(self, scrape: Scrape) -> None:
        reference, labels = self._reference, self._labels
        scrape.value("model_reference_rows", labels, reference.n_rows)
        for name in self._class_names if reference.prediction_ratio else ():
            share = reference.prediction_ratio.get(name, 0.0)
            scrape.value("model_reference_prediction_ratio", {**labels, "predicted_class": name}, share)
        for feature in reference.feature_names:
            shares = zip(bucket_labels(reference.bounds[feature]), reference.cdf[feature], strict=True)
            for le, share in shares:
                scrape.value("model_feature_reference_cdf", {**labels, "feature": feature, "le": le}, share)
