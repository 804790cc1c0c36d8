"""The checks of notebook 11 refuse what is wrong, and say why, in front of a real fleet."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from labkit.lab import Lab
from labkit.stack.longterm import LongTermStore
from labkit.teach import open_lesson
from labkit.teach.fleet import Fleet
from tests.teach.checking import approval, refusal

lesson = open_lesson("11")

CORRECT, ALL = 'rate(model_labels_total{outcome="correct"}[15m])', "rate(model_labels_total[15m])"
BUCKETS = "rate(model_prediction_latency_seconds_bucket[15m])"
P95 = "histogram_quantile(0.95, sum by ({}) ({}))"
KEEP = "[{source_labels: [__name__], regex: model.+, action: keep}]"


def write(url: str, relabel: str = "[]") -> str:
    return f"remote_write: [{{url: {url}/api/v1/write, write_relabel_configs: {relabel}}}]"


WRONG: dict[str, list[tuple[Any, str]]] = {
    "q1": [
        (f"avg(sum by (instance) ({CORRECT}) / sum by (instance) ({ALL}))", "mean of three accuracies"),
        ("avg(model_accuracy)", "Gauges of ratios cannot be put together"),
        (f"sum by (instance) ({CORRECT}) / sum by (instance) ({ALL})", "returns 3 values"),
        (
            'sum(model_labels_total{outcome="correct"}) / sum(model_labels_total)',
            "since each replica started",
        ),
        (f"sum({CORRECT})", "the fleet's accuracy is another"),
        ("model_correct_total", "returns nothing"),
        (0.97, "This is float"),
    ],
    "q2": [
        ("avg(" + P95.format("instance, le", BUCKETS) + ")", "the quantile of nothing"),
        ("max(" + P95.format("instance, le", BUCKETS) + ")", "the slowest replica"),
        (P95.format("instance, le", BUCKETS), "returns 3 values"),
        (f"histogram_quantile(0.95, sum({BUCKETS}))", "returns nothing"),
        (P95.format("le", BUCKETS).replace("0.95", "0.5"), "the fleet's P95 is another"),
        (
            "sum(rate(model_prediction_latency_seconds_sum[15m]))"
            " / sum(rate(model_prediction_latency_seconds_count[15m]))",
            "is a mean",
        ),
    ],
    "q3": [
        (lambda _lab, store: write(store.url), "other names, such as"),
        (lambda lab, _store: write(lab.home.url("prometheus"), KEEP), "to itself"),
        (lambda _lab, store: write(store.url, KEEP).replace("/api/v1/write", ""), "path /api/v1/write"),
        (lambda _lab, _store: write("http://127.0.0.1:9", KEEP), "is not the store"),
        (lambda _lab, store: write(store.url, KEEP).replace("remote_write", "remote_read"), "no list under the key"),
        (lambda _lab, store: write(store.url, KEEP.replace("keep", "hold")), "promtool refuses"),
        (lambda _lab, store: {"url": store.url}, "This is dict"),
    ],
}


@pytest.fixture(scope="module")
def fleet(lab: Lab) -> Lab:
    """Two busy replicas that are well, and one with little traffic that is slow and gets mm."""
    fleet = Fleet(lab).start()
    fleet.traffic("model", rate=12, seed=1)
    fleet.traffic("model-2", rate=12, seed=2)
    fleet.traffic("model-3", "unit_error", rate=4, seed=3)
    fleet.delay("model-3", 0.4)
    lab.wait_for("count(sum by (instance) (increase(model_labels_total[15m])) > 50) == 3", "4h")
    slow = BUCKETS.replace("[", f'{{instance="{fleet.instance("model-3")}"}}[')
    lab.wait_for(f"histogram_quantile(0.1, {slow}) > 0.25", "4h")
    return lab


@pytest.fixture(scope="module")
def store(fleet: Lab) -> LongTermStore:
    return LongTermStore(fleet.home, fleet.clock).start()


@pytest.mark.parametrize(("answer", "said"), WRONG["q1"])
def test_a_wrong_accuracy_of_the_fleet_hears_why(fleet: Lab, answer: Any, said: str) -> None:
    assert said in refusal(lesson.q1, fleet, answer)


def test_the_recorded_rule_is_the_accuracy_of_the_fleet(fleet: Lab) -> None:
    assert "answered rightly" in approval(lesson.q1, fleet, "model_version:accuracy:ratio_rate15m")


@pytest.mark.parametrize(("answer", "said"), WRONG["q2"])
def test_a_wrong_quantile_of_the_fleet_hears_why(fleet: Lab, answer: str, said: str) -> None:
    assert said in refusal(lesson.q2, fleet, answer)


def test_a_sum_that_keeps_the_model_is_right_too(fleet: Lab) -> None:
    assert "95 of 100 requests" in approval(lesson.q2, fleet, P95.format("le, model_name, model_version", BUCKETS))


@pytest.mark.parametrize(("answer", "said"), WRONG["q3"])
def test_a_configuration_that_writes_wrongly_hears_why(
    fleet: Lab, store: LongTermStore, answer: Callable[[Lab, LongTermStore], Any], said: str
) -> None:
    assert said in refusal(lesson.q3, fleet, answer(fleet, store))


def test_after_a_wrong_configuration_the_right_one_is_accepted(fleet: Lab, store: LongTermStore) -> None:
    store.connect(write(store.url))
    store.wait_for("up", "4h")
    assert "nothing else" in approval(lesson.q3, fleet, write(store.url, KEEP))


def test_the_hint_about_relabelling_is_yaml_that_fits_into_an_f_string() -> None:
    block = lesson.q3.hints[1].rpartition("\n")[0]
    assert "{" not in block
    assert yaml.safe_load(block) == {"write_relabel_configs": yaml.safe_load(KEEP)}
