"""Tests that find a difference, tests that exclude one: level, power, and independent references.

Rates of random tests are bounded by binomial quantiles; every test states its own false-alarm rate.
"""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics.pairwise import rbf_kernel

from spikedrop.compare import (
    classifier_test,
    compare,
    crps_equivalence,
    global_test,
    kernel_equivalence,
    pointwise_p_values,
    tost,
)
from spikedrop.compare.difference import _gap, _moments, _smallest
from spikedrop.compare.kernel import joint_kernel, marginal_kernel

difference = import_module("spikedrop.compare.difference")  # `spikedrop.compare` is a function, too
kernels = import_module("spikedrop.compare.kernel_equivalence")


def together(rng, draws, observations=10, correlation=0.5):
    """Standard normal draws whose observations move together."""
    common = rng.normal(size=(draws, 1))
    own = rng.normal(size=(draws, observations))
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own


def skewed(rng, draws, observations=10):
    return (rng.gamma(2, 1, size=(draws, observations)) - 2) / np.sqrt(2)


# Kernels


def test_marginal_kernel_is_the_mean_of_gaussian_kernels():
    z = np.random.default_rng(0).normal(size=(30, 4))
    features = marginal_kernel(4).features(z)
    exact = np.mean([rbf_kernel(z[:, [i]], gamma=0.5) for i in range(4)], axis=0)
    assert np.abs(features @ features.T - exact).max() < 2e-3


def test_joint_kernel_is_a_gaussian_on_whole_draws():
    """256 waves: an error of 1/16 in each entry, 4.5 of them allowed, in 435 pairs."""
    z = np.random.default_rng(0).normal(size=(30, 4))
    features = joint_kernel(4, seed=1).features(z)
    assert np.abs(features @ features.T - rbf_kernel(z, gamma=1 / 8)).max() < 4.5 / 16


