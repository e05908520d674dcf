"""One door to a screen: real records in a folder, or the simulated one."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from spikedrop.data.almanac import load_almanac
from spikedrop.data.features import attach_features, load_features
from spikedrop.data.screen import Screen
from spikedrop.data.simulate import simulate_screen
from spikedrop.errors import InputError
from spikedrop.files import csvs

__all__ = ["open_screen"]

STEMS = ("ComboDrugGrowth_Nov2017", "ComboDrugGrowth_extract")
SIMULATED_RECORDS = 12_000


def _find_records(folder: str | Path) -> Path:
    """Return the file of records in a folder: NCI's own file, or an extract of it.

    Raises:
        InputError: the folder is missing, or has no file named like NCI's or its extract.

    Examples:
        >>> _find_records("no such folder")
        Traceback (most recent call last):
        spikedrop.errors.InputError: no such folder: no such folder. Give the folder of the...
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

    Args:
        folder: folder of the real records; empty text for the simulated screen.
        seed: seed of the simulation, or of the choice of records.
        n_records: pair records; None means 12,000 simulated ones or all real ones. Fewer real
            ones are chosen at random, and more than there are is all of them.

    Raises:
        InputError: a file is missing or cannot be used, or `n_records` is below 1.

    Examples:
        >>> screen = open_screen(n_records=500)
        >>> screen.source, len(screen.pairs)
        ('simulated screen, seed 0', 500)
    """
    if n_records is not None and n_records < 1:
        raise InputError(f"n_records must be at least 1, not {n_records}.")
    if str(folder) == "":
        return simulate_screen(n_records=n_records or SIMULATED_RECORDS, seed=seed)
    path = _find_records(folder)
    drugs, cells = load_features(folder)
    screen = attach_features(load_almanac(path), drugs, cells)
    count = len(screen.pairs)
    if n_records is None or n_records >= count:
        return screen
    rows = np.sort(np.random.default_rng(seed).choice(count, size=n_records, replace=False))
    return replace(screen, pairs=screen.pairs.iloc[rows].reset_index(drop=True))
