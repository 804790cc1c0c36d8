"""The checks of notebook 09: close the loop."""

import copy
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from labkit.lab import MODEL_NAME, Lab
from labkit.simulate.scenarios import scenario
from labkit.teach.exercise import Incorrect, Lesson, NotAttempted

lesson = Lesson("09", "Close the loop")

_DRIFT, _ACCURACY = (
    {
        "status": "firing",
        "fingerprint": fingerprint,
        "startsAt": "2026-01-05T09:00:00.123Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "labels": {"alertname": name, "model_name": MODEL_NAME},
    }
    for fingerprint, name in (("d6616e8c402f0dae", "ModelInputDrift"), ("6af2da156292dfbe", "ModelAccuracyLow"))
)
_LATER = {**_ACCURACY, "startsAt": "2026-01-06T17:30:00.456Z"}
_RESOLVED = {**_DRIFT, "status": "resolved", "endsAt": "2026-01-05T10:00:00Z"}


def _payload(*alerts: dict[str, Any]) -> dict[str, Any]:
    """Return a webhook as Alertmanager sends it; its group is the same whatever fires in it."""
    return copy.deepcopy({"version": "4", "groupKey": "{}:{}", "status": "firing", "alerts": list(alerts)})


@lesson.exercise(
    hints=(
        "Which two fields of an alert name one episode of it? Take both, of each alert that fires.",
        "Sort the pairs, and return them as a tuple: a list cannot be looked up in a set.",
    )
)
def q1(key: Callable[[dict[str, Any]], Hashable]) -> str:
    """Write the key that is the same whenever the same firing alerts are told again."""
    if not callable(key):
        raise Incorrect(f"This is {type(key).__name__}. Define a function that takes a payload and returns its key.")
    both = key(_payload(_ACCURACY, _DRIFT))
    if both is None:
        raise Incorrect("Your function returns None. It lacks a return.")
    if not isinstance(both, Hashable):
        raise Incorrect(
            f"A {type(both).__name__} cannot be looked up in a set or a database: return a tuple or a text."
        )
    if key(_payload(_DRIFT)) == key(_payload(_ACCURACY)):
        raise Incorrect(
            "Two different alerts have the same key, so the second trouble would never have its run. `groupKey` and "
            "`status` say nothing about which alert fires; `fingerprint` does."
        )
    if key(_payload(_LATER)) == key(_payload(_ACCURACY)):
        raise Incorrect(
            "An alert that ended and fires again the next day has the same key, so it would be taken for a repetition. "
            "The labels are the same; what differs is `startsAt`."
        )
    if key(_payload(_DRIFT, _ACCURACY)) != both:
        raise Incorrect("The same two alerts in another order have another key. Sort them.")
    if key(_payload(_ACCURACY, _RESOLVED)) != key(_payload(_ACCURACY)):
        raise Incorrect("A resolved alert changes the key, and would start a second run. Take only those that fire.")
    return "It is the same for each repetition, in any order, and another one for each new episode."


def differing(n: int, won: int, lost: int, both: int) -> tuple[np.ndarray, np.ndarray]:
    """Return champion and challenger, right on ``both`` rows together and on ``lost`` and ``won`` rows alone."""
    row = np.arange(n)
    return row < both + lost, (row < both) | ((row >= both + lost) & (row < both + lost + won))


@lesson.exercise(
    hints=(
        "With boolean arrays, `challenger_correct & ~champion_correct` is true where the challenger alone is right.",
        "won and lost are sums of two such arrays; d = (won - lost) / n; then the formula above, and 1.96 times it.",
    )
)
def q2(interval: Callable[[np.ndarray, np.ndarray], tuple[float, float]]) -> str:
    """Write the 95 % interval for the difference of two models that were judged on the same rows."""
    if not callable(interval):
        raise Incorrect(f"This is {type(interval).__name__}. Define a function of two arrays that returns two numbers.")
    n, won, lost, both = 1000, 60, 20, 850
    ends = interval(*differing(n, won, lost, both))
    if not isinstance(ends, tuple | list | np.ndarray) or len(ends) != 2:
        raise Incorrect(f"It returns {ends!r}. Return the two ends of the interval, the lower one first.")
    low, high = map(float, ends)
    if low > high:
        raise Incorrect("The lower end is above the upper one. Return the lower one first.")
    _check_centre((low + high) / 2, n, won, lost)
    _check_width((high - low) / 2, n, won, lost, both)
    return (
        f"For {won} rows won and {lost} lost of {n} it is {low:+.3f} to {high:+.3f}: 0 is outside, so this one may go."
    )


