"""The check of notebook 00: start here."""

import pandas as pd

from labkit.lab import Lab
from labkit.teach.exercise import Incorrect, Lesson

lesson = Lesson("00", "Start here")


@lesson.exercise(
    hints=(
        "lab.query(...) takes PromQL as a text. The name of the metric counts rows, and ends in _total.",
        'Every row that was predicted is in model_prediction_rows_total: lab.query("model_prediction_rows_total").',
    )
)
def q1(lab: Lab, rows: pd.DataFrame) -> str:
    """Ask Prometheus how many rows the model has predicted."""
    if not isinstance(rows, pd.DataFrame):
        raise Incorrect(f"lab.query(...) returns a table; this is {type(rows).__name__}. Assign what it returns.")
    if not len(rows):
        raise Incorrect("The query returns nothing: no metric of that name is stored. Compare each letter.")
    asked = set(rows.get("__name__", ()))
    if asked == {"model_prediction_requests_total"}:
        raise Incorrect("That counts requests, and a request may carry many rows. Which metric counts rows?")
    if asked != {"model_prediction_rows_total"}:
        raise Incorrect("That is another series. Ask for model_prediction_rows_total, as it is and without a function.")
    with lab.store() as store:
        kept = len(store.predictions())
    return f"{rows['value'].sum():,.0f} rows when you asked; the store behind the model holds {kept:,} by now."
