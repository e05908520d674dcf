"""Without a folder to write to: nothing ends in a traceback, nothing is shared with other users."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import spikedrop
from spikedrop.engines import caches

NOBODY = 65534
# Root writes anywhere, so the tests become a user who may read everything and write nothing.
AS_NOBODY = [
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
]  # fmt: skip
VARIABLES = ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "KERAS_HOME")


@pytest.fixture(scope="module")
def place():
    """Return a folder with a copy of the package that cannot be written, a work and a temp one."""
    root = Path(tempfile.mkdtemp(prefix="homeless-"))  # which others may enter, unlike tmp_path
    root.chmod(0o755)
    package = Path(spikedrop.__file__).parent
    shutil.copytree(package, root / "spikedrop", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (root / "spikedrop", *(root / "spikedrop").rglob("*/")):
        if folder.is_dir():
            folder.chmod(0o555)
    for name in ("work", "temp", "home"):
        (root / name).mkdir()
        if os.getuid() == 0:
            os.chown(root / name, NOBODY, NOBODY)
    (root / "home").chmod(0o555)
    yield root
    for folder in (root / "spikedrop", *(root / "spikedrop").rglob("*/"), root / "home"):
        folder.chmod(0o755)
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def run(place):
    """Return a function that runs Python code as a user without a home."""
    prefix = AS_NOBODY if os.getuid() == 0 else []
    if prefix and (
        shutil.which("setpriv") is None
        or subprocess.run([*prefix, sys.executable, "-c", ""], capture_output=True).returncode
    ):
        pytest.skip("root here cannot become a user who may read everything (setpriv)")

    def run(code, home="/nonexistent", **variables):
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(place),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(place / "temp"),
            **variables,
        }
        if home is not None:
            environment["HOME"] = str(home)
        done = subprocess.run(
            [*prefix, sys.executable, "-c", code],
            cwd=place / "work", env=environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    return run


SHOW = f"import os, spikedrop\nfor v in {VARIABLES}: print(os.environ.get(v))"
COMMANDS = """
import os
import numpy as np
from spikedrop.cli import app
from spikedrop.network.keras_import import import_tensorflow
import_tensorflow()
import keras, numba

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
np.save("x.npy", rng.normal(size=(40, 3)).astype("float32"))
np.save("y.npy", rng.normal(size=40))
layers = [keras.Input((3,)), *(keras.layers.Dense(32, "relu") for _ in range(2))]
keras.Sequential([*layers, keras.layers.Dropout(0.2), keras.layers.Dense(1)]).save("m.keras")
for line in (
    "sample m.keras x.npy -o ann.zarr --network ann --draws 20",
    "sample m.keras x.npy -o snn.zarr --draws 20 --steps 20",
    "score ann.zarr y.npy",
    "score ann.zarr y.npy --noise-sd 0.5",
    "compare ann.zarr snn.zarr",
):
    try:
        app(line.split())
    except SystemExit as ended:
        assert not ended.code, line
