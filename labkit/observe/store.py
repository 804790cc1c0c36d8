"""Keep every answered prediction and its labels, so that what was answered with 2xx survives a killed process.

One SQLite file in WAL mode; each change is committed before the call returns. ``synchronous=NORMAL`` loses nothing when
a process is killed, but may lose the last moments in a power cut. The file holds inputs: only its owner may read it.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np

from labkit.clock import Clock
from labkit.errors import InputError
from labkit.observe.store_file import explained, open_store
from labkit.observe.store_frame import COLUMNS, to_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LabelResult", "PredictionStore"]

_PRUNE_EVERY_APPENDS = 64
_PRUNE_REQUESTS = 512  # more than come in between, so that pruning keeps up


@dataclass(frozen=True)
class LabelResult:
    """What became of labels that arrived; version and predictions are those of the request they belong to.

    ``duplicate`` are the same labels again, ``conflict`` others (the first are kept), ``unknown`` those of a request
    that is not (or no longer) in the store.
    """

    outcome: Literal["stored", "duplicate", "conflict", "unknown", "wrong_count"]
    model_version: str | None = None
    predictions: tuple[str, ...] = ()


class PredictionStore:
    """The answered requests in a file; a context manager.

    Requests older than ``retention`` (production time), and the oldest ones when the file grows past ``max_bytes``,
    are removed a few at a time. Threads may share a store; processes open one each. Raises LabError when the file
    is damaged or not a prediction store of these features: it is never replaced silently.
    """

    def __init__(
        self,
        path: str | Path,
        feature_names: Sequence[str],
        *,
        clock: Clock,
        retention: str = "7d",
        max_bytes: int = 500_000_000,
        read_only: bool = False,
    ) -> None:
        self._path = Path(path)
        self._feature_names = tuple(feature_names)
        self._retention_seconds = clock.lab_seconds(retention)
        self._max_bytes = max_bytes
        self._appends_to_prune = _PRUNE_EVERY_APPENDS
        self._lock = Lock()
        self._connection = open_store(self._path, self._feature_names, read_only=read_only)

    def __enter__(self) -> "PredictionStore":
        return self

    def __exit__(self, *_exception) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything is in it already."""
        self._connection.close()

    def append(
        self,
        request_id: str,
        model_name: str,
        model_version: str,
        instances: np.ndarray,
        predictions: Sequence[str],
        confidences: Sequence[float],
    ) -> None:
        """Store an answer: rows ``(n_rows, n_features)``, their classes and the probabilities of these ``(n_rows,)``.

        Raises InputError for a shape that does not fit or a request id that was there before.
        """
        instances = np.asarray(instances, dtype=np.float64)
        confidences = np.asarray(confidences, dtype=np.float64)
        shape = (len(predictions), len(self._feature_names))
        if instances.shape != shape or confidences.shape != shape[:1] or not len(predictions):
            raise InputError(f"{instances.shape} instances and {confidences.shape} confidences do not fit {shape}")
        line = (request_id, model_name, model_version, time.time(), len(predictions))
        blobs = (instances.tobytes(), json.dumps(list(predictions)), confidences.tobytes())
        with self._changing() as connection:
            try:
                connection.execute(
                    "INSERT INTO requests (request_id, model_name, model_version, predicted_at, n_rows,"
                    " instances, predictions, confidences) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    line + blobs,
                )
            except sqlite3.IntegrityError as error:
                raise InputError(
                    f"the request {request_id} cannot be stored: {error}", "give each its own id"
                ) from error
            self._prune_now_and_then(connection)

    def label(self, request_id: str, labels: Sequence[str]) -> LabelResult:
        """Store the true classes of a request's rows, and say what became of them."""
        labels = list(labels)
        with self._changing() as connection:
            query = "SELECT model_version, predictions, labels FROM requests WHERE request_id = ?"
            found = connection.execute(query, (request_id,)).fetchone()
            if found is None:
                return LabelResult("unknown")
            predictions = tuple(json.loads(found[1]))
            if len(labels) != len(predictions):
                return LabelResult("wrong_count", found[0], predictions)
            if found[2] is not None:
                same = json.loads(found[2]) == labels
                return LabelResult("duplicate" if same else "conflict", found[0], predictions)
            change = "UPDATE requests SET labels = ?, labelled_at = ? WHERE request_id = ?"
            connection.execute(change, (json.dumps(labels), time.time(), request_id))
            return LabelResult("stored", found[0], predictions)

    def labelled(
        self,
        since: float | None = None,
        until: float | None = None,
        model_version: str | None = None,
        by: Literal["predicted_at", "labelled_at"] = "predicted_at",
    ) -> "pd.DataFrame":
        """Return the labelled rows with ``since <= by < until`` (Unix seconds), one line each, in order of prediction.

        Columns: request_id, row, model_version, predicted_at, labelled_at, the features, predicted, confidence, label.
        """
        if by not in ("predicted_at", "labelled_at"):
            raise InputError(f"rows cannot be chosen by {by!r}", "choose predicted_at or labelled_at")
        conditions = {f"{by} >= ?": since, f"{by} < ?": until, "model_version = ?": model_version}
        return self._read("labelled_at IS NOT NULL", conditions)

    def predictions(self, since: float | None = None, limit: int | None = None) -> "pd.DataFrame":
        """Return the last ``limit`` rows predicted since then, with or without a label; columns as in ``labelled``."""
        frame = self._read("1", {"predicted_at >= ?": since}, limit)
        return frame if limit is None else frame.tail(limit).reset_index(drop=True)

    def counts(self) -> dict[str, int]:
        """Return the numbers of requests, rows, labelled_requests and labelled_rows."""
        query = "SELECT count(*), total(n_rows), count(labels), total(n_rows * (labels IS NOT NULL)) FROM requests"
        with explained(self._path), self._lock:
            numbers = self._connection.execute(query).fetchone()
        names = ("requests", "rows", "labelled_requests", "labelled_rows")
        return dict(zip(names, map(int, numbers), strict=True))

    def clear(self) -> None:
        """Remove every request."""
        with self._changing() as connection:
            connection.execute("DELETE FROM requests")

    def _read(self, always: str, conditions: dict[str, object], limit: int | None = None) -> "pd.DataFrame":
        wanted = {condition: value for condition, value in conditions.items() if value is not None}
        where = " AND ".join([always, *wanted])
        # The newest first, for the limit; every request has a row at least, so that many requests are enough.
        query = f"SELECT {', '.join(COLUMNS)} FROM requests WHERE {where} ORDER BY predicted_at DESC, seq DESC LIMIT ?"
        with explained(self._path), self._lock:
            found = self._connection.execute(query, (*wanted.values(), -1 if limit is None else limit)).fetchall()
        return to_frame(found[::-1], self._feature_names)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction, committed at the end, undone when it raises."""
        with explained(self._path), self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def _prune_now_and_then(self, connection: sqlite3.Connection) -> None:
        self._appends_to_prune -= 1
        if self._appends_to_prune > 0:
            return
        oldest = (
            f"DELETE FROM requests WHERE seq IN (SELECT seq FROM requests {{}} ORDER BY seq LIMIT {_PRUNE_REQUESTS})"
        )
        if self._used_bytes(connection) > self._max_bytes:
            pruned = connection.execute(oldest.format("")).rowcount
        else:
            kept_since = time.time() - self._retention_seconds
            pruned = connection.execute(oldest.format("WHERE predicted_at < ?"), (kept_since,)).rowcount
        # There may be more: go on at the next append, but never make one request wait for all of it.
        self._appends_to_prune = 1 if pruned else _PRUNE_EVERY_APPENDS

    @staticmethod
    def _used_bytes(connection: sqlite3.Connection) -> int:
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        return (pages - free) * size
