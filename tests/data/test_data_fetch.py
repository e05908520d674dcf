"""Downloads, against a server on this machine: good, refused, cut off, broken, changed."""

import gzip
import hashlib
import io
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from spikedrop.data import DownloadError, fetch_almanac
from spikedrop.data.nci_almanac import COLUMNS
from spikedrop.errors import InputError

NAME = "ComboDrugGrowth_Nov2017.zip"
TABLE = (",".join(COLUMNS) + "\n" + "," * 28 + "\n").encode()


def zipped(content: bytes = TABLE) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ComboDrugGrowth_Nov2017.csv", content)
    return buffer.getvalue()


@dataclass
class Server:
    """What the server answers, and what it was asked for."""

    url: str
    body: bytes = b""
    status: int = 200
    extra_length: int = 0
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    state = Server(url="")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append(self.path)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.body) + state.extra_length))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/files/{NAME}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def fetch(folder: Path, server: Server) -> Path:
    return fetch_almanac(folder, url=server.url, progress=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_good_file_is_kept_with_its_checksum(server, tmp_path, capfd):
    server.body = zipped()
    path = fetch(tmp_path, server)
    assert path == tmp_path / NAME
    assert path.read_bytes() == server.body
    assert names(tmp_path) == [NAME, f"{NAME}.sha256"]
    digest = hashlib.sha256(server.body).hexdigest()
    assert (tmp_path / f"{NAME}.sha256").read_text() == f"{digest}  {NAME}\n"
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown_when_asked_for(server, tmp_path, capfd):
    server.body = zipped()
    fetch_almanac(tmp_path, url=server.url)
    assert "100%" in capfd.readouterr().err


def test_second_call_does_not_download(server, tmp_path):
    server.body = zipped()
    fetch(tmp_path, server)
    fetch(tmp_path, server)
    assert len(server.asked) == 1


def test_folder_is_made_and_the_query_is_not_part_of_the_name(server, tmp_path):
    server.body = zipped()
    server.url += "?version=1&api=v2"
    assert fetch(tmp_path / "a" / "b", server) == tmp_path / "a" / "b" / NAME


def test_default_folder_is_the_users_cache(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    server.body = zipped()
    assert fetch_almanac(url=server.url, progress=False) == tmp_path / "spikedrop" / NAME


def test_403_gives_the_steps_by_hand(server, tmp_path):
    server.status = 403
    with pytest.raises(DownloadError) as caught:
        fetch(tmp_path, server)
    for word in ("403", "NCIDTPdata/NCI-ALMANAC", NAME, "ftp.mcs.anl.gov", str(tmp_path)):
        assert word in str(caught.value)
    assert names(tmp_path) == []


def test_cut_off_download_leaves_nothing_and_starts_anew(server, tmp_path):
    server.body, server.extra_length = zipped()[:-40], 40
    with pytest.raises(DownloadError, match="broke off"):
        fetch(tmp_path, server)
    assert names(tmp_path) == []
    server.body, server.extra_length = zipped(), 0
    assert fetch(tmp_path, server).is_file()


def test_no_server(tmp_path, server):
    server.url = f"http://127.0.0.1:9/{NAME}"
    with pytest.raises(DownloadError, match="connection failed"):
        fetch(tmp_path, server)
    assert names(tmp_path) == []


def broken_crc() -> bytes:
    body = bytearray(zipped(TABLE + b"," * 5000))
    place = body.index(b"PK\x01\x02") - 6  # inside the compressed text
    body[place] ^= 0xFF
    return bytes(body)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Please log in</html>",
        zipped()[:-30],
        broken_crc(),
        zipped(b"A,B\n1,2\n"),
        zipped(b""),
        b"",
    ],
    ids=["web page", "cut archive", "changed byte", "other table", "empty table", "empty"],
)
def test_what_is_not_the_table_is_not_kept(server, tmp_path, body):
    server.body = body
    with pytest.raises(DownloadError, match=r"not NCI's table[\s\S]*By hand"):
        fetch(tmp_path, server)
    assert names(tmp_path) == []


def test_changed_file_is_downloaded_again(server, tmp_path):
    server.body = zipped()
    path = fetch(tmp_path, server)
    path.write_bytes(zipped(TABLE * 2))
    assert fetch(tmp_path, server).read_bytes() == server.body
    assert len(server.asked) == 2


def test_lost_file_is_downloaded_again(server, tmp_path):
    server.body = zipped()
    fetch(tmp_path, server).unlink()
    assert fetch(tmp_path, server).read_bytes() == server.body


def test_another_file_than_the_recorded_one_is_refused(server, tmp_path):
    server.body = zipped()
    path = fetch(tmp_path, server)
    path.unlink()
    server.body = zipped(TABLE + TABLE)
    with pytest.raises(DownloadError, match=r"differs from the one recorded.*delete"):
        fetch(tmp_path, server)
    assert names(tmp_path) == [f"{NAME}.sha256"]


def test_file_put_there_by_hand_is_checked_and_recorded(server, tmp_path):
    (tmp_path / NAME).write_bytes(zipped())
    fetch(tmp_path, server)
    assert names(tmp_path) == [NAME, f"{NAME}.sha256"]
    assert server.asked == []


def test_bad_file_put_there_by_hand_is_named_and_left_alone(server, tmp_path):
    (tmp_path / NAME).write_bytes(b"nothing")
    with pytest.raises(InputError, match=NAME):
        fetch(tmp_path, server)
    assert names(tmp_path) == [NAME]


def test_the_mirrors_table_is_accepted(server, tmp_path):
    mirror = tmp_path / "ComboDrugGrowth_Nov2017.csv"
    mirror.write_bytes(TABLE)
    assert fetch(tmp_path, server) == mirror
    assert fetch(tmp_path, server) == mirror
    assert server.asked == []
    mirror.write_bytes(TABLE + TABLE)
    with pytest.raises(InputError, match="checksum"):
        fetch(tmp_path, server)


def test_broken_checksum_is_named(server, tmp_path):
    (tmp_path / f"{NAME}.sha256").write_text("oops")
    with pytest.raises(InputError, match="not a SHA-256 checksum"):
        fetch(tmp_path, server)


def test_other_kinds_of_file(server, tmp_path):
    server.url = server.url.removesuffix(".zip") + ".csv.gz"
    server.body = gzip.compress(TABLE)
    assert fetch(tmp_path, server).name.endswith(".csv.gz")
    server.url = server.url.removesuffix(".csv.gz") + ".xlsx"
    with pytest.raises(InputError, match=r"does not end in \.csv"):
        fetch(tmp_path, server)
