"""All features jointly: can a classifier tell the current rows from the reference's?"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from labkit.errors import InputError

__all__ = ["ClassifierTest", "auc_with_variance", "classifier_test"]


@dataclass(frozen=True)
class ClassifierTest:
    """The chance ``auc`` that a current row looks more like a current one than a reference row does: 0.5 is no drift.

    ``low`` and ``high`` are the ends of its interval; ``drifted`` says that the interval lies above 0.5.
    """

    auc: float
    low: float
    high: float
    drifted: bool


def classifier_test(
    reference: np.ndarray, current: np.ndarray, *, confidence: float = 0.99, folds: int = 5, seed: int = 0
) -> ClassifierTest:
    """Train on some folds and judge on the others, rows ``(n_rows, n_features)`` with NaN for missing.

    This is the classifier two-sample test of Lopez-Paz and Oquab (2017), with the area under the ROC curve in place of
    the accuracy, which needs sides of equal size. The interval is DeLong's (1988) per fold, averaged. It finds what no
    feature shows by itself, such as a correlation that has gone. Raises InputError for fewer than ``2 * folds`` rows.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedKFold

    if min(len(reference), len(current)) < 2 * folds:
        raise InputError(
            f"{len(reference)} and {len(current)} rows are too few for {folds} folds",
            f"pass at least {2 * folds} of each",
        )
    rows = np.concatenate([reference, current]).astype(np.float64)
    rows[~np.isfinite(rows)] = np.nan  # trees split on missing values too
    sides = np.repeat([0, 1], [len(reference), len(current)])
    measured = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, sides):
        most = min(len(train), 2_000)  # rows of a tree: the cost does not grow with the sides
        model = RandomForestClassifier(60, min_samples_leaf=10, max_samples=most, random_state=seed)
        chances = model.fit(rows[train], sides[train]).predict_proba(rows[test])[:, 1]
        measured.append(auc_with_variance(chances[sides[test] == 0], chances[sides[test] == 1]))
    areas, variances = np.array(measured).T
    auc, error = float(areas.mean()), float(np.sqrt(variances.sum())) / folds
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    low, high = max(auc - reach, 0.0), min(auc + reach, 1.0)
    return ClassifierTest(auc, low, high, low > 0.5)


def auc_with_variance(negatives: np.ndarray, positives: np.ndarray) -> tuple[float, float]:
    """Return the area under the ROC curve of scores and its variance by DeLong, DeLong and Clarke-Pearson (1988)."""
    above = _places(np.sort(negatives), positives)
    below = 1 - _places(np.sort(positives), negatives)
    variance = np.var(above, ddof=1) / len(above) + np.var(below, ddof=1) / len(below)
    # Sides that a fold separates wholly have no spread: one more row, on the wrong side, stands for what was not seen.
    least = 0.25 / min(len(above), len(below)) ** 2
    return float(above.mean()), float(max(variance, least))


def _places(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each value the share of ``ordered`` below it, ties counted half."""
    return (ordered.searchsorted(values, "left") + ordered.searchsorted(values, "right")) / (2 * len(ordered))
