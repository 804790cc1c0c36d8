"""A trained model knows its flowers, bears missing values, and is judged by the numbers that scikit-learn gives."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report

from labkit.model import iris
from labkit.model.training import evaluate, train


@pytest.fixture(scope="module")
def model():
    return train(*iris.sample(5_000, np.random.default_rng(0)))


def test_new_flowers_are_named_right(model):
    assert evaluate(model, *iris.sample(20_000, np.random.default_rng(1))).accuracy >= 0.95


def test_the_measured_flowers_are_named_right(model):
    assert evaluate(model, *iris.reference_rows()).accuracy >= 0.95


def test_missing_values_are_imputed(model):
    instances, labels = iris.sample(5_000, np.random.default_rng(2))
    instances[::2, 1] = np.nan
    assert evaluate(model, instances, labels).accuracy >= 0.93


def test_a_feature_that_was_never_measured_does_not_break_training():
    instances, labels = iris.sample(500, np.random.default_rng(3))
    instances[:, 1] = np.nan
    assert evaluate(train(instances, labels), instances, labels).accuracy >= 0.9


def test_an_evaluation_has_the_numbers_of_scikit_learn(model):
    instances, labels = iris.sample(3_000, np.random.default_rng(4), class_shares=(0.1, 0.2, 0.7))
    evaluation = evaluate(model, instances, labels)
    predicted = model.predict(instances)
    report = classification_report(labels, predicted, output_dict=True)
    assert evaluation.n_rows == 3_000
    assert evaluation.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert evaluation.recall == {name: pytest.approx(report[name]["recall"]) for name in iris.SCHEMA.class_names}


def test_a_class_that_the_model_never_saw_has_no_recall(model):
    instances, _ = iris.sample(20, np.random.default_rng(5))
    assert evaluate(model, instances, np.full(20, "pruinosa")).recall == {"pruinosa": 0.0}


def test_a_class_without_rows_is_left_out(model):
    instances, labels = iris.sample(50, np.random.default_rng(6), class_shares=(1, 0, 0))
    assert set(evaluate(model, instances, labels).recall) == {"setosa"}


def test_the_latency_is_that_of_one_row(model):
    evaluation = evaluate(model, *iris.sample(1_000, np.random.default_rng(7)))
    assert 0 < evaluation.latency_seconds < 0.05
