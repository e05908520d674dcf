"""Tests that find a difference, tests that exclude one: level, power, and independent references.

Rates of random tests are bounded by binomial quantiles; every test states its own false-alarm rate.
"""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics.pairwise import rbf_kernel
from statsmodels.stats.multitest import multipletests

from spikedrop import scores
from spikedrop.checks.samples import as_samples
from spikedrop.comparison import (
    Claim,
    classifier_test,
    compare,
    crps_equivalence,
    global_test,
    kernel_equivalence,
    mean_error,
    moment_equivalence,
    pointwise_p_values,
    rare_draws,
)
from spikedrop.comparison.difference import _gap, _moments, _smallest
from spikedrop.comparison.kernel import joint_phases, modulus, moved, quadrature, waves
from spikedrop.errors import InputError

difference = import_module(
    "spikedrop.comparison.difference"
)  # `spikedrop.comparison` is a function, too
kernels = import_module("spikedrop.comparison.kernel_equivalence")
moments = import_module("spikedrop.comparison.moments")
gaps = import_module("spikedrop.comparison.gap")


def together(rng, draws, observations=10, correlation=0.5):
    """Standard normal draws whose observations move together."""
    common = rng.normal(size=(draws, 1))
    own = rng.normal(size=(draws, observations))
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own


def skewed(rng, draws, observations=10):
    return (rng.gamma(2, 1, size=(draws, observations)) - 2) / np.sqrt(2)


# Kernels


def marginal(z):
    """Phases, weights and summed frequencies of the mean of one-dimensional kernels."""
    nodes, weights = quadrature()
    m = z.shape[1]
    return (z[:, :, None] * nodes).reshape(len(z), -1), np.tile(weights / m, m), np.tile(nodes, m)


def joint(z, seed=7):
    """The same of the kernel on whole draws."""
    (phase,), *rest = joint_phases(
        (as_samples(z),), np.zeros(z.shape[1]), np.ones(z.shape[1]), seed
    )
    return phase, *rest


def features(phase, weights, _):
    return waves(phase, weights)


def mmd_moved(phase, weights, together):
    return moved(modulus(phase), weights, together, len(phase))


def test_marginal_kernel_is_the_mean_of_gaussian_kernels():
    z = np.random.default_rng(0).normal(size=(30, 4))
    made = features(*marginal(z))
    exact = np.mean([rbf_kernel(z[:, [i]], gamma=0.5) for i in range(4)], axis=0)
    assert np.abs(made @ made.T - exact).max() < 2e-3


def test_joint_kernel_is_a_gaussian_on_whole_draws():
    """256 waves: an error of 1/16 in each entry, 4.5 of them allowed, in 435 pairs."""
    z = np.random.default_rng(0).normal(size=(30, 4))
    made = features(*joint(z, seed=1))
    assert np.abs(made @ made.T - rbf_kernel(z, gamma=1 / 8)).max() < 4.5 / 16


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("kernel", ["each law", "joint law"])
@pytest.mark.parametrize("observations", [3, 5])  # 48 and 80 features of 50 draws
def test_the_estimate_is_the_unbiased_mmd(observations, kernel, paired, monkeypatch):
    """Against the sum over pairs, diagonal left out (Gretton et al. 2012, equation 3).

    Paired, the same draw of both is left out as well.
    """
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, size=(30, observations))
    b = rng.normal(0.6, 1, size=(30 if paired else 20, observations))
    centre, sd = a.mean(axis=0), a.std(axis=0, ddof=1)
    made = marginal if kernel == "each law" else joint
    p, q = (features(*made((z - centre) / sd)) for z in (a, b))
    within = [((f @ f.T).sum() - (f**2).sum()) / (len(f) * (len(f) - 1)) for f in (p, q)]
    between = (p @ q.T).mean()
    if paired:
        between = ((p @ q.T).sum() - (p * q).sum()) / (30 * 29)
    lengths = []
    bounds = gaps.Gap.bounds
    monkeypatch.setattr(
        gaps.Gap, "bounds", lambda gap, *how: lengths.append(gap.estimate) or bounds(gap, *how)
    )
    found = kernel_equivalence(a, b, Claim(paired=paired, seed=7), kernel=kernel)
    assert lengths == [pytest.approx(np.sqrt(sum(within) - 2 * between))]
    z = (a - centre) / sd
    assert mmd_moved(*made(z))(found.estimate) == pytest.approx(lengths[0], rel=1e-6)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("shape", [(150, 9), (40, 60)])  # more draws than features, and fewer
