"""Choices from predictive samples, against hand-worked cases and closed forms."""

import numpy as np
import pytest
from scipy.stats import norm

from spikedrop.decisions import (
    POLICIES,
    agreement,
    agreement_table,
    choose,
    diverse_choice,
    greedy_choice,
    group_means,
    optimistic_choice,
    regret,
    thompson_choice,
)
from spikedrop.errors import InputError

ARMS = np.array([[0.70, 0.10], [0.55, 0.30]])  # (mean, sd) of two Gaussian candidates


def gaussian(means, sds, draws, seed=0):
    rng = np.random.default_rng(seed)
    return np.asarray(means) + np.asarray(sds) * rng.normal(size=(draws, len(means)))


def test_without_spread_all_policies_choose_alike():
    values = np.random.default_rng(0).permutation(30) / 10
    samples = np.tile(values, (7, 1))
    expected = np.argsort(-values)[:10]
    for policy in POLICIES:
        assert choose(policy, samples, 10, seed=3).tolist() == expected.tolist()


def test_thompson_picks_in_proportion_to_the_probability_of_being_best():
    (m0, s0), (m1, s1) = ARMS
    closed = norm.cdf((m0 - m1) / np.hypot(s0, s1))  # P(first > second) = 0.682
    samples = gaussian(ARMS[:, 0], ARMS[:, 1], 40_000)
    picks = [thompson_choice(samples[:4000], 1, seed)[0] for seed in range(2000)]
    # Standard errors 0.0074 of the draws and 0.0104 of the seeds, 0.0128 together: five of them.
    assert np.mean(np.array(picks) == 0) == pytest.approx(closed, abs=0.064)


def test_thompson_batch_by_hand():
    # One draw: its candidates in order. More picks than draws: the draws are used again.
    samples = np.array([[3.0, 1.0, 2.0]])
    assert thompson_choice(samples, 3, seed=0).tolist() == [0, 2, 1]
    two = np.array([[9.0, 1.0, 0.0], [0.0, 1.0, 9.0]])  # one wants 0 then 1, the other 2 then 1
    for seed in range(10):
        batch = thompson_choice(two, 3, seed)
        assert set(batch[:2].tolist()) == {0, 2}
        assert batch[2] == 1
    assert np.array_equal(thompson_choice(two, 2, 5), thompson_choice(two, 2, 5))
    assert len({int(thompson_choice(two, 1, seed)[0]) for seed in range(20)}) == 2


def test_optimistic_choice_is_the_gaussian_bound():
    # Of Gaussians the q quantile is m + z_q s: the bound orders 40 candidates as the formula does.
    rng = np.random.default_rng(1)
    means, sds = rng.uniform(0, 1, 40), rng.uniform(0.05, 0.5, 40)
    grid = norm.ppf((np.arange(4001) + 0.5) / 4001)  # an exact sample, no chance in it
    samples = means + sds * grid[:, None]
    for q in (0.05, 0.1, 0.5, 0.9):
        bound = means + norm.ppf(q) * sds
        assert optimistic_choice(samples, 5, q).tolist() == np.argsort(-bound)[:5].tolist()
    assert optimistic_choice(samples, 40, 0.5).tolist() == greedy_choice(samples, 40).tolist()


def test_regret_by_hand():
    truth = np.array([-0.4, 0.2, -0.9, -0.1])
    assert regret(truth, [1, 3]) == 0
    assert regret(truth, [0, 2]) == pytest.approx(0.05 + 0.65)
    assert regret(truth, [0, 2], best=1) == pytest.approx(0.6)
    assert regret(truth, [0, 2, 1], best=2) == pytest.approx(0.05 + 0.1)
    assert regret(truth, range(4)) == pytest.approx(0)


def test_regret_of_random_batches_is_the_expectation():
    truth = np.random.default_rng(2).normal(size=25)
    rng = np.random.default_rng(3)
    drawn = [regret(truth, rng.choice(25, 5, replace=False)) for _ in range(4000)]
    error = np.std(drawn) / np.sqrt(len(drawn))
    expected = np.sort(truth)[-5:].mean() - truth.mean()
    assert np.mean(drawn) == pytest.approx(expected, abs=5 * error)


def worst_of_two_names(policy):
    """Choose two of three candidates, the first two of which are one candidate under two names."""
    first = np.array([0.9, 0.1, 0.8, 0.2, 0.7, 0.3])
    independent = np.array([0.9, 0.7, 0.2, 0.1, 0.3, 0.8])  # the same values in another order
    samples = np.stack([first, first, independent], axis=1)
    return set(choose(policy, samples, 2, seed=0).tolist())


def test_diverse_choice_does_not_take_one_candidate_under_two_names():
    assert worst_of_two_names("greedy") == {0, 1}
    assert worst_of_two_names("optimistic") == {0, 1}
    assert worst_of_two_names("diverse") in ({0, 2}, {1, 2})


def test_diverse_choice_by_hand():
    # Three draws, one triple. Draws disagree on which of a and b is best; c moves as b does, twice
    # as far, and d not at all. Distances between draws are positive, so the first pick is the
    # candidate that separates the draws most, c; the second is b again with the draws it leaves,
    # not a, which moves half as far.
    b = np.array([0.0, 0.4, -0.4])
    samples = np.stack([-b / 2, b, 2 * b - 1, np.full(3, -0.9)], axis=1)
    assert diverse_choice(samples, 2, seed=0, noise_sd=1.0).tolist() == [2, 1]
    assert greedy_choice(samples, 2).tolist() == [0, 1]


