"""The check of notebook 00 refuses what is wrong, and says why."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from labkit.lab import Lab
from labkit.teach import ____, open_lesson
from tests.teach.checking import approval, refusal

lesson = open_lesson("00")

WRONG: dict[str, list[tuple[Callable[[Lab], Any], str]]] = {
    "q1": [
        (lambda lab: lab.query("model_predicted_rows_total"), "no metric of that name"),
        (lambda lab: lab.query("model_prediction_requests_total"), "That counts requests"),
        (lambda lab: lab.query("sum(model_prediction_rows_total)"), "as it is and without a function"),
        (lambda _lab: 4711, "this is int"),
    ]
}


@pytest.mark.parametrize(("answer", "said"), WRONG["q1"])
def test_a_wrong_count_of_rows_hears_why(serving: Lab, answer: Callable[[Lab], Any], said: str) -> None:
    assert said in refusal(lesson.q1, serving, answer(serving))


def test_the_right_count_is_compared_with_the_store(serving: Lab) -> None:
    assert "the store behind the model holds" in approval(
        lesson.q1, serving, serving.query("model_prediction_rows_total")
    )


def test_a_blank_is_not_attempted() -> None:
    assert lesson.q1.check(None, ____).state == "not attempted"


def test_a_table_that_is_empty_is_no_error(serving: Lab) -> None:
    assert lesson.q1.check(serving, pd.DataFrame()).state == "incorrect"