def test_blocks_change_no_verdict_and_no_number(monkeypatch, shape, paired):
    """Read at once, and a few observations at a time, with the joint waves in groups, too."""
    rng = np.random.default_rng(3)
    a, noise = rng.normal(size=(2, *shape))
    b, y = a + 0.1 * noise, rng.normal(size=shape[1])
    whole = compare(a, b, y=y, paired=paired, permutations=99)
    monkeypatch.setattr("spikedrop.checks.samples.BLOCK", 4 * len(a))
    for module in (difference, kernels, moments):
        monkeypatch.setattr(module, "SMALL", 2 * len(a))
    cut = compare(a, b, y=y, paired=paired, permutations=99)
    assert cut.verdict == whole.verdict
    pd.testing.assert_frame_equal(cut.table(), whole.table(), rtol=1e-9)
    assert cut.attainable_margin == pytest.approx(whole.attainable_margin, rel=1e-5)
    assert cut.smallest_effect == pytest.approx(whole.smallest_effect, rel=1e-6)
    if paired:
        assert cut.error.p95 == np.percentile(np.abs(b - a) / a.std(axis=0, ddof=1), 95)


def test_a_moved_law_is_as_far_as_the_closed_form_says():
    """N(0,1) against N(d,1), kernel exp(-t^2/2): 2/sqrt(3) (1 - exp(-d^2/6)); to 3 %."""
    z = np.random.default_rng(0).normal(size=(20000, 3))
    for shift in (0.05, 0.5):
        exact = np.sqrt(2 / np.sqrt(3) * (1 - np.exp(-(shift**2) / 6)))
        assert mmd_moved(*marginal(z))(shift) == pytest.approx(exact, rel=0.03)


# Difference


def test_moments_and_gap_are_those_of_the_two_samples():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(9, 2))
    in_b = np.array([[0.0] * 4 + [1.0] * 5])
    means, contrast = _moments(z, in_b)
    va, vb = z[:4].var(axis=0, ddof=1), z[4:].var(axis=0, ddof=1)
    assert means[0] == pytest.approx(z[4:].mean(axis=0) - z[:4].mean(axis=0))
    assert contrast[0] == pytest.approx((vb - va) / (vb + va))
    assert _gap(z, in_b)[0] == pytest.approx((means[0] ** 2).sum())


def test_global_test_has_its_level_even_for_few_draws_that_move_together():
    """Exact: at most 5 %; 400 repetitions of 8 against 6 draws, false-alarm rate 1e-3."""
    rng = np.random.default_rng(3)
    alarms = sum(
        global_test(together(rng, 8), together(rng, 6), seed=s, permutations=99).p_value <= 0.05
        for s in range(400)
    )
    assert alarms <= stats.binom.ppf(1 - 1e-3, 400, 0.05)


@pytest.mark.parametrize(
    ("change", "statistic"),
    [
        (lambda z: z + 0.3, "location"),
        (lambda z: z * np.resize([1.25, 0.8], z.shape[1]), "spread"),
        (lambda z: np.sign(z) * np.sqrt(stats.norm.var()), "each law"),  # same mean, same sd
        (lambda z: np.random.default_rng(1).permuted(z, axis=0), "joint law"),  # same marginals
    ],
)
def test_every_statistic_sees_what_it_is_there_for(change, statistic):
    rng = np.random.default_rng(0)
    found = global_test(together(rng, 300), change(together(rng, 300)), seed=0, permutations=199)
    assert found.alone[statistic] <= 0.01
    assert found.p_value <= 0.05


def test_the_smallest_effect_is_found_as_often_as_it_says():
    """Shift and spread of the stated size: found in 80 % of 150, false-alarm rate 1e-3.

    On top, 5 % is allowed for the estimate of the size itself.
    """
    rng = np.random.default_rng(0)
    claim = global_test(rng.normal(size=(150, 10)), rng.normal(size=(150, 10)), seed=0)
    low = stats.binom.ppf(1e-3, 150, 0.75)
    for change in (
        lambda z: z + claim.smallest_shift,
        lambda z: z * (1 + claim.smallest_spread),
    ):
        found = sum(
            global_test(
                rng.normal(size=(150, 10)),
                change(rng.normal(size=(150, 10))),
                seed=s,
                permutations=99,
            ).p_value
            <= 0.05
            for s in range(150)
        )
        assert low <= found < 150


def test_the_smallest_effect_by_hand():
    """Without noise the sum of two squares passes 0.5 at an effect of 0.5."""
    assert _smallest(np.zeros((10, 2)), 2, 0.5) == pytest.approx(0.5, abs=1e-6)
    assert _smallest(np.zeros((10, 2)), 2, 1e9) == np.inf


