"""Compare each part of a diagnosis with the truth. Right or wrong is the truth's word; evidence only explains it.

Each function returns why the answer is wrong, and an empty text when it is right.
"""

from collections.abc import Callable, Iterable

from labkit.simulate.scenarios import RESPONSES
from labkit.teach.diagnosis import KINDS, PLACES, Evidence, Truth

__all__ = ["review_kind", "review_places", "review_response", "review_since"]

_DRIFT_LIMIT, _INVALID_LIMIT, _ACCURACY, _ERRORS, _FAST = 0.15, 0.05, 0.90, 0.05, 0.95
_EARLY_MINUTES, _LATE_MINUTES = 4.0, 6.0
_RAMP_MINUTES = 12.0  # a ramp begins long before anybody can see it

_ASK_DRIFT = "Ask for each feature: model_feature:ks:distance_rate1h."
_ASK_INVALID = "Ask for each feature: model_feature:invalid:ratio_rate15m."
_ASK_LABELS = "Compare predicted with label in what lab.store() has labelled."
# Which alerts a kind explains at first sight.
_FITS = {
    "broken_values": ("ModelInputInvalid", "ModelInputDrift"),
    "other_population": ("ModelInputDrift", "ModelPredictionDrift"),
    "changed_meaning": ("ModelAccuracyLow",),
    "unknown_class": ("ModelAccuracyLow",),
}


def review_kind(kind: object, truth: Truth, evidence: Evidence) -> str:
    """Review a key of KINDS. A kind that explains an alert, and is not the cause, hears so."""
    if kind not in KINDS:
        return f"{kind!r} is no kind of incident. Choose one of {', '.join(KINDS)}."
    if kind == truth.kind:
        return ""
    symptoms = [name for name in _FITS.get(kind, ()) if name in truth.scenario.alerts]
    if symptoms and (kind, truth.kind) in _SYMPTOM_ONLY:
        return (
            f"This is the diagnosis that fits the first graph: it would explain {symptoms[0]}. But that is a symptom. "
            f"{_SYMPTOM_ONLY[kind, truth.kind](evidence)}"
        )
    return _AGAINST[kind](evidence)


def review_places(places: object, truth: Truth, evidence: Evidence) -> str:
    """Review one or several of PLACES: first those that are named wrongly, then whether one is missing."""
    named = {places} if isinstance(places, str) else set(places) if isinstance(places, Iterable) else set()
    if strangers := sorted(map(str, named - set(PLACES))):
        return f"{strangers[0]!r} is no place. Choose among {', '.join(PLACES)}."
    if not named:
        return 'Name at least one place, such as {"petal_width"} or {"clients"}.'
    wrong = [place for place in PLACES if place in named - truth.places - truth.also]
    if wrong:
        return _against_place(wrong[0], truth, evidence)
    if missing := truth.places - named:
        if "feature" in {PLACES[each] for each in missing} and {PLACES[each] for each in named} == {"class"}:
            return f"A class is a place where its labels changed. Here inputs moved: name the features. {_ASK_DRIFT}"
        found = len(truth.places) - len(missing)
        where = _ASK_DRIFT if PLACES[min(missing)] == "feature" else _ASK_LABELS
        return f"That is {found} of {len(truth.places)} places: there is more that has changed. {where}"
    return ""


def review_since(minute: object, truth: Truth, evidence: Evidence) -> str:
    """Review since when, in production minutes since the game began."""
    if isinstance(minute, bool) or not isinstance(minute, int | float):
        return f"{minute!r} is no number of minutes. Count production minutes since the game began, such as 17."
    shown = f"{round(minute, 1):g}"
    if not 0 <= minute <= evidence.minutes:
        return f"Minute {shown} is not in this game, which has lasted {evidence.minutes:.0f} production minutes."
    if minute < truth.onset - _EARLY_MINUTES - evidence.stall:
        return (
            f"At minute {shown} everything was as on any other day: the change is younger. "
            "Draw the signal that changed, with a short window such as [2m], and look for the edge."
        )
    late = _RAMP_MINUTES if truth.scenario.shape == "ramp" else _LATE_MINUTES
    return "" if minute <= truth.onset + late + evidence.stall else _too_late(minute, shown, truth, evidence)


def review_response(response: object, truth: Truth, evidence: Evidence) -> str:
    """Review a key of RESPONSES."""
    if response not in RESPONSES:
        return f"{response!r} is no response. Choose one of {', '.join(RESPONSES)}."
    if response == truth.scenario.response:
        return ""
    return _against_response(str(response), truth, evidence)


def _number(text: str, value: float | None, supports: Callable[[float], bool]) -> str:
    """Return the text with its number, or nothing where the number is missing or says nothing."""
    return text.format(value) if value is not None and supports(value) else ""


def _drift(evidence: Evidence, series: str | None = None) -> str:
    value = evidence.highest("drift", series)
    return _number(": its KS distance was {:.2f} at most, 0.15 may be", value, lambda found: found <= _DRIFT_LIMIT)


def _sound(evidence: Evidence) -> str:
    value = evidence.highest("invalid")
    seen = _number(": at most {:.1%} were not, in any feature", value, lambda found: found <= _INVALID_LIMIT)
    return f"Every value is there and plausible{seen}. {_ASK_INVALID}"


def _accurate(evidence: Evidence) -> str:
    seen = _number(": {:.1%} at the lowest", evidence.lowest("accuracy"), lambda found: found >= _ACCURACY)
    return f"The answers are as right as before{seen}. Ask model_version:accuracy:ratio_rate15m."


