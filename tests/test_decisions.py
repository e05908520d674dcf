"""Choices from predictive samples, against hand-worked cases and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from spikedrop.data import simulate_screen
from spikedrop.decisions import (
    POLICIES,
    agreement,
    agreement_table,
    best_regret,
    choose,
    greedy_choice,
    group_means,
    optimistic_choice,
    probability_best,
    regret,
    regret_table,
    thompson_choice,
)
from spikedrop.errors import InputError
from spikedrop.plots import decisions as figures
from spikedrop.search import pair_numbers, pair_truth, retrained, search, search_table

ARMS = np.array([[0.30, 0.10], [0.45, 0.30]])  # (mean, sd) of two Gaussian candidates


def gaussian(means, sds, draws, seed=0):
    rng = np.random.default_rng(seed)
    return np.asarray(means) + np.asarray(sds) * rng.normal(size=(draws, len(means)))


def test_without_spread_all_policies_choose_alike():
    values = np.random.default_rng(0).permutation(30) / 10
    samples = np.tile(values, (7, 1))
    expected = np.argsort(values)[:10]
    for policy in POLICIES:
        assert choose(policy, samples, 10, seed=3).tolist() == expected.tolist()


def test_thompson_picks_in_proportion_to_the_probability_of_being_best():
    (m0, s0), (m1, s1) = ARMS
    closed = norm.cdf((m1 - m0) / np.hypot(s0, s1))  # P(first < second) = 0.682
    samples = gaussian(ARMS[:, 0], ARMS[:, 1], 40_000)
    # Standard error 0.0023: five of them.
    assert probability_best(samples)[0] == pytest.approx(closed, abs=0.012)
    picks = [thompson_choice(samples[:4000], 1, seed)[0] for seed in range(2000)]
    # Standard errors 0.0074 of the draws and 0.0104 of the seeds, 0.0128 together: five of them.
    assert np.mean(np.array(picks) == 0) == pytest.approx(closed, abs=0.064)


def test_thompson_batch_by_hand():
    # One draw: its candidates in order. More picks than draws: the draws are used again.
    samples = np.array([[3.0, 1.0, 2.0]])
    assert thompson_choice(samples, 3, seed=0).tolist() == [1, 2, 0]
    two = np.array([[0.0, 1.0, 9.0], [9.0, 1.0, 0.0]])  # one wants 0 then 1, the other 2 then 1
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
        assert optimistic_choice(samples, 5, q).tolist() == np.argsort(bound)[:5].tolist()
    assert optimistic_choice(samples, 40, 0.5).tolist() == greedy_choice(samples, 40).tolist()


def test_regret_by_hand():
    truth = np.array([0.4, -0.2, 0.9, 0.1])
    assert regret(truth, [1, 3]) == 0
    assert regret(truth, [0, 2]) == pytest.approx(0.65 + 0.05)
    assert best_regret(truth, [0, 2]) == pytest.approx(0.6)
    assert regret(truth, range(4)) == pytest.approx(0)


def test_regret_of_random_batches_is_the_expectation():
    truth = np.random.default_rng(2).normal(size=25)
    table = regret_table(truth, {"ANN": truth[None]}, [1, 5, 25], seed=0)
    rng = np.random.default_rng(3)
    drawn = [regret(truth, rng.choice(25, 5, replace=False)) for _ in range(4000)]
    error = np.std(drawn) / np.sqrt(len(drawn))
    assert table.loc[5, "random"] == pytest.approx(np.mean(drawn), abs=5 * error)
    assert table.loc[25, "random"] == pytest.approx(0, abs=1e-12)
    # Samples that are the truth itself leave nothing to regret.
    assert np.allclose(table.drop(columns="random"), 0)


def test_regret_table_agrees_with_single_choices():
    truth = np.linspace(0, 1, 12)
    samples = gaussian(truth, np.full(12, 0.4), 60)
    table = regret_table(truth, {"SNN": samples}, [2, 6], seed=9, repeats=3)
    for batch in (2, 6):
        by_hand = np.mean([regret(truth, thompson_choice(samples, batch, 9 + k)) for k in range(3)])
        assert table.loc[batch, "SNN, thompson"] == pytest.approx(by_hand)
        assert table.loc[batch, "SNN, greedy"] == regret(truth, greedy_choice(samples, batch))


def test_agreement_of_identical_and_of_independent_samples():
    means = np.linspace(0, 1, 50)
    samples = gaussian(means, np.full(50, 0.3), 80)
    others = [gaussian(means, np.full(50, 0.3), 80, seed) for seed in (1, 2, 3)]
    table = agreement_table(samples, {"same": [samples], "floor": others}, 10, seed=0)
    assert (table.loc["same"] == 1).all()
    assert (table.loc["chance"] == 0.2).all()
    floor = table.loc["floor"]
    assert ((floor > 0.2) & (floor < 1)).all()
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
            with pytest.raises(InputError, match=r"batch=.*4 candidates"):
                choose(policy, samples, wrong, seed=0)
    with pytest.raises(InputError, match="NaN"):
        greedy_choice(samples * np.nan, 1)
    with pytest.raises(InputError, match="shape"):
        thompson_choice(np.zeros(3), 1, 0)
    with pytest.raises(InputError, match="quantile=2"):
        optimistic_choice(samples, 1, 2)
    with pytest.raises(InputError, match="policy='best'"):
        choose("best", samples, 1, seed=0)
    with pytest.raises(InputError, match="each once"):
        regret(np.zeros(3), [1, 1])
    with pytest.raises(InputError, match="beyond the 3"):
        regret(np.zeros(3), [3])
    with pytest.raises(InputError, match="equal sizes"):
        agreement([1], [1, 2])
    with pytest.raises(InputError, match="twice"):
        agreement([1, 1], [1, 2])
    with pytest.raises(InputError, match="without gaps"):
        group_means(samples, np.array([0, 2, 2, 0]))
    with pytest.raises(InputError, match="no sample set"):
        agreement_table(samples, {"SNN": []}, 1, seed=0)


# The search, with models that need no training


def test_search_never_tests_twice_and_knows_what_it_was_told():
    truth = np.random.default_rng(0).permutation(20) / 20
    seen = []

    def predict(tested, left):
        seen.append(tested)
        assert not set(tested) & set(left)
        assert len(tested) + len(left) == 20
        return truth[None, left]

    table = search(predict, truth, np.array([4, 7]), policy="greedy", batch=3, rounds=4, seed=0)
    assert [len(tested) for tested in seen] == [2, 5, 8, 11]
    assert table["tested"].tolist() == [3, 6, 9, 12]
    assert np.allclose(table["regret"], 0)
    pool = np.setdiff1d(np.arange(20), [4, 7])
    chosen = np.setdiff1d(seen[-1], [4, 7])
    assert set(truth[chosen]) == set(np.sort(truth[pool])[:9])


def test_search_at_random_needs_no_model_and_ends_with_all():
    truth = np.arange(10.0)
    run = {"policy": "random", "batch": 2, "rounds": 4, "seed": 1}
    table = search(None, truth, np.array([0, 9]), **run)
    assert table["regret"].iloc[-1] == pytest.approx(0)  # all eight were tested
    assert table["best"].iloc[-1] == 0
    assert table.equals(search(None, truth, np.array([0, 9]), **run))
    with pytest.raises(InputError, match="8 are left"):
        search(None, truth, np.array([0, 9]), policy="random", batch=3, rounds=3, seed=1)


def test_pairs_of_a_screen_are_the_candidates():
    screen = simulate_screen(n_drugs=8, n_cell_lines=3, n_records=120, seed=0)
    numbers, truth = pair_numbers(screen.pairs), pair_truth(screen)
    assert len(truth) == len(screen.pairs[["drug_a", "drug_b"]].drop_duplicates())
    rows = screen.pairs[numbers == 5]
    assert len(rows[["drug_a", "drug_b"]].drop_duplicates()) == 1
    assert truth[5] == pytest.approx(rows["true_growth_fraction"].mean())


def test_search_with_a_network_that_learns_as_it_goes(tmp_path):
    screen = simulate_screen(n_drugs=10, n_cell_lines=3, n_records=300, seed=0)
    sizes = {"hidden": [16], "epochs": 3, "draws": 6, "work": tmp_path, "seed": 0}
    table = search_table(screen, 15, batch=3, rounds=1, repeats=1, **sizes)
    assert isinstance(table, pd.DataFrame)
    assert set(table["policy"]) == {
        "random",
        *(f"{name}, {policy}" for name in ("ANN", "SNN") for policy in POLICIES),
    }
    first = table[table["policy"].str.endswith("greedy")]
    assert len(set(first["regret"])) == 1  # ten digits: the same decision
    truth = pair_truth(screen)
    with pytest.raises(InputError, match="sampler='lif'"):
        retrained(screen, "lif", work=tmp_path, seed=0)
    tested = np.arange(15)
    left = np.arange(15, len(truth))
    ann = retrained(screen, "ann", **sizes)(tested, left)
    assert ann.shape == (6, len(left))
    assert np.array_equal(ann, retrained(screen, "ann", **sizes)(tested, left))


# What the figures show


def test_regret_lines_show_every_column_where_it_is():
    table = regret_table(np.linspace(0, 1, 9), {"ANN": np.eye(9), "SNN": np.eye(9)}, [1, 3], seed=0)
    lines = {line.get_label(): line for line in figures.regret_lines(table).lines}
    assert set(lines) == set(table)
    for name, line in lines.items():
        assert np.array_equal(line.get_ydata(), table[name])
    assert lines["ANN, greedy"].get_color() != lines["SNN, greedy"].get_color()
    assert lines["SNN, greedy"].get_linestyle() != lines["SNN, thompson"].get_linestyle()


def test_variance_bars_stack_up_to_the_total_and_down_to_what_is_negative():
    parts = {"mask": [0.9, 1.2], "spikes": [0.05, 0.0], "covariance": [-0.05, -0.3]}
    table = pd.DataFrame({**parts, "charge": [0.1, 0.1]}, index=[25, 50])
    bars = figures.variance_bars(table).patches
    tops = [bar.get_y() + bar.get_height() for bar in bars]
    assert max(tops) == pytest.approx(1.3)  # 1.2 + 0.1
    assert min(tops) == pytest.approx(-0.3)
    assert sum(bar.get_height() for bar in bars) == pytest.approx(2.0)


def test_agreement_bars_are_the_table():
    table = agreement_table(np.eye(4), {"SNN": [np.eye(4)]}, 2, seed=0)
    ax = figures.agreement_bars(table)
    assert [bar.get_height() for bar in ax.patches] == [*table.loc["SNN"], *table.loc["chance"]]