def test_with_two_draws_each_nothing_can_be_found():
    found = global_test(np.array([[0.0], [1.0]]), np.array([[100.0], [101.0]]), seed=0)
    assert found.p_value > 0.3  # 1 of 6 exchanges, and its mirror image
    assert found.smallest_shift == found.smallest_spread == np.inf


def test_samples_that_never_move_and_agree_are_the_same():
    assert global_test(np.ones((5, 2)), np.ones((5, 2)), seed=0).p_value == 1.0
    assert global_test(np.ones((9, 2)), np.zeros((9, 2)), seed=0).p_value < 0.01


def test_pointwise_corrections_by_hand():
    """Holm: 3 p1, 2 p2, p3, made monotone. Benjamini-Hochberg: 3 p1, 3/2 p2, p3."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 60, 3))
    table = pointwise_p_values(a, b + np.array([0.0, 0.4, 0.8]))
    p = np.sort(table["p"])
    assert np.allclose(np.sort(table["holm"]), np.maximum.accumulate(p * [3, 2, 1]).clip(max=1))
    for column, method in (("holm", "holm"), ("benjamini_hochberg", "fdr_bh")):
        assert np.allclose(table[column], multipletests(table["p"], method=method)[1])
    adjusted = np.minimum.accumulate((p * [3, 3 / 2, 1])[::-1])[::-1]
    assert np.allclose(np.sort(table["benjamini_hochberg"]), adjusted)
    assert table["p"][0] == stats.ks_2samp(a[:, 0], b[:, 0]).pvalue
    assert (pointwise_p_values(a, b + 1, "anderson_darling")["holm"] < 0.01).all()


def test_classifier_is_at_chance_on_one_law_and_sure_of_two():
    """At most 5 % of 100 alarms, false-alarm rate 1e-3."""
    rng = np.random.default_rng(0)
    alarms = sum(
        classifier_test(*rng.normal(size=(2, 60, 5)), seed=s).p_value <= 0.05 for s in range(100)
    )
    assert alarms <= stats.binom.ppf(1 - 1e-3, 100, 0.05)
    wider = classifier_test(rng.normal(size=(200, 5)), 2 * rng.normal(size=(200, 5)), seed=0)
    assert wider.auc > 0.8
    assert wider.p_value < 1e-6


# Criteria

AT_MOST = stats.binom.ppf(1 - 2e-4, 100, 0.05)  # of 100 repetitions at the margin


@pytest.mark.parametrize("law", [together, skewed])
def test_at_the_margin_at_most_5_percent_pass(law):
    """Every criterion that the planted change puts at its margin; 100 repetitions, 2e-4 each."""
    rng = np.random.default_rng(5)
    claim, passed = Claim(margin=0.15), {}
    for s in range(100):
        a, b = law(rng, 300), law(rng, 300)
        moved = [one for one in moment_equivalence(a, b + 0.15, claim) if "sd" not in one.name]
        claim = Claim(margin=0.15, seed=s)
        found = moved[:4]  # mean and quantiles
        found += [kernel_equivalence(a, b + 0.15, claim, kernel=k) for k in kernels.KERNELS]
        found += moment_equivalence(a, b * np.exp(-0.15), claim)[1:2]
        found += moment_equivalence(a, b + np.eye(10)[3] * 0.6, claim)[5:6]
        found += moment_equivalence(a, b * np.exp(np.eye(10)[3] * 0.6), claim)[6:7]
        for one in found:
            within, beyond = passed.get(one.name, (0, 0))
            passed[one.name] = within + (one.answer == "within"), beyond + (one.answer == "beyond")
    assert len(passed) == 9
    assert np.max(list(passed.values())) <= AT_MOST, passed
    assert np.sum(list(passed.values())) > 0  # else nothing was tried


def test_kernel_equivalence_holds_its_level_against_a_change_of_spread():
    """sd narrowed until the MMD is at the margin, found by bisection on 100,000 normal draws."""
    rng = np.random.default_rng(0)
    margin = 0.15
    z = rng.normal(size=(100_000, 1))
    target, mean = mmd_moved(*marginal(z))(margin), features(*marginal(z)).mean(axis=0)
    low, high = 0.3, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        mmd = np.linalg.norm(mean - features(*marginal(z * middle)).mean(axis=0))
        low, high = (middle, high) if mmd > target else (low, middle)
    passed = 0
    for s in range(100):
        a, b = rng.normal(size=(300, 10)), low * rng.normal(size=(300, 10))
        passed += kernel_equivalence(a, b, Claim(margin=margin, seed=s)).answer == "within"
    assert passed <= AT_MOST


def test_equal_laws_are_within_with_enough_draws_and_not_with_few():
    rng = np.random.default_rng(0)
    draws, claim = rng.normal(size=(2, 2000, 20)), Claim(margin=0.1)
    for n, wanted in ((2000, True), (100, False)):
        a, b = draws[:, :n]
        found = moment_equivalence(a, b, claim)
        found += [kernel_equivalence(a, b, claim, kernel="joint law")]
        assert all(one.answer == "within" for one in found) is wanted
        for one in found:
            assert (one.answer == "within") == (one.reach < 0.1)
            assert one.low <= one.estimate <= one.high


@pytest.mark.parametrize("change", ["mean", "log sd"])
def test_opposite_differences_do_not_cancel(change):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2500, 20))
    signs = 0.2 * (-1.0) ** np.arange(20)
    b = b + signs if change == "mean" else b * np.exp(signs)
    found = {one.name: one for one in moment_equivalence(a, b)}
    assert found[change].answer == "beyond"
    assert found[change].estimate == pytest.approx(0.2, rel=0.1)
    assert kernel_equivalence(a, b).answer == "beyond"


def test_quantiles_are_those_of_the_normal_law():
    """Two normal laws, 40,000 draws: the window's mean of z, times the difference of the sds."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40_000, 5)) * np.array([1, 1.2])[:, None, None]
    for one, q in zip(moment_equivalence(a, b)[2:5], (0.05, 0.5, 0.95), strict=True):
        width = min(0.1, q / 2, (1 - q) / 2)
        exact = 0.2 * stats.norm.ppf(np.linspace(q - width, q + width, 2001)[1:-1]).mean()
        assert one.low - 0.005 <= abs(exact) <= one.high + 0.005, one.name


