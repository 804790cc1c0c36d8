"""What a client may send: strict types, and messages that name field and rule but never repeat a value."""

from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labkit.model.body import InvalidInput, InvalidJson
from labkit.model.iris import SCHEMA

__all__ = ["MAX_ROWS", "FaultsBody", "LabelsBody", "parse", "parse_instances"]

MAX_ROWS = 1_000
_MAX_FAULT_SECONDS = 2.0
_ERRORS_SHOWN = 3
_N_FEATURES = len(SCHEMA.feature_names)
_MAX_COMMAS = MAX_ROWS * _N_FEATURES - 1

_Value = Annotated[float, Field(allow_inf_nan=False)]
_Row = Annotated[list[_Value | None], Field(min_length=_N_FEATURES, max_length=_N_FEATURES)]
_Label = Annotated[str, Field(min_length=1, max_length=100)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _PredictBody(_Body):
    instances: Annotated[list[_Row], Field(min_length=1, max_length=MAX_ROWS)]


class LabelsBody(_Body):
    """The true classes of an answered request, one per row."""

    request_id: Annotated[str, Field(min_length=1, max_length=64)]
    labels: Annotated[list[_Label], Field(min_length=1, max_length=MAX_ROWS)]


class FaultsBody(_Body):
    """What to do to each prediction, as a service mesh does it to test its clients."""

    latency_seconds: Annotated[float, Field(ge=0, le=_MAX_FAULT_SECONDS, allow_inf_nan=False)]


AnyBody = TypeVar("AnyBody", bound=_Body)


def parse_instances(body: bytes) -> np.ndarray:
    """Return the instances (n, f) of a predict request, NaN where the client sent ``null``.

    Raises InvalidJson or InvalidInput.

    >>> parse_instances(b'{"instances": [[5.1, 3.5, null, 0.2]]}')
    array([[5.1, 3.5, nan, 0.2]])
    """
    return np.array(parse(_PredictBody, body).instances, dtype=np.float64)


def parse(kind: type[AnyBody], body: bytes) -> AnyBody:
    """Return the body as a value of its kind; raises InvalidJson or InvalidInput.

    Pydantic reads the bytes itself: Python's json would take NaN, and turn 1e999 into infinity, before any check.
    """
    # Counted first: a megabyte of tiny values takes 0.3 s and 50 MB to parse, and all other requests would wait.
    if body.count(b",") > _MAX_COMMAS:
        raise InvalidInput(f"{', '.join(kind.model_fields)}: too many values, at most {MAX_ROWS} rows are answered")
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        if errors[0]["type"] == "json_invalid":
            raise InvalidJson(f"the body is not JSON: {errors[0]['ctx']['error']}") from None
        shown = [f"{_place(kind, each)}: {each['msg']}" for each in errors[:_ERRORS_SHOWN]]
        more = [f"and {len(errors) - len(shown)} more"] if len(errors) > len(shown) else []
        raise InvalidInput("; ".join(shown + more)) from None


def _place(kind: type[_Body], error: dict) -> str:
    """Say which field an error is about, e.g. ``instances[3][2] (petal_length)``."""
    field, *indices = error["loc"] or ("body",)
    if error["type"] == "extra_forbidden":
        # The name is the client's own text and is not repeated.
        return f"a field besides {', '.join(kind.model_fields)}"
    feature = f" ({SCHEMA.feature_names[indices[1]]})" if field == "instances" and len(indices) == 2 else ""
    return field + "".join(f"[{index}]" for index in indices) + feature
