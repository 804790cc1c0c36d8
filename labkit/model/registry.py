"""Models on disk: numbered versions that never change, and the aliases champion and challenger."""

import contextlib
import fcntl
import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import RegistryError
from labkit.model.aliases import Aliases, Change, read_aliases, write_aliases
from labkit.model.artifacts import LoadedModel, ModelMeta, read_meta, read_model, write_version
from labkit.model.files import sync_folder
from labkit.observe.reference import Reference

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from labkit.model.training import Evaluation

__all__ = ["ModelRegistry"]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"v[1-9][0-9]{0,5}")
_TEMPORARY = ".tmp-"


class ModelRegistry:
    """The versions below ``root``: ``<name>/<version>/{model.skops, meta.json}`` and ``<name>/aliases.json``.

    Several processes may use it at once. Whatever fails raises RegistryError and leaves the aliases as they were.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def save(
        self,
        name: str,
        model: "Pipeline",
        *,
        reference: Reference,
        evaluation: "Evaluation",
        data_version: str,
        trained_at: str | None = None,
    ) -> str:
        """Save a fitted classifier and return its version, the next number; it appears whole or not at all.

        ``trained_at`` is a UTC time in ISO 8601, by default now.
        """
        import skops.io

        model_bytes = skops.io.dumps(model)
        with self._locked(name) as home:
            version = f"v{max((int(known[1:]) for known in self.versions(name)), default=0) + 1}"
            meta = ModelMeta(
                name=name,
                version=version,
                trained_at=trained_at or datetime.now(UTC).isoformat(timespec="seconds"),
                data_version=data_version,
                sha256=hashlib.sha256(model_bytes).hexdigest(),
                class_names=tuple(map(str, model.classes_)),
                reference=reference,
                evaluation=evaluation.to_dict(),
            )
            folder = Path(tempfile.mkdtemp(dir=home, prefix=_TEMPORARY))
            write_version(folder, model_bytes, meta)
            folder.rename(home / version)
            sync_folder(home)
        return version

    def load(self, name: str, version_or_alias: str) -> LoadedModel:
        """Load a version, or the one that an alias stands for, after checking its bytes."""
        return read_model(self._folder(name, self._resolve(name, version_or_alias)))

    def meta(self, name: str, version_or_alias: str) -> ModelMeta:
        """Return what is known of a version without loading the model."""
        return read_meta(self._folder(name, self._resolve(name, version_or_alias)))

    def versions(self, name: str) -> list[str]:
        """Return the versions, oldest first."""
        home = self._home(name)
        found = [path.name for path in home.iterdir() if _VERSION.fullmatch(path.name)] if home.is_dir() else []
        return sorted(found, key=lambda version: int(version[1:]))

    def champion(self, name: str) -> str | None:
        """Return the version that should serve, if there is one."""
        return self._aliases(name).champion

    def challenger(self, name: str) -> str | None:
        """Return the version that wants to serve, if there is one."""
        return self._aliases(name).challenger

    def history(self, name: str) -> tuple[Change, ...]:
        """Return every change of champion, oldest first."""
        return self._aliases(name).history

    def promote(self, name: str, version: str, reason: str) -> None:
        """Make a version champion, once it has proved that it can be loaded."""
        self._change(name, version, lambda aliases: aliases.promote(version, reason))

    def set_challenger(self, name: str, version: str | None) -> None:
        """Name the challenger, or say that there is none."""
        self._change(name, version, lambda aliases: Aliases(aliases.champion, version, aliases.history))

    def rollback(self, name: str, version: str | None = None) -> str:
        """Make an earlier version champion again, by default the one before; returns it."""
        target = version or self._aliases(name).previous_champion()
        if target is None:
            raise RegistryError(f"{name} had no champion before this one", "choose a version: labkit models lists them")
        self._change(name, target, lambda aliases: aliases.rollback(target))
        return target

    def _change(self, name: str, version: str | None, change: Callable[[Aliases], Aliases]) -> None:
        if version is not None:
            self.load(name, version)
        with self._locked(name) as home:
            write_aliases(home / "aliases.json", change(self._aliases(name)))

    def _aliases(self, name: str) -> Aliases:
        return read_aliases(self._home(name) / "aliases.json")

    def _resolve(self, name: str, version_or_alias: str) -> str:
        if version_or_alias not in ("champion", "challenger"):
            return version_or_alias
        version = getattr(self._aliases(name), version_or_alias)
        if version is None:
            raise RegistryError(f"{name} has no {version_or_alias}", "labkit up trains a first champion")
        return version

    def _home(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise RegistryError(
                f"{name!r} is not a model name", "use small letters, digits and single hyphens: iris-classifier"
            )
        return self.root / name

    def _folder(self, name: str, version: str) -> Path:
        if not _VERSION.fullmatch(version):
            raise RegistryError(f"{version!r} is not a version", "versions are v1, v2, …; labkit models lists them")
        return self._home(name) / version

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[Path]:
        """Let one process change the model's folder, and clear away what a killed one left there."""
        home = self._home(name)
        try:
            home.mkdir(parents=True, exist_ok=True)
            with (home / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                for leftover in home.glob(f"{_TEMPORARY}*"):
                    shutil.rmtree(leftover)
                yield home
        except OSError as error:
            raise RegistryError(f"cannot write {home}: {error.strerror}", f"make room, or chown it: {home}") from error
