"""Comparing rows with a reference: what is reported, what is called drift, and what is refused."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from labkit import plots
from labkit.errors import InputError
from labkit.observe.drift import Reference
from labkit.observe.two_sample import auc_with_variance

COLUMNS = [
    "feature", "n_reference", "n_current", "missing", "ks", "p_value", "p_adjusted", "psi", "js", "wasserstein",
    "drifted",
]  # fmt: skip
NAMES = ("width", "height", "colour")


def flowers(n: int, seed: int, shift: float = 0.0, colours: str = "aabc") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {
        "width": rng.normal(5, 1, n) + shift,
        "height": rng.normal(3, 1, n),
        "colour": rng.choice(list(colours), n),
    }
    return pd.DataFrame(columns)


@pytest.fixture
def reference() -> Reference:
    return Reference(flowers(2_000, 0), categorical=["colour"])


def of(report: pd.DataFrame, feature: str) -> pd.Series:
    return report.set_index("feature").loc[feature]


def test_a_report_has_one_row_for_each_feature_and_its_columns_in_order(reference: Reference) -> None:
    report = reference.compare(flowers(500, 1))
    assert list(report.columns) == COLUMNS
    assert report["feature"].tolist() == list(NAMES)
    assert report["drifted"].tolist() == [False, False, False]


def test_what_moved_is_called_drift_and_nothing_else(reference: Reference) -> None:
    assert reference.compare(flowers(500, 1, shift=1.0))["drifted"].tolist() == [True, False, False]
    assert reference.compare(flowers(500, 1, colours="bbbc"))["drifted"].tolist() == [False, False, True]


def test_statistic_and_p_value_are_scipys(reference: Reference) -> None:
    current = flowers(500, 1, shift=0.2)
    expected = ks_2samp(flowers(2_000, 0)["width"], current["width"])
    row = of(reference.compare(current), "width")
    assert row["ks"] == expected.statistic
    assert row["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_difference_that_is_certain_and_small_is_no_drift() -> None:
    rng = np.random.default_rng(0)
    reference = Reference(rng.normal(size=(100_000, 1)))
    row = reference.compare(rng.normal(0.05, 1, (100_000, 1))).iloc[0]
    assert row["p_adjusted"] < 1e-9
    assert not row["drifted"]
    assert reference.compare(rng.normal(0.05, 1, (100_000, 1)), min_effect=0.0).iloc[0]["drifted"]


def test_rows_in_another_order_give_the_same_report(reference: Reference) -> None:
    current = flowers(300, 1)
    shuffled = current.sample(frac=1, random_state=0)[["colour", "width", "height"]]
    pd.testing.assert_frame_equal(reference.compare(shuffled), reference.compare(current))


def test_a_reference_is_at_distance_zero_from_itself(reference: Reference) -> None:
    report = reference.compare(flowers(2_000, 0))
    assert report[["ks", "psi", "js", "wasserstein"]].fillna(0).to_numpy().max() == 0
    assert report["p_value"].tolist() == [1, 1, 1]


def test_missing_values_are_counted_and_left_out(reference: Reference) -> None:
    current = flowers(500, 1)
    current.loc[:49, "width"] = np.nan
    current.loc[:9, "colour"] = None
    report = reference.compare(current)
    assert report["missing"].tolist() == [50, 0, 10]
    assert report["n_current"].tolist() == [450, 500, 490]
    assert of(report, "width")["ks"] == ks_2samp(flowers(2_000, 0)["width"], current["width"].dropna()).statistic


@pytest.mark.parametrize("n", [1, 30, 500, 1_999, 2_500])
def test_all_features_of_a_window_at_once_are_scipys_one_by_one(n: int) -> None:
    rng = np.random.default_rng(n)
    first, second = rng.normal(size=(12_000, 6)), rng.normal(size=(n, 6)) * 1.1 + np.linspace(0, 0.6, 6)
    first[:, 1], second[:, 1] = first[:, 1].round(1), second[:, 1].round(1)  # ties
    first[:5_000, 2], second[: n // 3, 2] = np.nan, np.nan
    second[:, 3] = first[7, 3]
    scores = Reference(first).scores(second)
    for i in range(6):
        expected = ks_2samp(*(side[:, i][~np.isnan(side[:, i])] for side in (first, second)))
        assert scores.ks[i] == expected.statistic
        assert scores.p_value[i] == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("shape", [pd.DataFrame, pd.DataFrame.to_numpy], ids=["table", "array"])
@pytest.mark.parametrize("categorical", [[], ["colour"]])
def test_the_rows_of_the_caller_stay_as_they_are(shape: Callable, categorical: list[str]) -> None:
    names = NAMES if categorical else NAMES[:2]
    first, second = (shape(flowers(300, seed)[list(names)]) for seed in (0, 1))
    before = [np.array(each, dtype=object).tolist() for each in (first, second)]
    reference = Reference(first, names, categorical)
    reference.compare(second)
    reference.scores(second)
    reference.classifier_test(second)
    summary = reference.summary()
    summary.update(second)
    assert [np.array(each, dtype=object).tolist() for each in (first, second)] == before


ODD = {
    "constant 1 against constant 2": (np.ones(500), np.full(500, 2.0)),
    "an outlier of 1e9 in the reference": (np.append(np.arange(499.0), 1e9), np.arange(500.0) + 200),
    "an outlier of 1e9 in the current rows": (np.arange(500.0), np.append(np.arange(200, 699.0), 1e9)),
    "infinities on both sides": (
        np.append(np.arange(498.0), [np.inf, -np.inf]),
        np.append(np.arange(200, 699.0), np.inf),
    ),
    "only infinities": (np.arange(500.0), np.full(500, np.inf)),
    "nothing in common": (np.linspace(0, 1, 500), np.linspace(5, 6, 500)),
    "missing values": (np.append(np.arange(495.0), [np.nan] * 5), np.append(np.arange(200, 690.0), [np.nan] * 10)),
    "the largest numbers": (np.linspace(-1, 1, 500) * 1e308, np.full(500, 1.7e308)),
    "one row each": (np.array([1.0]), np.array([2.0])),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_columns_have_finite_results(name: str) -> None:
    first, second = ODD[name]
    row = Reference(first[:, None]).compare(second[:, None]).iloc[0]
    assert np.isfinite(row[["ks", "p_value", "p_adjusted", "psi", "js", "wasserstein"]].astype(float)).all()
    assert row["ks"] == ks_2samp(first, second, nan_policy="omit").statistic
    assert row["psi"] > 0.5
    assert row["drifted"] == (name != "one row each")


@pytest.mark.parametrize(
    ("current", "message"),
    [
        (lambda rows: rows.iloc[:0], "no rows to compare, for any of width, height, colour"),
        (lambda rows: rows.drop(columns="width"), "lack width"),
        (lambda rows: rows.assign(weight=1.0), "have weight"),
        (lambda rows: rows.assign(width="wide"), "column width .*numbers"),
        (lambda rows: rows.assign(width=rows["width"].astype(object).where(rows.index > 3, "4.2")), "width holds str"),
        (lambda rows: rows.assign(width=rows["width"] > 5), "column width is of type bool, and its rule is numbers"),
        (lambda rows: rows.assign(width=pd.Timestamp("2026-01-01")), "column width is of type datetime"),
        (lambda rows: rows.assign(width=np.nan), "column width of the current rows is all missing"),
        (lambda rows: rows.assign(colour=None), "column colour of the current rows is all missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_names_the_column_and_the_rule(
    reference: Reference, current: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        reference.compare(current(flowers(20, 1)))


def test_a_single_class_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"colour .*single class 'a'.*at least two"):
        Reference(flowers(20, 0, colours="a"), categorical=["colour"])


def test_an_array_of_another_width_or_shape_is_refused() -> None:
    reference = Reference(np.zeros((5, 2)), ["width", "height"])
    with pytest.raises(InputError, match="3 columns, and the features are 2: width, height"):
        reference.compare(np.zeros((5, 3)))
    with pytest.raises(InputError, match="shape"):
        reference.compare(np.zeros(5))


def test_shares_show_new_and_vanished_categories(reference: Reference) -> None:
    shares = reference.shares(flowers(400, 1, colours="bd")).set_index("category")
    assert list(shares.index) == ["a", "b", "c", "d"]
    assert shares["current"][["a", "c"]].tolist() == [0, 0]
    assert shares["reference"]["d"] == 0
    assert shares[["reference", "current"]].sum().tolist() == pytest.approx([1, 1])


def test_a_classifier_sees_what_no_feature_shows_alone() -> None:
    rng = np.random.default_rng(0)
    together, apart = rng.multivariate_normal([0, 0], [[1, 0.95], [0.95, 1]], 1_500), rng.normal(size=(1_500, 2))
    reference = Reference(together)
    found = reference.classifier_test(apart)
    assert found.drifted
    assert 0.5 < found.low < found.auc < found.high <= 1
    assert not reference.compare(apart)["drifted"].any()
    again = rng.multivariate_normal([0, 0], [[1, 0.95], [0.95, 1]], 1_500)
    assert not reference.classifier_test(again).drifted


def test_a_classifier_takes_categories_and_missing_values(reference: Reference) -> None:
    current = flowers(1_000, 1, colours="bbbc")
    current.loc[:9, "width"] = np.nan
    assert reference.classifier_test(current).drifted


def test_the_interval_of_an_area_covers_the_true_one_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(500):
        auc, variance = auc_with_variance(rng.normal(size=80), rng.normal(1, 1, size=60))
        inside += abs(auc - 0.7602499) < 1.959964 * variance**0.5  # the distribution function at 1 / sqrt(2)
    assert 460 <= inside <= 490


def test_the_picture_shows_what_moved_first_and_says_by_how_much(reference: Reference) -> None:
    current = flowers(500, 1, shift=1.0)
    current.loc[:4, "width"] = np.nan
    figure = plots.drift(reference, current)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles[0].startswith("width: KS 0.")
    assert titles[0].endswith("drifted")
    assert figure.axes[0].get_xlabel() == "5 missing"
    assert len(titles) == 3
