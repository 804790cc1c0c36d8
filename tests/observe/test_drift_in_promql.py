"""Drift in PromQL is drift in Python: on the same rows, over three replicas and in many windows."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from prometheus_client import CollectorRegistry, start_http_server
from scipy.stats import ks_2samp

from labkit.clock import Clock, wait_until
from labkit.model.iris import SCHEMA
from labkit.observe.metrics import ModelMonitor
from labkit.simulate.scenarios import scenario
from labkit.stack import processes
from labkit.stack.home import Home
from labkit.stack.prometheus import Prometheus
from labkit.stack.render import render
from labkit.stack.services import stack_services
from labkit.tournament.exact import exact_distances
from labkit.tournament.rules import binned_distances, rule_limit
from labkit.tournament.streams import draw_stream, world
from labkit.tournament.windows import totals

CLOCK = Clock(10)  # a scrape may take 1.5 s, on a busy machine too, and an hour is more than the test takes
ROWS = 3_000
# A version for each case: distances are taken by version, so that one Prometheus judges all of them at once.
CASES = ("steady", "harmless_drift", "unit_error", "class_shift")
PARTS = (0.2, 0.3, 0.5)  # of the rows to each replica


def rows_of(case: str) -> np.ndarray:
    """Return the rows of a case, sorted by petal length: each replica sees other flowers, and all three see all."""
    rows = scenario(case).batch(ROWS, 21_600, np.random.default_rng(CASES.index(case))).instances
    return rows[np.argsort(rows[:, 2])]


@pytest.fixture(scope="module")
def replicas() -> Iterator[list[CollectorRegistry]]:
    """Three exporters on loopback, each with a registry of its own."""
    registries = [CollectorRegistry() for _ in PARTS]
    servers = [start_http_server(0, addr="127.0.0.1", registry=each) for each in registries]
    for registry, (server, _) in zip(registries, servers, strict=True):
        registry.port = server.server_port
    yield registries
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def prometheus(replicas: list[CollectorRegistry], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the lab's rules that scrapes the three of them."""
    home = Home(tmp_path_factory.mktemp("promql") / ".lab").create()
    home.choose_ports()
    render(home, CLOCK)
    targets = [{"targets": [f"127.0.0.1:{registry.port}" for registry in replicas]}]
    (home.rendered / "prometheus/targets/model.json").write_text(json.dumps(targets))
    processes.start([each for each in stack_services(home, CLOCK) if each.name == "prometheus"], home)
    yield Prometheus(home.url("prometheus"), CLOCK)
    processes.stop(home)


@pytest.fixture(scope="module")
def judged(replicas: list[CollectorRegistry], prometheus: Prometheus) -> Prometheus:
    """The same Prometheus when it has scraped every replica at 0, then with its part of every case, then a while."""
    monitors = {
        case: [
            ModelMonitor("iris", case, world().reference, class_names=SCHEMA.class_names, registry=registry)
            for registry in replicas
        ]
        for case in CASES
    }
    scraped = f"count(model_feature_value_count) == {len(CASES) * len(PARTS) * len(SCHEMA.feature_names)}"
    wait_until(lambda: len(prometheus.query(scraped)), 180, "three replicas to be scraped at 0", every=0.5)
    for case, of_case in monitors.items():
        parts = np.split(rows_of(case), (np.cumsum(PARTS)[:-1] * ROWS).astype(int))
        for monitor, rows in zip(of_case, parts, strict=True):
            probabilities = world().model.predict_proba(rows)
            names = np.array(SCHEMA.class_names)[probabilities.argmax(axis=1)]
            monitor.observe(rows, names.tolist(), probabilities.max(axis=1).tolist())
    # Ten scrapes make replicas weigh alike: `rate` extrapolates each one to the ends of its window.
    whole = f"count(sum by (model_version) (model_predictions_total) == {ROWS}) == {len(CASES)}"
    settled = f"({whole}) and on () (min(count_over_time(model_reference_rows[1h])) >= 10)"
    wait_until(lambda: len(prometheus.query(settled)), 180, "every row to be scraped, and some scrapes more", every=0.5)
    return prometheus


