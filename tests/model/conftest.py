"""A registry with a first champion, trained once and copied for each test."""

import shutil

import pytest

from labkit.model.registry import ModelRegistry
from labkit.model.training import train_first_champion


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    registry = ModelRegistry(tmp_path_factory.mktemp("trained"))
    train_first_champion(registry)
    return registry


@pytest.fixture
def registry(trained, tmp_path):
    shutil.copytree(trained.root, tmp_path / "registry")
    return ModelRegistry(tmp_path / "registry")
