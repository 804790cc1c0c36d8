"""The lab's folder ``.lab/``: where it is, what lies where in it, and who may change it now."""

import json
import os
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.errors import ConfigurationError, LabError, StartError
from labkit.stack.credentials import create_credentials
from labkit.stack.files import write_private
from labkit.stack.locks import file_lock
from labkit.stack.ports import choose_ports

__all__ = ["PORT_NAMES", "Home"]

PORT_NAMES = ("model", "retrainer", "inbox", "smtp", "prometheus", "alertmanager", "grafana")
_NEW_NAMES = {"grafana"}  # homes made before these names keep what they have until ports are chosen again

# Marks a folder as the lab's own (the only kind that is ever deleted), and keeps its secrets out of git.
_MARK = "# Run-time state of labkit; `labkit down --purge` deletes this folder.\n*\n"


class Home:
    """The folder that holds all run-time state of one lab; constructing it writes nothing."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).expanduser().resolve()
        self.logs = self.root / "logs"
        self.rendered = self.root / "rendered"
        self.secrets = self.root / "secrets"
        self.registry = self.root / "registry"
        self.prometheus_data = self.root / "data" / "prometheus"
        self.alertmanager_data = self.root / "data" / "alertmanager"
        self.grafana_data = self.root / "grafana"  # holds nothing of a run, so it outlives a reset
        self.traffic_control = self.root / "traffic" / "control.json"
        self.traffic_status = self.root / "traffic" / "status.json"
        self.demo = self.root / "demo"
        self.predictions = self.root / "predictions.db"
        self.retraining = self.root / "retraining.db"
        self.retraining_off = self.root / "retraining.off"
        self._data_folders = (
            self.registry,
            self.traffic_control.parent,
            self.prometheus_data.parent,
            self.prometheus_data,
            self.alertmanager_data,
        )
        self._ports_file = self.root / "ports.json"
        self._speed_file = self.root / "speed"
        self._backend_file = self.root / "backend"
        self._mark = self.root / ".gitignore"
        self._thread_lock = threading.RLock()
        self._lock_depth = 0

    def __repr__(self) -> str:
        return f"Home({str(self.root)!r})"

    @classmethod
    def find(cls, start: Path | None = None) -> "Home":
        """Return the home named by ``LABKIT_HOME``, else ``.lab`` of the project around ``start`` (the current folder).

        The project is the nearest folder upwards that holds a ``.lab``, labkit's sources, or its notebooks.
        """
        if named := os.environ.get("LABKIT_HOME"):
            return cls(named)
        start = (start or Path.cwd()).resolve()
        return cls(next(filter(_is_project, (start, *start.parents)), start) / ".lab")

    def create(self) -> "Home":
        """Make the folders (0700); raises ConfigurationError for a folder that is somebody else's."""
        if self.root.exists() and not self.exists() and any(self.root.iterdir()):
            raise ConfigurationError(f"{self.root} holds other files", "name an empty or a new folder in LABKIT_HOME")
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.root.stat().st_uid != os.getuid():
            raise ConfigurationError(f"{self.root} belongs to another user", "name a folder of yours in LABKIT_HOME")
        self.root.chmod(0o700)
        if not self.exists():
            write_private(self._mark, _MARK)
        for folder in (self.logs, self.rendered, self.secrets, self.demo, *self._data_folders, self.grafana_data):
            folder.mkdir(mode=0o700, exist_ok=True)
        return self

    def exists(self) -> bool:
        """Say whether this folder was made by ``create``."""
        return self._mark.is_file() and self._mark.read_text(errors="replace") == _MARK

    def purge(self) -> None:
        """Delete the folder with all that is in it; raises ConfigurationError unless ``create`` made it."""
        if not self.exists():
            raise ConfigurationError(f"{self.root} is no lab's folder", "nothing was deleted; delete it yourself")
        shutil.rmtree(self.root)

    def wipe(self) -> None:
        """Delete all that the servers have recorded; ports, secrets, logs and the learner's files stay.

        No server may be running.
        """
        for folder in self._data_folders:
            shutil.rmtree(folder, ignore_errors=True)
        for database in (self.predictions, self.retraining):
            for path in self.root.glob(f"{database.name}*"):  # with SQLite's -wal and -shm
                path.unlink()
        self.retraining_off.unlink(missing_ok=True)
        self.create()

    @property
    def speed(self) -> float:
        """The speed of lab time at which the servers were last started."""
        try:
            return float(self._speed_file.read_text())
        except FileNotFoundError:
            raise self._never_started() from None
        except ValueError as error:
            raise ConfigurationError(
                f"{self._speed_file} is damaged: {error}", "run: labkit down, then: labkit up"
            ) from error

    @speed.setter
    def speed(self, speed: float) -> None:
        write_private(self._speed_file, f"{speed:g}\n")

    @property
    def backend(self) -> str:
        """How the servers were last started: ``processes``, or ``containers``."""
        return self._backend_file.read_text().strip() if self._backend_file.is_file() else "processes"

    @backend.setter
    def backend(self, name: str) -> None:
        write_private(self._backend_file, f"{name}\n")

    @property
    def ports(self) -> dict[str, int]:
        """The port of each of PORT_NAMES, as last chosen."""
        try:
            ports = json.loads(self._ports_file.read_text())
            return {name: int(ports[name]) for name in PORT_NAMES if name in ports or name not in _NEW_NAMES}
        except FileNotFoundError:
            raise self._never_started() from None
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(f"{self._ports_file} is damaged: {error!r}", f"rm {self._ports_file}") from error

    def choose_ports(self, held: Collection[int] = ()) -> list[str]:
        """Choose the ports, keeping those of before that are free or ``held`` by our own servers.

        Returns one sentence for each port that had to change. Call it before any file is rendered.
        """
        before = self.ports if self._ports_file.exists() else {}
        ports = choose_ports(PORT_NAMES, before, held)
        if ports != before:
            write_private(self._ports_file, json.dumps(ports, indent=2) + "\n")
        create_credentials(self.secrets, f"127.0.0.1:{ports['inbox']}")
        return [
            f"{name} moved from port {before[name]} to {port}: another program listens on {before[name]}"
            for name, port in ports.items()
            if before.get(name, port) != port
        ]

    def url(self, name: str) -> str:
        """Return the address of the server ``name``, such as ``http://127.0.0.1:23456``."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def secret(self, name: str) -> str:
        """Return the text of the secret ``name``."""
        try:
            return (self.secrets / name).read_text().strip()
        except FileNotFoundError:
            raise LabError(f"the lab has no secret {name!r}", "run: labkit up") from None

    def _never_started(self) -> StartError:
        return StartError(f"the lab in {self.root} was never started", "run: labkit up")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only one that starts or stops this lab's servers; may be nested within one thread."""
        doing = f"starting or stopping the lab in {self.root}"
        if not self._thread_lock.acquire(blocking=False):
            raise StartError(f"another thread of this process is {doing}", "wait until it is done")
        try:
            self._lock_depth += 1
            if self._lock_depth > 1:
                yield
            else:
                with file_lock(self.root / "lock", doing):
                    yield
        finally:
            self._lock_depth -= 1
            self._thread_lock.release()


def _is_project(folder: Path) -> bool:
    if (folder / ".lab").is_dir() or (folder / "notebooks" / "00_start_here.ipynb").is_file():
        return True
    project = folder / "pyproject.toml"
    return project.is_file() and 'name = "labkit"' in project.read_text(errors="replace")
