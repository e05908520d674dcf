"""The null model, the naive mean, and growth under one drug alone, against independent answers."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import OneHotEncoder

from spikedrop.data import (
    Split,
    boosting_baseline,
    expected_growth,
    fit_design,
    fit_single_growths,
    naive_mean,
    open_screen,
    recorded_null,
    simulate_screen,
    single_drug_null,
    split,
    training_null,
    training_singles,
)
from spikedrop.data.design import REST_SCALE
from spikedrop.errors import InputError
from spikedrop.study.example import trained_example

RULES = ("rows", "pairs", "drugs", "cell_lines")


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(n_drugs=16, n_cell_lines=5, n_records=1500, seed=0)


def singles_of(*rows):
    frame = pd.DataFrame(
        rows, columns=["lab", "cell_line", "drug", "log10_dose_molar", "growth_fraction"]
    )
    return frame.assign(replicates=1)


def pairs_of(*rows):
    names = ["lab", "cell_line", "drug_a", "log10_dose_a_molar", "drug_b", "log10_dose_b_molar"]
    return pd.DataFrame(rows, columns=[*names, "expected_growth_fraction", "growth_fraction"])


def by_hand(screen, singles, pairs):
    """A screen whose records are these; only what the null models read is set."""
    one = replace(screen)
    object.__setattr__(one, "singles", singles)
    object.__setattr__(one, "pairs", pairs)
    return one, Split(np.array([0]), np.array([], int), np.arange(len(pairs)), "rows")


# Null models, by hand


def test_null_models_by_hand(screen):
    singles = singles_of(
        ("X", "L", 1, -6.0, 0.5),
        ("X", "L", 2, -6.0, 0.4),
        ("Y", "L", 2, -6.0, 0.9),
        ("Y", "L", 3, -6.0, -0.2),
        ("Z", "L", 3, -6.0, -0.4),
        ("X", "M", 1, -6.0, 1.3),
    )
    pairs = pairs_of(
        ("X", "L", 1, -6.0, 2, -6.0, 0.3, 0.25),  # both measured there: 0.5 * 0.4
        ("Y", "L", 1, -6.0, 2, -6.0, 0.3, 0.25),  # drug 1 by X, drug 2 by Y itself: 0.5 * 0.9
        ("X", "L", 1, -6.0, 3, -6.0, np.nan, 0.0),  # drug 3 by two others: the mean, below 0
        ("X", "L", 1, -5.0, 2, -6.0, 0.3, 0.0),  # another dose
        ("X", "M", 1, -6.0, 2, -6.0, 0.3, 0.0),  # another line
    )
    one, parts = by_hand(screen, singles, pairs)
    null = single_drug_null(one, parts)
    np.testing.assert_allclose(null.predicted, [0.2, 0.45, -0.3, np.nan, np.nan])
    assert null.coverage == 0.6
    assert null.r2 == pytest.approx(
        1 - (0.05**2 + 0.2**2 + 0.3**2) / (2 * (0.25 / 3) ** 2 + (0.5 / 3) ** 2)
    )
    recorded = recorded_null(one, parts)
    np.testing.assert_array_equal(recorded.predicted, pairs["expected_growth_fraction"])
    assert recorded.coverage == 0.8


def test_a_null_model_that_exists_nowhere_has_no_score(screen):
    parts = split(screen.pairs, "cell_lines", seed=0)
    null = single_drug_null(screen, parts)
    assert null.coverage == 0 and np.isnan(null.r2)


@pytest.mark.parametrize("target", ["growth", "score"])
def test_the_naive_mean_is_the_least_squares_fit(screen, target):
    parts = split(screen.pairs, "rows", seed=0)
    result = naive_mean(screen, parts, target=target)
    y = screen.pairs["growth_fraction"]
    if target == "score":
        y = screen.pairs["expected_growth_fraction"] - y

    def dummies(rows):
        words = [screen.pairs[name].iloc[rows].astype(str) for name in ("drug_a", "drug_b")]
        names = sorted({*screen.pairs["drug_a"].astype(str), *screen.pairs["drug_b"].astype(str)})
        coder = OneHotEncoder(categories=[names], sparse_output=False)
        drugs = sum(coder.fit_transform(word.to_numpy()[:, None]) for word in words)
        line = screen.pairs["cell_line"].iloc[rows].astype(str).to_numpy()[:, None]
        lines = sorted(screen.pairs["cell_line"].astype(str).unique())
        return np.hstack(
            [drugs, OneHotEncoder(categories=[lines], sparse_output=False).fit_transform(line)]
        )

    reference = Ridge(alpha=1e-8).fit(dummies(parts.train), y.iloc[parts.train])
    np.testing.assert_array_equal(result.measured, y.iloc[parts.test])
    np.testing.assert_allclose(result.predicted, reference.predict(dummies(parts.test)), atol=1e-6)
    assert result.coverage == 1


def test_the_naive_mean_of_the_score_leaves_out_what_was_not_expected(screen):
    """Expected growth missing in one training row: as if the row were not there."""
    parts = split(screen.pairs, "rows", seed=0)
    gone, rest = parts.train[0], replace(parts, train=parts.train[1:])
    pairs = screen.pairs.copy()
    pairs.loc[pairs.index[gone], "expected_growth_fraction"] = np.nan
    less = naive_mean(replace(screen, pairs=pairs), parts, target="score")
    without = naive_mean(screen, rest, target="score")
    np.testing.assert_array_equal(less.predicted, without.predicted)
    pairs.loc[pairs.index[parts.test[0]], "expected_growth_fraction"] = np.nan  # nor a score there
    less = naive_mean(replace(screen, pairs=pairs), parts, target="score")
    assert np.isnan(less.measured).tolist() == [True] + [False] * (len(parts.test) - 1)
    assert less.r2 == r2_score(less.measured[1:], less.predicted[1:])
    with pytest.raises(InputError, match="target='growht'"):
        naive_mean(screen, parts, target="growht")


def test_what_was_never_seen_has_no_effect(screen):
    pairs = pairs_of(
        ("X", "L", 1, -6.0, 2, -6.0, 0.5, 0.2),
        ("X", "L", 1, -6.0, 2, -5.0, 0.5, 0.4),
        ("X", "N", 8, -6.0, 9, -6.0, 0.5, 0.0),
    )
    one, parts = by_hand(screen, screen.singles, pairs)
    parts = replace(parts, train=np.array([0, 1]), test=np.array([2]))
    assert naive_mean(one, parts).predicted == pytest.approx([0.3])
    with pytest.raises(InputError, match="no training row"):
        naive_mean(one, replace(parts, train=np.array([], int)))


# Growth under one drug alone


def test_records_without_noise_give_the_growth_back():
    rng = np.random.default_rng(0)
    truth = {drug: {dose: rng.uniform(-0.5, 1.0) for dose in (-6.0, -5.0)} for drug in range(1, 9)}
    rows = []
    for a in truth:
        for b in range(a + 1, 9):
            for _ in range(3):
                first, second = rng.choice([-6.0, -5.0], 2)
                expected = float(expected_growth(truth[a][first], truth[b][second]))
                rows.append(("X", "L", a, first, b, second, expected, 0.0))
    alone = singles_of(*(("X", "L", 1, dose, growth) for dose, growth in truth[1].items()))
    result = fit_single_growths(alone, pairs_of(*rows)).table
    asked = [truth[drug][dose] for drug, dose in result[["drug", "log10_dose_molar"]].to_numpy()]
    off = np.abs(result["growth_fraction"] - asked)
    # A growth below another's negative one leaves no trace in min(g1, g2).
    told = np.array(asked) > 0
    assert len(result) == 16 and off[told].median() < 0.03 and off[told].max() < 0.15


def test_it_is_nearer_to_the_truth_than_the_records(screen):
    """On the simulated screen, whose truth is known at every one-drug condition."""
    few = fit_single_growths(screen.singles)
    more = fit_single_growths(screen.singles, screen.pairs)
    truth = screen.singles.assign(
        lab=screen.singles["lab"].astype(str),
        cell_line=screen.singles["cell_line"].astype(str),
        log10_dose_molar=screen.singles["log10_dose_molar"].round(3),
    )
    keys = ["lab", "cell_line", "drug", "log10_dose_molar"]
    columns = [*keys, "true_growth_fraction", "replicates"]
    error = {}
    for name, growths in (("few", few), ("more", more)):
        both = growths.table.merge(truth[columns], on=keys)
        both = both[both["replicates"] == 1]
        error[name] = np.sqrt(((both.growth_fraction - both.true_growth_fraction) ** 2).mean())
    assert error["more"] < 0.9 * error["few"]


@pytest.mark.parametrize("by", ["rows", "pairs"])
def test_a_training_row_is_looked_up_as_if_it_were_not_there(screen, by):
    parts = split(screen.pairs, by, seed=0)
    train = screen.pairs.iloc[parts.train]
    growths = fit_single_growths(screen.singles, train)
    looked = growths.look_up(train, np.ones(len(train), bool), by=by)[0]
    off = []
    for row in range(0, len(train), 100):
        rest = fit_single_growths(screen.singles, train.drop(train.index[row]))
        off.append(np.abs(looked[row] - rest.look_up(train.iloc[[row]], by=by)[0][0]).max())
    assert np.median(off) < 0.01 and np.mean(off) < 0.03


def test_an_error_of_a_record_does_not_reach_its_own_inputs(screen):
    train = screen.pairs.iloc[:1000].copy()
    row = 500
    train.iloc[row, train.columns.get_loc("expected_growth_fraction")] -= 0.8
    growths = fit_single_growths(screen.singles, train)
    clean = fit_single_growths(screen.singles, screen.pairs.iloc[:1000])
    used = np.ones(len(train), bool)
    own = growths.look_up(train, used)[0][row]
    np.testing.assert_allclose(
        own, clean.look_up(screen.pairs.iloc[:1000], used)[0][row], atol=0.05
    )


def test_filling_in_by_hand():
    growths = fit_single_growths(
        singles_of(
            ("X", "L", 1, -7.0, 1.0),
            ("X", "L", 1, -5.0, 0.4),
            ("X", "M", 1, -7.0, 0.8),
            ("X", "M", 1, -5.0, 0.0),
        )
    )
    # Drug means over lines: 0.9 and 0.2. Line L lies 0.1 and 0.2 above: 0.3 / (2 + 1) = 0.1.
    rows = pairs_of(
        ("X", "L", 1, -6.0, 1, -9.0, 0.0, 0.0),  # between the doses, and below them
        ("Y", "Q", 1, -5.0, 2, -6.0, 0.0, 0.0),  # a new line: the drug's mean; a new drug
    )
    growth, known = growths.look_up(rows)
    np.testing.assert_allclose(growth, [[0.55 + 0.1, 0.9 + 0.1], [0.2, (1 + 0.4 + 0.8) / 4]])
    assert not known.any()


def test_bad_input_is_refused(screen):
    growths = fit_single_growths(screen.singles)
    with pytest.raises(InputError, match="one-drug records: no column lab"):
        fit_single_growths(screen.singles.drop(columns="lab"))
    with pytest.raises(InputError, match="pair records: no column expected"):
        fit_single_growths(screen.singles, screen.pairs.drop(columns="expected_growth_fraction"))
    with pytest.raises(InputError, match="nothing is known"):
        fit_single_growths(screen.singles.iloc[:0])
    with pytest.raises(InputError, match="used has shape"):
        growths.look_up(screen.pairs, np.ones(3, bool))
    with pytest.raises(InputError, match="by='labs'"):
        growths.look_up(screen.pairs, by="labs")
    with pytest.raises(InputError, match="no column drug_a"):
        growths.look_up(screen.pairs.drop(columns="drug_a"))


# What a network may see


@pytest.mark.parametrize("by", RULES)
def test_nothing_of_held_out_records_reaches_the_inputs(screen, by):
    """Other growths, expected growths, and one-drug records of what is new change no input."""
    parts = split(screen.pairs, by, seed=0)
    trained = np.zeros(len(screen.pairs), bool)
    trained[parts.train] = True
    held = ~trained
    pairs = screen.pairs.copy()
    pairs.loc[held, ["growth_fraction", "expected_growth_fraction"]] = 0.123
    kept = training_singles(screen, parts.train, by)
    singles = screen.singles.copy()
    singles.loc[~singles.index.isin(kept.index), "growth_fraction"] = -0.5
    changed = replace(screen, pairs=pairs, singles=singles)
    before, after = (
        fit_design(one, parts.train, alone_by=by).matrix(one.pairs, trained)
        for one in (screen, changed)
    )
    np.testing.assert_array_equal(before, after)
    assert (len(kept) < len(singles)) == (by in ("drugs", "cell_lines"))


@pytest.mark.parametrize("by", RULES)
def test_training_rows_look_like_test_rows(screen, by):
    """As often known, and with errors as large: what the network learns is what it meets."""
    parts = split(screen.pairs, by, seed=0)
    design = fit_design(screen, parts.train, alone_by=by)
    train, test = screen.pairs.iloc[parts.train], screen.pairs.iloc[parts.test]
    of_train, known_train = design.alone.look_up(train, np.ones(len(train), bool), by=by)
    of_test, known_test = design.alone.look_up(test, by=by)
    assert known_train.mean() == pytest.approx(known_test.mean(), abs=0.15)
    if by in ("rows", "pairs"):
        errors = [
            (expected_growth(*of.T) - rows["true_growth_fraction"].to_numpy()).std()
            for of, rows in ((of_train, train), (of_test, test))
        ]
        assert errors[0] == pytest.approx(errors[1], rel=0.3)


def test_exchanging_the_drugs_exchanges_the_inputs(screen):
    design = fit_design(screen, np.arange(1000), alone_by="rows")
    rows = screen.pairs.iloc[1000:1040]
    names = [("drug_a", "drug_b"), ("log10_dose_a_molar", "log10_dose_b_molar")]
    exchanged = rows.assign(**{a: rows[b] for a, b in names}, **{b: rows[a] for a, b in names})
    inputs = design.matrix(rows)
    np.testing.assert_array_equal(design.matrix(exchanged), inputs[:, design.swap])
    assert inputs.shape[1] == len(design.names) == len(set(design.names))
    plain = fit_design(screen, np.arange(1000)).matrix(rows)
    np.testing.assert_allclose(REST_SCALE * plain, inputs[:, : plain.shape[1]], rtol=1e-6)


def test_the_example_predicts_growth_or_the_score(screen, tmp_path):
    parts = split(screen.pairs, "rows", seed=0)
    gap = screen.pairs.copy()
    gap.loc[[parts.train[0], parts.test[0]], "expected_growth_fraction"] = np.nan
    some = replace(screen, pairs=gap)
    size = {"work": tmp_path, "seed": 0, "hidden": (16,), "epochs": 2}
    growth = trained_example(some, parts, **size)
    score = trained_example(some, parts, target="score", **size)
    np.testing.assert_array_equal(growth.y, gap["growth_fraction"])
    known = gap["expected_growth_fraction"].notna()
    np.testing.assert_allclose(score.y, gap["expected_growth_fraction"] - gap["growth_fraction"])
    assert len(score.parts.train) == len(parts.train) - 1
    assert known.iloc[score.parts.test].all() and len(score.parts.test) == len(parts.test) - 1
    assert len(list(tmp_path.glob("*.keras"))) == 2
    with pytest.raises(InputError, match="target="):
        trained_example(some, parts, target="both", **size)


def test_boosted_trees_learn_the_score_as_they_learn_growth(screen):
    """Where one half is expected of every pair, a predicted score is one half less the growth."""
    parts = split(screen.pairs, "pairs", seed=0)
    alike = replace(screen, pairs=screen.pairs.assign(expected_growth_fraction=0.5))
    ask = {"trees": 20, "alone": False}
    growth, score = (boosting_baseline(alike, parts, target=t, **ask) for t in ("growth", "score"))
    np.testing.assert_allclose(score.predicted, 0.5 - growth.predicted, atol=1e-3)
    np.testing.assert_allclose(score.measured, 0.5 - growth.measured)
    gap = alike.pairs.copy()
    gap.loc[parts.train[:50], "expected_growth_fraction"] = np.nan
    fewer = boosting_baseline(replace(screen, pairs=gap), parts, target="score", **ask)
    assert np.isfinite(fewer.predicted).all() and (fewer.predicted != score.predicted).any()
    with pytest.raises(InputError, match="target="):
        boosting_baseline(screen, parts, target="both", **ask)


def test_null_models_of_real_records():
    folder = os.environ.get("SPIKEDROP_DATA")
    if not folder:
        pytest.skip("real records are read only from the folder SPIKEDROP_DATA names")
    screen = open_screen(Path(folder))
    for by in ("rows", "pairs"):
        parts = split(screen.pairs, by, seed=0, validation=0.06)
        recorded, single = recorded_null(screen, parts), single_drug_null(screen, parts)
        assert recorded.coverage > 0.99 and recorded.r2 > 0.9
        assert single.coverage == pytest.approx(0.55, abs=0.02) and 0.65 < single.r2 < 0.8
        trained = training_null(screen, parts)
        assert trained.coverage > 0.9 and trained.r2 > 0.82
        assert naive_mean(screen, parts).r2 < 0.3
