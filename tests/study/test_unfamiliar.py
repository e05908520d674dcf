"""The spread on rows with drugs or cell lines that the network has never seen."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from spikedrop.data import Split, simulate_screen
from spikedrop.errors import InputError
from spikedrop.study.unfamiliar import (
    hold_back,
    unfamiliar_row,
    unfamiliar_samples,
    unfamiliarity_auc,
)


def test_area_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(30, 40)) * rng.uniform(0.5, 1.5, 40)
    new = rng.normal(size=(30, 25)) * rng.uniform(0.7, 2.0, 25)
    u = mannwhitneyu(new.std(axis=0), known.std(axis=0)).statistic / (40 * 25)
    assert unfamiliarity_auc(known, new) == pytest.approx(u)
    assert unfamiliarity_auc(new, known) == pytest.approx(1 - u)


def test_area_limits():
    known = np.array([[0.0, 0.0], [1.0, 1.1]])
    assert unfamiliarity_auc(known, 10 * known) == 1
    assert unfamiliarity_auc(known, known) == 0.5
    with pytest.raises(InputError, match="any spread"):
        unfamiliarity_auc(0 * known, np.zeros((2, 3)))
    with pytest.raises(InputError, match="familiar: 1 draws, and at least 2"):
        unfamiliarity_auc(known[:1], known)
    # No spread at all is the lowest rank, not an error.
    assert unfamiliarity_auc(np.full((2, 3), 0.1), known) == 1


def test_held_back_rows_are_training_rows_and_no_others():
    parts = Split(np.arange(100), np.arange(100, 120), np.arange(120, 150), "drugs")
    rest, familiar = hold_back(parts, 0.1, seed=3)
    assert len(familiar) == 10
    assert sorted([*rest.train, *familiar]) == list(range(100))
    assert rest.test is parts.test
    with pytest.raises(InputError, match="share=1"):
        hold_back(parts, 1, seed=0)
    with pytest.raises(InputError, match="too few"):
        hold_back(Split(np.arange(1), *2 * [np.arange(0)], "drugs"), 0.5, seed=0)


def test_familiar_rows_hold_known_drugs_and_unfamiliar_rows_a_new_one(tmp_path):
    screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=500, seed=0)
    example, samples = unfamiliar_samples(
        screen,
        "drugs",
        work=tmp_path,
        seed=0,
        hidden=[32],
        epochs=3,
        observations=20,
        draws=6,
        steps=25,
    )
    trained = screen.pairs.iloc[example.parts.train]
    known = set(trained["drug_a"]) | set(trained["drug_b"])
    for name, expected in (("familiar", True), ("unfamiliar", False)):
        rows, ann, snn = samples[name]
        both = screen.pairs.iloc[rows][["drug_a", "drug_b"]].isin(known).all(axis=1)
        assert (both == expected).all()
        assert not set(rows) & set(example.parts.train)
        assert ann.shape == snn.shape == (6, len(rows), 1)
    row = unfamiliar_row(example, samples)
    assert row["AUROC, ANN"] == unfamiliarity_auc(samples["familiar"][1], samples["unfamiliar"][1])
    assert set(row) == {"AUROC, ANN", "AUROC, SNN", "sd ratio, ANN", "sd ratio, SNN", "RMSE ratio"}
