"""Versions are saved whole, loaded only when nothing was changed, and named by aliases that move in one step."""

import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from labkit.errors import RegistryError
from labkit.model import files, iris
from labkit.model.artifacts import _names_estimator
from labkit.model.registry import ModelRegistry
from labkit.model.training import evaluate, train, train_first_champion
from labkit.observe.reference import Reference

NAME = "iris-classifier"


def save(registry, seed=1, model=None, name=NAME):
    instances, labels = iris.sample(300, np.random.default_rng(seed))
    model = model or train(instances, labels)
    return registry.save(
        name,
        model,
        reference=Reference.from_rows(instances, iris.SCHEMA.feature_names, predictions=model.predict(instances)),
        evaluation=evaluate(model, instances, labels),
        data_version="test",
    )


def test_a_loaded_model_predicts_what_the_saved_one_did(tmp_path):
    registry = ModelRegistry(tmp_path)
    instances, labels = iris.sample(300, np.random.default_rng(0))
    model = train(instances, labels)
    version = save(registry, model=model)
    np.testing.assert_array_equal(
        registry.load(NAME, version).model.predict_proba(instances), model.predict_proba(instances)
    )


def test_the_first_champion_is_v1_with_a_reference_of_ten_thousand_rows(registry):
    meta = registry.meta(NAME, "champion")
    assert (meta.version, meta.reference.n_rows, meta.class_names) == ("v1", 10_000, iris.SCHEMA.class_names)
    assert meta.feature_names == iris.SCHEMA.feature_names
    assert meta.evaluation["accuracy"] >= 0.95
    assert set(meta.reference.prediction_ratio) == set(iris.SCHEMA.class_names)


def test_the_first_champion_is_the_same_for_a_seed(trained, tmp_path):
    again = ModelRegistry(tmp_path)
    train_first_champion(again, NAME)
    ours, theirs = (registry.load(NAME, "v1").model for registry in (again, trained))
    np.testing.assert_array_equal(ours["classify"].coef_, theirs["classify"].coef_)


def test_versions_are_numbered_as_numbers(registry):
    shutil.copytree(registry.root / NAME / "v1", registry.root / NAME / "v9")
    assert save(registry) == "v10"
    assert registry.versions(NAME) == ["v1", "v9", "v10"]


def test_a_registry_without_models_has_no_champion(tmp_path):
    registry = ModelRegistry(tmp_path)
    assert (registry.versions(NAME), registry.champion(NAME), registry.challenger(NAME)) == ([], None, None)
    with pytest.raises(RegistryError, match="has no champion"):
        registry.load(NAME, "champion")


def test_a_promoted_challenger_is_champion_and_no_longer_challenger(registry):
    version = save(registry)
    registry.set_challenger(NAME, version)
    assert (registry.champion(NAME), registry.challenger(NAME)) == ("v1", "v2")
    registry.promote(NAME, version, "better")
    assert (registry.champion(NAME), registry.challenger(NAME)) == ("v2", None)


def test_rolling_back_returns_to_the_champion_before_and_keeps_the_history(registry):
    for reason in ("second", "third"):
        registry.promote(NAME, save(registry), reason)
    assert [registry.rollback(NAME), registry.rollback(NAME)] == ["v2", "v1"]
    changes = [(change.action, change.version, change.reason) for change in registry.history(NAME)]
    assert changes == [
        ("promote", "v1", "first champion"),
        ("promote", "v2", "second"),
        ("promote", "v3", "third"),
        ("rollback", "v2", "rolled back from v3"),
        ("rollback", "v1", "rolled back from v2"),
    ]


def test_a_version_that_was_rolled_back_is_not_the_one_before(registry):
    registry.promote(NAME, save(registry), "worse than it seemed")
    registry.rollback(NAME)
    registry.promote(NAME, save(registry), "good")
    assert registry.rollback(NAME) == "v1"


def test_rolling_back_to_a_named_version(registry):
    for reason in ("second", "third"):
        registry.promote(NAME, save(registry), reason)
    assert registry.rollback(NAME, "v1") == "v1"
    assert registry.champion(NAME) == "v1"


