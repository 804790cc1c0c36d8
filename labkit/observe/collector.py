"""One collector per registry: it merges the series of every model version into one family per metric."""

import os
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Metric

from labkit.errors import InputError
from labkit.observe.histogram import BatchHistogram

__all__ = ["ModelCollector", "Scrape", "Source", "collector_of"]

S = TypeVar("S", bound="Source")

_FAMILIES = (
    ("model_prediction_requests", "counter", "Calls of the prediction function, begun"),
    ("model_prediction_rows", "counter", "Rows predicted"),
    ("model_prediction_errors", "counter", "Calls that ended with an exception"),
    ("model_prediction_latency_seconds", "histogram", "Time that a call took, also when it failed"),
    ("model_predictions_in_progress", "gauge", "Calls begun and not yet ended"),
    ("model_predictions", "counter", "Rows by the class predicted"),
    ("model_reference_prediction_ratio", "gauge", "Share of each class among the predictions for the reference"),
    ("model_prediction_confidence", "histogram", "Probability of the class predicted"),
    ("model_feature_value", "histogram", "Finite values of each feature, in bins of the reference's quantiles"),
    ("model_feature_reference_cdf", "gauge", "Share of the reference's values at or below each bound"),
    ("model_reference_rows", "gauge", "Rows in the reference"),
    ("model_feature_invalid", "counter", "Values that are missing, not finite, or out of the plausible range"),
    ("model_labels", "counter", "Rows whose true label arrived, by whether the prediction was right"),
    ("model_accuracy", "gauge", "Share of right predictions among the last labelled rows"),
    ("model", "info", "The model version in service"),
)
_SUFFIXES = {"counter": "_total", "info": "_info"}


class Scrape:
    """The samples of one scrape, sorted into families while the sources report."""

    def __init__(self) -> None:
        self._families = {name: Metric(name, text, kind) for name, kind, text in _FAMILIES}

    def value(self, family: str, labels: Mapping[str, str], value: float) -> None:
        """Add the one sample of a counter or gauge."""
        metric = self._families[family]
        metric.add_sample(family + _SUFFIXES.get(metric.type, ""), dict(labels), value)

    def histogram(self, family: str, labels: Mapping[str, str], histogram: BatchHistogram) -> None:
        """Add every series of a histogram."""
        metric = self._families[family]
        for suffix, more, value in histogram.samples():
            metric.add_sample(family + suffix, {**labels, **more}, value)

    def families(self) -> list[Metric]:
        """Return every family, also those without samples."""
        return list(self._families.values())


class Source(Protocol):
    """The series of one model version; a collector asks it at each scrape."""

    def report(self, scrape: Scrape, in_service: bool) -> None:
        """Add counters and histograms, and the gauges only when the version is in service."""

    def start_empty(self) -> None:
        """Forget everything and make new locks: this process was just forked off, and has done nothing yet."""


class ModelCollector:
    """Every source of one registry, by kind, model name and version."""

    def __init__(self) -> None:
        self._sources: dict[tuple[type, str, str], Source] = {}
        self._retired: set[tuple[str, str]] = set()
        self._lock = Lock()

    def source(self, kind: type[S], model_name: str, model_version: str, create: Callable[[Mapping[str, str]], S]) -> S:
        """Return the source of a version, created with its labels when there is none; the version is in service."""
        version = (str(model_name), str(model_version))
        with self._lock:
            if (kind, *version) not in self._sources:
                self._sources[(kind, *version)] = create(
                    dict(zip(("model_name", "model_version"), version, strict=True))
                )
            self._retired.discard(version)
            return self._sources[(kind, *version)]

    def retire(self, model_name: str, model_version: str) -> None:
        """Stop exporting the gauges of a version; its counters stay, for they must not fall."""
        with self._lock:
            self._retired.add((model_name, model_version))

    def describe(self) -> Iterable[Metric]:
        """Name the families, so that a registry sees a clash without a scrape."""
        return Scrape().families()

    def collect(self) -> Iterable[Metric]:
        """Return the families that have samples."""
        with self._lock:
            sources, retired = dict(self._sources), set(self._retired)
        scrape = Scrape()
        for (_, *version), source in sources.items():
            source.report(scrape, in_service=tuple(version) not in retired)
        return [family for family in scrape.families() if family.samples]

    def start_empty(self) -> None:
        """Forget what the parent counted, after a fork."""
        self._lock = Lock()
        for source in self._sources.values():
            source.start_empty()


_collectors: WeakKeyDictionary[CollectorRegistry, ModelCollector] = WeakKeyDictionary()
_collectors_lock = Lock()


def collector_of(registry: CollectorRegistry) -> ModelCollector:
    """Return the registry's collector, registered at the first call.

    Raises InputError when the registry already holds one of our metrics from elsewhere.
    """
    with _collectors_lock:
        if registry not in _collectors:
            collector = ModelCollector()
            try:
                registry.register(collector)
            except ValueError as error:
                remedy = "pass registry=CollectorRegistry(), or restart the kernel"
                raise InputError(
                    f"this registry has one of labkit's metrics from elsewhere: {error}", remedy
                ) from error
            _collectors[registry] = collector
        return _collectors[registry]


def _start_empty_in_child() -> None:
    global _collectors_lock
    _collectors_lock = Lock()
    for collector in list(_collectors.values()):
        collector.start_empty()


os.register_at_fork(after_in_child=_start_empty_in_child)