def test_diverse_choice_minimises_the_published_sum():
    # The formula, term by term, over all triples and all candidates not chosen yet.
    rng = np.random.default_rng(4)
    draws, batch, sd = 7, 3, 0.5
    values = rng.normal(size=(draws, 9))
    best = [set(np.argsort(-row)[:batch].tolist()) for row in values]
    worth = np.array([[row[list(best[j])].mean() for j in range(draws)] for row in values])

    def distance(i, j):
        return worth[i, i] - worth[i, j] + worth[j, j] - worth[j, i]

    def score(chosen):
        total = 0.0
        for i in range(draws):
            for j in range(i):
                for k in range(j):
                    apart = sum(
                        (values[a, c] - values[b, c]) ** 2
                        for a, b in ((i, j), (j, k), (i, k))
                        for c in chosen
                    )
                    far = distance(i, j) + distance(j, k) + distance(i, k)
                    total += far * np.exp(-apart / (6 * sd**2))
        return total

    chosen = diverse_choice(values, batch, seed=0, noise_sd=sd).tolist()
    for number in range(batch):
        left = [c for c in range(9) if c not in chosen[:number]]
        assert chosen[number] == min(left, key=lambda c: score([*chosen[:number], c]))


def test_the_gaussian_integral_behind_the_diverse_choice():
    # The integral over y of N(y; f1) N(y; f2) N(y; f3), relative to equal means.
    y = np.linspace(-30, 30, 200_001)
    sd = 1.3

    def integral(*means):
        return np.prod([norm.pdf(y, mean, sd) for mean in means], axis=0).sum()

    a, b, c = 0.2, 1.7, -0.9
    apart = (a - b) ** 2 + (b - c) ** 2 + (a - c) ** 2
    assert integral(a, b, c) / integral(0, 0, 0) == pytest.approx(np.exp(-apart / (6 * sd**2)))


def test_many_draws_are_compared_by_some_triples_and_the_seed_repeats():
    samples = gaussian(np.linspace(0, 1, 20), np.full(20, 0.4), 40)
    assert np.array_equal(diverse_choice(samples, 6, 1), diverse_choice(samples, 6, 1))
    assert len(set(diverse_choice(samples, 20, 1).tolist())) == 20


def test_agreement_of_identical_and_of_independent_samples():
    means = np.linspace(0, 1, 50)
    samples = gaussian(means, np.full(50, 0.3), 80)
    others = [gaussian(means, np.full(50, 0.3), 80, seed) for seed in (1, 2, 3)]
    table = agreement_table(samples, {"same": [samples], "floor": others}, 10, seed=0)
    assert (table.loc["same"] == 1).all()
    assert (table.loc["chance"] == 0.2).all()
    floor = table.loc["floor"]
    assert (floor < 1).all()
    # The diverse choice separates the draws it is given, and others need not separate others.
    assert (floor.drop("diverse") > 0.2).all()
    assert agreement([1, 2, 3, 4], [9, 4, 8, 1]) == 0.5


def test_group_means_need_masks_shared_by_the_rows():
    # A draw that shifts all rows alike keeps its spread in the mean; independent rows lose it.
    rng = np.random.default_rng(0)
    shared = np.repeat(rng.normal(size=(2000, 1)), 9, axis=1)
    groups = np.array([0] * 9)
    assert group_means(shared, groups).std() == pytest.approx(shared.std())
    # Relative standard error of an sd of 2,000 draws: 1.6 %, both together 2 %.
    alone = group_means(rng.normal(size=(2000, 9)), groups).std()
    assert alone == pytest.approx(1 / 3, rel=0.1)
    samples = rng.normal(size=(3, 5, 1))
    means = group_means(samples, np.array([1, 0, 1, 1, 0]))
    assert np.allclose(means[:, 0], samples[:, [1, 4], 0].mean(axis=1))
    assert np.allclose(means[:, 1], samples[:, [0, 2, 3], 0].mean(axis=1))


def test_unusable_input_is_refused():
    samples = np.zeros((3, 4))
    for wrong in (0, 5):
        for policy in POLICIES:
            with pytest.raises(InputError, match=r"batch=.*at least 1 and below 5"):
                choose(policy, samples, wrong, seed=0)
    with pytest.raises(InputError, match="NaN"):
        greedy_choice(samples * np.nan, 1)
    with pytest.raises(InputError, match="shape"):
        thompson_choice(np.zeros(3), 1, 0)
    with pytest.raises(InputError, match="quantile=2"):
        optimistic_choice(samples, 1, 2)
    with pytest.raises(InputError, match="2 draws, and at least 3"):
        diverse_choice(samples[:2], 1, 0)
    with pytest.raises(InputError, match="noise_sd=0"):
        diverse_choice(samples, 1, 0, noise_sd=0)
    with pytest.raises(InputError, match="policy='best'"):
        choose("best", samples, 1, seed=0)
    with pytest.raises(InputError, match="each once"):
        regret(np.zeros(3), [1, 1])
    with pytest.raises(InputError, match="beyond the 3"):
        regret(np.zeros(3), [3])
    with pytest.raises(InputError, match=r"best=3; .*below 3"):
        regret(np.zeros(3), [0, 1], best=3)
    with pytest.raises(InputError, match="equal sizes"):
        agreement([1], [1, 2])
    with pytest.raises(InputError, match="twice"):
        agreement([1, 1], [1, 2])
    with pytest.raises(InputError, match="without gaps"):
        group_means(samples, np.array([0, 2, 2, 0]))
    with pytest.raises(InputError, match="no sample set"):
        agreement_table(samples, {"SNN": []}, 1, seed=0)