def _check_centre(found: float, n: int, won: int, lost: int) -> None:
    centre = (won - lost) / n
    if np.isclose(found, -centre, atol=1e-3):
        raise Incorrect("The sign is turned round: this is champion minus challenger.")
    if not np.isclose(found, centre, atol=1e-3):
        raise Incorrect(
            f"Of {n} rows the challenger won {won} and lost {lost}, so the middle should be {centre:.3f}; "
            f"yours is {found:.3f}."
        )


def _check_width(half: float, n: int, won: int, lost: int, both: int) -> None:
    right = 1.96 * np.sqrt(won + lost - (won - lost) ** 2 / n) / n
    p, q = (both + lost) / n, (both + won) / n
    if np.isclose(half, 1.96 * np.sqrt(p * (1 - p) / n + q * (1 - q) / n), rtol=0.02):
        raise Incorrect(
            f"Half its width is {half:.4f}: that is the formula for two independent samples. These are the same rows, "
            "and only those on which the models differ count."
        )
    if np.isclose(half, right / 1.96, rtol=0.02):
        raise Incorrect("It is one standard error wide to either side; 95 % takes 1.96 of them.")
    if not np.isclose(half, right, rtol=0.02):
        raise Incorrect(f"Half its width should be {right:.4f} for {won} won and {lost} lost of {n}; it is {half:.4f}.")


def _accuracy(model: Any, name: str) -> float:
    rows = scenario(name).batch(2000, 0.0, np.random.default_rng(93))
    return float(np.mean(np.asarray(model.predict(rows.instances)) == rows.labels))


@lesson.exercise(
    hints=(
        "Choose the rows with predicted_at at or after the onset. Which column holds what was true?",
        "train(chosen[features].to_numpy(), chosen['label'].to_numpy(dtype=str))",
    )
)
def q3(challenger: Any) -> str:
    """Train a challenger on the labelled rows since the onset."""
    if not hasattr(challenger, "predict"):
        raise Incorrect(f"This is {type(challenger).__name__}, which cannot predict. Assign what `train` returns.")
    swapped, before = _accuracy(challenger, "concept_shift"), _accuracy(challenger, "steady")
    if swapped >= 0.90:
        return f"On fresh flowers with the new names it is right in {swapped:.1%} of the rows; the old meaning is gone."
    if before >= 0.90:
        raise Incorrect(
            f"It knows the world before the change ({before:.0%} right there, {swapped:.0%} now). Either its rows are "
            "from before the onset, or it learned the column `predicted`, which is what the old champion said."
        )
    flowers = scenario("steady").batch(500, 0.0, np.random.default_rng(94)).instances
    if len(set(challenger.predict(flowers))) < 2:
        raise Incorrect("It gives the same answer for every flower. Does its training data hold every class?")
    raise Incorrect(
        f"It is right in {swapped:.0%} of the rows with the new names, and {before:.0%} with the old ones: it has "
        "learned from both worlds at once. Take only rows since the onset."
    )


@lesson.exercise(
    hints=(
        'lab.rollback("v1") changes the registry and has the service load it.',
        "lab.home.retraining_off is a path; .touch() makes the file, should it be gone.",
    )
)
def q4(lab: Lab) -> str:
    """Serve v1 again, while the retrainer is switched off."""
    champion, served = lab.registry.champion(MODEL_NAME), lab.model()["version"]
    history = lab.registry.history(MODEL_NAME)
    if len(history) == 1:
        raise NotAttempted("No challenger was promoted yet, so there is nothing to take back.")
    if champion != "v1" and history[-1].action == "rollback":
        raise Incorrect(f"You went back to {champion}, and it is v1 that knew the old names: roll back to v1.")
    if champion != "v1":
        raise NotAttempted(f"{champion} is still the champion: roll back to v1.")
    if history[-1].action != "rollback":
        raise Incorrect("v1 is champion by a promotion, which claims that it proved itself. Use a rollback.")
    if served != champion:
        raise Incorrect(f"The registry says v1, but the service serves {served}: it was not told to load it.")
    if not lab.home.retraining_off.exists():
        raise Incorrect(
            "v1 serves again, but the retrainer may still start a run at the next alert: the off switch, "
            f"{lab.home.retraining_off}, does not exist."
        )
    return "v1 serves, the history says so, and no machine will interfere until the switch is back."
