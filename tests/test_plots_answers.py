"""Pictures of a model's answers show what they were given."""

import numpy as np
import pandas as pd

from labkit import plots


def test_class_shares_have_a_bar_for_each_class_and_column() -> None:
    shares = pd.DataFrame({"reference": [0.5, 0.5], "now": [0.2, 0.8]}, index=["setosa", "virginica"])
    axis = plots.class_shares(shares).axes[0]
    assert [bar.get_height() for bar in axis.patches] == [0.5, 0.5, 0.2, 0.8]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["setosa", "virginica"]


def test_reliability_names_the_size_of_small_groups_only() -> None:
    bins = pd.DataFrame({"confidence": [0.6, 0.9], "accuracy": [0.5, 0.95], "rows": [7, 1000]})
    axis = plots.reliability(bins).axes[0]
    assert axis.get_lines()[1].get_ydata().tolist() == [0.5, 0.95]
    assert [text.get_text() for text in axis.texts] == ["7 rows"]


def test_a_frozen_gauge_is_drawn_over_production_minutes_each_curve_at_its_own_times() -> None:
    times = pd.date_range("2026-01-01", periods=3, freq="1s", tz="UTC")
    curves = {name: pd.Series([1.0, 1.0, np.nan], times) for name in ("gauge", "counters", "rows")}
    curves["labels"] = pd.Series([1.0, 0.0, 0.0], times + pd.Timedelta("1s"))
    above, below = plots.frozen_gauge(curves, speed=60).axes
    assert above.get_lines()[0].get_xdata().tolist() == [-3.0, -2.0, -1.0]
    assert below.get_lines()[1].get_xdata().tolist() == [-2.0, -1.0, 0.0]
