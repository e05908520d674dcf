"""Measures of doubt, and how well they tell strange from familiar."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from spikedrop.errors import InputError
from spikedrop.scores import (
    detection_auc,
    detection_table,
    mutual_information,
    predictive_entropy,
    uncertainties,
)


def test_area_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    known, new = rng.integers(0, 9, 40), rng.integers(3, 12, 25)  # with ties
    u = mannwhitneyu(new, known).statistic / (40 * 25)
    assert detection_auc(known, new) == pytest.approx(u)
    assert detection_auc(new, known) == pytest.approx(1 - u)


def test_a_growing_function_of_doubt_tells_as_well():
    rng = np.random.default_rng(1)
    known, new = rng.uniform(size=30), rng.uniform(size=20)
    assert detection_auc(known, new) == detection_auc(np.exp(known), np.exp(new))


def test_columns_are_the_measures():
    p = np.random.default_rng(2).dirichlet([1.0, 1.0, 1.0], size=(5, 7))
    found = uncertainties({"ANN": p, "no draws": p[:1]})
    assert found["entropy, ANN"].to_numpy() == pytest.approx(predictive_entropy(p))
    assert found["mutual information, ANN"].to_numpy() == pytest.approx(mutual_information(p))
    assert found["1 - largest probability, ANN"].to_numpy() == pytest.approx(1 - p.mean(0).max(-1))
    alone = found["1 - largest probability, no draws"].to_numpy()
    assert alone == pytest.approx(1 - p[0].max(axis=-1))
    assert found.shape == (7, 4)


def test_two_classes_are_ranked_alike_by_entropy_and_largest_probability():
    """Both are functions of the one probability, growing towards one half."""
    rng = np.random.default_rng(3)
    known, new = (uncertainties({"": rng.dirichlet([a, 1.0], size=(4, 50))}) for a in (0.3, 1.0))
    row = detection_table(known, {"new": new}).loc["new"]
    assert row["entropy, "] == row["1 - largest probability, "]


def test_input_that_cannot_be_used_is_refused():
    p = np.full((2, 3, 2), 0.5)
    with pytest.raises(InputError, match=r"a has .* observations and b .*they must agree"):
        uncertainties({"a": p, "b": p[:, :2]})
    with pytest.raises(InputError, match="'noise' has the columns"):
        detection_table(pd.DataFrame({"x": [0.0]}), {"noise": pd.DataFrame({"y": [0.0]})})
    for bad in (np.array([]), np.array([np.nan]), np.zeros((2, 2))):
        with pytest.raises(InputError, match="strange"):
            detection_auc(np.zeros(2), bad)
