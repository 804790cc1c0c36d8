"""A registry of the learner's own, served to the lab's Prometheus."""

import json
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from labkit.clock import Clock, wait_until
from labkit.doctor import examine
from labkit.errors import InputError
from labkit.lab import Lab
from labkit.stack.home import Home
from labkit.stack.render import render
from labkit.teach.serving import end_serving, serve


@pytest.fixture(scope="module")
def own_lab(lab: Lab) -> Iterator[Lab]:
    yield lab
    end_serving(lab)


@pytest.fixture
def unscraped(home: Home) -> Iterator[SimpleNamespace]:
    """A lab's folder without servers: nobody waits for a scrape."""
    render(home, Clock())
    stand_in = SimpleNamespace(home=home, wait_for=lambda _expression, _timeout: None)
    yield stand_in
    end_serving(stand_in)


def flowers(count: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("flowers_total", "Flowers seen", registry=registry).inc(count)
    return registry


def target_file(home: Home) -> list[dict]:
    return json.loads((home.rendered / "prometheus" / "targets" / "notebook.json").read_text())


def is_gone(url: str) -> bool:
    try:
        httpx.get(url, timeout=2)
    except httpx.ConnectError:
        return True
    return False


def test_prometheus_has_scraped_what_is_served_once_its_address_is_known(own_lab: Lab) -> None:
    url = serve(own_lab, flowers(3))
    found = own_lab.query("last_over_time(flowers_total[1m])")
    assert found[["job", "value"]].values.tolist() == [["notebook", 3]]
    assert url == f"http://{found['instance'].item()}/metrics"


def test_a_notebook_that_was_killed_is_no_fault_of_the_lab(own_lab: Lab) -> None:
    serve(own_lab, flowers(1))
    listed = target_file(own_lab.home)
    end_serving(own_lab)
    (own_lab.home.rendered / "prometheus" / "targets" / "notebook.json").write_text(json.dumps(listed))
    wait_until(lambda: (own_lab.query('up{job="notebook"}')["value"] == 0).any(), 60, "the target to be down")
    assert own_lab.is_up()
    assert [str(finding) for finding in examine(own_lab) if not finding.ok] == []


def test_prometheus_forgets_a_target_that_is_served_no_more(own_lab: Lab) -> None:
    end_serving(own_lab)
    wait_until(lambda: "notebook" not in set(own_lab.prometheus.targets()["job"]), 60, "the target to be gone")


def test_the_same_registry_stays_at_its_address(unscraped: Lab) -> None:
    registry = flowers(1)
    assert serve(unscraped, registry) == serve(unscraped, registry)


def test_another_registry_replaces_the_first_as_a_new_process_would(unscraped: Lab) -> None:
    first, second = serve(unscraped, flowers(1)), serve(unscraped, flowers(2))
    assert first != second
    assert is_gone(first)
    assert "flowers_total 2.0" in httpx.get(second).text


def test_two_jobs_are_served_side_by_side(unscraped: Lab) -> None:
    urls = [serve(unscraped, flowers(1)), serve(unscraped, flowers(2), job="wine")]
    assert [httpx.get(url).status_code for url in urls] == [200, 200]
    assert [target["labels"]["job"] for target in target_file(unscraped.home)] == ["notebook", "wine"]


def test_a_reset_empties_the_target_file_and_serving_again_fills_it(unscraped: Lab) -> None:
    registry = flowers(4)
    url = serve(unscraped, registry)
    render(unscraped.home, Clock())
    assert target_file(unscraped.home) == []
    assert serve(unscraped, registry) == url
    assert len(target_file(unscraped.home)) == 1


def test_the_labs_own_jobs_are_refused(unscraped: Lab) -> None:
    with pytest.raises(InputError, match="the lab itself has a job 'model'"):
        serve(unscraped, flowers(1), job="model")


def test_a_foreign_page_reads_nothing(unscraped: Lab) -> None:
    assert httpx.get(serve(unscraped, flowers(1)), headers={"Host": "evil.example"}).status_code == 421


def test_after_the_end_the_port_is_free_and_the_target_file_empty(unscraped: Lab) -> None:
    url = serve(unscraped, flowers(1))
    end_serving(unscraped)
    assert is_gone(url)
    assert target_file(unscraped.home) == []
    end_serving(unscraped)
