"""Features of drugs and cell lines, and the design matrix made of them."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from spikedrop.checks.columns import check_integers
from spikedrop.data.almanac import clean_name
from spikedrop.data.screen import Screen
from spikedrop.errors import InputError
from spikedrop.files import csvs

__all__ = ["attach_features", "load_features", "rdkit_features"]

DRUG_FILES = ("drug_features.csv.gz", "drug_features.csv", "drug_features.zip")
CELL_FILES = ("cell_features.csv.gz", "cell_features.csv", "cell_features.zip")


def load_features(
    folder: str | Path | None = None,
    *,
    drugs: str | Path | None = None,
    cells: str | Path | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the features of drugs and of cell lines from two tables.

    The drug table has a column `NSC`, may have `NAME` and `SMILES`, and every other column is a
    number. The cell table has `CELLNAME`, may have `PANEL`, and every other column is a number.
    A blank number is a missing value and is allowed.

    Args:
        folder: where `drug_features` and `cell_features` lie, as `.csv`, `.csv.gz` or `.zip`.
        drugs, cells: the two files, where they are named otherwise.

    Returns:
        The drugs, shape (drug, 1 + descriptors), index `drug` (NSC), first column `name`; and
        the cell lines, shape (cell_line, 1 + features), index `cell_line`, first column `panel`.

    Raises:
        InputError: a file or its key column is missing, a key is blank or is a duplicate, or
            a value is not a finite number; the message names the file, the line and the column.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "drug_features.csv").write_text("NSC,weight\\n740,454.4\\n")
        ...     _ = Path(folder, "cell_features.csv").write_text("CELLNAME,gene\\nMCF7,1.5\\n")
        ...     drugs, cells = load_features(folder)
        >>> float(drugs.loc[740, "weight"]), float(cells.loc["MCF7", "gene"])
        (454.4, 1.5)
    """
    drug_path = _find(folder, DRUG_FILES) if drugs is None else Path(drugs)
    cell_path = _find(folder, CELL_FILES) if cells is None else Path(cells)
    table = _read(drug_path, "NSC", "NAME").drop(columns="SMILES", errors="ignore")
    keys = pd.to_numeric(table.index.to_series(), errors="coerce")
    odd = np.flatnonzero(~(keys.to_numpy() % 1 == 0))
    if odd.size:
        line = csvs.line_of(drug_path, int(odd[0]))
        raise InputError(
            f"{drug_path}, line {line}, column NSC, value {table.index[odd[0]]!r}: "
            "not an NSC number, which is a whole number. Correct it."
        )
    drug_table = table.set_axis(pd.Index(keys.astype("int64"), name="drug"))
    drug_table = _numbers(drug_table, "name", drug_path)
    cell_table = _read(cell_path, "CELLNAME", "PANEL").rename_axis("cell_line")
    return drug_table, _numbers(cell_table, "panel", cell_path)


def _find(folder: str | Path | None, names: tuple[str, ...]) -> Path:
    if folder is None:
        raise InputError(f"no features: give the folder that holds {names[0]}, or the two files.")
    for name in names:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise InputError(
        f"{folder}: none of {', '.join(names)} here. Put the table there, or pass its path."
    )


def _read(path: Path, key: str, label: str) -> pd.DataFrame:
    """Read a table of features as it stands, indexed by its cleaned key."""
    with csvs.open_table(path) as stream, csvs.as_text(stream) as lines, csvs.parsing(path):
        names = csvs.header(path, lines, [key])
        text = {name: str for name in (key, label, "SMILES") if name in names}
        try:
            table = pd.read_csv(
                lines, names=names, header=None, index_col=False, dtype=text, low_memory=False
            )
        except pd.errors.EmptyDataError:
            table = pd.DataFrame(columns=names)
    if table.empty:
        raise InputError(f"{path}: a header and no rows. Export the table again.")
    keys = table[key].fillna("").map(clean_name)
    for wrong, what in ((keys == "", "is blank"), (keys.duplicated(), "is a duplicate")):
        if wrong.any():
            row = int(np.argmax(wrong))
            line = csvs.line_of(path, row)
            raise InputError(
                f"{path}, line {line}, column {key}, value {keys[row]!r}: the key {what}. "
                "Give every row a key of its own."
            )
    words = table[label].fillna("").map(clean_name) if label in names else keys.map(lambda _: "")
    rest = table.drop(columns=[key, label], errors="ignore")
    table = pd.concat([words.rename(label.lower()), rest], axis=1)
    return table.set_axis(pd.Index(keys, name=key))


def _numbers(table: pd.DataFrame, label: str, path: Path) -> pd.DataFrame:
    """Check that every column but the label holds finite or missing numbers; make them float."""
    raw = table.drop(columns=label)
    for name in raw:
        check_integers(raw[name].to_numpy(), f"{path}, column {name}")
    values = raw.apply(pd.to_numeric, errors="coerce").astype("float64")
    wrong = (values.isna() & raw.notna()) | np.isinf(values)
    if wrong.to_numpy().any():
        row, column = np.argwhere(wrong.to_numpy())[0]
        raise InputError(
            f"{path}, line {csvs.line_of(path, int(row))}, column {raw.columns[column]}, value "
            f"{str(raw.iloc[row, column])!r}: not a finite number. Correct it, or leave it blank "
            "to have it filled in."
        )
    return pd.concat([table[[label]], values], axis=1)


