"""Growth under one drug alone: what the records that may be used say of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import pandas as pd

from spikedrop.checks.arguments import of_type, one_of
from spikedrop.data.screen import Screen
from spikedrop.data.simulate import expected_growth
from spikedrop.data.splits import By
from spikedrop.errors import InputError

__all__ = ["SingleGrowths", "fit_single_growths", "training_singles"]

SIDES = ("a", "b")
KEYS = ["lab", "cell_line", "drug", "log10_dose_molar"]
"""A condition of one drug: who measured it, in which line, which drug, at which dose."""

GRID = np.linspace(-1.0, 1.25, 91, dtype=np.float32)  # growth fractions that are tried
KINK = 0.15  # a reading that is further off than this counts by its distance, not its square
MOST_READINGS = 5  # weight of a mean of readings: more than this many say no more
PRIOR = 0.5  # weight of the drug's mean at this dose over all lines, in readings
ROUNDS = 15
BLOCK = 100_000  # records whose losses are held at one time


def training_singles(screen: Screen, train_rows: np.ndarray, by: By) -> pd.DataFrame:
    """Return the one-drug records that a model may see under a split.

    The drugs or cell lines that a split holds out are new: nobody has measured them, with one
    drug or with two. Under `rows` and `pairs` only the combination is new.

    Parameters
    ----------
    screen : Screen
        Records.
    train_rows : numpy.ndarray
        Positions of the training rows in `screen.pairs`.
    by : {"rows", "pairs", "drugs", "cell_lines"}
        What the split holds out, as in `Split.by`.

    Returns
    -------
    pandas.DataFrame
        Rows of `screen.singles`, with their columns.

    Raises
    ------
    InputError
        If `by` is not one of these.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> new = split(screen.pairs, "drugs", seed=0)
    >>> bool(len(training_singles(screen, new.train, "drugs")) < len(screen.singles))
    True
    """
    one_of("by", by, get_args(By))
    singles, train = screen.singles, screen.pairs.iloc[train_rows]
    if by == "drugs":
        return singles[singles["drug"].isin(np.unique(train[["drug_a", "drug_b"]]))]
    if by == "cell_lines":
        return singles[singles["cell_line"].isin(train["cell_line"].unique())]
    return singles


@dataclass(frozen=True, eq=False)
class SingleGrowths:
    """Growth under each drug alone, one row per condition.

    Attributes
    ----------
    table : pandas.DataFrame
        Columns `lab`, `cell_line`, `drug`, `log10_dose_molar` (rounded to three decimals),
        `growth_fraction`, and `readings`, how many records say something of it: one-drug records,
        and pair records with the drug at that dose.
    loss : numpy.ndarray
        Shape (condition, grid), float32: how badly each growth of the grid fits all of them; see
        `fit_single_growths`.
    partner : numpy.ndarray
        Shape (condition,): the growth that stood for the condition where it was the partner in a
        pair record, when `loss` was computed.
    """

    table: pd.DataFrame
    loss: np.ndarray
    partner: np.ndarray

    def look_up(
        self, rows: pd.DataFrame, used: np.ndarray | None = None, *, by: By = "rows"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Growth under drug A alone and under drug B alone, for pair records.

        A condition without any record is filled in: on straight lines between the means of
        the drug at each dose, over all laboratories and cell lines (constant beyond the doses),
        shifted by how far the drug's other doses lie off them in this laboratory and line, the sum
        over n doses divided by n + 1. A drug without any record gets the mean over drugs.

        Parameters
        ----------
        rows : pandas.DataFrame
            Pair records, columns as in `Screen.pairs`.
        used : numpy.ndarray, optional
            Shape (row,), true where the record itself is one of those that were fitted: a training
            row must look like a test row. Its own expected growth is left out of what is said of
            its two drugs; where cell lines are held out, all that is known of its line; where drugs
            are, all that is known of one of its two drugs, in turn. None for records that were not
            fitted.
        by : {"rows", "pairs", "drugs", "cell_lines"}, default "rows"
            What the split holds out.

        Returns
        -------
        growth : numpy.ndarray
            Growth fraction, axes (row, 2), without NaN.
        known : numpy.ndarray
            Whether any record holds that very condition, axes (row, 2), boolean.

        Raises
        ------
        InputError
            If a column is missing, `used` has another length, or `by` is unknown.
        """
        one_of("by", by, get_args(By))
        used = np.zeros(len(rows), bool) if used is None else np.asarray(used, bool)
        if used.shape != (len(rows),):
            raise InputError(f"used has shape {used.shape}; expected one truth for each record.")
        keys = [condition_keys(rows, side) for side in SIDES]
        at = [self._index.get_indexer(pd.MultiIndex.from_frame(k)) for k in keys]
        at = np.stack(at, axis=1)
        growth = self.table["growth_fraction"].to_numpy()[at]
        readings = np.where(at >= 0, self.table["readings"].to_numpy()[at], 0)
        if used.any() and "expected_growth_fraction" in rows:
            expected = rows["expected_growth_fraction"].to_numpy(float)
            own = np.flatnonzero(used & np.isfinite(expected) & (at >= 0).all(axis=1))
            for start in range(0, len(own), BLOCK):
                i = own[start : start + BLOCK]
                for side in (0, 1):
                    misfit = _misfit(expected[i], self.partner[at[i, 1 - side]])
                    growth[i, side] = GRID[(self.loss[at[i, side]] - misfit).argmin(axis=1)]
            readings[own] -= 1
        known = readings > 0
        if by == "cell_lines":
            known[used] = False
        for side in (0, 1):
            unknown = ~known[:, side]
            growth[unknown, side] = self._filled(
                keys[side][unknown], used[unknown] & (by == "cell_lines")
            )
        if by == "drugs":
            turn = np.flatnonzero(used)
            side = np.arange(len(turn)) % 2
            growth[turn, side] = self.table["growth_fraction"].mean()
            known[turn, side] = False
        return growth, known

    @cached_property
    def _index(self) -> pd.MultiIndex:
        return pd.MultiIndex.from_frame(self.table[KEYS])

    @cached_property
    def _rows_of(self) -> tuple[dict, dict]:
        """Rows of the table by drug, and by laboratory, line and drug."""
        return tuple(self.table.groupby(names).indices for names in ("drug", KEYS[:-1]))

    def _filled(self, keys: pd.DataFrame, new_line: np.ndarray) -> np.ndarray:
        """Growth at conditions that no other record tells of, axis (row,), from those near them."""
        growth, dose = (self.table[name].to_numpy() for name in ("growth_fraction", KEYS[-1]))
        line_of = self.table["cell_line"].to_numpy()
        drugs, places = self._rows_of
        mean, nothing = growth.mean(), np.array([], int)

        def near(lab: str, line: str, drug: int, at: float, new: bool) -> float:
            one, here = drugs.get(drug, nothing), places.get((lab, line, drug), nothing)
            if new:
                one, here = one[line_of[one] != line], nothing
            # What stands at this very condition is the record's own, if anything.
            itself = here[dose[here] == at]
            one, here = np.setdiff1d(one, itself), np.setdiff1d(here, itself)
            if not len(one):
                return mean
            doses, number = np.unique(dose[one], return_inverse=True)
            curve = np.bincount(number, growth[one]) / np.bincount(number)
            shift = growth[here] - np.interp(dose[here], doses, curve)
            return np.interp(at, doses, curve) + shift.sum() / (len(here) + 1)

        keys = keys.assign(new=new_line)
        number = keys.groupby([*keys], sort=False).ngroup().to_numpy()
        first = keys.iloc[np.unique(number, return_index=True)[1]]
        return np.array([near(*key) for key in first.itertuples(index=False)])[number]