@pytest.mark.parametrize(("draws", "error"), [(60, 0.4), (400, 0.2)])
def test_the_noise_that_is_expected_is_the_noise_that_comes(draws, error, monkeypatch):
    """Paired, e = 0.02 sd, 100 repetitions: mean squared lengths against the mean trace.

    With 60 draws, three in a quantile's window, it is a quarter more than expected, which makes
    *within* rarer.
    """
    rng = np.random.default_rng(1)
    seen = []
    made = gaps.Gap.of
    monkeypatch.setattr(
        gaps.Gap,
        "of",
        lambda s, square, *how: seen.append((s, square.trace())) or made(s, square, *how),
    )
    for _ in range(100):
        a = together(rng, draws)
        moment_equivalence(a, a + 0.02 * rng.normal(size=a.shape), Claim(paired=True))
    length, trace = np.array(seen).reshape(100, 5, 2).mean(axis=0).T
    assert np.abs(length / trace - 1).max() < error


def test_a_sample_that_never_varies_has_no_spread_however_few_rows_of_it():
    """Six of a hundred rows without spread: beyond, where 59 draws saw it, and open before."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200, 100))
    b = a.copy()
    b[:, :6] = 0
    for n, answer in ((200, "beyond"), (59, "beyond"), (58, "open")):
        found = moment_equivalence(a[:n], b[:n], Claim(paired=True))
        assert [found[1].answer, found[6].answer] == [answer] * 2
        assert found[1].estimate == np.inf


def test_one_observation_is_the_textbook_t_interval():
    """Welch's t of SciPy; the worst observation is the only one, and its sd is estimated, too."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4000, 1)), rng.normal(0.3, 1, size=(4000, 1))
    worst = moment_equivalence(a, b)[5]
    interval = stats.ttest_ind(b, a).confidence_interval(0.9)
    assert worst.high == pytest.approx(float(interval.high[0]) / a.std(ddof=1), rel=0.01)
    assert worst.low == pytest.approx(float(interval.low[0]) / a.std(ddof=1), rel=0.01)


def test_bounds_of_a_length_by_hand():
    """Without noise both bounds are what is seen; with much, the lower one is 0."""
    still = gaps.Gap.of(0.09, np.zeros((2, 2)), 99, 0)
    assert still.estimate == pytest.approx(0.3)
    assert still.bounds(Claim()) == pytest.approx((0.3, 0.3))
    noisy = gaps.Gap.of(0.09, np.eye(2) * 0.04, 99, 0)
    assert noisy.estimate == pytest.approx(0.1)
    low, high = noisy.bounds(Claim())
    assert low == 0 and 0.3 < high < 0.3 + 2 * 0.2
    lucky = [
        gaps.Gap.of(seen, np.eye(2) * 0.04, 99, 0).bounds(Claim())[1] for seen in (0.001, 0.08)
    ]
    assert lucky[0] == lucky[1] > 0.1  # no tighter than noise allows


