"""Features of drugs and cell lines, and screens that are opened with them."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from spikedrop.checks.arguments import one_of, whole_number
from spikedrop.checks.columns import check_whole
from spikedrop.data.nci_almanac import clean_name, load_almanac
from spikedrop.data.screen import Screen
from spikedrop.data.simulate import simulate_screen
from spikedrop.errors import InputError
from spikedrop.files import csvs

__all__ = ["attach_features", "load_features", "rdkit_features"]

DRUG_FILES = ("drug_features.csv.gz", "drug_features.csv", "drug_features.zip")
CELL_FILES = ("cell_features.csv.gz", "cell_features.csv", "cell_features.zip")
STEMS = ("ComboDrugGrowth_Nov2017", "ComboDrugGrowth_extract")
SIMULATED_RECORDS = 12_000


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

    Parameters
    ----------
    folder : path, optional
        Where `drug_features` and `cell_features` lie, as `.csv`, `.csv.gz` or `.zip`; not needed if
        both files are named.
    drugs, cells : path, optional
        The two files; by default they are looked for in `folder`.

    Returns
    -------
    drugs : pandas.DataFrame
        Axes (drug, 1 + descriptors), index `drug` (NSC), first column `name`.
    cells : pandas.DataFrame
        Axes (cell_line, 1 + features), index `cell_line`, first column `panel`.

    Raises
    ------
    InputError
        If a file or its key column is missing, a key is blank or is a duplicate, or a value is not
        a finite number; the message names the file, the line and the column.

    Examples
    --------
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
    table = csvs.frame(path, [key], dict.fromkeys((key, label, "SMILES"), str))
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
    words = table[label].fillna("").map(clean_name) if label in table else keys.map(lambda _: "")
    rest = table.drop(columns=[key, label], errors="ignore")
    table = pd.concat([words.rename(label.lower()), rest], axis=1)
    return table.set_axis(pd.Index(keys, name=key))


def _numbers(table: pd.DataFrame, label: str, path: Path) -> pd.DataFrame:
    """Check that every column but the label holds finite or missing numbers; make them float."""
    raw = table.drop(columns=label)
    check_whole(raw, str(path))
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

    Parameters
    ----------
    screen : Screen
        Records.
    drugs, cells : pandas.DataFrame
        Tables as `load_features` returns them.
    missing : {"raise", "drop"}, default "raise"
        What to do with a drug or cell line that has no features: ``raise``, or ``drop`` its records
        and count them in the report.

    Returns
    -------
    Screen
        With features; the report counts what was dropped.

    Raises
    ------
    InputError
        If a drug or a cell line of the screen has no features (the message names them, and for a
        cell line the nearest name that has), or no record is left.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> bare = replace(screen, drugs=None, cells=None)
    >>> attach_features(bare, screen.drugs, screen.cells).drugs.shape == screen.drugs.shape
    True
    """
    one_of("missing", missing, ("raise", "drop"))
    pairs, singles = screen.pairs, screen.singles
    used_drugs = set(pairs["drug_a"]) | set(pairs["drug_b"]) | set(singles["drug"])
    used_cells = set(pairs["cell_line"]) | set(singles["cell_line"])
    no_drug, no_cell = used_drugs - set(drugs.index), used_cells - set(cells.index)
    if missing == "raise" and (no_drug or no_cell):
        raise InputError(_without_features(screen, sorted(no_drug), sorted(no_cell), cells.index))
    report = screen.report
    if no_drug or no_cell:

        def kept(records: pd.DataFrame, drugs: list[str]) -> pd.DataFrame:
            lacking = records[drugs].isin(no_drug).any(axis=1) | records["cell_line"].isin(no_cell)
            left = records[~lacking].reset_index(drop=True)
            names = left.select_dtypes("category").columns
            return left.assign(
                **{name: left[name].cat.remove_unused_categories() for name in names}
            )

        before = len(pairs), len(singles)
        pairs, singles = kept(pairs, ["drug_a", "drug_b"]), kept(singles, ["drug"])
        lost = (before[0] - len(pairs), before[1] - len(singles))
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


def rdkit_features(smiles: Mapping[int, str], *, morgan_bits: int = 0) -> pd.DataFrame:
    """Compute descriptors of drugs from their structures with RDKit.

    Parameters
    ----------
    smiles : mapping
        NSC number to SMILES string.
    morgan_bits : int, default 0
        Length of a Morgan fingerprint (radius 2) to append as columns `morgan.<bit>` of 0 and 1; 0
        leaves it out.

    Returns
    -------
    pandas.DataFrame
        Axes (drug, 1 + descriptors), index `drug`, column `name` (empty text) and one column
        `rdkit.<descriptor>` for each of RDKit's descriptors, in RDKit's units. A descriptor that is
        not defined for a molecule is NaN.

    Raises
    ------
    InputError
        If RDKit is not installed, no SMILES was given, or one cannot be parsed.

    References
    ----------
    RDKit, https://www.rdkit.org, doi 10.5281/zenodo.591637.

    Examples
    --------
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


def find_records(folder: str | Path) -> Path:
    """Return the file of records in a folder: NCI's own file, or an extract of it.

    Raises
    ------
    InputError
        If the folder is missing, or has no file named like NCI's or its extract.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Give the folder of the records, or none.")
    names = [stem + suffix for stem in STEMS for suffix in csvs.SUFFIXES]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"{folder}: no file of records here. One of {csvs.few(names, most=6)} is looked for; "
        "rename yours, or read it with load_almanac."
    )


def open_screen(folder: str | Path = "", *, seed: int = 0, n_records: int | None = None) -> Screen:
    """Open the real screen in a folder, or simulate one when there is no folder.

    The folder holds the records (`ComboDrugGrowth_Nov2017` or `ComboDrugGrowth_extract`), the
    drug features (`drug_features`) and the cell-line features (`cell_features`), each as `.csv`,
    `.csv.gz` or `.zip`.

    Parameters
    ----------
    folder : path, default ""
        Folder of the real records; empty text for the simulated screen.
    seed : int, default 0
        Seed of the simulation, or of the choice of records.
    n_records : int, optional
        Pair records; by default 12,000 simulated ones or all real ones. Fewer real ones are chosen
        at random; if there are fewer than asked for, all are taken.

    Returns
    -------
    Screen
        With features.

    Raises
    ------
    InputError
        If a file is missing or cannot be used, or `n_records` is below 1.

    Examples
    --------
    >>> screen = open_screen(n_records=500)
    >>> screen.source, len(screen.pairs)
    ('simulated screen, seed 0', 500)
    """
    if n_records is not None:
        whole_number("n_records", n_records, least=1)
    if str(folder) == "":
        return simulate_screen(n_records=n_records or SIMULATED_RECORDS, seed=seed)
    path = find_records(folder)
    drugs, cells = load_features(folder)
    screen = attach_features(load_almanac(path), drugs, cells)
    count = len(screen.pairs)
    if n_records is None or n_records >= count:
        return screen
    rows = np.sort(np.random.default_rng(seed).choice(count, size=n_records, replace=False))
    return replace(screen, pairs=screen.pairs.iloc[rows].reset_index(drop=True))
