"""The checks of notebook 09 refuse what is wrong, and say why."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from labkit.lab import MODEL_NAME, Lab
from labkit.model import iris
from labkit.model.training import evaluate, train
from labkit.observe.reference import Reference
from labkit.simulate.scenarios import scenario
from labkit.teach import open_lesson
from labkit.teach.lessons.lesson_09 import differing
from tests.teach.checking import approval, refusal

lesson = open_lesson("09")


def firing(payload: dict) -> list[dict]:
    return [alert for alert in payload["alerts"] if alert["status"] == "firing"]


def pairs(alerts: list[dict]) -> tuple:
    return tuple((alert["fingerprint"], alert["startsAt"]) for alert in alerts)


def ends(champion: np.ndarray, challenger: np.ndarray, width: float = 1.96, sign: int = 1) -> tuple[float, float]:
    won, lost, n = int((challenger & ~champion).sum()), int((champion & ~challenger).sum()), len(champion)
    d, half = sign * (won - lost) / n, width * np.sqrt(won + lost - (won - lost) ** 2 / n) / n
    return d - half, d + half


def unpaired(champion: np.ndarray, challenger: np.ndarray) -> tuple[float, float]:
    p, q, n = champion.mean(), challenger.mean(), len(champion)
    half = 1.96 * np.sqrt(p * (1 - p) / n + q * (1 - q) / n)
    return q - p - half, q - p + half


def trained(**rows_of: int) -> Any:
    rng = np.random.default_rng(3)
    batches = [scenario(name).batch(n, 0.0, rng) for name, n in rows_of.items()]
    return train(np.vstack([b.instances for b in batches]), np.concatenate([b.labels for b in batches]))


class Constant:
    def predict(self, instances: np.ndarray) -> list[str]:
        return ["setosa"] * len(instances)


WRONG: dict[str, list[tuple[Any, str]]] = {
    "q1": [
        (lambda payload: payload["groupKey"], "Two different alerts have the same key"),
        (lambda payload: tuple(sorted(alert["fingerprint"] for alert in firing(payload))), "fires again the next day"),
        (lambda payload: pairs(firing(payload)), "in another order"),
        (lambda payload: tuple(sorted(pairs(payload["alerts"]))), "A resolved alert changes the key"),
        (lambda payload: sorted(pairs(firing(payload))), "cannot be looked up"),
        (lambda _payload: None, "lacks a return"),
        ("d6616e8c402f0dae", "This is str"),
    ],
    "q2": [
        (unpaired, "two independent samples"),
        (lambda champion, challenger: ends(champion, challenger, sign=-1), "The sign is turned round"),
        (lambda champion, challenger: ends(champion, challenger, width=1), "one standard error"),
        (lambda champion, challenger: ends(champion, challenger, width=2.58), "Half its width should be"),
        (lambda champion, challenger: ends(champion, challenger)[::-1], "Return the lower one first"),
        (lambda champion, challenger: challenger.mean() - champion.mean(), "Return the two ends"),
        (lambda _champion, _challenger: (0.0, 1.0), "the middle should be"),
    ],
    "q3": [
        (lambda: trained(steady=1000), "before the change"),
        (lambda: trained(steady=700, concept_shift=600), "both worlds at once"),
        (lambda: Constant(), "the same answer for every flower"),
        (lambda: "v2", "This is str"),
    ],
    "q4": [
        (lambda lab: lab.rollback("v2"), "You went back to v2"),
        (lambda lab: lab.rollback("v1"), "may still start a run"),
        (lambda lab: lab.registry.rollback(MODEL_NAME, "v1"), "was not told to load it"),
        (lambda lab: lab.registry.promote(MODEL_NAME, "v1", "by hand"), "Use a rollback"),
    ],
}


@pytest.mark.parametrize(("answer", "said"), WRONG["q1"])
def test_a_key_that_repeats_or_differs_wrongly_hears_why(answer: Any, said: str) -> None:
    assert said in refusal(lesson.q1, answer)


@pytest.mark.parametrize(("answer", "said"), WRONG["q2"])
def test_a_wrong_interval_hears_why(answer: Any, said: str) -> None:
    assert said in refusal(lesson.q2, answer)


def test_labkits_own_interval_is_right_too() -> None:
    from labkit.respond.gates import paired_difference

    def interval(champion: np.ndarray, challenger: np.ndarray) -> tuple[float, float]:
        found = paired_difference(champion, challenger)
        return found.low, found.high

    assert "0 is outside" in approval(lesson.q2, interval)


def test_the_rows_of_the_check_are_as_it_says() -> None:
    champion, challenger = differing(100, won=6, lost=2, both=85)
    assert int((challenger & ~champion).sum()) == 6
    assert int((champion & ~challenger).sum()) == 2
    assert int((champion & challenger).sum()) == 85


@pytest.mark.parametrize(("answer", "said"), WRONG["q3"])
def test_a_challenger_that_learned_the_wrong_rows_hears_why(answer: Callable[[], Any], said: str) -> None:
    assert said in refusal(lesson.q3, answer())


@pytest.fixture
def promoted(lab: Lab) -> Iterator[Lab]:
    """A lab whose challenger v2 was promoted and is served."""
    registry, rng = lab.registry, np.random.default_rng(1)
    if "v2" not in registry.versions(MODEL_NAME):
        instances, labels = iris.sample(500, rng)
        model = train(instances, labels)
        reference = Reference.from_rows(instances, iris.SCHEMA.feature_names, model.predict(instances))
        evaluation = evaluate(model, instances, labels)
        registry.save(MODEL_NAME, model, reference=reference, evaluation=evaluation, data_version="test")
    registry.promote(MODEL_NAME, "v2", "test")
    lab.rollback("v2")  # has the service load it
    registry.promote(MODEL_NAME, "v2", "test")
    lab.home.retraining_off.unlink(missing_ok=True)
    yield lab
    lab.home.retraining_off.unlink(missing_ok=True)


@pytest.mark.parametrize(("answer", "said"), WRONG["q4"])
def test_half_a_rollback_hears_what_is_missing(promoted: Lab, answer: Callable[[Lab], Any], said: str) -> None:
    answer(promoted)
    if "may still" not in said:
        promoted.home.retraining_off.touch()
    assert said in refusal(lesson.q4, promoted)


@pytest.mark.parametrize("switched_off", [True, False])
def test_a_challenger_that_still_serves_is_not_attempted_whatever_the_switch_says(
    promoted: Lab, switched_off: bool
) -> None:
    if switched_off:
        promoted.home.retraining_off.touch()
    outcome = lesson.q4.check(promoted)
    assert outcome.state == "not attempted"
    assert "v2 is still the champion" in outcome.message


def test_a_rollback_with_the_switch_off_is_right(promoted: Lab) -> None:
    promoted.rollback("v1")
    promoted.home.retraining_off.touch()
    assert "no machine will interfere" in approval(lesson.q4, promoted)
