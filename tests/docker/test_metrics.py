"""The rules ask for series that exist: a wrong name or label is no error in PromQL, only an alert that never fires."""

import re

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from labkit.observe.metrics import ModelMonitor, Reference, exposition, track_prediction

# Of other processes: Prometheus makes `up` itself, the retrainer counts its runs, and servers count messages.
ELSEWHERE = {
    "up",
    "model_retraining_total",
    "alertmanager_notifications_failed_total",
    "prometheus_notifications_dropped_total",
}
SELECTOR = re.compile(r'\b((?:model|alertmanager|prometheus)_[a-z_]+|up)(?:\{(\w+)="([^"]*)"\})?(?=[^\w:,]|$)')
GROUPING = re.compile(r"\b(by|on|ignoring) \([^)]*\)")


@pytest.fixture(scope="module")
def exported() -> dict[str, list[dict[str, str]]]:
    """What a service exports before it is asked for the first time: the labels of every series, by name."""
    registry = CollectorRegistry()
    rows = np.random.default_rng(0).normal(5, 1, (200, 2))
    reference = Reference.from_rows(rows, ["length", "width"], predictions=["a", "b"] * 100)
    ModelMonitor(
        "iris", "v1", reference,
        class_names=["a", "b"], plausible_ranges={"length": (0, 10), "width": (0, 10)}, registry=registry,
    )  # fmt: skip
    track_prediction("iris", "v1", registry=registry)(len)
    body, _ = exposition(registry)
    series: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            series.setdefault(sample.name, []).append(sample.labels)
    return series


def selectors(rules: list[dict]) -> set[tuple[str, str, str]]:
    """Return (metric, label, value) for each selector in the rules; no label, no value where it has no matcher."""
    return {found for rule in rules for found in SELECTOR.findall(GROUPING.sub("", rule["expr"]))}


def test_every_selector_of_the_rules_matches_a_series_before_any_traffic(rules, exported):
    asked = {found for found in selectors(rules) if found[0] not in ELSEWHERE}
    unmatched = {
        (name, label, value)
        for name, label, value in asked
        if not any(label == "" or labels.get(label) == value for labels in exported.get(name, []))
    }
    assert len(asked) > 15
    assert set() == unmatched


def test_every_bucket_bound_of_a_feature_has_its_reference(exported):
    key = ("model_name", "model_version", "feature", "le")
    buckets, references = (
        {tuple(labels[label] for label in key) for labels in exported[name]}
        for name in ("model_feature_value_bucket", "model_feature_reference_cdf")
    )
    assert references == buckets


def test_every_class_predicted_has_its_reference(exported):
    classes, references = (
        {labels["predicted_class"] for labels in exported[name]}
        for name in ("model_predictions_total", "model_reference_prediction_ratio")
    )
    assert references <= classes
    assert classes - references <= {"other"}
