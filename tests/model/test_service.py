"""The service answers, counts and stores predictions and labels, and lets no foreign page in."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import httpx
import numpy as np
import psutil
import pytest
from prometheus_client.openmetrics import parser as openmetrics

from labkit.clock import Clock
from labkit.model.iris import SCHEMA, sample
from labkit.model.service import create_app
from labkit.observe.store import PredictionStore

LOCAL = "http://127.0.0.1"
SETOSA = [5.1, 3.5, 1.4, 0.2]
VIRGINICA = [6.7, 3.1, 5.6, 2.4]
ERROR_TYPES = {
    "invalid_json",
    "invalid_input",
    "too_large",
    "unsupported_media_type",
    "timeout",
    "cancelled",
    "internal",
    "other",
}


def test_an_answer_is_what_the_champion_says(service):
    instances, _ = sample(50, np.random.default_rng(0))
    model = service.registry.load("iris-classifier", "champion").model
    answer = service.predict(instances.tolist()).json()
    assert (set(answer), answer["model_version"]) == (
        {"request_id", "model_version", "predictions", "probabilities"},
        "v1",
    )
    assert answer["predictions"] == model.predict(instances).tolist()
    np.testing.assert_allclose(answer["probabilities"], model.predict_proba(instances), rtol=1e-12)


def test_a_prediction_is_counted_under_name_version_and_class(service):
    before = {name: service.total(name) for name in ("model_prediction_requests_total", "model_prediction_rows_total")}
    labels = {"model_name": "iris-classifier", "model_version": "v1", "predicted_class": "virginica"}
    virginica_before = service.total("model_predictions_total", **labels)
    service.predict([VIRGINICA, SETOSA, VIRGINICA])
    assert service.total("model_prediction_requests_total") == before["model_prediction_requests_total"] + 1
    assert service.total("model_prediction_rows_total") == before["model_prediction_rows_total"] + 3
    assert service.total("model_predictions_total", **labels) == virginica_before + 2


def test_a_prediction_is_stored_with_its_inputs(service):
    answer = service.predict([[5.1, None, 1.4, 0.2], VIRGINICA]).json()
    with PredictionStore(service.store_path, SCHEMA.feature_names, clock=Clock(), read_only=True) as store:
        rows = store.predictions()
    rows = rows[rows["request_id"] == answer["request_id"]]
    assert rows["predicted"].tolist() == ["setosa", "virginica"]
    np.testing.assert_array_equal(
        rows[list(SCHEMA.feature_names)].to_numpy(dtype=float), [[5.1, np.nan, 1.4, 0.2], VIRGINICA]
    )
    assert rows["confidence"].tolist() == [max(row) for row in answer["probabilities"]]


def test_labels_are_judged_once(service):
    def judged():
        return [service.total("model_labels_total", outcome=outcome) for outcome in ("correct", "incorrect")]

    request_id = service.predict([SETOSA, VIRGINICA, SETOSA]).json()["request_id"]
    correct, incorrect = judged()
    truth = ["setosa", "versicolor", "setosa"]
    answers = [service.label(request_id, labels) for labels in (truth, truth, ["setosa"] * 3)]
    assert [(answer.status_code, answer.json()["outcome"]) for answer in answers] == [
        (200, "stored"),
        (200, "duplicate"),
        (409, "conflict"),
    ]
    assert judged() == [correct + 2, incorrect + 1]


def test_labels_for_an_unknown_request_are_not_found(service):
    answer = service.label("0" * 32, ["setosa"])
    assert (answer.status_code, answer.json()["outcome"]) == (404, "unknown")


def test_labels_of_another_number_than_rows_are_refused(service):
    request_id = service.predict([SETOSA, SETOSA]).json()["request_id"]
    answer = service.label(request_id, ["setosa"])
    assert (answer.status_code, answer.json()["outcome"]) == (422, "wrong_count")
    assert service.label(request_id, ["setosa", "setosa"]).json()["outcome"] == "stored"


def test_a_label_outside_the_schema_is_stored_as_other_and_incorrect(service):
    request_id = service.predict([SETOSA]).json()["request_id"]
    before = service.total("model_labels_total", outcome="incorrect")
    assert service.label(request_id, ["<b>pruinosa</b>"]).json()["outcome"] == "stored"
    assert service.total("model_labels_total", outcome="incorrect") == before + 1
    with PredictionStore(service.store_path, SCHEMA.feature_names, clock=Clock(), read_only=True) as store:
        rows = store.labelled()
    assert rows[rows["request_id"] == request_id]["label"].tolist() == ["other"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"request_id": "x", "labels": [1]}, 422, "labels[0]"),
        ({"request_id": "x", "labels": [None]}, 422, "labels[0]"),
        ({"request_id": 1, "labels": ["setosa"]}, 422, "request_id"),
        ({"request_id": "x", "labels": []}, 422, "labels"),
        ({"labels": ["setosa"]}, 422, "request_id: Field required"),
        ({"request_id": "x", "labels": ["y" * 101]}, 422, "labels[0]"),
        ({"request_id": "x", "labels": ["setosa"] * 200_000}, 413, "1,048,576"),
    ],
)
def test_labels_are_as_strict_as_predictions(service, body, status, text):
    answer = service.client.post("/v1/labels", json=body)
    assert answer.status_code == status
    assert text in answer.json()["detail"]


def test_the_model_says_what_it_is(service):
    meta = service.registry.meta("iris-classifier", "champion")
    answer = service.client.get("/v1/model").json()
    assert (answer["name"], answer["version"], answer["sha256"]) == ("iris-classifier", "v1", meta.sha256)
    assert answer["feature_names"] == list(SCHEMA.feature_names)
    assert answer["class_names"] == list(SCHEMA.class_names)
    assert answer["plausible_ranges"]["petal_width"] == [0.0, 3.5]


def test_every_child_of_a_closed_set_is_there_before_traffic(start_service):
    samples = start_service().samples(model_name="iris-classifier", model_version="v1")
    errors = samples["model_prediction_errors_total"]
    assert {dict(labels)["error_type"] for labels in errors} == ERROR_TYPES
    assert set(errors.values()) == {0.0}
    assert {dict(labels)["predicted_class"] for labels in samples["model_predictions_total"]} == set(SCHEMA.class_names)
    assert {dict(labels)["outcome"] for labels in samples["model_labels_total"]} == {"correct", "incorrect"}
    assert set(samples["model_prediction_requests_total"].values()) == {0.0}
    assert list(samples["model_info"].values()) == [1.0]


def test_a_scrape_is_in_the_format_that_is_asked_for(service):
    answer = service.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "model_prediction_requests" in {
        family.name for family in openmetrics.text_string_to_metric_families(answer.text)
    }
    assert service.client.get("/metrics").headers["content-type"].startswith("text/plain; version=")


def test_one_request_id_leads_from_the_answer_to_the_log(service):
    request_id = service.predict([[5.123, 3.456, 1.4, 0.2]]).json()["request_id"]
    lines = [line for line in service.log_lines() if line.get("request_id") == request_id]
    assert [(line["event"], line["rows"], line["service"]) for line in lines] == [("predicted", 1, "model")]
    assert "5.123" not in service.log_path.read_text()


def test_a_prediction_that_cannot_be_stored_is_not_answered(registry, tmp_path):
    app = create_app(registry.root, tmp_path / "store.db", "token", "iris-classifier", Clock())
    with closing(sqlite3.connect(tmp_path / "store.db")) as database:
        database.execute("DROP TABLE requests")

    async def predict() -> tuple[httpx.Response, str]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
            answer = await client.post("/v1/predict", json={"instances": [SETOSA]})
            return answer, (await client.get("/metrics")).text

    answer, counts = asyncio.run(predict())
    assert (answer.status_code, answer.json()["error_type"]) == (500, "internal")
    assert "predictions" not in answer.json()
    assert "5.1" not in answer.text
    name = 'model_name="iris-classifier",model_version="v1"'
    assert f'model_prediction_errors_total{{error_type="internal",{name}}} 1.0' in counts
    assert f"model_prediction_rows_total{{{name}}} 0.0" in counts


PROTECTED = ["/v1/predict", "/v1/labels", "/-/reload", "/-/faults"]


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Host", "evil.example", 421),
        ("Host", "127.0.0.1.evil.example:80", 421),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
        ("Content-Type", "text/plain", 415),
        ("Content-Type", "application/x-www-form-urlencoded", 415),
    ],
)
def test_what_a_foreign_page_can_send_is_refused(service, path, header, value, status):
    headers = {"Content-Type": "application/json", **service.bearer, header: value}
    body = {
        "/v1/predict": '{"instances": [[5.1, 3.5, 1.4, 0.2]]}',
        "/v1/labels": '{"request_id": "x", "labels": ["setosa"]}',
        "/-/reload": "{}",
        "/-/faults": '{"latency_seconds": 1}',
    }[path]
    rows_before = service.total("model_prediction_rows_total")
    answer = service.client.post(path, content=body, headers=headers)
    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert service.total("model_prediction_rows_total") == rows_before
    assert service.predict([SETOSA]).elapsed.total_seconds() < 0.5


@pytest.mark.parametrize("path", ["/-/reload", "/-/faults"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic YTpi"])
def test_only_who_has_the_token_operates_the_service(service, path, header):
    headers = {"Authorization": header} if header else {}
    answer = service.client.post(path, json={"latency_seconds": 1}, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert service.predict([SETOSA]).elapsed.total_seconds() < 0.5


def test_a_fault_makes_predictions_slow_until_it_ends(service):
    def inject(seconds):
        return service.client.post("/-/faults", json={"latency_seconds": seconds}, headers=service.bearer).status_code

    assert inject(0.3) == 200
    assert service.predict([SETOSA]).elapsed.total_seconds() >= 0.3
    assert service.client.get("/healthz").elapsed.total_seconds() < 0.25
    assert inject(0) == 200
    assert service.predict([SETOSA]).elapsed.total_seconds() < 0.25


@pytest.mark.parametrize("seconds", [-1, 2.1, "1", True, None])
def test_a_fault_has_its_limits(service, seconds):
    answer = service.client.post("/-/faults", json={"latency_seconds": seconds}, headers=service.bearer)
    assert (answer.status_code, answer.json()["error_type"]) == (422, "invalid_input")


def test_the_service_listens_on_loopback_only(service):
    listening = [each for each in psutil.Process(service.process.pid).net_connections() if each.status == "LISTEN"]
    assert {each.laddr.ip for each in listening} == {"127.0.0.1"}


def test_no_secret_is_in_the_command_line_and_the_store_is_its_owners(service):
    token = service.bearer["Authorization"].split()[1]
    assert token not in " ".join(psutil.Process(service.process.pid).cmdline())
    assert token not in service.log_path.read_text()
    assert stat.S_IMODE(service.store_path.stat().st_mode) == 0o600


@pytest.mark.parametrize(("token_mode", "problem"), [(0o600, "has no champion"), (0o644, "others may read the secret")])
def test_a_service_that_cannot_start_says_what_helps(tmp_path, token_mode, problem):
    token_file = tmp_path / "token"
    token_file.write_text("x")
    token_file.chmod(token_mode)
    command = [sys.executable, "-m", "labkit.model.service", "--port=1", f"--registry={tmp_path}"]
    command += [f"--store={tmp_path / 'store.db'}", f"--token-file={token_file}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=os.environ)
    assert ended.returncode == 1
    assert problem in ended.stderr
    assert "remedy" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_page_of_the_lab_itself_may_read(service):
    answer = httpx.get(f"{service.url}/v1/model", headers={"Origin": f"http://localhost:{service.port}"})
    assert answer.status_code == 200