def _readable(evidence: Evidence) -> str:
    seen = _number(": at most {:.1%} failed", evidence.highest("errors"), lambda found: found <= _ERRORS)
    return f"Requests can be read as before{seen}. Ask model:errors:ratio_rate5m."


def _fast(evidence: Evidence) -> str:
    seen = _number(": at least {:.1%} came within 50 ms", evidence.lowest("latency"), lambda found: found >= _FAST)
    return f"Nothing makes the answers slower than before{seen}. Ask model:latency_within_50ms:ratio_rate30m."


def _asked(evidence: Evidence) -> str:
    seen = _number(": up to {:.0f} in five minutes", evidence.highest("requests"), lambda found: found > 0)
    return f"Requests keep coming{seen}. Ask sum(increase(model_prediction_requests_total[5m]))."


def _known(_evidence: Evidence) -> str:
    return f"Every label names a class that the model knows. {_ASK_LABELS}"


def _moved(evidence: Evidence) -> str:
    seen = _number(": a KS distance of {:.2f}, 0.15 may be", evidence.highest("drift"), lambda found: found > 0.15)
    return f"here they have changed{seen}. Look before the model. {_ASK_DRIFT}"


def _broken(evidence: Evidence) -> str:
    value = evidence.highest("invalid")
    seen = _number(": up to {:.0%} of a feature's were not", value, lambda found: found > _INVALID_LIMIT)
    return f"Flowers of another population still have plausible values; here they do not{seen}. {_ASK_INVALID}"


def _strangers(evidence: Evidence) -> str:
    seen = _number(": {:.0%} do not", evidence.unknown_labels(), lambda found: found > 0)
    return f"With another meaning every label would still name a class of the model{seen}. {_ASK_LABELS}"


_AGAINST: dict[str, Callable[[Evidence], str]] = {
    "broken_values": _sound,
    "other_population": lambda evidence: (
        f"No feature is distributed otherwise than before{_drift(evidence)}. {_ASK_DRIFT}"
    ),
    "changed_meaning": _accurate,
    "unknown_class": _known,
    "bad_requests": _readable,
    "slow_service": _fast,
    "no_requests": _asked,
}
_SYMPTOM_ONLY: dict[tuple[str, str], Callable[[Evidence], str]] = {  # (what was said, what it is)
    ("changed_meaning", "broken_values"): lambda evidence: f"A new meaning leaves inputs alone; {_moved(evidence)}",
    ("unknown_class", "broken_values"): lambda evidence: f"{_known(evidence)} And the inputs: {_moved(evidence)}",
    ("changed_meaning", "unknown_class"): _strangers,
    ("unknown_class", "changed_meaning"): _known,
    ("other_population", "broken_values"): _broken,
    ("broken_values", "other_population"): lambda evidence: f"{_sound(evidence)} More than one feature has moved.",
}


def _against_place(place: str, truth: Truth, evidence: Evidence) -> str:
    if PLACES[place] == "feature":
        return f"{place} is as it was before{_drift(evidence, place)}. {_ASK_DRIFT}"
    if place == "other":
        return _known(evidence)
    if place == "clients":
        return f"The clients ask as before. {_readable(evidence)} What is in their requests is another question."
    if place == "service":
        return f"The service works as before: {_fast(evidence)}"
    right = evidence.right(place)
    if {PLACES[each] for each in truth.places} <= {"class", "label"}:
        seen = f": {right[0]:.0%} of its {right[1]} labelled rows" if right and right[0] >= 0.85 else ""
        return f"Rows of {place} are answered as before{seen}. {_ASK_LABELS}"
    return f"What happens to rows of {place} is a consequence. Look at what comes before the answers. {_ASK_DRIFT}"


def _too_late(minute: float, shown: str, truth: Truth, evidence: Evidence) -> str:
    alert = next((name for name, fired in evidence.fired.items() if abs(fired - minute) <= 2), None)
    if alert:
        return (
            f"Minute {shown} is when {alert} fired. An alert looks back over a window and then waits for its `for`: "
            "the cause is older than its alert."
        )
    if truth.kind in ("changed_meaning", "unknown_class"):
        return (
            f"By minute {shown} it had gone on for a while. Labels come five to ten minutes late, so accuracy falls "
            "after the fact: order the labelled rows by predicted_at."
        )
    return f"By minute {shown} it had gone on for a while. A long window blurs the edge: draw it with [2m]."


def _against_response(response: str, truth: Truth, evidence: Evidence) -> str:
    harmed = truth.scenario.harms_accuracy
    match response:
        case "retrain" if evidence.refusal:
            return (
                f"The retrainer would refuse, and rightly: {evidence.refusal}. No training mends what arrives broken."
            )
        case "retrain" if harmed:
            return "A challenger would learn the fault from these rows, or a class that has no name. Look at the rows."
        case "retrain":
            return f"No challenger can be surely better than this champion. {_accurate(evidence)}"
        case "none" | "keep" if harmed:
            seen = _number(" fell to {:.0%}", evidence.lowest("accuracy"), lambda found: found < _ACCURACY)
            return f"Accuracy{seen or ' falls'}: to wait means to go on answering wrongly."
        case "none":
            return f"{' and '.join(truth.scenario.alerts)} fired for a reason. Who decides so says why, and does more."
        case "keep":
            return "The champion is not the trouble, so keeping it mends nothing: somebody else has something to mend."
        case "fix_data":
            return f"There is no source to mend. {_sound(evidence)}"
        case "fix_client":
            return f"There is no caller to tell. {_readable(evidence)}"
        case "scale":
            return f"More room helps nobody. {_fast(evidence)}"
    return "A person need not search on: kind and place are known, and one of the responses is for just that."
