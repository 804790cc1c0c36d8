"""Open the file of a prediction store, and say in plain words when it cannot be used."""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labkit.errors import ConfigurationError, LabError

__all__ = ["explained", "open_store"]

_APPLICATION_ID = 0x6C61626B  # "labk": tells our file from another program's
_SCHEMA = """
CREATE TABLE features (names TEXT NOT NULL);
CREATE TABLE requests (
    seq INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    predicted_at REAL NOT NULL,
    n_rows INTEGER NOT NULL,
    instances BLOB NOT NULL,
    predictions TEXT NOT NULL,
    confidences BLOB NOT NULL,
    labelled_at REAL,
    labels TEXT
);
CREATE INDEX requests_predicted_at ON requests (predicted_at);
CREATE INDEX requests_labelled_at ON requests (labelled_at) WHERE labelled_at IS NOT NULL;
"""


def open_store(path: Path, feature_names: Sequence[str], *, read_only: bool) -> sqlite3.Connection:
    """Return a connection in autocommit mode to a store of these features, made when there is none.

    Raises LabError when the file cannot be opened, is damaged, or is something else.
    """
    with explained(path):
        if not read_only:
            # SQLite gives the mode of this file to its -wal and -shm, too.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
        # mode=rw does not create a file; a reader needs it, too, to take part in the write-ahead log.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path, json.dumps(list(feature_names)), read_only)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, features: str, read_only: bool) -> None:
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    else:
        _create_if_new(connection, features)
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise ConfigurationError(f"{path} is not a prediction store", "name another file")
    stored = connection.execute("SELECT names FROM features").fetchone()[0]
    if stored != features:
        remedy = "name another file, or empty the lab with labkit down --purge"
        raise ConfigurationError(f"{path} holds the features {stored}, not {features}", remedy)
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")


def _create_if_new(connection: sqlite3.Connection, features: str) -> None:
    with connection:
        # One transaction, for two processes can come at once; so not executescript, which would commit first.
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return
        for statement in _SCHEMA.split(";")[:-1]:
            connection.execute(statement)
        connection.execute("INSERT INTO features VALUES (?)", (features,))
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise what SQLite and the system complain about as LabError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        remedy = f"check that the folder of {path} exists, has room, and is yours"
        raise LabError(f"the prediction store {path} cannot be used: {error}", remedy) from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise  # its subclasses tell of wrong calls, not of a damaged file
        remedy = f"keep it for inspection and start anew: labkit down && mv {path} {path}.damaged && labkit up"
        raise LabError(f"the prediction store {path} is damaged: {error}", remedy) from error
    except OSError as error:
        remedy = f"check that the folder of {path} exists and is yours"
        raise LabError(f"the prediction store {path} cannot be opened: {error.strerror}", remedy) from error
