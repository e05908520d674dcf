"""Scores of predictions without a spread, and of synergy, by hand and by SciPy and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import r2_score, roc_auc_score

from spikedrop import scores
from spikedrop.errors import InputError


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    score = rng.normal(0.0, 0.15, 400)
    return score, score * 0.4 + rng.normal(0.0, 0.1, 400)


def test_synergy_by_hand():
    score = np.array([0.3, 0.25, 0.1, -0.2])
    predicted = np.array([0.1, 0.3, 0.2, 0.0])
    table = scores.synergy_table({"model": predicted}, score)
    # Ranks 4 3 2 1 and 2 4 3 1: squared differences 4 + 1 + 1 + 0, so rho = 1 - 6 * 6 / (4 * 15).
    assert table.loc["model", "Spearman"] == pytest.approx(0.4)
    # Of the four pairs (0.1 and 0.3 against 0.2 and 0.0) three are in order.
    assert table.loc["model", "AUC at 0.2"] == 0.75
    assert table.loc["model", "RMSE"] == pytest.approx(np.sqrt((0.04 + 0.0025 + 0.01 + 0.04) / 4))
    assert table.loc["model", "sd of the score"] == pytest.approx(np.std([0.3, 0.25, 0.1, -0.2]))


def test_synergy_against_scipy_and_sklearn(world):
    score, predicted = world
    row = scores.synergy_table({"model": predicted}, score, threshold=0.1).loc["model"]
    assert row["Spearman"] == pytest.approx(stats.spearmanr(predicted, score).statistic)
    assert row["AUC at 0.1"] == pytest.approx(roc_auc_score(score > 0.1, predicted))
    ranks = stats.mannwhitneyu(predicted[score > 0.1], predicted[score <= 0.1]).statistic
    hits = (score > 0.1).sum()
    assert row["AUC at 0.1"] == pytest.approx(ranks / (hits * (400 - hits)))


def test_what_was_not_measured_or_does_not_exist_is_left_out(world):
    score, predicted = world
    gap, half = score.copy(), predicted.copy()
    gap[:100], half[100:200] = np.nan, np.nan
    table = scores.synergy_table({"all": predicted, "half": half}, gap)
    alone = scores.synergy_table({"half": predicted[200:]}, score[200:])
    pd.testing.assert_series_equal(
        table.loc["half"].drop("rows covered"), alone.loc["half"].drop("rows covered")
    )
    assert table["rows covered"].tolist() == [1.0, pytest.approx(2 / 3)]


def test_a_constant_ranks_nothing(world):
    score, _ = world
    row = scores.synergy_table({"null model": np.zeros(400)}, score).loc["null model"]
    assert np.isnan(row["Spearman"]) and row["AUC at 0.2"] == 0.5
    assert row["RMSE"] == pytest.approx(np.sqrt((score**2).mean()))
    nowhere = scores.synergy_table({"none": np.full(400, np.nan)}, score).loc["none"]
    assert nowhere["rows covered"] == 0 and nowhere.drop("rows covered").isna().all()
    low = scores.synergy_table({"null model": np.zeros(3)}, np.array([0.0, 0.1, 0.1]))
    assert np.isnan(low.loc["null model", "AUC at 0.2"])


def test_growth_less_than_expected_is_synergy():
    got = scores.synergy_score(np.array([0.5, np.nan]), np.array([0.2, 0.2]))
    np.testing.assert_allclose(got, [0.3, np.nan])


def test_points_against_sklearn(world):
    y, predicted = world
    half = np.where(np.arange(400) < 100, predicted, np.nan)
    table = scores.point_table({"all": predicted, "half": half}, y, beside="all")
    assert table.loc["all", "R2"] == pytest.approx(r2_score(y, predicted))
    assert table.loc["half", "R2"] == pytest.approx(r2_score(y[:100], predicted[:100]))
    assert table.loc["half", "R2 of all there"] == table.loc["half", "R2"]
    assert table["rows covered"].tolist() == [1.0, 0.25]
    none = scores.point_table({"none": np.full(400, np.nan)}, y).loc["none"]
    assert none["rows covered"] == 0 and none.drop("rows covered").isna().all()


def test_methods_without_a_spread_enter_the_other_tables(world):
    y, predicted = world
    half = np.where(np.arange(400) < 100, predicted, np.nan)
    spread = predicted + np.random.default_rng(1).normal(0, 0.05, (20, 400))
    method = scores.fitted_point((half[:200], y[:200]), half)
    assert method[1] == pytest.approx(np.sqrt(((half - y)[:100] ** 2).mean()))
    table = scores.method_table({"network": (spread, 0.1), "null model": method}, y)
    assert table["rows covered"].tolist() == [1.0, 0.25]
    assert table.loc["null model", "R2"] == pytest.approx(r2_score(y[:100], predicted[:100]))
    normal = stats.norm(predicted[:100], method[1]).logpdf(y[:100])
    assert table.loc["null model", "log likelihood"] == pytest.approx(normal.mean())
    wide = scores.score_table(
        spread,
        spread,
        y,
        0.1,
        seed=0,
        resamples=10,
        beside={"null": method, "ANN again": (spread, 0.1)},
    )
    assert [*wide][5:-2] == ["null, 25.0 % of rows", "ANN again"]
    np.testing.assert_allclose(wide["ANN again"], wide["ANN"])
    assert wide.loc["log likelihood", "null, 25.0 % of rows"] == pytest.approx(normal.mean())


def test_bad_input_is_refused(world):
    y, predicted = world
    with pytest.raises(
        InputError, match=r"model has shape \(399,\); expected \(observation,\), 400"
    ):
        scores.point_table({"model": predicted[1:]}, y)
    with pytest.raises(InputError, match="beside='b' is not among the methods: a"):
        scores.point_table({"a": y}, y, beside="b")
    with pytest.raises(InputError, match="infinity, the first is observation 0: give NaN"):
        scores.synergy_table({"a": np.where(y == y[0], np.inf, y)}, y)
    with pytest.raises(InputError, match="no observation has one"):
        scores.synergy_table({"a": y}, np.full(400, np.nan))
    with pytest.raises(InputError, match="threshold"):
        scores.synergy_table({"a": y}, y, threshold=np.nan)
    with pytest.raises(InputError, match="exists on none"):
        scores.fitted_point((np.full(400, np.nan), y), predicted)
