"""The table of scores is the scores, and the bootstrap interval covers what it should."""

import numpy as np
import pytest
from scipy import stats

from spikedrop import scores
from spikedrop.errors import InputError
from spikedrop.scores import paired_bootstrap, score_table

NOISE = 0.5


def world(n=60, draws=20, seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=n)
    ann = mean + rng.uniform(0.1, 0.6, n) * rng.normal(size=(draws, n))
    snn = ann + 0.1 * rng.normal(size=(draws, n))
    return ann, snn, mean + NOISE * rng.normal(size=n)


def each_score(samples, y, noise, level=0.9):
    """What the table must hold, from the public functions."""
    low, high = scores.central_interval(samples, noise, level)
    return {
        "R2": scores.r2(samples, y),
        "RMSE": scores.rmse(samples, y),
        "Kendall tau": scores.kendall_tau(samples, y),
        "log likelihood": scores.log_likelihood(samples, y, noise),
        "Gaussian log likelihood": scores.gaussian_log_likelihood(samples, y, noise),
        "CRPS": scores.crps(samples, y, noise),
        f"{100 * level:g} % interval score": scores.interval_score(low, high, y, level),
        f"{100 * level:g} % coverage": scores.coverage(samples, y, noise, level),
        f"{100 * level:g} % width": scores.width(samples, noise, level),
        "sharpness": scores.sharpness(samples, noise),
        "calibration error": scores.calibration_error(samples, y, noise),
        "risk-coverage area": scores.risk_coverage_area(samples, y, noise),
        "sd tracks error": scores.error_correlation(samples, y),
    }


@pytest.mark.parametrize("level", [0.9, 0.5])
def test_the_table_holds_the_scores_of_both_networks(level):
    ann, snn, y = world()
    snn_noise = np.random.default_rng(1).uniform(0.3, 0.7, snn.shape)
    table = score_table(
        ann, snn, y, NOISE, snn_noise_sd=snn_noise, seed=0, level=level, resamples=5, unit="m"
    )
    for column, samples, noise in (("ANN", ann, NOISE), ("SNN", snn, snn_noise)):
        assert dict(table[column]) == pytest.approx(each_score(samples, y, noise, level))
    assert (table["SNN - ANN"] == table["SNN"] - table["ANN"]).all()
    assert table.loc["CRPS", "unit"] == "m"
    assert table.loc["log likelihood", "unit"] == "nat"
    assert set(table["better"].str.split(",").str[0]) == {"lower", "higher", f"near {level:g}"}


def test_the_interval_holds_the_difference_and_is_reproducible():
    ann, snn, y = world()
    table = score_table(ann, snn, y, NOISE, seed=0, resamples=200)
    assert (table["low"] <= table["high"]).all()
    again = score_table(ann, snn, y, NOISE, seed=0, resamples=200)
    other = score_table(ann, snn, y, NOISE, seed=1, resamples=200)
    assert table.equals(again)
    assert (table["low"] != other["low"]).any()


def test_a_network_against_itself_differs_by_nothing():
    ann, _, y = world()
    table = score_table(ann, ann, y, NOISE, seed=0, resamples=20)
    assert (table[["SNN - ANN", "low", "high"]] == 0).all(axis=None)


def test_a_worse_network_is_seen_to_be_worse():
    """Means off by 0.5 beside a noise of 0.5: every score of accuracy and its interval says so."""
    ann, _, y = world(300)
    wrong = ann + 0.5 * np.random.default_rng(3).choice([-1, 1], 300)
    table = score_table(ann, wrong, y, NOISE, seed=0, resamples=200)
    assert (table.loc[["RMSE", "CRPS", "90 % interval score"], "low"] > 0).all()
    assert (table.loc[["R2", "log likelihood", "Kendall tau"], "high"] < 0).all()


def test_constant_predictions_have_no_ranking_and_every_other_score():
    """The stated answer: NaN for the two that rank, also for the intervals; numbers elsewhere."""
    ann, _, y = world()
    table = score_table(ann, np.full((2, 60), 0.3), y, NOISE, seed=0, resamples=5)
    ranked = ["Kendall tau", "sd tracks error"]
    shown = ["SNN", "SNN - ANN", "low", "high"]
    assert table.loc[ranked, shown].isna().all(axis=None)
    assert table.drop(index=ranked)[shown].notna().all(axis=None)


