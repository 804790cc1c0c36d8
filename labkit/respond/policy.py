"""When the retrainer acts and what it demands: every number of its decisions, in one place."""

from dataclasses import dataclass

__all__ = ["Policy"]


@dataclass(frozen=True)
class Policy:
    """The retrainer's limits. Durations are production time."""

    # Whether to run at all.
    cooldown: str = "30m"  # a new champion needs time to show itself
    max_runs_per_day: int = 12

    # Whether the data may be learnt from: shares of the recent rows.
    recent: str = "15m"
    max_missing_ratio: float = 0.05
    max_out_of_range_ratio: float = 0.05
    max_unknown_label_ratio: float = 0.05
    max_lone_distance: float = 0.15  # KS, of one feature while all others stay
    lone_factor: float = 3.0  # "stay": their distance is that many times smaller

    # Since when the champion fails, and how many labelled rows of that time it takes.
    history: str = "6h"
    onset_significance: float = 0.001
    min_rows: int = 400
    min_rows_per_class: int = 10  # in the training part
    collect_deadline: str = "20m"
    training_ratio: float = 0.6  # the earlier rows; the later ones judge

    # What a challenger must reach on the holdout.
    min_accuracy: float = 0.90
    min_recall: float = 0.80
    min_rows_for_recall: int = 20  # with fewer rows a class's recall says little
    max_latency_ratio: float = 3.0  # of the champion's
    negligible_latency_seconds: float = 0.005  # below, a ratio would only compare noise
    max_latency_seconds: float = 0.025  # half of what the service promises for a request
    confidence: float = 0.95  # of the interval for the difference

    # How long a new champion is watched, and when it has to go.
    watch_at_least: str = "10m"
    watch_at_most: str = "30m"
    watch_rows: int = 200
    min_watched_accuracy: float = 0.85
