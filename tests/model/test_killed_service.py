"""What the service acknowledged survives its sudden death."""

import threading

import httpx
import numpy as np

from labkit.clock import Clock, wait_until
from labkit.model.iris import SCHEMA, sample
from labkit.observe.store import PredictionStore

CLIENTS = 4


class Client(threading.Thread):
    """Send predictions and their labels until the service is gone; keep what was acknowledged."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__()
        self.url, self.rng = url, np.random.default_rng(seed)
        self.predicted: dict[str, list[str]] = {}
        self.labelled: dict[str, list[str]] = {}

    def run(self) -> None:
        with httpx.Client(base_url=self.url) as client:
            try:
                while True:
                    self.send(client)
            except httpx.TransportError:
                pass

    def send(self, client: httpx.Client) -> None:
        instances, labels = sample(3, self.rng)
        answer = client.post("/v1/predict", json={"instances": instances.tolist()}).raise_for_status().json()
        self.predicted[answer["request_id"]] = answer["predictions"]
        body = {"request_id": answer["request_id"], "labels": labels.tolist()}
        client.post("/v1/labels", json=body).raise_for_status()
        self.labelled[answer["request_id"]] = labels.tolist()


def test_every_acknowledged_prediction_and_label_is_in_the_store_after_kill_9_under_load(start_service):
    predicted, labelled = {}, {}
    for life in range(2):
        service = start_service()
        clients = [Client(service.url, seed=life * CLIENTS + number) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        wait_until(lambda clients=clients: sum(len(client.labelled) for client in clients) > 200, 20, "some load")
        service.process.kill()
        for client in clients:
            client.join()
            predicted |= client.predicted
            labelled |= client.labelled

    with PredictionStore(service.store_path, SCHEMA.feature_names, clock=Clock(), read_only=True) as store:
        rows = store.predictions()
    stored = rows.groupby("request_id", sort=False)
    stored_predictions = stored["predicted"].agg(list).to_dict()
    stored_labels = stored["label"].agg(list).to_dict()
    assert len(predicted) > 400
    assert {request_id: stored_predictions.get(request_id) for request_id in predicted} == predicted
    assert {request_id: stored_labels.get(request_id) for request_id in labelled} == labelled