@pytest.mark.parametrize("kernel", ["each law", "joint law"])
@pytest.mark.parametrize("observations", [3, 5])  # 48 and 80 features of 50 draws
def test_the_estimate_is_the_unbiased_mmd(observations, kernel):
    """Against the sum over pairs, diagonal left out (Gretton et al. 2012, equation 3)."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, size=(20, observations)), rng.normal(1, 1, size=(30, observations))
    centre, sd = a.mean(axis=0), a.std(axis=0, ddof=1)
    marginal = kernel == "each law"
    features = (
        marginal_kernel(observations) if marginal else joint_kernel(observations, 7)
    ).features
    p, q = (features((z - centre) / sd) for z in (a, b))
    within = [((f @ f.T).sum() - (f**2).sum()) / (len(f) * (len(f) - 1)) for f in (p, q)]
    squared = sum(within) - 2 * (p @ q.T).mean()
    found = kernel_equivalence(a, b, kernel=kernel, seed=7)
    assert found.estimate == pytest.approx(np.sqrt(squared))


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("shape", [(150, 9), (40, 60)])  # more draws than features, and fewer
def test_blocks_change_no_verdict_and_no_number(monkeypatch, shape, paired):
    """Read at once, and a few observations at a time, with the joint waves in groups, too."""
    rng = np.random.default_rng(3)
    a, noise = rng.normal(size=(2, *shape))
    b, y = a + 0.1 * noise, rng.normal(size=shape[1])
    whole = compare(a, b, y=y, paired=paired, permutations=99)
    monkeypatch.setattr("spikedrop.predictive.BLOCK", 4 * len(a))
    for module in (difference, kernels):
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
        assert marginal_kernel(3).moved(z)(shift) == pytest.approx(exact, rel=0.03)


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


# Equivalence

AT_MOST = stats.binom.ppf(1 - 2e-4, 100, 0.05)  # of 100 repetitions at the margin


@pytest.mark.parametrize("law", [together, skewed])
def test_at_the_margin_at_most_5_percent_pass(law):
    """Every test that the planted change puts at its margin; 100 repetitions, rate 2e-4 each."""
    rng = np.random.default_rng(5)
    margin, repeats = 0.15, 100
    passed = dict.fromkeys(["mean", "5% quantile", "50% quantile", "95% quantile", "log sd"], 0)
    passed |= {"MMD, each law": 0, "MMD, joint law": 0}
    for s in range(repeats):
        a, b = law(rng, 300), law(rng, 300)
        tests = tost(a, b + margin, margin=margin)[:1] + tost(a, b + margin, margin=margin)[2:]
        tests += [
            kernel_equivalence(a, b + margin, margin=margin, kernel=k, seed=s)
            for k in ("each law", "joint law")
        ]
        tests += tost(a, b * np.exp(-margin), margin=margin)[1:2]
        for test in tests:
            passed[test.name] += test.p_value <= 0.05
    assert max(passed.values()) <= AT_MOST, passed
    assert sum(passed.values()) > 0  # else nothing was tried


def test_kernel_equivalence_holds_its_level_against_a_change_of_spread():
    """sd narrowed until the MMD is at the margin, found by bisection on 100,000 normal draws."""
    rng = np.random.default_rng(0)
    kernel, margin = marginal_kernel(1), 0.15
    z = rng.normal(size=(100_000, 1))
    target, features = kernel.moved(z)(margin), kernel.features(z).mean(axis=0)
    low, high = 0.3, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        mmd = np.linalg.norm(features - kernel.features(z * middle).mean(axis=0))
        low, high = (middle, high) if mmd > target else (low, middle)
    passed = sum(
        kernel_equivalence(
            rng.normal(size=(300, 10)), low * rng.normal(size=(300, 10)), margin=margin, seed=s
        ).p_value
        <= 0.05
        for s in range(100)
    )
    assert passed <= AT_MOST


def test_equal_laws_pass_with_enough_draws_and_not_with_few():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(2, 2500, 20))
    for n, wanted in ((2500, True), (200, False)):
        a, b = draws[:, :n]
        tests = [*tost(a, b), kernel_equivalence(a, b, kernel="joint law", seed=0)]
        assert all(test.p_value <= 0.05 for test in tests) is wanted
        for test in tests:
            assert (test.p_value <= 0.05) == (test.reach <= 0.05 + 1e-6)


def test_opposite_differences_cancel_in_the_mean_and_not_in_the_kernel():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2500, 20))
    b = b + 0.2 * (-1.0) ** np.arange(20)
    assert tost(a, b)[0].p_value < 0.05
    assert kernel_equivalence(a, b, seed=0).p_value > 0.9


def test_a_constant_sample_is_never_equivalent():
    a = np.random.default_rng(0).normal(size=(200, 4))
    log_sd = tost(a, np.zeros((200, 4)))[1]
    assert (log_sd.p_value, log_sd.reach) == (1.0, np.inf)


def test_tost_of_one_observation_is_the_textbook_t_test():
    """Two Welch t tests against the margins; SciPy's, on samples moved to them."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(80, 1)), rng.normal(0.1, 1.2, size=(120, 1))
    sd = a.std(ddof=1)
    upper, lower = (
        stats.ttest_ind(b / sd, a / sd + side * 0.5, equal_var=False, alternative=how).pvalue[0]
        for side, how in ((1, "less"), (-1, "greater"))
    )
    assert tost(a, b, margin=0.5)[0].p_value == pytest.approx(max(upper, lower))


def test_crps_standard_error_is_the_bootstraps():
    """Half the width from `reach`, against 400 bootstrap samples, to 15 % (4 of its errors)."""
    rng = np.random.default_rng(0)
    a, b, y = rng.normal(size=(150, 8)), rng.normal(0.2, 1.1, size=(150, 8)), rng.normal(size=8)
    test = crps_equivalence(a, b, y)
    pairs = [np.abs(s[:, None] - s).sum(axis=(0, 1)) / (150 * 149) for s in (a, b)]
    fair = [(np.abs(s - y).mean(axis=0) - p / 2).mean() for s, p in zip((a, b), pairs, strict=True)]
    assert test.estimate == pytest.approx(fair[1] / fair[0] - 1)
    scatter = [
        crps_equivalence(a[rng.integers(0, 150, 150)], b[rng.integers(0, 150, 150)], y).estimate
        for _ in range(400)
    ]
    se = (test.reach - abs(test.estimate)) / stats.t.ppf(0.95, 290)
    assert se == pytest.approx(np.std(scatter), rel=0.15)
    paired = crps_equivalence(a, a + 0.01, y, paired=True)
    assert paired.reach < 0.2 * crps_equivalence(a, a + 0.01, y).reach
