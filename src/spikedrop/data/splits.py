"""Split pair records so that each way asks a different question of a model."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from spikedrop.checks.arguments import of_type, one_of, real_number, seed_of
from spikedrop.errors import InputError

__all__ = ["Split", "split"]

By = Literal["rows", "pairs", "drugs", "cell_lines"]


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of rows, each array sorted; together they cover every row once.

    Attributes
    ----------
    train, validation, test : numpy.ndarray
        Integer positions in the table that was split, shape (row,).
    by : {"rows", "pairs", "drugs", "cell_lines"}
        What was kept apart.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    by: By


def split(
    pairs: pd.DataFrame,
    by: By = "rows",
    *,
    seed: int,
    test: float = 0.2,
    validation: float = 0.1,
) -> Split:
    """Split pair records into training, validation and test rows.

    ``rows`` holds out conditions at random: the same pair at other doses, or in another line, may
    be in training. ``pairs`` holds out drug pairs in all lines and doses. ``drugs`` holds out
    drugs: a test row has at least one of them, and a training row has none. ``cell_lines`` holds
    out cell lines. The validation rows are held out of the training part by the same rule.

    (A, B) and (B, A) are one pair. A condition that two laboratories measured stays on one side.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Table with the columns of `Screen.pairs`.
    by : {"rows", "pairs", "drugs", "cell_lines"}, default "rows"
        What is held out.
    seed : int
        Of the choice; the same seed gives the same split.
    test : float, default 0.2
        Fraction of the units (conditions, pairs, drugs or cell lines) held out for testing, at
        least one unit; 0 for none. Holding out a fraction f of the drugs puts about 1 - (1 - f)^2
        of the rows into the test part.
    validation : float, default 0.1
        Fraction of the other units held out for validation, at least one unit; 0 for none.

    Returns
    -------
    Split
        It covers every row.

    Raises
    ------
    InputError
        If the rule is unknown, a fraction is outside [0, 1), or there are too few units to hold any
        out.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> pairs = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0).pairs
    >>> parts = split(pairs, "rows", seed=0)
    >>> [len(parts.train), len(parts.validation), len(parts.test)]
    [216, 24, 60]
    """
    for name, fraction in (("test", test), ("validation", validation)):
        real_number(name, fraction, least=0, below=1)
    one_of("by", by, get_args(By))
    seed = seed_of(seed)
    of_type("pairs", pairs, pd.DataFrame, "`simulate_screen` or `open_screen`")
    codes = _units(pairs, by)  # shape (row, units of the row)
    count = int(codes.max()) + 1 if len(codes) else 0
    order = np.random.default_rng(seed).permutation(count)
    n_test = max(1, round(test * count)) if test else 0
    n_validation = max(1, round(validation * (count - n_test))) if validation else 0
    if n_test + n_validation >= count:
        raise InputError(
            f"{count} {by} cannot give {n_test} to testing and {n_validation} to validation and "
            "leave some for training. Use more records or smaller fractions."
        )
    part = np.zeros(count, dtype=int)
    part[order[:n_test]] = 2
    part[order[n_test : n_test + n_validation]] = 1
    # A row belongs to the strictest part any of its units is in.
    side = part[codes].max(axis=1)
    train, valid, tested = (np.flatnonzero(side == number) for number in range(3))
    if not len(train):
        raise InputError(f"no training row is left: every row has a held-out {by[:-1]}.")
    return Split(train, valid, tested, by)


def _units(pairs: pd.DataFrame, by: str) -> np.ndarray:
    """Number the units of each row from 0, in an order that no row order can change."""
    if by == "drugs":
        both = pairs[["drug_a", "drug_b"]].to_numpy()
        return np.unique(both, return_inverse=True)[1].reshape(both.shape)
    drugs = np.sort(pairs[["drug_a", "drug_b"]].to_numpy(), axis=1)
    if by == "pairs":
        return _number(drugs)
    lines = np.unique(pairs["cell_line"].astype(str), return_inverse=True)[1]
    if by == "cell_lines":
        return lines.reshape(-1, 1)
    swapped = (pairs["drug_a"] > pairs["drug_b"]).to_numpy()[:, None]
    doses = pairs[["log10_dose_a_molar", "log10_dose_b_molar"]].to_numpy()
    doses = np.where(swapped, doses[:, ::-1], doses)
    return _number(np.column_stack([lines, drugs, doses]))


def _number(table: np.ndarray) -> np.ndarray:
    """Number the distinct rows in sorted order; shape (row, 1)."""
    frame = pd.DataFrame(table)
    return frame.groupby([*frame], sort=True).ngroup().to_numpy().reshape(-1, 1)
