"""A second Prometheus that keeps what the first one writes to it; the next reset ends it and empties it."""

from typing import TYPE_CHECKING, Any

import yaml

from labkit.clock import Clock, wait_until
from labkit.errors import InputError, LabError
from labkit.stack.binaries import ensure
from labkit.stack.files import write_private
from labkit.stack.home import Home
from labkit.stack.processes import Service, start, stop
from labkit.stack.prometheus import Prometheus
from labkit.stack.promtool import check_config
from labkit.stack.reload import reload_prometheus
from labkit.stack.replicas import extra_port
from labkit.stack.timescale import scale_config, scale_flags

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LongTermStore"]

_NAME = "long-term"


class LongTermStore:
    """The store of one lab; ``prometheus`` is the client that queries it, in production time as usual."""

    def __init__(self, home: Home, clock: Clock) -> None:
        self._home, self._clock = home, clock
        self._folder = home.prometheus_data.parent / _NAME  # a folder that a reset empties
        self.port = extra_port(home, _NAME)
        self.url = f"http://127.0.0.1:{self.port}"
        self.prometheus = Prometheus(self.url, clock)

    def start(self) -> "LongTermStore":
        """Start it unless it runs, and return when it takes samples. It scrapes nothing by itself."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self._folder / "prometheus.yml"
        if not config.exists():
            write_private(config, "# Scrapes nothing and judges nothing: it keeps what others write to it.\n")
        flags = [
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            "--storage.tsdb.retention.time=1y",
            "--web.enable-remote-write-receiver",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--web.external-url={self.url}",
            "--web.cors.origin=^$",
            "--query.lookback-delta=5m",
            "--log.level=warn",
        ]
        command = [str(ensure()["prometheus"]), *scale_flags(flags, self._clock.speed)]
        start([Service(_NAME, command, [self.port], self.prometheus.ready)], self._home)
        return self

    def stop(self) -> None:
        """Let the lab's Prometheus write nowhere any more, and end the store; its data stay until a reset."""
        self.connect("")
        stop(self._home, [_NAME])

    def connect(self, addition: str) -> None:
        """Add ``remote_write``, and ``global`` with ``external_labels``, to the lab's prometheus.yml, and load it.

        ``addition`` is YAML in production time, as it stands in that file; it takes the place of the one before, and
        an empty text takes that away. Raises InputError for YAML that is none, holds something else, or is refused by
        promtool: then everything stays as it was.
        """
        path = self._home.rendered / "prometheus" / "prometheus.yml"
        before = path.read_text()
        text = _joined(before, _parsed(addition, self._clock))
        check_config(text)
        if text == before:
            return
        write_private(path, text)
        try:
            reload_prometheus(self._home)
        except LabError:
            write_private(path, before)
            raise

    def wait_for(self, expression: str, timeout: str = "1h") -> "pd.DataFrame":
        """Wait until PromQL, asked of this store, returns something, and return that; raises WaitTimeout."""

        def answer() -> "list[pd.DataFrame]":
            frame = self.prometheus.query(expression)
            return [frame] if len(frame) else []

        seconds = self._clock.lab_seconds(timeout)
        return wait_until(answer, seconds, f"{expression} to return something from the long-term store", every=0.1)[0]


def _parsed(addition: str, clock: Clock) -> dict[str, Any]:
    """Return what may be added, in lab time."""
    try:
        parsed = yaml.safe_load(addition) or {}
    except yaml.YAMLError as error:
        raise InputError(f"this is no YAML: {error}") from error
    if not isinstance(parsed, dict) or not parsed.keys() <= {"remote_write", "global"}:
        raise InputError("the text holds something else than remote_write and global", "write those two keys only")
    labels = parsed.get("global") or {}
    if not isinstance(labels, dict) or not labels.keys() <= {"external_labels"}:
        raise InputError("global may hold external_labels here, and nothing else", "leave the rest to the lab")
    return scale_config(parsed, clock.speed)


def _joined(rendered: str, addition: dict[str, Any]) -> str:
    """Return prometheus.yml with the addition in the place of an earlier one."""
    head, body = rendered.split("\n", 1)
    config = yaml.safe_load(body)
    config.pop("remote_write", None)
    config["global"].pop("external_labels", None)
    config["global"] |= addition.get("global") or {}
    if addition.get("remote_write"):
        config["remote_write"] = addition["remote_write"]
    return head + "\n" + yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=1000)