def recorded(prometheus: Prometheus, name: str, case: str) -> pd.DataFrame:
    """Return a recorded series of a case, each as of its last evaluation."""
    return prometheus.query(f'last_over_time({name}{{model_version="{case}"}}[1m])')


def exact(case: str) -> dict[str, float]:
    columns = zip(SCHEMA.feature_names, world().rows.T, rows_of(case).T, strict=True)
    return {name: ks_2samp(reference, now, method="asymp").statistic for name, reference, now in columns}


def largest_share_in_a_bin(case: str, feature: str) -> float:
    """Return the largest share of either side between two neighbouring bounds."""
    column = SCHEMA.feature_names.index(feature)
    edges = [-np.inf, *world().reference.bounds[feature], np.inf]
    sides = (world().rows[:, column], rows_of(case)[:, column])
    return max((np.diff(np.searchsorted(np.sort(side), edges, side="right")) / len(side)).max() for side in sides)


@pytest.mark.parametrize("case", CASES)
def test_three_replicas_add_up_to_the_distance_of_all_rows(judged: Prometheus, case: str) -> None:
    found = recorded(judged, "model_feature:ks:distance_rate1h", case).set_index("feature")["value"]
    assert set(found.index) == set(SCHEMA.feature_names)
    for feature, distance in exact(case).items():
        assert abs(found[feature] - distance) <= largest_share_in_a_bin(case, feature), feature


@pytest.mark.parametrize("case", CASES)
def test_the_verdicts_are_those_of_the_exact_distances(judged: Prometheus, case: str) -> None:
    beyond = judged.query(
        f'last_over_time(model_feature:ks:distance_rate1h{{model_version="{case}"}}[1m])'
        " > last_over_time(model_feature:ks:limit_rate1h[1m])"
    )
    limit = rule_limit(np.array([ROWS]))[0]
    expected = {feature for feature, distance in exact(case).items() if distance > limit}
    assert set(beyond.get("feature", ())) == expected


@pytest.mark.parametrize("case", CASES)
def test_three_replicas_add_up_to_the_shift_of_all_predictions(judged: Prometheus, case: str) -> None:
    predicted = world().model.predict(rows_of(case))
    usual = world().reference.prediction_ratio
    expected = sum(abs(np.mean(predicted == name) - usual[name]) for name in SCHEMA.class_names) / 2
    found = recorded(judged, "model_version:prediction_shift:distance_rate1h", case)["value"].item()
    assert found == pytest.approx(expected, abs=0.03)


def test_one_replica_alone_would_say_something_else(judged: Prometheus) -> None:
    one = judged.query(
        'max by (instance) (abs(rate(model_feature_value_bucket{model_version="steady",feature="petal_length"}[1h])'
        " / ignoring (le) group_left rate(model_feature_value_count[1h]) - model_feature_reference_cdf))"
    )
    assert (one["value"] > 0.3).all()
    found = recorded(judged, "model_feature:ks:distance_rate1h", "steady").set_index("feature")["value"]
    assert found["petal_length"] < 0.05


def test_verdicts_agree_in_99_of_100_windows_away_from_the_threshold() -> None:
    agreed, near = [], []
    for seed, name in enumerate(("seasonal", "harmless_drift", "class_shift", "sensor_drift")):
        for severity in (0.3, 0.6, 1.0):
            stream = draw_stream(scenario(name).at(severity), 150, 50, seed)
            limit = rule_limit(totals(stream.minute, stream.n_minutes, 60))[:, np.newaxis]
            distances, binned = exact_distances(stream, (60,))[60], binned_distances(stream)
            far = np.abs(distances - limit) > 0.02
            agreed.append(((distances > limit) == (binned > limit))[far])
            near.append(~far)
    assert np.concatenate(agreed).mean() >= 0.99
    assert np.concatenate(agreed).size > 5_000
    assert np.concatenate(near).mean() < 0.2
