"""Open a table of comma-separated values, and say where and why one cannot be read."""

from __future__ import annotations

import contextlib
import csv
import difflib
import gzip
import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from spikedrop.checks.columns import few as quoted_few
from spikedrop.errors import InputError
from spikedrop.files.checks import regular_file

if TYPE_CHECKING:
    import pandas as pd

__all__: list[str] = []

SUFFIXES = (".csv", ".csv.gz", ".zip")
MAX_LINE = 1 << 24  # characters of one line
MAX_RATIO, SMALL = 200, 100_000_000  # an archive of more than SMALL bytes is packed no tighter
MAX_BLANK = 1_000_000  # blank lines of a file of records
few = partial(quoted_few, quoted=False)


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[BinaryIO]:
    """Open a `.csv`, `.csv.gz` or one-member `.zip` as a stream of bytes.

    Raises
    ------
    InputError
        If no such file, a folder, an unknown extension, an empty file, not a zip archive, an
        archive with other than one member, or one that unpacks to far more than records do.
    """
    size = regular_file(path, SUFFIXES, "a file of records")
    name = path.name.lower()
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
            yield stack.enter_context(path.open("rb"))
            return
        yield io.BufferedReader(_Unpacked(path, stream, max(SMALL, MAX_RATIO * size)), 1 << 16)


class _Unpacked(io.RawIOBase):
    """What an archive unpacks to, up to a number of bytes and of blank lines."""

    def __init__(self, path: Path, stream: Any, most: int) -> None:
        self.path, self.stream, self.most, self.left = path, stream, most, most
        self.blank = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes; refuse more than `most` in all, or than `MAX_BLANK` blank lines."""
        count = self.stream.readinto(buffer)
        self.left -= count
        data = bytes(buffer[:count])
        self.blank += sum(data.count(ends) for ends in (b"\n\n", b"\n\r\n", b"\r\r"))
        if self.blank > MAX_BLANK:
            raise InputError(
                f"{self.path}: has more than {MAX_BLANK:,} blank lines. Remove them, or download "
                "the file again."
            )
        if self.left < 0:
            raise InputError(
                f"{self.path}: unpacks to more than {self.most:,} bytes, which records do not. "
                "Unpack it, look at it, and pass the unpacked file if it is sound."
            )
        return count


def as_text(stream: BinaryIO) -> TextIO:
    """Return the text of a stream of bytes, line ends as they are."""
    return io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")


def _lines(path: Path, stream: TextIO) -> Iterator[str]:
    """Yield the lines of a table; each ends with what ends it in the file."""
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise InputError(
                f"{path}, line {number}: has more than {MAX_LINE:,} characters. Is it a table? "
                "Export it with one row per line."
            )
        yield line


def header(path: Path, stream: TextIO, expected: Sequence[str]) -> list[str]:
    """Read the first record of `as_text(stream)` and return its column names.

    Raises
    ------
    InputError
        If the line is empty, not UTF-8, or lacks an expected column.
    """
    lines = _lines(path, stream)
    with reading(path):
        try:
            names = [name.strip() for name in next(csv.reader(lines), [])]
        except csv.Error as error:
            raise InputError(
                f"{path}, line 1: the names of the columns cannot be read ({error}). Look for a "
                "quote that is never closed, or a name of more than 131,072 characters."
            ) from error
        complete = set(expected) <= set(names)
        after = [] if complete else [line for _, line in zip(range(3), lines, strict=False)]
    if not any(names):
        raise InputError(f"{path}, line 1: no column names here. Put them into the first line.")
    mark = separator(names)
    if mark is not None:
        raise InputError(
            f"{path}, line 1: the columns are separated by {mark}, and commas are expected. "
            "Export the table with commas between columns, and points in decimals."
        )
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        raise InputError(f"{path}, line 1: column {few(doubled)} occurs twice. Keep one.")
    missing = [name for name in expected if name not in names]
    if missing:
        for number, line in enumerate(after, start=2):
            if all(name in line for name in missing):
                raise InputError(
                    f"{path}, line {number}: the names of the columns stand here, and not in line "
                    "1. Delete the lines above."
                )
        spare = [name for name in names if name not in expected]
        hints = []
        for name in missing:
            near = difflib.get_close_matches(name.upper(), [s.upper() for s in spare], n=1)
            found = [s for s in spare if near and s.upper() == near[0]]
            hints.append(f"{name} (nearest here: {found[0]})" if found else name)
        raise InputError(
            f"{path}, line 1: column {few(hints)} is missing; there are "
            f"{few([name[:40] for name in names])}. Rename the column to the expected name, or "
            "export the table with all its columns."
        )
    return names


def frame(path: Path, needed: Sequence[str], types: Mapping[str, type]) -> pd.DataFrame:
    """Read a whole table, with the types of some of its columns; names are those of `header`."""
    import pandas as pd

    with open_table(path) as stream, as_text(stream) as text, parsing(path):
        names = header(path, text, needed)
        kinds = {name: kind for name, kind in types.items() if name in names}
        try:
            return pd.read_csv(
                text, names=names, header=None, index_col=False, dtype=kinds, low_memory=False
            )
        except pd.errors.EmptyDataError:
            return pd.DataFrame(columns=names)


def separator(names: Sequence[str]) -> str | None:
    """Return what separates the columns of a header that commas do not split.

    >>> separator(["a;b;c"]), separator(["a", "b;1"]), separator(["a"])
    ("';'", None, None)
    """
    text = ",".join(names)
    for mark, word in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
        if text.count(mark) > text.count(","):
            return word
    return None


def records(path: Path, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield every record that is not blank, with the number of the line where it begins.

    The header is the first. Lines end as in the file, and quoted cells may hold line ends.

    Raises
    ------
    InputError
        If a quote is never closed or closed inside a cell (`strict` only), or a cell is larger than
        131,072 characters.
    """
    with open_table(path) as stream, as_text(stream) as text, reading(path):
        reader = csv.reader(_lines(path, text), strict=strict)
        begins = 1
        while True:
            try:
                record = next(reader, None)
            except csv.Error as error:
                what = "a quote is opened and never closed" if "end of data" in str(error) else (
                    f"the line cannot be split into cells ({error})"
                )  # fmt: skip
                raise InputError(
                    f"{path}, line {begins}: {what}. Look for a stray quote there."
                ) from error
            if record is None:
                return
            if len(record) > 1 or (record and (not record[0] or record[0].strip())):
                yield begins, record
            begins = reader.line_num + 1


