"""The design matrix: numbers a model sees, with every statistic taken from training rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from spikedrop.checks.arguments import whole_number
from spikedrop.data.screen import Screen
from spikedrop.data.simulate import expected_growth
from spikedrop.data.single_growth import SingleGrowths, fit_single_growths, training_singles
from spikedrop.data.splits import By
from spikedrop.errors import InputError

__all__ = ["Design", "fit_design"]

CLIP = 5.0
"""Scaled features are clipped to [-CLIP, CLIP] standard deviations."""

REST_SCALE = 0.1
"""With `alone`, all other inputs are multiplied by this. Five inputs say most of what can be said,
and hundreds of descriptors, from which a network can read off which pair it sees, should not drown
them. Chosen among ten settings, on unseen pairs of real records (split of seed 0, 3 x 256 units,
20 epochs) and on random rows of the simulated screen; trees do not notice."""


@dataclass(frozen=True, eq=False)
class Design:
    """A fitted map from pair records to model inputs.

    With standardised descriptors d, standardised log10 doses c and principal components z of the
    cell line's expression, a row is [d(A), c(A), d(B), c(B), z]. With `alone`, what the training
    records say of each drug alone is appended: [g(A), k(A), g(B), k(B), e], the growth fraction g,
    whether any record holds that very condition (k), and the growth e expected of both
    (`expected_growth`), each standardised; all other inputs are multiplied by
    `REST_SCALE`.

    Attributes
    ----------
    drugs : pandas.DataFrame
        Scaled descriptors, shape (drug, descriptor); index `drug`.
    cells : pandas.DataFrame
        Scaled principal components, shape (cell_line, component); index `cell_line`.
    dose_mean, dose_sd : float
        Mean and sd of log10 molar doses over both drugs of training rows.
    names : list of str
        Name of each input, shape (input,).
    swap : numpy.ndarray
        Shape (input,); `matrix(rows)[:, swap]` is the matrix of the same rows with drug A and drug
        B exchanged.
    drug_pipeline, cell_pipeline : sklearn.pipeline.Pipeline or None
        The fitted scikit-learn pipelines; None where there is nothing to fit (one training cell
        line has no components).
    alone : SingleGrowths or None
        Growth under single drugs, from training records; None where it is not an input.
    alone_mean, alone_sd : numpy.ndarray or None
        Mean and sd of its inputs over training rows, shape (5,).
    by : {"rows", "pairs", "drugs", "cell_lines"}
        What the split held out, see `fit_design`.
    """

    drugs: pd.DataFrame
    cells: pd.DataFrame
    dose_mean: float
    dose_sd: float
    names: list[str]
    swap: np.ndarray
    drug_pipeline: Pipeline
    cell_pipeline: Pipeline | None
    alone: SingleGrowths | None = None
    alone_mean: np.ndarray | None = None
    alone_sd: np.ndarray | None = None
    by: By = "rows"

    def matrix(self, rows: pd.DataFrame, trained: np.ndarray | None = None) -> np.ndarray:
        """Return the inputs of pair records.

        Parameters
        ----------
        rows : pandas.DataFrame
            Columns `drug_a`, `drug_b`, `log10_dose_a_molar`, `log10_dose_b_molar` and `cell_line`,
            as in `Screen.pairs`; with `alone` also `lab`, and `expected_growth_fraction` for
            training rows. The order of the two drugs is kept.
        trained : numpy.ndarray, optional
            Shape (row,), true for the rows that the design was fitted on. Of what is known of their
            drugs alone, their own part is left out, so that a training row looks like a test row
            (`SingleGrowths.look_up`). No other input depends on it.

        Returns
        -------
        numpy.ndarray
            Axes (row, input), float32, no units.

        Raises
        ------
        InputError
            If a drug or cell line has no features, a dose is not finite, or a column is missing.
        """
        doses = ("log10_dose_a_molar", "log10_dose_b_molar")
        for column in ("drug_a", "drug_b", *doses, "cell_line"):
            if column not in rows:
                raise InputError(f"pair records: column {column} is missing.")
        width = self.drugs.shape[1] + 1
        inputs = np.empty((len(rows), len(self.names)), dtype=np.float32)
        for drug, dose, start in zip(("drug_a", "drug_b"), doses, (0, width), strict=True):
            inputs[:, start : start + width - 1] = _look_up(self.drugs, rows[drug], drug)
            value = rows[dose].to_numpy(float)
            if not np.isfinite(value).all():
                row = int(np.argmin(np.isfinite(value)))
                raise InputError(
                    f"pair records, row {row}, column {dose}, value {value[row]}: "
                    "a dose is a finite log10 of a molar amount."
                )
            scaled = (value - self.dose_mean) / self.dose_sd
            inputs[:, start + width - 1] = np.clip(scaled, -CLIP, CLIP)
        end = 2 * width + self.cells.shape[1]
        inputs[:, 2 * width : end] = _look_up(self.cells, rows["cell_line"], "cell_line")
        if self.alone is not None:
            values = _alone_inputs(self.alone, rows, trained, self.by)
            inputs[:, end:] = np.clip((values - self.alone_mean) / self.alone_sd, -CLIP, CLIP)
            inputs[:, :end] *= REST_SCALE
        return inputs


def fit_design(
    screen: Screen,
    train_rows: Sequence[int] | np.ndarray,
    *,
    components: int = 10,
    alone_by: By | None = None,
) -> Design:
    """Fit the scalers of a design matrix on training rows only.

    Descriptors are filled in with the median, standardised, and clipped to 5 standard deviations;
    those that are constant over the training drugs are left out. Expression is reduced to
    principal components over the training cell lines, each scaled to unit variance. Each drug and
    each cell line counts once, however many records it has. Both doses share one scaler.

    Columns that start with `rdkit.` are the descriptors and those that start with `expr.` the
    expression; a table without such names gives all of its columns.

    Parameters
    ----------
    screen : Screen
        Records with features.
    train_rows : sequence of int
        Positions of the training rows in `screen.pairs`.
    components : int, default 10
        Principal components asked for; at most one less than the number of training cell lines is
        used.
    alone_by : {"rows", "pairs", "drugs", "cell_lines"}, optional
        What the split holds out, as in `Split.by`, to append growth under each drug alone as
        training records give it (`fit_single_growths`). What is held out is not known: no one-drug
        record of a new drug or in a new cell line is read. By default there are no such inputs.

    Returns
    -------
    Design
        It covers every drug and cell line of the screen.

    Raises
    ------
    InputError
        If the screen has no features, there is no training row, a position is outside the table, or
        no descriptor varies over the training drugs.

    Examples
    --------
    >>> from spikedrop.data import fit_design, simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> rows = split(screen.pairs, "rows", seed=0)
    >>> design = fit_design(screen, rows.train)
    >>> design.matrix(screen.pairs.iloc[rows.test]).shape == (60, len(design.names))
    True
    """
    if screen.drugs is None or screen.cells is None:
        raise InputError(f"{screen.source}: no features. Call attach_features first.")
    rows = np.asarray(train_rows)
    if rows.size == 0 or rows.min() < 0 or rows.max() >= len(screen.pairs):
        raise InputError(
            f"train_rows: {rows.size} positions, and {len(screen.pairs)} records in screen.pairs. "
            "Pass positions of at least one of them."
        )
    whole_number("components", components)
    train = screen.pairs.iloc[rows]
    descriptors = _columns(screen.drugs, "rdkit.", "name")
    drugs, drug_pipeline = _fit_drugs(descriptors, np.unique(train[["drug_a", "drug_b"]]))
    expression = _columns(screen.cells, "expr.", "panel")
    cells, cell_pipeline = _fit_cells(expression, train["cell_line"].unique(), components)
    doses = train[["log10_dose_a_molar", "log10_dose_b_molar"]].to_numpy()
    blocks = [[f"{side}.{name}" for name in (*drugs, "log10_dose")] for side in ("a", "b")]
    width = len(blocks[0])
    positions = np.arange(2 * width + cells.shape[1])
    swap = np.concatenate([positions[width : 2 * width], positions[:width], positions[2 * width :]])
    known: dict[str, Any] = {}
    extra: list[str] = []
    if alone_by is not None:
        alone = fit_single_growths(training_singles(screen, rows, alone_by), train)
        values = _alone_inputs(alone, train, np.ones(len(train), bool), alone_by)
        mean, sd = values.mean(axis=0), values.std(axis=0)
        mean[:4] = np.tile((mean[:2] + mean[2:4]) / 2, 2)  # both drugs share one scale
        sd[:4] = np.tile(np.sqrt((sd[:2] ** 2 + sd[2:4] ** 2) / 2), 2)
        known = {
            "alone": alone,
            "alone_mean": mean,
            "alone_sd": np.where(sd > 0, sd, 1.0),
            "by": alone_by,
        }
        extra = [f"{side}.{name}" for side in "ab" for name in ("growth_alone", "known_alone")]
        extra.append("expected_growth")
        swap = np.concatenate([swap, len(swap) + np.array([2, 3, 0, 1, 4])])
    return Design(
        drugs=drugs,
        cells=cells,
        dose_mean=float(doses.mean()),
        dose_sd=float(doses.std()) or 1.0,
        names=[*blocks[0], *blocks[1], *cells, *extra],
        swap=swap,
        drug_pipeline=drug_pipeline,
        cell_pipeline=cell_pipeline,
        **known,
    )


def _alone_inputs(
    alone: SingleGrowths, rows: pd.DataFrame, trained: np.ndarray | None, by: By
) -> np.ndarray:
    """Return growth of A, known, growth of B, known, and what is expected, shape (row, 5)."""
    growth, known = alone.look_up(rows, trained, by=by)
    expected = expected_growth(growth[:, 0], growth[:, 1])
    return np.column_stack([growth[:, 0], known[:, 0], growth[:, 1], known[:, 1], expected])


def _columns(table: pd.DataFrame, prefix: str, label: str) -> pd.DataFrame:
    numbers = table.drop(columns=label, errors="ignore")
    chosen = [name for name in numbers if name.startswith(prefix)]
    return numbers[chosen] if chosen else numbers


def _clip(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -CLIP, CLIP)


def _fit_drugs(table: pd.DataFrame, train: np.ndarray) -> tuple[pd.DataFrame, Pipeline]:
    pipeline = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        VarianceThreshold(),
        StandardScaler(),
        FunctionTransformer(_clip, feature_names_out="one-to-one"),
    )
    known = table.loc[train]
    filled = known.fillna(known.median())
    if table.shape[1] == 0 or not (filled.max() > filled.min()).any():
        raise InputError("drugs: no descriptor varies over the training drugs. Add descriptors.")
    pipeline.fit(known)
    names = pipeline.get_feature_names_out()
    return pd.DataFrame(pipeline.transform(table), index=table.index, columns=names), pipeline


def _fit_cells(
    table: pd.DataFrame, train: np.ndarray, components: int
) -> tuple[pd.DataFrame, Pipeline | None]:
    count = min(components, len(train) - 1, table.shape[1])
    if count < 1:
        return pd.DataFrame(index=table.index), None
    # Sorted, so that the order of training rows cannot change the last digits.
    known = table.loc[sorted(train)]
    pipeline = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        PCA(count, svd_solver="full"),
        StandardScaler(),
        FunctionTransformer(_clip),
    ).fit(known)
    names = [f"cell.component_{number}" for number in range(1, count + 1)]
    return pd.DataFrame(pipeline.transform(table), index=table.index, columns=names), pipeline


def _look_up(table: pd.DataFrame, keys: pd.Series, column: str) -> np.ndarray:
    positions = table.index.get_indexer(keys.astype(table.index.dtype))
    if (positions < 0).any():
        row = int(np.argmax(positions < 0))
        raise InputError(
            f"pair records, row {row}, column {column}, value {keys.iloc[row]}: no features. "
            "Add it to the feature table."
        )
    return table.to_numpy(dtype=np.float32)[positions]
