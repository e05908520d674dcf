"""The search for synergistic pairs, its repetitions, its recorded run, and their figures."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr, ttest_rel

from benchmarks.decisions import search_rows
from benchmarks.recording import write_recorded
from spikedrop.data import expected_growth, simulate_candidates, simulate_screen
from spikedrop.decisions import POLICIES
from spikedrop.errors import InputError
from spikedrop.sampling.ann import sample_ann
from spikedrop.study import pairs
from spikedrop.study.figures import decisions as figures
from spikedrop.study.pairs import fit_pairs, pair_numbers, pair_truth
from spikedrop.study.repetitions import against, below, by_column, named_values
from spikedrop.study.search import (
    after_the_last_round,
    agreement_of_samplers,
    recorded_search,
    search,
    search_rules,
    search_table,
)

SMALL = {"n_drugs": 10, "n_cell_lines": 3}
QUICK = {"hidden": [8], "train_steps": 30}


# Candidates


def test_every_pair_is_a_candidate_at_one_dose_of_each_drug():
    screen = simulate_candidates(**SMALL, level=1, seed=3)
    assert len(screen.pairs) == 45 * 3
    counts = screen.pairs.groupby(["drug_a", "drug_b"])["cell_line"].nunique()
    assert len(counts) == 45 and (counts == 3).all()
    doses = pd.concat(
        [
            screen.pairs[[f"drug_{side}", f"log10_dose_{side}_molar"]].set_axis(
                ["drug", "dose"], axis=1
            )
            for side in "ab"
        ]
    )
    assert len(doses.drop_duplicates()) == 10
    top = simulate_candidates(**SMALL, seed=3).pairs["log10_dose_a_molar"]
    assert np.allclose(top - screen.pairs["log10_dose_a_molar"], 1)  # a decade apart


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"level": 3}, "level=3"),
        ({"class_synergy": -1}, "class_synergy=-1"),
        ({"pair_synergy": np.nan}, "pair_synergy=nan"),
    ],
)
def test_candidates_that_cannot_be_simulated_are_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        simulate_candidates(**SMALL, **wrong, seed=0)


def test_the_truth_of_a_pair_is_what_the_true_single_growths_leave():
    screen = simulate_candidates(**SMALL, seed=0)
    singles = screen.singles.drop_duplicates(["cell_line", "drug", "log10_dose_molar"])
    alone = singles.set_index(["cell_line", "drug", "log10_dose_molar"])["true_growth_fraction"]
    numbers, truth = pair_numbers(screen.pairs), pair_truth(screen)
    checked = 0
    for number in range(45):
        rows = screen.pairs[numbers == number]
        keys = [
            list(
                zip(
                    rows["cell_line"], rows[f"drug_{s}"], rows[f"log10_dose_{s}_molar"], strict=True
                )
            )
            for s in "ab"
        ]
        if not all(key in alone.index for side in keys for key in side):
            continue  # a tenth of the single conditions is not measured
        both = [alone.loc[side].to_numpy() for side in keys]
        score = expected_growth(*both) - rows["true_growth_fraction"].to_numpy()
        assert truth[number] == pytest.approx(score.mean())
        checked += 1
    assert checked > 10


def test_without_interaction_of_classes_and_pairs_little_synergy_is_left():
    # Left is s of mean -0.03 and sd 0.1 per pair and line; the score is 4 s sqrt(w1 w2), w < 1/4:
    # over 3 lines its mean has an sd of at most 0.1 / sqrt(3).
    truth = pair_truth(simulate_candidates(**SMALL, class_synergy=0, pair_synergy=0, seed=0))
    assert truth.std() < 0.1 / np.sqrt(3)
    assert pair_truth(simulate_candidates(**SMALL, seed=0)).std() > truth.std()


def test_simulated_screens_know_what_was_to_be_expected():
    pairs = simulate_screen(n_drugs=8, n_cell_lines=3, n_records=200, seed=0).pairs
    error = pairs["expected_growth_fraction"] - pairs["true_expected_growth_fraction"]
    assert 0.03 < error.std() < 0.2  # the noise of single wells
    screen = simulate_screen(n_drugs=8, n_cell_lines=3, n_records=120, seed=0)
    numbers, truth = pair_numbers(screen.pairs), pair_truth(screen)
    rows = screen.pairs[numbers == 5]
    assert len(rows[["drug_a", "drug_b"]].drop_duplicates()) == 1
    score = rows["true_expected_growth_fraction"] - rows["true_growth_fraction"]
    assert truth[5] == pytest.approx(score.mean())


# The network


def test_the_network_predicts_unseen_pairs_where_synergy_is_a_matter_of_class():
    screen = simulate_candidates(
        n_drugs=30, n_cell_lines=6, class_synergy=0.3, pair_synergy=0, seed=0
    )
    truth = pair_truth(screen)
    order = np.random.default_rng(0).permutation(len(truth))
    tested, left = order[:300], np.sort(order[300:])
    model = fit_pairs(screen, tested, seed=0, train_steps=800)
    samples = model.of_pairs(left, lambda x: sample_ann(model.network, x, draws=10, seed=0))
    assert samples.shape == (10, len(left))
    assert spearmanr(samples.mean(axis=0), truth[left]).statistic > 0.4
    # In the unit of the score: the mean prediction is that of the records learnt from.
    score = screen.pairs["expected_growth_fraction"] - screen.pairs["growth_fraction"]
    assert samples.mean() == pytest.approx(score.mean(), abs=0.03)


def test_the_number_of_steps_does_not_follow_the_number_of_pairs(monkeypatch):
    taken = []

    def count(x, y, *, epochs, batch_size, **settings):
        taken.append(epochs * (len(x) // batch_size))
        return real(x, y, epochs=1, batch_size=batch_size, **settings)

    real = pairs.fit_network
    monkeypatch.setattr(pairs, "fit_network", count)
    screen = simulate_candidates(n_drugs=16, n_cell_lines=4, seed=0)
    for known in (8, 30, 120):
        fit_pairs(screen, np.arange(known), seed=0, hidden=[4], train_steps=100)
    assert all(100 <= steps < 110 for steps in taken)


# The search, with rules that need no training


def test_search_never_tests_twice_and_knows_what_was_measured():
    truth = np.random.default_rng(0).permutation(20) / 20
    seen, seeds = [], []

    def rule(tested, left, seed):
        seen.append(tested)
        seeds.append(seed)
        assert not set(tested) & set(left)
        assert len(tested) + len(left) == 20
        return np.argsort(-truth[left])[:3]

    table = search(rule, truth, np.array([4, 7]), batch=3, rounds=4, seed=0)
    assert [len(tested) for tested in seen] == [2, 5, 8, 11]
    assert seeds == [1, 2, 3, 4]
    assert table["tested"].tolist() == [3, 6, 9, 12]
    assert np.allclose(table[["regret", "found"]], 0)
    pool = np.setdiff1d(np.arange(20), [4, 7])
    chosen = np.setdiff1d(seen[-1], [4, 7])
    assert set(truth[chosen]) == set(np.sort(truth[pool])[-9:])


def test_what_was_found_counts_the_best_of_the_tested():
    truth = np.arange(10.0)
    worst_first = lambda tested, left, seed: np.argsort(truth[left])[:2]  # noqa: E731
    table = search(worst_first, truth, np.array([0, 9]), batch=2, rounds=4, seed=1)
    # Pool 1 to 8; after two rounds 1 to 4 are tested, and 7 and 8 would have been best.
    assert table.loc[2, "regret"] == pytest.approx((8 + 7 + 6 + 5) / 4 - (1 + 2 + 3 + 4) / 4)
    assert table.loc[2, "found"] == pytest.approx((8 + 7) / 2 - (4 + 3) / 2)
    assert table.loc[4, "regret"] == table.loc[4, "found"] == 0  # all eight were tested
    with pytest.raises(InputError, match="8 are left"):
        search(worst_first, truth, np.array([0, 9]), batch=3, rounds=3, seed=1)


def test_search_rules_without_a_network():
    screen = simulate_candidates(**SMALL, seed=0)
    rules = search_rules(screen, batch=4, seed=0, **QUICK)
    networks = {f"{name}, {policy}" for name in ("ANN", "bit-serial") for policy in POLICIES}
    assert set(rules) == {"random", "null model", "naive mean"} | networks
    tested, left = np.arange(20), np.arange(20, 45)
    expected = screen.pairs.groupby(["drug_a", "drug_b"])["expected_growth_fraction"].mean()
    lowest = np.argsort(expected.to_numpy()[left])[:4]
    assert rules["null model"](tested, left, 0).tolist() == lowest.tolist()
    assert set(rules["random"](tested, left, 0)) != set(rules["random"](tested, left, 1))
    assert len(set(rules["naive mean"](tested, left, 0))) == 4


def test_search_with_networks_that_learn_as_they_go():
    screens = [simulate_candidates(**SMALL, seed=k) for k in range(2)]
    table = search_table(screens, 15, batch=3, rounds=2, seed=0, draws=6, **QUICK)
    assert len(table) == 2 * 11 * 2
    assert table.equals(search_table(screens, 15, batch=3, rounds=2, seed=0, draws=6, **QUICK))
    last = table[table["round"] == 2].pivot_table(index="repeat", columns="policy", values="regret")
    # Ten digits: the same decision as the network they are counted from.
    assert last["ANN, greedy"].tolist() == last["bit-serial, greedy"].tolist()


def test_agreement_of_samplers_lists_the_six_controls():
    screen = simulate_candidates(**SMALL, seed=0)
    sizes = {"batch": 4, "draws": 6, "steps": 20, "floors": 2}
    table = agreement_of_samplers(screen, 25, seed=0, **sizes, hidden=[8, 8], train_steps=50)
    assert list(table.columns) == list(POLICIES)
    assert list(table.index[:2]) == ["SNN", "ANN, other masks"] and table.index[-1] == "chance"
    assert len(table) == 2 + 6 + 1
    assert (table.loc["chance"] == 4 / 20).all()


# Repetitions


def test_paired_differences_are_those_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(9, 1))
    values = pd.DataFrame(shared + 0.1 * rng.normal(size=(9, 3)) + [0, 0.2, 0], columns=[*"abc"])
    table = against(values, "a")
    for name in "bc":
        test = ttest_rel(values[name], values["a"])
        assert table.loc[name, "errors"] == pytest.approx(test.statistic)
        assert table.loc[name, "lower"] == (values[name] < values["a"]).sum()
    assert table.loc["a", ["difference", "errors", "lower", "higher"]].tolist() == [0, 0, 0, 0]
    assert table.loc["b", "se"] == pytest.approx(values["b"].std(ddof=1) / 3)
    assert below(table) == []
    assert "a" in below(against(values, "b"))
    # Lower by the same in every repetition: no standard error, and below.
    assert below(against(pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 1.5]}), "a")) == ["b"]


def test_tables_are_compared_column_by_column_and_named():
    tables = [pd.DataFrame({"x y": [1.0, k]}, index=["a", "b"]) for k in (0.2, 0.4, 0.3)]
    table = by_column(tables, "a")["x y"]
    pd.testing.assert_frame_equal(
        table, against(pd.DataFrame({"a": [1.0] * 3, "b": [0.2, 0.4, 0.3]}), "a")
    )
    values = named_values(table, "p")
    assert values["p_b_difference_se"] == pytest.approx(0.1 / np.sqrt(3))
    assert values["p_b_word"] == "lower than" and values["p_b_lower"] == 3
    assert all(type(value) in (float, int, str) for value in values.values())


def test_policies_are_compared_after_the_last_round():
    compared = after_the_last_round(searches())
    assert list(compared["regret"].index) == ["ANN, greedy", "random"]
    assert compared["regret"].loc["random", "difference"] == pytest.approx(0.3 / 2 - 0.1 / 2)
    assert compared["found"].loc["random", "mean"] == pytest.approx(0.31)


def test_repetitions_that_cannot_be_compared_are_refused():
    values = pd.DataFrame({"a": [1.0, np.nan], "b": [1.0, 2.0]})
    with pytest.raises(InputError, match="'c' is not a column"):
        against(values, "c")
    with pytest.raises(InputError, match="without missing"):
        against(values, "a")
    with pytest.raises(InputError, match="1 repetitions"):
        against(values[:1], "b")


# The recorded run


def searches():
    """Return a made-up table of two policies, two rounds and three repetitions."""
    rows = [
        (repeat, policy, number, 5 * number, 0.1 * repeat + shift / number, 0.01 * repeat + shift)
        for policy, shift in (("random", 0.3), ("ANN, greedy", 0.1))
        for number in (1, 2)
        for repeat in range(3)
    ]
    columns = ["repeat", "policy", "round", "tested", "regret", "found"]
    return pd.DataFrame(rows, columns=columns)


def test_a_series_of_searches_is_recorded_and_read_back(tmp_path):
    file = tmp_path / "series.json"
    write_recorded(file, search_rows(searches()), ["python", "x y"], words="quiet", commit="c" * 40)
    recorded, table = recorded_search(file)
    assert recorded.command == "python 'x y'" and recorded.machine.endswith("; quiet")
    assert recorded.commit == "c" * 40
    order = ["policy", "round", "repeat"]
    expected = searches().sort_values(order, ignore_index=True)
    found = table.sort_values(order, ignore_index=True)[expected.columns]
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("text", ["", "[]", '{"date": "2026-01-02"}'])
def test_what_is_not_a_recorded_search_is_refused(tmp_path, text):
    file = tmp_path / "series.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"series\.json is not a recorded search"):
        recorded_search(file)
    write_recorded(file, [{"policy": "random"}], ["x"], commit="")
    with pytest.raises(InputError, match=r"series\.json is not a recorded search"):
        recorded_search(str(file))


def test_the_recorded_series_is_whole():
    recorded, table = recorded_search()
    assert "benchmarks.decisions" in recorded.command and len(recorded.commit) >= 40
    repeats = table["repeat"].nunique()
    assert repeats >= 12
    networks = {f"{name}, {policy}" for name in ("ANN", "bit-serial") for policy in POLICIES}
    assert set(table["policy"]) == {"random", "null model", "naive mean"} | networks
    assert len(table) == repeats * table["policy"].nunique() * table["round"].nunique()
    assert (table[["regret", "found"]] >= 0).all(axis=None)


# What the figures show


def test_search_lines_show_means_where_they_are():
    names = ["random", "ANN, greedy"]
    ax = figures.search_lines(searches(), "regret", names)
    for name, container in zip(names, ax.containers, strict=True):
        mean = searches()[searches()["policy"] == name].groupby("tested")["regret"].mean()
        assert np.allclose(container.lines[0].get_ydata(), mean)
        assert container.get_label() == name
    colours = {container.lines[0].get_color() for container in ax.containers}
    assert len(colours) == 2


def test_difference_dots_leave_the_reference_out():
    values = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.2, 2.3, 3.1], "c": [0.0, 1.5, 2.0]})
    ax = figures.difference_dots(against(values, "a"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c", "b"]
    assert np.allclose(ax.containers[0].lines[0].get_xdata(), [-2.5 / 3, 0.2])
    assert [text.get_text() for text in ax.texts] == ["3 lower, 0 higher", "0 lower, 3 higher"]


def test_agreement_dots_fill_what_is_visibly_below():
    values = pd.DataFrame({"SNN": [0.9, 1.0, 0.95], "off": [0.4, 0.5, 0.3], "even": [0.9, 1, 0.9]})
    (ax,) = figures.agreement_dots({"greedy": against(values, "SNN")}).axes
    filled = [c.lines[0].get_markerfacecolor() != "white" for c in ax.containers]
    assert filled == [False, True, False]
    assert [c.lines[0].get_xdata()[0] for c in ax.containers] == list(values.mean())


def test_variance_bars_stack_up_to_the_total_and_down_to_what_is_negative():
    parts = {"mask": [0.9, 1.2], "spikes": [0.05, 0.0], "covariance": [-0.05, -0.3]}
    table = pd.DataFrame({**parts, "charge": [0.1, 0.1]}, index=[25, 50])
    bars = figures.variance_bars(table).patches
    tops = [bar.get_y() + bar.get_height() for bar in bars]
    assert max(tops) == pytest.approx(1.3)  # 1.2 + 0.1
    assert min(tops) == pytest.approx(-0.3)
    assert sum(bar.get_height() for bar in bars) == pytest.approx(2.0)
