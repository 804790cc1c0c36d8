"""One model version on disk: a folder with ``model.skops`` and ``meta.json``, and nothing else."""

import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import RegistryError
from labkit.model.files import read_regular, sync_folder, write_synced
from labkit.observe.reference import Reference

if TYPE_CHECKING:  # scikit-learn takes a second to import, and listing versions does not need it
    from sklearn.pipeline import Pipeline

__all__ = ["LoadedModel", "ModelMeta", "import_skops_quickly", "read_meta", "read_model", "write_version"]

# Beyond what skops itself vets (NumPy's arrays) and scikit-learn's estimators; fixed, never read from the file.
_TRUSTED_TYPES = frozenset({"numpy.dtype"})
_MAX_MODEL_BYTES = 64 * 1024 * 1024
_MAX_META_BYTES = 4 * 1024 * 1024
_FILES = {"model.skops", "meta.json"}


@dataclass(frozen=True)
class ModelMeta:
    """What is known of a version without loading it; ``trained_at`` is a UTC time in ISO 8601."""

    name: str
    version: str
    trained_at: str
    data_version: str
    sha256: str
    class_names: tuple[str, ...]
    reference: Reference
    evaluation: Mapping[str, object]

    def __post_init__(self) -> None:
        for field in ("name", "version", "trained_at", "data_version", "sha256"):
            if not isinstance(getattr(self, field), str):
                raise TypeError(f"{field} must be a text")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError("sha256 must have 64 hexadecimal digits")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return the names of the model's inputs, in order."""
        return tuple(self.reference.feature_names)

    def to_dict(self) -> dict[str, object]:
        """Return the fields as JSON has them."""
        plain = {field: getattr(self, field) for field in self.__dataclass_fields__}
        return plain | {"class_names": list(self.class_names), "reference": self.reference.to_dict()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> "ModelMeta":
        """Return the meta of ``to_dict``; raises KeyError, TypeError or ValueError for anything else."""
        changed = {
            "class_names": tuple(map(str, fields["class_names"])),
            "reference": Reference.from_dict(fields["reference"]),
            "evaluation": dict(fields["evaluation"]),
        }
        return cls(**(dict(fields) | changed))


@dataclass(frozen=True)
class LoadedModel:
    """A model whose bytes are those that were saved, and what is known of it."""

    model: "Pipeline"
    meta: ModelMeta


def write_version(folder: Path, model_bytes: bytes, meta: ModelMeta) -> None:
    """Write both files into a new folder and wait until the disk has them."""
    write_synced(folder / "model.skops", model_bytes)
    write_synced(folder / "meta.json", json.dumps(meta.to_dict(), indent=1).encode())
    sync_folder(folder)


def read_meta(folder: Path) -> ModelMeta:
    """Return what is known of the version in ``folder`` (``<name>/<version>``); raises RegistryError."""
    _check_folder(folder)
    try:
        meta = ModelMeta.from_dict(json.loads(read_regular(folder / "meta.json", _MAX_META_BYTES)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RegistryError(
            f"{folder / 'meta.json'} is damaged", "use another version: labkit models lists them"
        ) from error
    if (meta.name, meta.version) != (folder.parent.name, folder.name):
        raise RegistryError(
            f"{folder} holds the meta.json of {meta.name} {meta.version}",
            "delete the folder; save versions, never copy them",
        )
    return meta


def read_model(folder: Path) -> LoadedModel:
    """Load a version after its bytes have been compared with their SHA-256; raises RegistryError."""
    import skops.io

    meta = read_meta(folder)
    path = folder / "model.skops"
    data = read_regular(path, _MAX_MODEL_BYTES)
    if hashlib.sha256(data).hexdigest() != meta.sha256:
        raise RegistryError(f"{path} is not the file that was saved: its SHA-256 differs", "labkit rollback VERSION")
    try:
        strange = skops.io.get_untrusted_types(data=data)
        trusted = [name for name in strange if name in _TRUSTED_TYPES or _names_estimator(name)]
        model = skops.io.loads(data, trusted=trusted)
    except Exception as error:  # a file of someone's making can fail skops in any way
        raise RegistryError(
            f"{path} cannot be loaded: {error}", "train it again; only types that skops or labkit trust are loaded"
        ) from error
    if tuple(getattr(model, "classes_", ())) != meta.class_names or not hasattr(model, "predict_proba"):
        raise RegistryError(f"{path} is not the classifier that its meta.json describes", "labkit rollback VERSION")
    return LoadedModel(model, meta)


def import_skops_quickly() -> None:
    """Import skops in a third less time; for processes of labkit's own.

    To know what it may trust, skops walks through all of scikit-learn, a second of processor time at each start of a
    service. ``read_model`` looks at the few types that are in its file instead. Whoever calls skops themselves in the
    same process has to trust scikit-learn's estimators by name.
    """
    import sklearn.utils

    walk = sklearn.utils.all_estimators
    sklearn.utils.all_estimators = list  # of nothing
    try:
        import skops.io  # noqa: F401
    finally:
        sklearn.utils.all_estimators = walk


def _names_estimator(name: str) -> bool:
    """Say whether this is an estimator of scikit-learn that its ``all_estimators`` would list."""
    from sklearn.base import BaseEstimator

    module, _, title = name.rpartition(".")
    if not module.startswith("sklearn.") or title.startswith("_") or "tests" in module.split("."):
        return False
    try:
        found = getattr(importlib.import_module(module), title, None)
    except ImportError:
        return False
    return inspect.isclass(found) and issubclass(found, BaseEstimator) and not inspect.isabstract(found)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that is missing, a link, or holds a file that is not ours."""
    if folder.is_symlink() or folder.parent.is_symlink():
        raise RegistryError(f"{folder} is reached by a symbolic link", "keep the versions in the registry's own folder")
    if not folder.is_dir():
        raise RegistryError(f"there is no {folder}", "labkit models lists the versions")
    if foreign := sorted({path.name for path in folder.iterdir()} - _FILES):
        raise RegistryError(
            f"{folder} holds {foreign[0]!r}, which no version has", f"look at it, then delete it: {folder}"
        )
