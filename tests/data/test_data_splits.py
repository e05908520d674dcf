"""Splits: nothing leaks, everything is covered, the same seed gives the same split."""

import numpy as np
import pandas as pd
import pytest

from spikedrop.data import simulate_screen, split
from spikedrop.errors import InputError

RULES = ["rows", "pairs", "drugs", "cell_lines"]


@pytest.fixture(scope="module")
def pairs() -> pd.DataFrame:
    return simulate_screen(n_drugs=20, n_cell_lines=8, n_records=2_000, seed=3).pairs


def units(pairs: pd.DataFrame, rows: np.ndarray, by: str) -> set:
    rows = pairs.iloc[rows]
    if by == "drugs":
        return set(rows["drug_a"]) | set(rows["drug_b"])
    columns = {
        "rows": ["cell_line", "drug_a", "drug_b", "log10_dose_a_molar", "log10_dose_b_molar"],
        "pairs": ["drug_a", "drug_b"],
        "cell_lines": ["cell_line"],
    }[by]
    return set(rows[columns].itertuples(index=False, name=None))


@pytest.mark.parametrize("by", RULES)
@pytest.mark.parametrize("seed", range(5))
def test_parts_cover_every_row_once(pairs, by, seed):
    parts = split(pairs, by, seed=seed)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    np.testing.assert_array_equal(np.sort(together), np.arange(len(pairs)))
    assert min(len(parts.train), len(parts.validation), len(parts.test)) > 0
    for rows in (parts.train, parts.validation, parts.test):
        assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize("by", ["rows", "pairs", "cell_lines"])
@pytest.mark.parametrize("seed", range(5))
def test_no_unit_stands_on_two_sides(pairs, by, seed):
    parts = split(pairs, by, seed=seed)
    train, valid, test = (
        units(pairs, rows, by) for rows in (parts.train, parts.validation, parts.test)
    )
    assert not train & test
    assert not train & valid
    assert not valid & test


@pytest.mark.parametrize("seed", range(5))
def test_held_out_drugs_never_stand_in_training(pairs, seed):
    parts = split(pairs, "drugs", seed=seed)
    train = units(pairs, parts.train, "drugs")
    for rows in (parts.validation, parts.test):
        held = pairs.iloc[rows]
        unseen = ~held["drug_a"].isin(train) | ~held["drug_b"].isin(train)
        assert unseen.all()
    # Drugs held out for testing are not seen while validating either.
    before = train | units(pairs, parts.validation, "drugs")
    test = pairs.iloc[parts.test]
    assert (~test["drug_a"].isin(before) | ~test["drug_b"].isin(before)).all()


@pytest.mark.parametrize("by", ["rows", "pairs"])
def test_the_order_of_the_two_drugs_does_not_matter(pairs, by):
    """(A, B) and (B, A), and a condition two laboratories measured, stay on one side."""
    swapped = pairs.rename(
        columns={
            "drug_a": "drug_b",
            "drug_b": "drug_a",
            "log10_dose_a_molar": "log10_dose_b_molar",
            "log10_dose_b_molar": "log10_dose_a_molar",
        }
    )
    both = pd.concat([pairs, swapped], ignore_index=True)
    parts = split(both, by, seed=0)
    side = np.empty(len(both), dtype=int)
    for number, rows in enumerate((parts.train, parts.validation, parts.test)):
        side[rows] = number
    np.testing.assert_array_equal(side[: len(pairs)], side[len(pairs) :])


@pytest.mark.parametrize("by", RULES)
def test_seeds(pairs, by):
    one, same, other = (split(pairs, by, seed=seed) for seed in (0, 0, 1))
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.test, other.test)


@pytest.mark.parametrize("by", RULES)
def test_the_order_of_the_rows_does_not_matter(pairs, by):
    order = np.random.default_rng(0).permutation(len(pairs))
    straight = split(pairs, by, seed=0)
    shuffled = split(pairs.iloc[order], by, seed=0)
    np.testing.assert_array_equal(np.sort(order[shuffled.test]), straight.test)


@pytest.mark.parametrize("by", ["rows", "pairs", "cell_lines"])
def test_fractions_are_of_the_units(pairs, by):
    parts = split(pairs, by, seed=0, test=0.25, validation=0.2)
    counts = [len(units(pairs, rows, by)) for rows in (parts.train, parts.validation, parts.test)]
    total = sum(counts)
    assert counts[2] == round(0.25 * total)
    assert counts[1] == round(0.2 * (total - counts[2]))


def test_parts_can_be_left_out(pairs):
    parts = split(pairs, "pairs", seed=0, validation=0.0)
    assert len(parts.validation) == 0
    parts = split(pairs, "pairs", seed=0, test=0.0)
    assert len(parts.test) == 0


def test_bad_arguments(pairs):
    with pytest.raises(InputError, match="by='colour'; use"):
        split(pairs, "colour", seed=0)
    with pytest.raises(InputError, match=r"test=.*at least 0 and below 1"):
        split(pairs, "rows", seed=0, test=1.0)
    with pytest.raises(InputError, match=r"validation=.*at least 0 and below 1"):
        split(pairs, "rows", seed=0, validation=-0.1)
    few = pairs[pairs["cell_line"].isin(["LINE-01", "LINE-02"])]
    with pytest.raises(InputError, match="2 cell_lines cannot give"):
        split(few, "cell_lines", seed=0)
    with pytest.raises(InputError, match="0 rows cannot"):
        split(pairs.head(0), "rows", seed=0)
