"""Turn stored requests into a table with one line per row."""

import json
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "to_frame"]

COLUMNS = (
    "request_id",
    "model_version",
    "predicted_at",
    "labelled_at",
    "n_rows",
    "instances",
    "predictions",
    "confidences",
    "labels",
)


def to_frame(requests: Sequence[tuple], feature_names: Sequence[str]) -> "pd.DataFrame":
    """Return a line for each row of ``requests``, which hold the values of ``COLUMNS``."""
    import pandas as pd  # a service that only writes never needs it

    columns = dict(zip(COLUMNS, zip(*requests, strict=True), strict=True)) if requests else dict.fromkeys(COLUMNS, ())
    n_rows = np.array(columns["n_rows"], dtype=np.int64)
    first_rows = np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    labels = (json.loads(text) if text else [None] * n for text, n in zip(columns["labels"], n_rows, strict=True))
    values = np.frombuffer(b"".join(columns["instances"])).reshape(-1, len(feature_names))

    def repeated(name: str, dtype: type) -> np.ndarray:
        return np.repeat(np.array(columns[name], dtype=dtype), n_rows)

    return pd.DataFrame(
        {
            "request_id": repeated("request_id", str),
            "row": np.arange(len(first_rows)) - first_rows,
            "model_version": repeated("model_version", str),
            "predicted_at": repeated("predicted_at", float),
            "labelled_at": repeated("labelled_at", float),
            **{name: values[:, i] for i, name in enumerate(feature_names)},
            "predicted": list(chain.from_iterable(map(json.loads, columns["predictions"]))),
            "confidence": np.frombuffer(b"".join(columns["confidences"])),
            "label": list(chain.from_iterable(labels)),
        }
    )
