"""One retraining run, from the data gate to a watched champion: read this file first, then its steps."""

import threading
from collections.abc import Callable

from labkit.observe.logs import get_logger
from labkit.observe.store import PredictionStore
from labkit.respond.evidence import check_data, collect, find_onset
from labkit.respond.promotion import promote, watch
from labkit.respond.steps import Ended, Parts, Steps
from labkit.respond.trial import compare, judge, save_challenger, train_challenger

__all__ = ["execute"]

_log = get_logger(__name__)


def execute(run_id: int, parts: Parts, *, stop: threading.Event, on_step: Callable[[str], None] | None = None) -> str:
    """Go through the steps of a run that has begun in the audit log, record how it ended, and return the result.

    Whatever fails leaves a champion serving.
    """
    steps = Steps(run_id, parts, stop=stop, on_step=on_step)
    try:
        with parts.open_store() as store:
            result, reason = "promoted", _retrain(steps, store)
    except Ended as end:
        result, reason = end.result, end.reason
    except Exception as error:
        # The worker's last resort: what goes wrong in a step is the result of the run, not the end of the process.
        _log.exception("retraining_error", run_id=run_id)
        result, reason = "failed", f"error at {steps.current}: {error}"
    parts.audit.finish(run_id, result, reason, steps.details)
    _log.info("retraining_finished", run_id=run_id, result=result, reason=reason)
    return result


def _retrain(steps: Steps, store: PredictionStore) -> str:
    """Return what the promotion brought; raises Ended for every other outcome."""
    with steps.step("data_gate") as details:
        details["n_rows"] = check_data(steps, store)
    champion_version = steps.parts.registry.meta(steps.parts.model_name, "champion").version
    onset = find_onset(steps, store, champion_version)
    evidence = collect(steps, store, onset)
    challenger = train_challenger(steps, evidence)
    comparison = compare(steps, evidence, champion_version, challenger)
    version = save_challenger(steps, evidence, challenger, comparison)
    judge(steps, comparison)
    promotion = promote(steps, champion_version, version, reason=str(comparison))
    seen = watch(steps, store, promotion, comparison.champion.accuracy)
    return f"{comparison}; {seen}"
