"""Draws and fitted noise against the truth of a simulated screen."""

from dataclasses import replace

import numpy as np
import pytest

from spikedrop.data import simulate_screen
from spikedrop.study.screen_tables import truth_table

SCREEN = simulate_screen(n_drugs=30, n_cell_lines=6, n_records=6000, seed=0)
ROWS = np.random.default_rng(0).permutation(6000)[:5000]
TRUE = SCREEN.pairs["true_growth_fraction"].to_numpy()[ROWS]


def test_the_variances_of_assay_and_own_error_add():
    """Own errors of sd 0.08, 5,000 records, an assay of about 0.1.

    The mean of twice the product of both has an sd of 2 x 0.008 / sqrt(5000) = 0.00023, the mean of
    the squared noise one of 0.0003 (its kurtosis is near 6): together 0.0004 of a sum of 0.017.
    Five of them are 0.002, a false-alarm rate below 1e-6.
    """
    own = 0.08 * np.random.default_rng(1).normal(size=5000)
    draws = TRUE + own + 0.05 * np.array([[-1], [0], [1]])
    table = truth_table(SCREEN, ROWS, {"a": (draws, 0.13), "b": (draws, 0.2)})
    column = table["a"]
    assert column["fitted noise"] == 0.13
    assert column["sd of draws"] == pytest.approx(0.05)
    assert column["own error"] == pytest.approx(np.sqrt(np.mean(own**2)))
    noise = SCREEN.pairs["noise_sd_fraction"].to_numpy()[ROWS]
    assert column["assay noise"] == pytest.approx(np.sqrt(np.mean(noise**2)))
    assert column["assay noise and own error"] ** 2 == pytest.approx(column["error"] ** 2, abs=2e-3)
    inside = np.abs(own) <= 1.6448536 * 0.05
    assert column["truth inside the draws' 90 % interval"] == pytest.approx(inside.mean())
    assert (table["b"].iloc[1:] == column.iloc[1:]).all()


def test_a_screen_without_truth_has_none():
    pairs = SCREEN.pairs.drop(columns=["true_growth_fraction", "noise_sd_fraction"])
    draws = TRUE + np.array([[-0.1], [0.1]])
    table = truth_table(replace(SCREEN, pairs=pairs), ROWS, {"a": (draws, 0.1)})
    whole = truth_table(SCREEN, ROWS, {"a": (draws, 0.1)})
    assert list(table.index) == list(whole.index)
    assert table["a"].notna().tolist() == [True] * 3 + [False] * 4
    assert (table["a"].iloc[:3] == whole["a"].iloc[:3]).all()