def condition_keys(rows: pd.DataFrame, side: str) -> pd.DataFrame:
    """Return lab, cell line, drug and dose, columns `KEYS`.

    Of pair records for side `a` or `b`, and of one-drug records for the empty text. Doses are
    rounded to three decimals, so that one dose written in two ways is one dose.

    Raises
    ------
    InputError
        If a column is missing.
    """
    end = f"_{side}" if side else ""
    columns = ["lab", "cell_line", f"drug{end}", f"log10_dose{end}_molar"]
    for column in columns:
        if column not in rows:
            raise InputError(f"{'pair' if side else 'one-drug'} records: no column {column}.")
    keys = rows[columns].set_axis(KEYS, axis=1).reset_index(drop=True)
    lab, line = (keys[name].astype(str) for name in KEYS[:2])
    dose = keys["log10_dose_molar"].round(3) + 0.0
    return keys.assign(lab=lab, cell_line=line, log10_dose_molar=dose)


def fit_single_growths(singles: pd.DataFrame, pairs: pd.DataFrame | None = None) -> SingleGrowths:
    r"""Gather the growth under each drug alone from one-drug records and from pair records.

    A pair record carries the growth that was expected of its two drugs, which the laboratory
    computed from their single wells. So it informs about both drugs alone. For the condition c of
    one drug, with its one-drug readings :math:`g_r` (weight :math:`n_r`, at most 5) and the pair
    records i in which its partner's growth is :math:`\hat g_{p(i)}` and the expected growth
    :math:`e_i`,

    .. math:: \hat g_c = \arg\min_g \sum_r n_r\,\rho(g - g_r)
              + \sum_i \rho\bigl(e(g, \hat g_{p(i)}) - e_i\bigr)
              + \lambda\,\rho(g - \bar g_c)

    with Huber's :math:`\rho` (quadratic up to 0.15, then linear), the rule of `expected_growth`
    for :math:`e(g_1, g_2)`, and a weak pull (:math:`\lambda = 0.5` readings) towards the mean
    :math:`\bar g_c` of the drug at this dose over all lines. The sum is evaluated on a grid of
    growths 0.025 apart, and all conditions are updated together, half a step at a time.

    Parameters
    ----------
    singles : pandas.DataFrame
        One-drug records, columns of `Screen.singles`; see `training_singles`.
    pairs : pandas.DataFrame, optional
        Pair records that may be used, columns of `Screen.pairs`: training rows and no others. By
        default only the one-drug records are used.

    Returns
    -------
    SingleGrowths
        One row per condition that occurs in the records.

    Raises
    ------
    InputError
        If there is no record at all, or a table lacks a column.

    References
    ----------
    Huber (1964), doi 10.1214/aoms/1177703732, for the loss; Bliss (1939),
    doi 10.1111/j.1744-7348.1939.tb06990.x, for independent action.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> few, more = fit_single_growths(screen.singles), fit_single_growths(
    ...     screen.singles, screen.pairs)
    >>> len(few.table) < len(more.table)
    True
    """
    of_type("singles", singles, pd.DataFrame, "`Screen.singles`")
    for column in ("growth_fraction", "replicates"):
        if column not in singles:
            raise InputError(f"one-drug records: no column {column}.")
    if pairs is not None:
        if "expected_growth_fraction" not in pairs:
            raise InputError("pair records: no column expected_growth_fraction.")
        pairs = pairs[pairs["expected_growth_fraction"].notna()]
    alone = condition_keys(singles, "")
    sides = [condition_keys(pairs, side) for side in SIDES] if pairs is not None else []
    conditions = pd.concat([alone, *sides], ignore_index=True)
    if conditions.empty:
        raise InputError("no one-drug record and no pair record: nothing is known of any drug.")
    groups = conditions.groupby(KEYS, sort=True, observed=True)
    number = groups.ngroup().to_numpy()
    table = groups.size().rename("readings").reset_index()
    weight = np.minimum(singles["replicates"].to_numpy(float), MOST_READINGS)
    growth = singles["growth_fraction"].to_numpy(float)
    own = number[: len(alone)]
    loss = np.zeros((len(table), len(GRID)), np.float32)
    np.add.at(loss, own, weight[:, None].astype(np.float32) * _huber(GRID - growth[:, None]))
    drug = table.groupby(["drug", "log10_dose_molar"]).ngroup().to_numpy()
    total = np.bincount(own, weight, len(table))
    with np.errstate(invalid="ignore"):
        start = np.bincount(own, weight * growth, len(table)) / np.where(total > 0, total, np.nan)
    start = pd.Series(start)
    value = start.fillna(start.groupby(drug).transform("mean")).fillna(start.mean()).fillna(1.0)
    if pairs is None:
        return SingleGrowths(table.assign(growth_fraction=value), loss, value.to_numpy())
    pair = number[len(alone) :].reshape(2, -1)
    expected = pairs["expected_growth_fraction"].to_numpy(float)
    best = np.clip(value.to_numpy(), GRID[0], GRID[-1])
    for step in (*[0.5] * (ROUNDS - 1), 0.0):
        pull = pd.Series(best).groupby(drug).transform("mean").to_numpy()
        fit = loss + PRIOR * _huber(GRID - pull[:, None])
        for side in (0, 1):
            for cut in range(0, len(expected), BLOCK):
                block = slice(cut, cut + BLOCK)
                _add_rows(fit, pair[side, block], expected[block], best[pair[1 - side, block]])
        best = best + step * (GRID[fit.argmin(axis=1)] - best)
    # What a record said is taken back in `look_up`, against the same partners.
    growth = GRID[fit.argmin(axis=1)].astype(float)
    return SingleGrowths(table.assign(growth_fraction=growth), fit, best)


def _huber(error: np.ndarray) -> np.ndarray:
    size = np.abs(error).astype(np.float32)
    return np.where(size < KINK, size * size / 2, KINK * (size - KINK / 2))


def _misfit(expected: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Loss of each growth of the grid, shape (record, grid), given the partner's growth."""
    partner = partner[:, None].astype(np.float32)
    return _huber(expected_growth(GRID, partner) - expected[:, None].astype(np.float32))


def _add_rows(
    fit: np.ndarray, condition: np.ndarray, expected: np.ndarray, partner: np.ndarray
) -> None:
    """Add to each condition the losses of its records."""
    order = np.argsort(condition, kind="stable")
    places, first = np.unique(condition[order], return_index=True)
    if len(places):
        fit[places] += np.add.reduceat(_misfit(expected[order], partner[order]), first, axis=0)