import matplotlib.pyplot as plt
plt.figure().savefig("figure.png")
"""


def test_all_commands_work_without_a_home_and_say_nothing(place, run):
    done = run(COMMANDS)
    assert done.stderr == ""
    assert "crps" in done.stdout
    shared = Path(tempfile.gettempdir(), ".keras")  # what Keras takes where there is no home
    assert not shared.exists() or shared.stat().st_uid != NOBODY
    private = place / "temp" / f"spikedrop-{NOBODY if os.getuid() == 0 else os.getuid()}"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert list(private.rglob("*.nbc"))  # compiled once, for the next command
    assert {file.name for file in (place / "work").iterdir()} == {
        "m.keras", "x.npy", "y.npy", "ann.zarr", "snn.zarr", "figure.png"
    }  # fmt: skip


@pytest.mark.parametrize("home", ["/nonexistent", None, "read-only", "/dev/null", "relative"])
def test_each_library_has_a_private_folder_whatever_is_wrong_with_the_home(place, run, home):
    home = place / "home" if home == "read-only" else home
    found = run(SHOW, home).stdout.split()
    private = Path(found[0]).parent
    assert [Path(folder).parent for folder in found] == [private] * 3
    assert private.is_relative_to(place / "temp")
    assert not list((place / "home").iterdir())


def test_what_works_and_what_is_set_stays(place, run):
    home = place / "temp" / "house"
    home.mkdir()
    home.chmod(0o777)
    assert run(SHOW, home).stdout.split() == ["None"] * 3
    assert not list(home.iterdir())  # looking leaves nothing
    chosen = {name: str(home / name) for name in VARIABLES}
    assert run(SHOW, **chosen).stdout.split() == list(chosen.values())
    found = run(SHOW, home, NUMBA_CACHE_DIR=str(place / "home")).stdout.split("\n")
    assert found[0].startswith(str(place / "temp"))
    assert found[1:3] == ["None", "None"]


def test_numba_that_was_imported_before_knows_the_folder(run):
    code = "import numba, os, spikedrop\nassert numba.config.CACHE_DIR == os.environ[{!r}]"
    run(code.format("NUMBA_CACHE_DIR"))


NENGO = """
from spikedrop.engines.nengo_import import nengo
from spikedrop.network import Layer, Network
from spikedrop.conversion import calibrate
from spikedrop.sampling.snn import sample_snn
import numpy as np
one, zero = np.ones((1, 1), "float32"), np.zeros(1, "float32")
network = Network.chain((Layer("a", one, zero, 0.5),), Layer("y", one, zero))
x = one
print(sample_snn(network, calibrate(network, x), x, draws=3, seed=0, backend="nengo").shape)
print(nengo.rc["decoder_cache"]["enabled"])
"""
NAMELESS = """
import os, pwd
os.path.expanduser = lambda path: path  # as for a user whom the system does not know
from spikedrop.errors import InputError
try:
    import spikedrop.engines.nengo_import
except InputError as error:
    print(error)
"""


def test_nengo_runs_where_nothing_can_be_kept_and_asks_for_a_home_where_it_must(run):
    pytest.importorskip("nengo")
    assert run(NENGO).stdout.split("\n")[1:] == ["True", ""]  # Nengo's settings are the user's
    assert "set the environment variable HOME" in run(NAMELESS).stdout


NOWHERE = """
import os, resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from spikedrop.engines.caches import njit
assert "NUMBA_CACHE_DIR" not in os.environ
print(njit(cache=True)(lambda x: 2 * x)(4))
"""


def test_kernels_run_without_a_cache_where_nothing_can_be_written(run):
    """Files of no byte are all that the operating system lets this process write."""
    assert run(NOWHERE).stdout == "8\n"


def folder_of(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return caches.private_folder(), tmp_path / f"spikedrop-{os.getuid()}"


def test_a_folder_that_others_can_enter_or_have_made_is_not_taken(tmp_path, monkeypatch):
    """numba unpickles what it finds: whoever can write there could run programs as this user."""
    found, expected = folder_of(tmp_path, monkeypatch)
    assert found == expected
    assert folder_of(tmp_path, monkeypatch)[0] == expected  # again
    expected.chmod(0o770)
    found, _ = folder_of(tmp_path, monkeypatch)
    assert found not in (None, expected)
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    expected.rmdir()
    (tmp_path / "theirs").mkdir(mode=0o700)
    expected.symlink_to(tmp_path / "theirs")
    assert folder_of(tmp_path, monkeypatch)[0] not in (None, expected)
    if os.getuid() == 0:
        expected.unlink()
        expected.mkdir(mode=0o700)
        os.chown(expected, NOBODY, NOBODY)
        assert folder_of(tmp_path, monkeypatch)[0] not in (None, expected)


def test_a_full_folder_takes_no_files(tmp_path):
    assert caches.takes_files(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    assert not caches.takes_files(tmp_path / "file" / "folder")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        assert not caches.takes_files(place)
        assert not caches.takes_files(place / "new")
    finally:
        subprocess.run(["umount", str(place)], check=True)