def test_the_first_champion_has_nothing_to_roll_back_to(registry):
    with pytest.raises(RegistryError, match="no champion before"):
        registry.rollback(NAME)


def test_a_version_that_does_not_exist_cannot_be_promoted(registry):
    with pytest.raises(RegistryError, match="v7"):
        registry.promote(NAME, "v7", "no reason")
    assert registry.champion(NAME) == "v1"


def test_one_changed_byte_keeps_a_model_from_being_loaded_or_promoted(registry):
    version = save(registry)
    path = registry.root / NAME / version / "model.skops"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(RegistryError, match="SHA-256"):
        registry.load(NAME, version)
    with pytest.raises(RegistryError, match="SHA-256"):
        registry.promote(NAME, version, "no reason")
    assert registry.champion(NAME) == "v1"


class Bomb:
    """Leave a file behind when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_a_pickle_is_not_run_even_when_its_checksum_is_right(registry, tmp_path):
    trace = tmp_path / "trace"
    put_model(registry, pickle.dumps(Bomb(trace)))
    with pytest.raises(RegistryError, match="cannot be loaded"):
        registry.load(NAME, "v1")
    assert not trace.exists()


def test_a_type_that_is_not_trusted_is_not_loaded(registry):
    import skops.io

    put_model(registry, skops.io.dumps(FunctionTransformer(os.system)))
    with pytest.raises(RegistryError, match="cannot be loaded"):
        registry.load(NAME, "v1")


def test_a_service_imports_skops_without_the_rest_of_scikit_learn_and_loads_any_of_its_classifiers(registry):
    bayes = make_pipeline(StandardScaler(), GaussianNB())
    version = save(registry, model=bayes.fit(*iris.sample(300, np.random.default_rng(0))))
    script = f"""
import sys
from pathlib import Path
from labkit.model.artifacts import import_skops_quickly, read_model
import_skops_quickly()
loaded = read_model(Path({str(registry.root / NAME / version)!r}))
from sklearn.utils import all_estimators
print(type(loaded.model[-1]).__name__, "sklearn.gaussian_process" in sys.modules, len(all_estimators()) > 100)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "GaussianNB False True\n"


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "sklearn.nothing.Here",
        "sklearn.utils.check_array",
        "sklearn.base.ClassifierMixin",
        "sklearn.tests.metadata_routing_common.ConsumingClassifier",
    ],
)
def test_names_that_are_no_estimators_are_not_trusted(name):
    assert not _names_estimator(name)


def test_every_estimator_that_skops_would_trust_is_trusted():
    from skops.io._trusted_types import SKLEARN_ESTIMATOR_TYPE_NAMES

    assert len(SKLEARN_ESTIMATOR_TYPE_NAMES) > 100
    assert [name for name in SKLEARN_ESTIMATOR_TYPE_NAMES if not _names_estimator(name)] == []


def test_something_else_than_a_classifier_is_not_loaded(registry):
    import skops.io

    put_model(registry, skops.io.dumps({"not": "a model"}))
    with pytest.raises(RegistryError, match="not the classifier"):
        registry.load(NAME, "v1")


def put_model(registry, data):
    """Put bytes in the place of v1's model, with the right checksum."""
    import hashlib

    folder = registry.root / NAME / "v1"
    (folder / "model.skops").write_bytes(data)
    meta = json.loads((folder / "meta.json").read_bytes())
    (folder / "meta.json").write_text(json.dumps(meta | {"sha256": hashlib.sha256(data).hexdigest()}))


@pytest.mark.parametrize("name", ["model.skops", "meta.json"])
def test_a_symbolic_link_is_not_followed(registry, tmp_path, name):
    path = registry.root / NAME / "v1" / name
    path.rename(tmp_path / name)
    path.symlink_to(tmp_path / name)
    with pytest.raises(RegistryError, match="cannot read"):
        registry.load(NAME, "v1")


def test_a_linked_version_is_not_followed(registry, tmp_path):
    (registry.root / NAME / "v1").rename(tmp_path / "v1")
    (registry.root / NAME / "v1").symlink_to(tmp_path / "v1")
    with pytest.raises(RegistryError, match="symbolic link"):
        registry.load(NAME, "v1")


