"""A new champion takes over without a lost request, and a damaged one does not take over."""

import threading

import numpy as np
import pytest

from labkit.model import iris
from labkit.model.training import evaluate, train
from labkit.observe.reference import Reference

NAME = "iris-classifier"
SETOSA = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture
def serving_v1(service):
    """The module's service with v1 in service, whatever a test did before."""
    service.registry.promote(NAME, "v1", "start of a test")
    assert service.reload().json()["model_version"] == "v1"
    return service


def promote_another(registry) -> str:
    """Make a model champion that calls everything by the next class's name."""
    instances, labels = iris.sample(2_000, np.random.default_rng(5))
    renamed = dict(zip(iris.SCHEMA.class_names, np.roll(iris.SCHEMA.class_names, -1), strict=True))
    labels = np.array([renamed[label] for label in labels])
    model = train(instances, labels)
    reference = Reference.from_rows(instances, iris.SCHEMA.feature_names, predictions=model.predict(instances))
    evaluation = evaluate(model, instances, labels)
    version = registry.save(NAME, model, reference=reference, evaluation=evaluation, data_version="renamed")
    registry.promote(NAME, version, "a test")
    return version


def test_a_reload_puts_the_champion_into_service(serving_v1):
    version = promote_another(serving_v1.registry)
    assert serving_v1.predict([SETOSA]).json()["model_version"] == "v1"
    assert serving_v1.reload().json() == {"model_version": version, "changed": True}
    answer = serving_v1.predict([SETOSA]).json()
    assert (answer["model_version"], answer["predictions"]) == (version, ["versicolor"])
    assert serving_v1.client.get("/v1/model").json()["version"] == version
    assert serving_v1.client.get("/readyz").json()["model_version"] == version


def test_after_a_reload_only_the_new_version_has_gauges_and_all_its_children_are_there(serving_v1):
    version = promote_another(serving_v1.registry)
    serving_v1.reload()
    samples = serving_v1.samples()
    for gauge in ("model_info", "model_reference_rows", "model_feature_reference_cdf", "model_predictions_in_progress"):
        assert {dict(labels)["model_version"] for labels in samples[gauge]} == {version}
    assert "model_predictions_total" in serving_v1.samples(model_version="v1")
    assert len(serving_v1.samples(model_version=version)["model_predictions_total"]) == 3
    assert serving_v1.total("model_prediction_requests_total", model_version=version) == 0


def test_labels_count_under_the_version_that_answered(serving_v1):
    request_id = serving_v1.predict([SETOSA]).json()["request_id"]
    before = serving_v1.total("model_labels_total", model_version="v1", outcome="correct")
    version = promote_another(serving_v1.registry)
    serving_v1.reload()
    assert serving_v1.label(request_id, ["setosa"]).json()["outcome"] == "stored"
    assert serving_v1.total("model_labels_total", model_version="v1", outcome="correct") == before + 1
    assert serving_v1.total("model_labels_total", model_version=version) == 0


def test_labels_count_under_the_version_that_answered_before_a_restart(start_service):
    first = start_service()
    request_id = first.predict([SETOSA]).json()["request_id"]
    version = promote_another(first.registry)
    first.process.kill()
    first.process.wait()
    second = start_service()
    assert second.label(request_id, ["setosa"]).json()["outcome"] == "stored"
    assert second.total("model_labels_total", model_version="v1", outcome="correct") == 1
    assert {dict(labels)["model_version"] for labels in second.samples()["model_info"]} == {version}


def test_a_rolled_back_version_is_in_service_again_and_goes_on_counting(serving_v1):
    serving_v1.predict([SETOSA])
    before = serving_v1.total("model_prediction_requests_total", model_version="v1")
    promote_another(serving_v1.registry)
    serving_v1.reload()
    serving_v1.registry.rollback(NAME, "v1")
    assert serving_v1.reload().json() == {"model_version": "v1", "changed": True}
    serving_v1.predict([SETOSA])
    assert {dict(labels)["model_version"] for labels in serving_v1.samples()["model_info"]} == {"v1"}
    assert serving_v1.total("model_prediction_requests_total", model_version="v1") == before + 1


def test_reloading_the_same_champion_changes_nothing(serving_v1):
    assert serving_v1.reload().json() == {"model_version": "v1", "changed": False}
    assert serving_v1.total("model_info", model_version="v1") == 1


def test_a_damaged_champion_is_not_put_into_service(serving_v1):
    version = promote_another(serving_v1.registry)
    path = serving_v1.registry.root / NAME / version / "model.skops"
    path.write_bytes(path.read_bytes()[:-1])
    answer = serving_v1.reload()
    assert (answer.status_code, answer.json()["model_version"]) == (500, "v1")
    assert "SHA-256" in answer.json()["detail"]
    assert serving_v1.predict([SETOSA]).json()["model_version"] == "v1"
    assert serving_v1.total("model_info", model_version="v1") == 1


def test_no_request_is_lost_while_champions_change(serving_v1):
    other = promote_another(serving_v1.registry)
    requests_before = serving_v1.total("model_prediction_requests_total")
    answers, finished = [], threading.Event()

    def send():
        while not finished.is_set():
            answers.append(serving_v1.predict([SETOSA]))

    sender = threading.Thread(target=send)
    sender.start()
    for version in (other, "v1", other, "v1"):
        serving_v1.registry.promote(NAME, version, "back and forth")
        assert serving_v1.reload().json() == {"model_version": version, "changed": True}
    finished.set()
    sender.join()
    assert {answer.status_code for answer in answers} == {200}
    expected = {"v1": ["setosa"], other: ["versicolor"]}
    assert all(answer.json()["predictions"] == expected[answer.json()["model_version"]] for answer in answers)
    assert serving_v1.total("model_prediction_requests_total") == requests_before + len(answers)