def attach_features(
    screen: Screen,
    drugs: pd.DataFrame,
    cells: pd.DataFrame,
    *,
    missing: Literal["raise", "drop"] = "raise",
) -> Screen:
    """Return the screen with the features of its drugs and cell lines.

    Only the drugs and cell lines that occur in the screen are kept.

    Args:
        screen: records.
        drugs, cells: tables as `load_features` returns them.
        missing: what to do with a drug or cell line that has no features: `raise`, or `drop` its
            records and count them in the report.

    Raises:
        InputError: a drug or a cell line of the screen has no features; the message names them,
            and the nearest name there is for a cell line.

    Examples:
        >>> from dataclasses import replace
        >>> from spikedrop.data import simulate_screen
        >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
        >>> bare = replace(screen, drugs=None, cells=None)
        >>> attach_features(bare, screen.drugs, screen.cells).drugs.shape == screen.drugs.shape
        True
    """
    if missing not in ("raise", "drop"):
        raise InputError(f'missing must be "raise" or "drop", not {missing!r}.')
    pairs, singles = screen.pairs, screen.singles
    used_drugs = set(pairs["drug_a"]) | set(pairs["drug_b"]) | set(singles["drug"])
    used_cells = set(pairs["cell_line"]) | set(singles["cell_line"])
    no_drug, no_cell = used_drugs - set(drugs.index), used_cells - set(cells.index)
    if missing == "raise" and (no_drug or no_cell):
        raise InputError(_without_features(screen, sorted(no_drug), sorted(no_cell), cells.index))
    report = screen.report
    if no_drug or no_cell:
        keep = ~(
            pairs["drug_a"].isin(no_drug)
            | pairs["drug_b"].isin(no_drug)
            | pairs["cell_line"].isin(no_cell)
        )
        keep_single = ~(singles["drug"].isin(no_drug) | singles["cell_line"].isin(no_cell))
        lost = (int((~keep).sum()), int((~keep_single).sum()))
        pairs, singles = (
            frame[kept].reset_index(drop=True).pipe(_trim_categories)
            for frame, kept in ((pairs, keep), (singles, keep_single))
        )
        if pairs.empty:
            raise InputError(f"{screen.source}: no record has features for its drugs and line.")
        report = replace(
            report,
            rows_left_out=(*report.rows_left_out, ("records without features", sum(lost))),
            pair_records=report.pair_records - lost[0],
            single_records=report.single_records - lost[1],
        )
    drugs = drugs.loc[sorted(used_drugs - no_drug)]
    cells = cells.loc[sorted(used_cells - no_cell)]
    return replace(screen, pairs=pairs, singles=singles, drugs=drugs, cells=cells, report=report)


def _without_features(
    screen: Screen, drugs: list[int], cells: list[str], known: Iterable[str]
) -> str:
    parts = []
    for column, things in (("drug", drugs), ("cell line", cells)):
        if not things:
            continue
        name = {"drug": "NSC1 or NSC2", "cell line": "CELLNAME"}[column]
        near = difflib.get_close_matches(str(things[0]), map(str, known), n=1)
        hint = f" (nearest name with features: {near[0]})" if near and column != "drug" else ""
        parts.append(f"{column} {csvs.few(things)} in column {name} without features{hint}")
    return (
        f"{screen.report.source}: {'; '.join(parts)}. Add the rows to the feature table, or pass "
        'missing="drop" to leave their records out.'
    )


def _trim_categories(frame: pd.DataFrame) -> pd.DataFrame:
    names = frame.select_dtypes("category").columns
    return frame.assign(**{name: frame[name].cat.remove_unused_categories() for name in names})


def rdkit_features(smiles: Mapping[int, str], *, morgan_bits: int = 0) -> pd.DataFrame:
    """Compute descriptors of drugs from their structures with RDKit.

    Args:
        smiles: NSC number -> SMILES string.
        morgan_bits: length of a Morgan fingerprint (radius 2) to append as columns
            `morgan.<bit>` of 0 and 1; 0 leaves it out.

    Returns:
        A table of shape (drug, 1 + descriptors) with index `drug`, column `name` (empty text) and
        one column `rdkit.<descriptor>` for each of RDKit's descriptors, in RDKit's units. A
        descriptor that is not defined for a molecule is missing.

    Raises:
        InputError: RDKit is not installed, no SMILES was given, or one cannot be parsed.

    References:
        RDKit, https://www.rdkit.org, doi 10.5281/zenodo.591637.

    Examples:
        >>> table = rdkit_features({740: "CCO"})
        >>> round(float(table.loc[740, "rdkit.MolWt"]), 2)
        46.07
    """
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import Descriptors, rdFingerprintGenerator
    except ImportError as error:
        raise InputError(
            "RDKit is needed to compute descriptors. Install it with "
            '`pip install "spikedrop[chem]"`, or read features from a table.'
        ) from error
    if not smiles:
        raise InputError("no SMILES were given. Pass a mapping from NSC number to SMILES.")
    molecules = {}
    with rdBase.BlockLogs():  # its parser writes to the terminal; the error below says it all
        for drug, text in smiles.items():
            molecule = Chem.MolFromSmiles(text) if isinstance(text, str) and text else None
            if molecule is None:
                raise InputError(f"drug {drug}: SMILES {text!r} cannot be parsed. Correct it.")
            molecules[int(drug)] = molecule
        rows = [Descriptors.CalcMolDescriptors(m) for m in molecules.values()]
    index = pd.Index(molecules, name="drug", dtype="int64")
    table = pd.DataFrame(rows, index=index, dtype="float64").add_prefix("rdkit.")
    table = table.where(np.isfinite(table))
    if morgan_bits:
        generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=morgan_bits)
        bits = np.array([generator.GetFingerprintAsNumPy(m) for m in molecules.values()], float)
        names = [f"morgan.{bit}" for bit in range(morgan_bits)]
        table = pd.concat([table, pd.DataFrame(bits, index=index, columns=names)], axis=1)
    table.insert(0, "name", "")
    return table