def test_a_foreign_file_beside_a_model_is_refused_by_name(registry):
    (registry.root / NAME / "v1" / "extra.py").write_text("")
    with pytest.raises(RegistryError, match=r"extra\.py"):
        registry.load(NAME, "v1")


def test_a_device_or_pipe_is_refused_without_waiting_for_it(registry):
    path = registry.root / NAME / "v1" / "model.skops"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RegistryError, match="not a regular file"):
        registry.load(NAME, "v1")


def test_a_version_copied_under_another_number_is_refused(registry):
    shutil.copytree(registry.root / NAME / "v1", registry.root / NAME / "v2")
    with pytest.raises(RegistryError, match="holds the meta"):
        registry.load(NAME, "v2")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "null", '{"sha256": 3}', "[" * 100_000, '{"class_names": 1, "reference": {}}']
)
def test_a_damaged_meta_is_a_registry_error(registry, text):
    (registry.root / NAME / "v1" / "meta.json").write_text(text)
    with pytest.raises(RegistryError, match=r"meta\.json is damaged"):
        registry.meta(NAME, "v1")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"history": [1]}', '{"history": [], "other": 1}'])
def test_damaged_aliases_are_a_registry_error(registry, text):
    (registry.root / NAME / "aliases.json").write_text(text)
    with pytest.raises(RegistryError, match=r"aliases\.json is damaged"):
        registry.champion(NAME)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "Iris", "iris-", "/etc", "a\n"])
def test_only_plain_names_reach_the_disk(registry, name):
    with pytest.raises(RegistryError, match="not a model name"):
        registry.versions(name)


@pytest.mark.parametrize("version", ["", "v0", "v01", "1", "../v1", "v1/", "v1\n", "latest"])
def test_only_numbered_versions_reach_the_disk(registry, version):
    with pytest.raises(RegistryError, match="not a version"):
        registry.load(NAME, version)


def test_a_folder_that_cannot_be_written_is_a_registry_error(registry):
    (registry.root / "blocked").write_text("a file where a folder should be")
    with pytest.raises(RegistryError, match="cannot write"):
        save(registry, name="blocked")


def die_before(step, root):
    """Save and promote in this process, which is killed before the step."""
    registry = ModelRegistry(root)

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    module, name = step
    setattr(module, name, die)
    registry.promote(NAME, save(registry), "never")


@pytest.mark.parametrize(
    ("step", "versions_left"),
    [((os, "fsync"), ["v1"]), ((files.Path, "rename"), ["v1"]), ((files.Path, "replace"), ["v1", "v2"])],
    ids=["before the first sync", "before the version appears", "before the alias moves"],
)
def test_a_process_killed_at_any_step_leaves_the_champion_and_no_half_version(registry, step, versions_left):
    victim = multiprocessing.get_context("fork").Process(target=die_before, args=(step, registry.root))
    victim.start()
    victim.join(30)
    assert victim.exitcode == -signal.SIGKILL
    assert (registry.champion(NAME), registry.versions(NAME)) == ("v1", versions_left)
    registry.promote(NAME, save(registry), "the next run")
    assert registry.load(NAME, "champion").meta.version == registry.versions(NAME)[-1]
    assert not list((registry.root / NAME).glob(".tmp-*"))


def save_often(root):
    for seed in range(3):
        save(ModelRegistry(root), seed)


def test_two_processes_that_save_at_once_never_share_a_number(tmp_path):
    writers = [multiprocessing.get_context("fork").Process(target=save_often, args=(tmp_path,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    registry = ModelRegistry(tmp_path)
    assert registry.versions(NAME) == [f"v{number}" for number in range(1, 10)]
    assert all(registry.load(NAME, version).meta.version == version for version in registry.versions(NAME))


def test_a_model_file_is_a_zip_without_pickles(trained):
    with zipfile.ZipFile(trained.root / NAME / "v1" / "model.skops") as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} <= {"json", "npy", "npz"}