def test_the_interval_is_that_of_scipys_bootstrap():
    """The same generator gives SciPy the same resamples, of a mean and a quantile at once."""
    error = np.random.default_rng(0).normal(size=30)

    def statistic(rows):
        return np.array([error[rows].mean(), np.quantile(error[rows], 0.9)])

    found = paired_bootstrap(statistic, 30, seed=7, resamples=100)
    expected = stats.bootstrap(
        (np.arange(30),),
        statistic,
        vectorized=False,
        n_resamples=100,
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    assert found == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_pairing_narrows_the_interval():
    """Networks that err together: the spread of the difference is far below that of either."""
    ann, snn, y = world(200)
    snn = 0.98 * ann + 0.02 * snn
    low, high = paired_bootstrap(
        lambda rows: scores.rmse(snn[:, rows], y[rows]) - scores.rmse(ann[:, rows], y[rows]),
        200, seed=0, resamples=300,
    )  # fmt: skip
    alone = paired_bootstrap(
        lambda rows: scores.rmse(ann[:, rows], y[rows]), 200, seed=0, resamples=300
    )
    assert high - low < (alone[1] - alone[0]) / 5


def test_the_interval_covers_the_true_difference():
    """300 worlds of 100 observations with squared errors that differ by 0.5 in expectation.

    A 90 % percentile interval of a mean covers a little less than 90 % at this size (heavy right
    tail of squares: about 87 %). The bounds are 0.80 and 0.95: binomial with 300 trials leaves
    [0.80, 0.95] at a coverage of 0.87 with probability below 1e-3.
    """
    rng = np.random.default_rng(0)
    hit = 0
    for world_seed in range(300):
        a = rng.normal(size=100) ** 2
        b = (0.8 * np.sqrt(a) * rng.choice([-1, 1], 100) + 0.6 * rng.normal(size=100)) ** 2 * 1.5
        low, high = paired_bootstrap(
            lambda rows, a=a, b=b: (b - a)[rows].mean(),
            100, seed=world_seed, resamples=200, level=0.9,
        )  # fmt: skip
        hit += low <= 0.5 <= high
    assert 0.80 < hit / 300 < 0.95


ANN, SNN, Y = world(6, 4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: score_table(ANN, SNN[:, :5], Y, 1.0, seed=0), "ann has 6 observations and snn 5"),
        (lambda: score_table(ANN, SNN[:1], Y, 1.0, seed=0), "1 draws"),
        (lambda: score_table(ANN, SNN, Y, 0.0, seed=0), "noise_sd=0.0 must be positive"),
        (lambda: score_table(ANN, SNN, Y, 1.0, snn_noise_sd=-1, seed=0), "noise_sd=-1.0 must"),
        (lambda: score_table(ANN, SNN, np.ones(6), 1.0, seed=0), "same value"),
        (lambda: score_table(ANN, SNN * np.nan, Y, 1.0, seed=0), "hold NaN"),
        (lambda: score_table(ANN, SNN, Y, 1.0, seed=0, level=2), "level=2"),
        (lambda: score_table(ANN, SNN, Y, 1.0, seed=0, confidence=1), "level=1"),
        (lambda: score_table(ANN, SNN, Y, 1.0, seed=0, resamples=1), "resamples=1"),
        (lambda: paired_bootstrap(np.mean, 1, seed=0), "observations=1"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_a_model_may_be_missing_at_an_observation_and_not_in_some_draws():
    """NaN in every draw: left out, and the share is told. NaN in one draw: a fault, refused."""
    missing, broken = SNN.copy(), SNN.copy()
    missing[:, 0], broken[0, 0] = np.nan, np.nan
    table = scores.method_table({"whole": (SNN, 0.3), "part": (missing, 0.3)}, Y)
    without = scores.method_table({"part": (SNN[:, 1:], 0.3)}, Y[1:])
    shared = [name for name in without.columns if "rows" not in name and "covered" not in name]
    assert table.loc["part", shared].tolist() == without.loc["part", shared].tolist()
    with pytest.raises(InputError, match=r"NaN.*draw 0, observation 0"):
        scores.method_table({"broken": (broken, 0.3)}, Y)
