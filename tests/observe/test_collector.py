"""All versions of a registry share one collector, whose scrape any Prometheus reads."""

import gc
import subprocess
import weakref

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from labkit.errors import InputError
from labkit.observe.metrics import ModelMonitor, Reference, exposition, track_prediction

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def registry() -> CollectorRegistry:
    """Two versions that have seen a little traffic."""
    registry = CollectorRegistry()
    rows = np.random.default_rng(0).normal(5, 1, (1_000, 2)).round(2)
    reference = Reference.from_rows(rows, ["length", "width"], ["a"] * 1_000)
    for version in ("v1", "v2"):
        track_prediction("iris", version, registry=registry)(list)()
        info = {"trained_at": '2024 "May"\n', "data_version": "d"}
        monitor = ModelMonitor("iris", version, reference, class_names=["a", "b"], registry=registry, info=info)
        monitor.observe(rows[:10], ["a"] * 10, np.full(10, 0.7))
        monitor.record_labels(["a"], ["b"])
    return registry


def test_both_versions_are_merged_into_one_family_each(registry):
    families = list(registry.collect())

    assert len({family.name for family in families}) == len(families) == 15
    for family in families:
        assert {sample.labels["model_version"] for sample in family.samples} == {"v1", "v2"}
        assert {sample.labels["model_name"] for sample in family.samples} == {"iris"}


@pytest.mark.parametrize(
    ("accept", "parse"), [(None, parse_text), ("text/plain", parse_text), (OPENMETRICS, parse_openmetrics)]
)
def test_a_scrape_is_read_back_as_it_was_meant(registry, accept, parse):
    body, content_type = exposition(registry, accept)

    assert content_type.startswith("application/openmetrics-text" if accept == OPENMETRICS else "text/plain; version=")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(body.decode())
        for sample in family.samples
    }
    expected = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
    }
    assert samples == expected


def test_promtool_finds_nothing_but_the_bounds_of_the_references_share(registry, binaries):
    body, _ = exposition(registry)

    checked = subprocess.run([binaries["promtool"], "check", "metrics"], input=body, capture_output=True, check=False)

    # A gauge with the label le is what lets PromQL compare it with a histogram's buckets.
    complaints = (checked.stdout + checked.stderr).decode().splitlines()
    assert {complaint.split()[0] for complaint in complaints} == {"model_feature_reference_cdf"}
    assert all('should not have "le" label' in complaint for complaint in complaints)


def test_two_scrapes_without_traffic_are_the_same(registry):
    assert exposition(registry) == exposition(registry)


def test_a_registry_that_has_one_of_our_metrics_from_elsewhere_is_refused_with_a_remedy():
    registry = CollectorRegistry()
    Counter("model_prediction_requests_total", "mine", registry=registry)

    with pytest.raises(InputError, match=r"registry=CollectorRegistry\(\)"):
        track_prediction("iris", "v1", registry=registry)


def test_a_metric_of_our_name_defined_afterwards_is_refused_by_the_registry(registry):
    with pytest.raises(ValueError, match="model_labels_total"):
        Counter("model_labels_total", "mine", registry=registry)


def test_a_registry_that_nobody_holds_any_more_is_let_go():
    registry = CollectorRegistry()
    track_prediction("iris", "v1", registry=registry)(list)()
    gone = weakref.ref(registry)
    del registry
    gc.collect()

    assert gone() is None
