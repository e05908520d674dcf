"""Open a table of records, and say clearly what is wrong with one that cannot be read."""

import contextlib
import csv
import difflib
import gzip
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from spikedrop.errors import InputError

SUFFIXES = (".csv", ".csv.gz", ".zip")


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[BinaryIO]:
    """Open a `.csv`, `.csv.gz` or one-member `.zip` as a stream of bytes.

    Raises:
        InputError: no such file, an unknown extension, an empty file, not a zip archive, or an
            archive with other than one member.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file. Give the path of a file of records.")
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise InputError(
            f"{path}: unknown kind of file {path.suffix!r}; records are read from "
            f"{', '.join(SUFFIXES)}. Rename or convert it."
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty. Download it again.")
    with contextlib.ExitStack() as stack:
        if name.endswith(".zip"):
            with reading(path):
                archive = stack.enter_context(zipfile.ZipFile(path))
                members = [m for m in archive.namelist() if not m.endswith("/")]
                if len(members) != 1:
                    raise InputError(
                        f"{path}: the archive has {len(members)} members ({few(members)}), and "
                        "one is expected. Unpack it and pass the file of records."
                    )
                stream = stack.enter_context(archive.open(members[0]))
        elif name.endswith(".gz"):
            stream = stack.enter_context(gzip.open(path))
        else:
            stream = stack.enter_context(path.open("rb"))
        yield stream


def header(path: Path, stream: BinaryIO, expected: Sequence[str]) -> list[str]:
    """Read the first line and return its column names.

    Raises:
        InputError: the line is empty, not UTF-8, or lacks an expected column.
    """
    with reading(path):
        line = stream.readline().decode("utf-8-sig").strip()
    if not line:
        raise InputError(f"{path}, line 1: no column names here. Download the file again.")
    names = [name.strip() for name in next(csv.reader([line]))]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(f"{path}, line 1: column {few(doubled)} stands there twice. Keep one.")
    missing = [name for name in expected if name not in names]
    if missing:
        spare = [name for name in names if name not in expected]
        hints = []
        for name in missing:
            near = difflib.get_close_matches(name.upper(), [s.upper() for s in spare], n=1)
            found = [s for s in spare if near and s.upper() == near[0]]
            hints.append(f"{name} (nearest here: {found[0]})" if found else name)
        raise InputError(
            f"{path}, line 1: column {few(hints)} is missing. Rename the column to the expected "
            "name, or export the table with all its columns."
        )
    return names


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what archives, decoders and parsers raise into one readable error."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        what = "ends too early" if isinstance(error, EOFError) else "is broken"
        raise InputError(
            f"{path}: the compressed file {what} ({error}). Download it again."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}{not_utf8(path)}. Save the file as UTF-8.") from error
    except pd.errors.ParserWarning as error:
        raise InputError(
            f"{path}: the rows have more fields than line 1 has names. "
            "Look for a comma at the end of each line, or a missing name."
        ) from error
    except pd.errors.ParserError as error:
        # pandas counts from the line after the header, which was read before.
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        where, what = "", str(error)
        if found:
            where = f", line {int(found[2]) + 1}"
            what = f"{found[3]} fields, and line 1 names {found[1]}"
        raise InputError(
            f"{path}{where}: the table cannot be split into columns ({what}). "
            "Look for a stray comma or an open quote there."
        ) from error


def not_utf8(path: Path) -> str:
    """Find the first line that is not UTF-8."""
    with open_table(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f", line {number}: byte {line[error.start]:#04x} is not UTF-8"
    return ": the text is not UTF-8"


def few(things: Iterable[object], most: int = 5) -> str:
    """Join up to `most` things by commas and count the rest.

    Examples:
        >>> few([3, 1, 2], most=2)
        '3, 1 and 1 more'
    """
    words = [str(thing) for thing in things]
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest
