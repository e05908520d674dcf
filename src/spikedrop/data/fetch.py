"""Download NCI-ALMANAC's records, once, and know them again."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import requests

from spikedrop.data.nci_almanac import COLUMNS
from spikedrop.errors import InputError
from spikedrop.files import csvs
from spikedrop.files.writing import written

__all__ = ["DownloadError", "fetch_almanac"]

with warnings.catch_warnings():
    # pooch imports tqdm's notebook bar, which warns in every kernel without widgets.
    warnings.filterwarnings("ignore", message="IProgress not found")
    import pooch

ARCHIVE, MIRROR = "ComboDrugGrowth_Nov2017.zip", "ComboDrugGrowth_Nov2017.csv"
ALMANAC_URL = f"https://wiki.nci.nih.gov/download/attachments/338237347/{ARCHIVE}"
_BY_HAND = (
    "By hand: open the page NCIDTPdata/NCI-ALMANAC on wiki.nci.nih.gov in a browser and save its "
    "attachment ComboDrugGrowth_Nov2017.zip (about 150 MB), or take the mirror "
    "ftp.mcs.anl.gov/pub/candle/public/benchmarks/Pilot1/combo/ComboDrugGrowth_Nov2017.csv "
    "(612 MB). Put the file into {folder} and call fetch_almanac again."
)


class DownloadError(OSError):
    """A download that did not give a usable file; the message says how to get it by hand.

    Examples
    --------
    >>> issubclass(DownloadError, OSError)
    True
    """


def fetch_almanac(
    folder: str | Path | None = None, *, url: str = ALMANAC_URL, progress: bool = True
) -> Path:
    """Download NCI-ALMANAC's records if they are not there yet, and check them.

    A download is good when the archive opens, its checksums hold and its header is NCI's. After the
    first good one its SHA-256 is written beside it (`<file>.sha256`, as `sha256sum` writes it), and
    every later call verifies the file against it: a changed file is downloaded again, and accepted
    only if it is the recorded one (the mirror's file is refused). A file put into the folder by
    hand is checked and recorded in the same way, without any download. An interrupted download
    leaves nothing behind and starts anew at the next call.

    Parameters
    ----------
    folder : path, optional
        Where the file goes; by default the user's cache folder of `spikedrop`.
    url : str
        Where it comes from; its last part is the name of the file. By default the attachment of
        NCI's wiki.
    progress : bool, default True
        Whether to show a progress bar.

    Returns
    -------
    Path
        The file, for `load_almanac`.

    Raises
    ------
    InputError
        If the URL does not end in the name of a `.csv`, `.csv.gz` or `.zip`, a file put there by
        hand cannot be read, a mirror's file is not the recorded one, or the recorded checksum
        cannot be read.
    DownloadError
        If the server refused (the wiki is known to answer 403), the connection broke off, or what
        came is not NCI's table or not the recorded file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:  # put there by hand, not downloaded
    ...     _ = Path(folder, "records.csv").write_text(",".join(COLUMNS) + "\\n")
    ...     fetch_almanac(folder, url="https://example.org/records.csv").name
    ...     sorted(file.name for file in Path(folder).iterdir())
    'records.csv'
    ['records.csv', 'records.csv.sha256']
    """
    folder = Path(pooch.os_cache("spikedrop") if folder is None else folder)
    name = PurePosixPath(urlsplit(url).path).name
    if not name.lower().endswith(csvs.SUFFIXES):
        raise InputError(
            f"{url}: the name {name!r} does not end in {', '.join(csvs.SUFFIXES)}. "
            "Pass the URL of a file of records."
        )
    path, mirror = folder / name, folder / MIRROR
    if name == ARCHIVE and mirror.is_file() and not path.is_file():
        if not _known(mirror):
            raise InputError(
                f"{mirror}: not the file whose checksum {mirror.name}.sha256 holds. Download it "
                "again, or delete the checksum if the change is meant."
            )
        return mirror
    if not path.is_file() or not _known(path):
        record = _record(path)
        known = _recorded(record) if record.is_file() else None
        _download(url, path, known, progress)
        if known is None:
            _write(record, path)
    return path


def _check_records(path: Path) -> None:
    """Check that a file of records is whole and has NCI's header.

    Raises
    ------
    InputError
        If it cannot be opened, a checksum of the archive fails, or a column is missing.
    """
    with csvs.open_table(path) as stream, csvs.as_text(stream) as text:
        csvs.header(path, text, COLUMNS)
        if not path.name.lower().endswith(".csv"):
            # Reading to the end makes gzip and zip compare the checksums they carry.
            with csvs.reading(path):
                while stream.read(1 << 20):
                    pass


def _known(path: Path) -> bool:
    """Whether a file is the recorded one; it is recorded if none was, once it was checked."""
    record = _record(path)
    if record.is_file():
        return _sha256(path) == _recorded(record)
    _check_records(path)  # put there by hand, or the record was lost
    _write(record, path)
    return True


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sha256(path: Path) -> str:
    return pooch.file_hash(str(path), alg="sha256")


def _download(url: str, path: Path, known: str | None, progress: bool) -> None:
    answers: list[requests.Response] = []

    def keep(answer: requests.Response, **_: Any) -> None:
        answers.append(answer)

    fetch = pooch.HTTPDownloader(progressbar=progress, timeout=60, hooks={"response": keep})

    def fetch_and_check(source: str, target: str, caller: object) -> None:
        # pooch hands in a temporary file and deletes it when this raises.
        try:
            fetch(source, target, caller)
        finally:
            for answer in answers:  # a failed download leaves its connection open
                answer.close()
        with _named_like(Path(target), path) as partial:
            _check_records(partial)

    by_hand = _BY_HAND.format(folder=path.parent)
    try:
        with _quiet():
            pooch.retrieve(
                url,
                known_hash=None if known is None else f"sha256:{known}",
                fname=path.name,
                path=path.parent,
                downloader=fetch_and_check,
            )
    except requests.HTTPError as error:
        code = getattr(error.response, "status_code", "with an error")
        raise DownloadError(f"{url}: the server answered {code}. {by_hand}") from error
    except requests.RequestException as error:
        raise DownloadError(
            f"{url}: the connection failed or broke off, and nothing was kept ({error}). "
            f"Call again to start anew. {by_hand}"
        ) from error
    except InputError as error:
        raise DownloadError(
            f"{url}: what came is not NCI's table, and was not kept ({error}). {by_hand}"
        ) from error
    except ValueError as error:
        raise DownloadError(
            f"{url}: the file differs from the one recorded in {path.name}.sha256, and was not "
            f"kept. If NCI has published a new one, delete {path} and {path}.sha256 and call "
            f"again. {by_hand}"
        ) from error


@contextlib.contextmanager
def _named_like(target: Path, path: Path) -> Iterator[Path]:
    """Give a temporary file the extension of its final name while it is checked."""
    named = target.with_name(f"{target.name}.{path.name}")
    target.rename(named)
    try:
        yield named
    finally:
        named.rename(target)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep pooch's own notes off the page; what goes wrong is raised."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _recorded(record: Path) -> str:
    words = record.read_text(encoding="utf-8", errors="replace").split()
    if not words or len(words[0]) != 64 or set(words[0].lower()) - set("0123456789abcdef"):
        raise InputError(f"{record}: not a SHA-256 checksum. Delete it, and call again.")
    return words[0].lower()


def _write(record: Path, path: Path) -> None:
    with written(record) as part:
        part.write_text(f"{_sha256(path)}  {path.name}\n")