def line_of(path: Path, row: int) -> int:
    """Return the line on which row number `row` begins; row 0 follows the header."""
    for number, (line, _) in enumerate(records(path), start=-1):
        if number == row:
            return line
    raise InputError(f"{path}: has no row {row}.")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what archives and decoders raise into one readable error; of pandas, see `parsing`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        what = "ends too early" if isinstance(error, EOFError) else "is broken"
        raise InputError(
            f"{path}: the compressed file {what} ({error}). Download it again."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}{_not_utf8(path)}. Save the file as UTF-8.") from error


@contextlib.contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turn what pandas raises, too, into one readable error that names the true line."""
    import pandas as pd

    try:
        with reading(path), warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except (pd.errors.ParserWarning, pd.errors.ParserError) as error:
        from spikedrop.files.cells import find_fault

        raise find_fault(path, ()) or InputError(
            f"{path}: the table cannot be split into columns ({' '.join(str(error).split())}). "
            "Look for a stray quote."
        ) from error


def fits(record: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a record has a cell for each name; a comma at the end adds none."""
    more = len(record) - len(names)
    return more == 0 or (more == 1 and not record[-1].strip())


def cells_error(path: Path, line: int, record: Sequence[str], names: Sequence[str]) -> InputError:
    """Say what may have given a record its number of cells."""
    count, expected = len(record), len(names)
    advice = "Look for a missing comma or cell there"
    if count > expected and line == 2:
        advice = (
            "Look for a missing name, or a comma inside a number; where line 1 is a title, delete "
            "it, so that the names of the columns come first"
        )
    elif count > expected:
        advice = "Look for a stray comma there, or one inside a number"
    return InputError(
        f"{path}, line {line}: the table cannot be split into columns: the line has {count} "
        f"fields, and line 1 names {expected}. {advice}."
    )


def _not_utf8(path: Path) -> str:
    """Find the first line that is not UTF-8."""
    number = 1
    with open_table(path) as stream:
        while block := stream.readline(MAX_LINE):
            try:
                block.decode("utf-8")
            except UnicodeDecodeError as error:
                number += len(block[: error.start].replace(b"\r\n", b"\n").split(b"\r")) - 1
                return f", line {number}: byte {block[error.start]:#04x} is not UTF-8"
            ends = block.replace(b"\r\n", b"\n")
            number += ends.count(b"\n") + ends.count(b"\r")
    return ": the text is not UTF-8"
