"""A fleet and a long-term store work beside the lab, may be asked for twice, and end with a reset."""

from collections.abc import Iterator

import pytest

from labkit.errors import InputError, LabError
from labkit.lab import Lab
from labkit.stack.longterm import LongTermStore
from labkit.stack.processes import running
from labkit.stack.replicas import Replica
from labkit.teach.fleet import Fleet

WRITE = """
global:
  external_labels: {{site: greenhouse}}
remote_write:
  - url: {url}/api/v1/write
    remote_timeout: 30s
    write_relabel_configs:
      - {{source_labels: [__name__], regex: model_prediction_rows_total, action: keep}}
"""


@pytest.fixture(scope="module")
def fleet(lab: Lab) -> Fleet:
    return Fleet(lab).start()


@pytest.fixture(scope="module")
def store(lab: Lab) -> Iterator[LongTermStore]:
    store = LongTermStore(lab.home, lab.clock).start()
    store.connect(WRITE.format(url=store.url))
    return store


def processes(lab: Lab) -> dict[str, int]:
    return {name: process.pid for name, process in running(lab.home).items()}


def test_prometheus_scrapes_every_replica(lab: Lab, fleet: Fleet) -> None:
    up = lab.wait_for('count(up{job="model"} == 1) == 3')
    assert up["value"].item() == 3
    assert len({fleet.instance(name) for name in ("model", "model-2", "model-3")}) == 3


def test_a_fleet_that_runs_is_left_as_it_is(lab: Lab, fleet: Fleet) -> None:
    before = processes(lab)
    assert Fleet(lab).start().urls == fleet.urls
    assert processes(lab) == before


def test_each_replica_answers_its_own_traffic(lab: Lab, fleet: Fleet) -> None:
    for number, name in enumerate(fleet.urls):
        fleet.traffic(name, rate=5, seed=number)
    lab.wait_for("count(increase(model_prediction_rows_total[15m]) > 0) == 3", "4h")


def test_a_replica_that_does_not_exist_is_named(fleet: Fleet) -> None:
    with pytest.raises(InputError, match="choose one of model, model-2, model-3"):
        fleet.traffic("model-4")


def test_the_store_gets_what_is_kept_and_nothing_else(lab: Lab, store: LongTermStore) -> None:
    lab.traffic("steady", rate=5)
    kept = store.wait_for("model_prediction_rows_total", "4h")
    assert set(kept["site"]) == {"greenhouse"}
    assert not len(store.prometheus.query('{__name__=~".+", __name__!="model_prediction_rows_total"}'))


@pytest.mark.parametrize(
    ("addition", "said"),
    [
        ("remote_write: [", "no YAML"),
        ("scrape_configs: []", "something else than remote_write"),
        ("global: {scrape_interval: 1m}", "external_labels here"),
        ("remote_write: [{url: 'not a url'}, {nothing: 1}]", "promtool refuses"),
    ],
)
def test_a_refused_addition_changes_nothing(lab: Lab, store: LongTermStore, addition: str, said: str) -> None:
    path = lab.home.rendered / "prometheus" / "prometheus.yml"
    before = path.read_text()
    with pytest.raises(InputError, match=said):
        store.connect(addition)
    assert path.read_text() == before


def test_a_fleet_can_be_sent_home(lab: Lab, fleet: Fleet) -> None:
    fleet.stop()
    assert len(lab.query('up{job="model"}')) == 1
    assert not [name for name in processes(lab) if name.startswith(("model-", "traffic-"))]
    with pytest.raises(LabError, match="model-3 does not answer"):
        fleet.delay("model-3", 0.5)


def test_a_reset_ends_both_and_their_ports_are_kept(lab: Lab, fleet: Fleet, store: LongTermStore) -> None:
    fleet.start()
    lab.reset()
    assert not {"model-2", "model-3", "traffic-2", "traffic-3", "long-term"} & set(processes(lab))
    assert lab.wait_for('up{job="model"}')["instance"].tolist() == [fleet.instance("model")]
    assert "remote_write" not in (lab.home.rendered / "prometheus" / "prometheus.yml").read_text()
    assert [Replica(lab.home, number).url for number in (2, 3)] == [fleet.urls["model-2"], fleet.urls["model-3"]]
    assert LongTermStore(lab.home, lab.clock).url == store.url