def test_a_single_direction_of_noise_is_the_normal_interval():
    """One eigenvalue, 1e6 degrees of freedom: |d + e| with e normal, by SciPy's normal law."""
    high = gaps.Gap.of(1.0, np.array([[0.01]]), 10**6, 0).bounds(Claim())[1]
    below = stats.norm.cdf((1 - high) / 0.1) - stats.norm.cdf((-1 - high) / 0.1)
    assert below == pytest.approx(0.05, abs=0.01)


# Draws far off, and the error of a draw


def test_share_bounds_are_scipys():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(100, 5))
    b = a.copy()
    b[[3, 50], 2] += 4
    b[7, 1] += 4
    paired = rare_draws(a, b, Claim(paired=True))
    exact = stats.binomtest(2, 100, alternative="less").proportion_ci(0.95)
    assert (paired.estimate, paired.high) == (0.02, pytest.approx(exact.high))
    above = stats.binomtest(2, 100, alternative="greater").proportion_ci(1 - 0.05 / 5)
    assert paired.low == pytest.approx(above.low)
    assert rare_draws(a, rng.permutation(b)).estimate == 0.02  # further out than any of a
    assert rare_draws(a[:58], a[:58]).answer == "open"
    assert rare_draws(a[:59], a[:59]).answer == "within"


def test_few_draws_far_off_are_bounded_by_the_largest():
    """Three of 200 off by 9 sd: 8 beyond the first, times the upper bound of their share."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200, 4))
    a = (a - a.mean(axis=0)) / a.std(axis=0, ddof=1)
    b = a.copy()
    b[:3] += 9
    found = mean_error(a, b)
    share = stats.binomtest(3, 200, alternative="less").proportion_ci(0.95).high
    assert found.estimate == pytest.approx(3 * 9 / 200)
    assert found.high > 8 * share
    assert mean_error(a, a + 0.02).answer == "within"


def test_many_draws_far_off_have_students_bounds():
    """A third are 3 sd off: the interval is that of a t test, but for the error of the sd."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5000, 1))
    b = a + 3 * (rng.random((5000, 1)) < 1 / 3)
    error = np.abs(b - a)[:, 0] / a.std(ddof=1)
    interval = stats.ttest_1samp(error, 0).confidence_interval(0.9)
    found = mean_error(a, b)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=0.01)


# CRPS


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_crps_standard_error_is_the_bootstraps(noise):
    """Half the width, against 300 bootstrap samples, to 15 % (4 of its errors)."""
    rng = np.random.default_rng(0)
    a, b, y = rng.normal(size=(120, 8)), rng.normal(0.2, 1.1, size=(120, 8)), rng.normal(size=8)
    found = crps_equivalence(a, b, y, noise_sd=noise)
    ratio = scores.crps(b, y, noise) / scores.crps(a, y, noise)
    assert found.estimate == pytest.approx(abs(ratio - 1))
    scatter = [
        scores.crps(b[rng.integers(0, 120, 120)], y, noise)
        / scores.crps(a[rng.integers(0, 120, 120)], y, noise)
        for _ in range(300)
    ]
    se = (found.high - found.estimate) / stats.t.ppf(0.95, 238)
    assert se == pytest.approx(np.std(scatter), rel=0.15)
    paired = crps_equivalence(a, a + 0.01, y, Claim(paired=True), noise_sd=noise)
    assert paired.high < 0.2 * crps_equivalence(a, a + 0.01, y, noise_sd=noise).high


@pytest.mark.parametrize("noise", [0.001, 0.05, 1.0, 30.0])
def test_the_score_with_noise_is_that_of_all_pairs(noise):
    """Far below and far above the spread of the draws: the spline, and every pair."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400, 3)) * np.array([0.1, 1, 10]) + 100
    y = np.full(3, 100.5)
    found = crps_equivalence(a, b, y, noise_sd=noise)
    exact = scores.crps(b, y, noise) / scores.crps(a, y, noise)
    assert found.estimate == pytest.approx(abs(exact - 1), abs=1e-7)


def test_noise_of_the_score_is_checked():
    a, y = np.random.default_rng(0).normal(size=(20, 3)), np.zeros(3)
    for noise, says in (
        (-1.0, "noise_sd must be above 0"),
        (np.array([0.1, 0.0, 0.1]), "noise_sd must be above 0"),
        (np.ones(2), r"noise_sd has shape \(2,\)"),
        (np.nan, "noise_sd: the values hold NaN"),
    ):
        with pytest.raises(InputError, match=says):
            crps_equivalence(a, a, y, noise_sd=noise)
    with pytest.raises(InputError, match="noise_sd without y"):
        compare(a, a, noise_sd=0.1)
