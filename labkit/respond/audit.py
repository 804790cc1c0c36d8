"""Record every run of the retrainer and each of its steps, so that any decision can be read later."""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labkit.errors import LabError

__all__ = ["Audit"]

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, alerts TEXT NOT NULL, received_at REAL NOT NULL,
  started_at REAL, finished_at REAL, state TEXT NOT NULL, result TEXT, reason TEXT, details TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS runs_by_key ON runs (key);
CREATE TABLE IF NOT EXISTS steps (
  id INTEGER PRIMARY KEY AUTOINCREMENT, run_id INTEGER NOT NULL REFERENCES runs (id), name TEXT NOT NULL,
  at REAL NOT NULL, details TEXT NOT NULL DEFAULT '{}'
);
"""


class Audit:
    """A SQLite file of runs and steps, readable by its owner only; used by several threads.

    A run's ``state`` is ``running`` or ``finished``; its ``result`` is one of promoted, rejected, failed, skipped.
    Times are Unix seconds. What was written survives a killed process.
    """

    def __init__(self, path: Path | str) -> None:
        path = Path(path)
        self._lock = threading.Lock()
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_TABLES)
        except (OSError, sqlite3.DatabaseError) as error:
            raise LabError(
                f"cannot use the audit log {path}: {error}", f"move it away: mv {path} {path}.old"
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def begin(self, key: str, alerts: list[dict[str, Any]]) -> int:
        """Record a run that starts now and return its id."""
        now = time.time()
        return self._write(
            "INSERT INTO runs (key, alerts, received_at, started_at, state) VALUES (?, ?, ?, ?, 'running')",
            (key, json.dumps(alerts), now, now),
        )

    def skip(self, key: str, alerts: list[dict[str, Any]], reason: str) -> int:
        """Record a run that was not started, and why; returns its id."""
        now = time.time()
        return self._write(
            "INSERT INTO runs (key, alerts, received_at, finished_at, state, result, reason)"
            " VALUES (?, ?, ?, ?, 'finished', 'skipped', ?)",
            (key, json.dumps(alerts), now, now, reason),
        )

    @contextmanager
    def step(self, run_id: int, name: str) -> Iterator[dict[str, Any]]:
        """Record a step when it begins; what the block puts into the yielded dict is recorded when it ends."""
        step_id = self._write("INSERT INTO steps (run_id, name, at) VALUES (?, ?, ?)", (run_id, name, time.time()))
        details: dict[str, Any] = {}
        try:
            yield details
        finally:
            self._write("UPDATE steps SET details = ? WHERE id = ?", (json.dumps(details), step_id))

    def finish(self, run_id: int, result: str, reason: str, details: dict[str, Any] | None = None) -> None:
        """Record how a run ended."""
        self._write(
            "UPDATE runs SET state = 'finished', result = ?, reason = ?, details = ?, finished_at = ? WHERE id = ?",
            (result, reason, json.dumps(details or {}), time.time(), run_id),
        )

    def run(self, run_id: int) -> dict[str, Any] | None:
        """Return a run with its steps, or None."""
        found = self._read("SELECT * FROM runs WHERE id = ?", (run_id,))
        steps = self._read("SELECT name, at, details FROM steps WHERE run_id = ? ORDER BY id", (run_id,))
        return {**found[0], "steps": steps} if found else None

    def runs(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the latest runs without their steps, newest last."""
        return self._read("SELECT * FROM runs ORDER BY id DESC LIMIT ?", (limit,))[::-1]

    def unfinished(self) -> list[dict[str, Any]]:
        """Return the runs that have begun and not ended, with their steps."""
        ids = self._read("SELECT id FROM runs WHERE state = 'running' ORDER BY id")
        return [run for found in ids if (run := self.run(found["id"]))]

    def last_with_key(self, key: str) -> dict[str, Any] | None:
        """Return the latest run that was started for ``key``, or None."""
        found = self._read("SELECT * FROM runs WHERE key = ? AND started_at NOT NULL ORDER BY id DESC LIMIT 1", (key,))
        return found[0] if found else None

    def started_since(self, since: float) -> list[dict[str, Any]]:
        """Return the runs that were started at or after ``since``, newest last; skipped webhooks are none."""
        return self._read("SELECT * FROM runs WHERE started_at >= ? ORDER BY id", (since,))

    def _write(self, statement: str, values: tuple = ()) -> int:
        with self._lock:
            return self._connection.execute(statement, values).lastrowid or 0

    def _read(self, statement: str, values: tuple = ()) -> list[dict[str, Any]]:
        with self._lock:
            rows = [dict(row) for row in self._connection.execute(statement, values)]
        return [
            {**row, **{name: json.loads(row[name]) for name in ("alerts", "details") if name in row}} for row in rows
        ]
