"""Request bodies: well-formed ones, and those that a careless client sends."""

import json
import math
from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["MALFORMED", "encode", "encode_malformed"]

Rows = list[list[float | None]]


def encode(instances: np.ndarray) -> bytes:
    """Write rows (n, f) as the body of a prediction request; NaN becomes ``null``, a missing value."""
    return _body(_to_rows(instances))


def encode_malformed(instances: np.ndarray, rng: np.random.Generator) -> bytes:
    """Write rows (n, f) in one of the ways of MALFORMED, all equally likely."""
    spoil = list(MALFORMED.values())[rng.integers(len(MALFORMED))]
    return spoil(_to_rows(instances))


def _to_rows(instances: np.ndarray) -> Rows:
    return [[None if math.isnan(value) else value for value in row] for row in instances.tolist()]


def _body(instances: object, key: str = "instances") -> bytes:
    return json.dumps({key: instances}).encode()


# Python's json writes the tokens NaN and Infinity, which are not JSON: just what careless clients do.
MALFORMED: Mapping[str, Callable[[Rows], bytes]] = {
    "truncated": lambda rows: _body(rows)[:-2],
    "form": lambda rows: b"instances=" + json.dumps(rows).encode(),
    "no_instances": lambda rows: _body(rows, key="rows"),
    "no_rows": lambda _rows: _body([]),
    "flat": lambda rows: _body(rows[0]),
    "feature_left_out": lambda rows: _body([row[:-1] for row in rows]),
    "strings": lambda rows: _body([[str(value) for value in row] for row in rows]),
    "booleans": lambda rows: _body([[True, *row[1:]] for row in rows]),
    "nan_token": lambda rows: _body([[math.nan, *row[1:]] for row in rows]),
    "overflow": lambda rows: _body([["1e999", *row[1:]] for row in rows]).replace(b'"1e999"', b"1e999"),
}
"""Ways to spoil the rows of a request, by name; the service refuses each of them (4xx)."""
