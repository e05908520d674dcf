"""A drug-pair screen in memory: tidy records, features, and how they were read."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
import pandera.pandas as pa

from spikedrop.checks.arguments import one_of
from spikedrop.errors import InputError

__all__ = ["LoadReport", "Screen"]

Target = Literal["growth", "score"]

_FINITE = pa.Check(lambda values: values.abs() < float("inf"), error="must be finite")
_AT_LEAST_ONE = pa.Check.ge(1)
_NOT_NEGATIVE = pa.Check.ge(0)


def _number(check: pa.Check = _FINITE, *, missing: bool = False) -> pa.Column:
    return pa.Column("float64", check, nullable=missing)


_COMMON = {
    "cell_line": pa.Column("category"),
    "panel": pa.Column("category"),
    "lab": pa.Column("category"),
    "growth_fraction": _number(),
    "replicates": pa.Column("int64", _AT_LEAST_ONE),
    "growth_sd_fraction": _number(_NOT_NEGATIVE, missing=True),
}
_TRUTH = {
    "true_growth_fraction": pa.Column("float64", _FINITE, required=False),
    "noise_sd_fraction": pa.Column("float64", _NOT_NEGATIVE, required=False),
}

PAIRS_SCHEMA = pa.DataFrameSchema(
    {
        **_COMMON,
        "drug_a": pa.Column("int64", _AT_LEAST_ONE),
        "drug_b": pa.Column("int64", _AT_LEAST_ONE),
        "log10_dose_a_molar": _number(),
        "log10_dose_b_molar": _number(),
        "expected_growth_fraction": _number(missing=True),
        **_TRUTH,
        "true_expected_growth_fraction": pa.Column("float64", _FINITE, required=False),
    },
    checks=pa.Check(
        lambda frame: frame["drug_a"] < frame["drug_b"],
        error="drug_a must be smaller than drug_b: (A, B) and (B, A) are one pair",
    ),
    strict=True,
    name="pairs",
)
"""Pandera schema of `Screen.pairs`."""

SINGLES_SCHEMA = pa.DataFrameSchema(
    {
        **_COMMON,
        "drug": pa.Column("int64", _AT_LEAST_ONE),
        "log10_dose_molar": _number(),
        **_TRUTH,
    },
    strict=True,
    name="singles",
)
"""Pandera schema of `Screen.singles`."""


@dataclass(frozen=True)
class LoadReport:
    """What reading a file of records came to; `print` shows it as a table.

    Attributes
    ----------
    source : str
        The file read, or a line that says how the records were simulated.
    rows_read : int
        Data rows in the file.
    rows_left_out : tuple of tuple
        (reason, rows) for every reason a row was left out.
    pair_rows, single_rows : int
        Rows kept, with two drugs and with one.
    pair_records, single_records : int
        Records after replicates were averaged.
    growth_checked, growth_disagree : int
        Rows whose growth could be recomputed from its readings, and those where it differs by more
        than 0.1 growth points.
    score_checked, score_disagree : int
        Rows whose synergy score could be recomputed, and those where it is not the rounded
        difference of expected and measured growth.

    Examples
    --------
    >>> report = LoadReport("records.csv", 10, (("VALID is not Y", 1),), 6, 3, 5, 3,
    ...                     9, 1, 6, 0)
    >>> report.replicates_averaged
    1
    >>> print(report)
    records.csv
    rows read                                          10
    left out: VALID is not Y                            1
    two-drug rows                                       6
      records after averaging replicates                5
    one-drug rows                                       3
      records after averaging replicates                3
    growth differs from its readings             1 of   9
    score differs from expected - growth         0 of   6
    """

    source: str
    rows_read: int
    rows_left_out: tuple[tuple[str, int], ...]
    pair_rows: int
    single_rows: int
    pair_records: int
    single_records: int
    growth_checked: int
    growth_disagree: int
    score_checked: int
    score_disagree: int

    @property
    def replicates_averaged(self) -> int:
        """Rows that were merged into another record of the same condition."""
        kept = self.pair_rows + self.single_rows
        return kept - self.pair_records - self.single_records

    def __str__(self) -> str:
        """Format the counts as a table of one line per count."""
        growth, score = f"{self.growth_checked:,}", f"{self.score_checked:,}"
        width = max(len(growth), len(score), 3)
        lines = [
            ("rows read", f"{self.rows_read:,}"),
            *((f"left out: {reason}", f"{rows:,}") for reason, rows in self.rows_left_out),
            ("two-drug rows", f"{self.pair_rows:,}"),
            ("  records after averaging replicates", f"{self.pair_records:,}"),
            ("one-drug rows", f"{self.single_rows:,}"),
            ("  records after averaging replicates", f"{self.single_records:,}"),
            ("growth differs from its readings", f"{self.growth_disagree:,} of {growth:>{width}}"),
            (
                "score differs from expected - growth",
                f"{self.score_disagree:,} of {score:>{width}}",
            ),
        ]
        left = max(len(label) for label, _ in lines)
        return "\n".join([self.source, *(f"{a:<{left}} {b:>16}" for a, b in lines)])


@dataclass(frozen=True)
class Screen:
    """Records of a drug-pair screen with the features of its drugs and cell lines.

    Growth is a fraction: 1 is the growth of untreated cells, 0 is stasis, -1 means that every
    cell was killed. Doses are log10 of the molar concentration.

    Attributes
    ----------
    pairs : pandas.DataFrame
        One row per condition (laboratory, cell line, two drugs, two doses); columns `cell_line`,
        `panel`, `lab` (categories), `drug_a`, `drug_b` (NSC numbers, `drug_a < drug_b` always),
        `log10_dose_a_molar`, `log10_dose_b_molar`, `growth_fraction` (mean over replicates),
        `expected_growth_fraction` (missing where the source has none), `replicates`,
        `growth_sd_fraction` (sample sd over replicates, missing for one). A simulated screen also
        has `true_growth_fraction` (noise-free), `true_expected_growth_fraction` (from noise-free
        single growths) and `noise_sd_fraction` (sd of the noise in `growth_fraction`, after
        averaging).
    singles : pandas.DataFrame
        One row per condition with one drug; `drug` and `log10_dose_molar` take the place of the two
        drugs and doses, and there is no expected growth.
    drugs : pandas.DataFrame or None
        Index `drug` (NSC), column `name` and float columns, one per descriptor.
    cells : pandas.DataFrame or None
        Index `cell_line`, column `panel` and float columns.
    report : LoadReport
        How the records were read.
    source : str
        Where they come from, in words.

    Raises
    ------
    InputError
        If a frame breaks its schema.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> bool((screen.pairs["drug_a"] < screen.pairs["drug_b"]).all())
    True
    """

    pairs: pd.DataFrame
    singles: pd.DataFrame
    drugs: pd.DataFrame | None
    cells: pd.DataFrame | None
    report: LoadReport
    source: str

    def __post_init__(self) -> None:
        """Check both frames against their schemas."""
        for schema, frame in ((PAIRS_SCHEMA, self.pairs), (SINGLES_SCHEMA, self.singles)):
            try:
                schema.validate(frame)
            except pa.errors.SchemaError as error:
                raise InputError(
                    f"{self.source}: the table `{schema.name}` breaks its schema: {error}; "
                    "see the columns in the documentation of Screen."
                ) from error


def target_of(screen: Screen, target: Target) -> np.ndarray:
    """What is to be predicted of each pair record, shape (record,).

    The growth fraction, or the synergy score: expected less measured growth, NaN where nothing was
    expected.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> growth, score = (target_of(screen, target) for target in ("growth", "score"))
    >>> bool(np.allclose(growth + score, screen.pairs["expected_growth_fraction"]))
    True
    """
    one_of("target", target, get_args(Target))
    growth = screen.pairs["growth_fraction"].to_numpy(float)
    if target == "growth":
        return growth
    return screen.pairs["expected_growth_fraction"].to_numpy(float) - growth
