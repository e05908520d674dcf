"""Make damaged and hostile model files out of a sound one."""

import io
import json
import shutil
import stat
import zipfile
from pathlib import Path

import h5py
import numpy as np

WEIGHTS = "model.weights.h5"


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, changed, compression=zipfile.ZIP_STORED):
    """Write the archive anew; `changed` maps a name (or ZipInfo) to bytes, or None to leave out."""
    kept = {**members(path), **changed}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in kept.items():
            if data is not None:
                archive.writestr(name, data)


def member(name, data, mode=None):
    """Add a member, as a file of that mode."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (mode or stat.S_IFREG | 0o600) << 16

    def change(folder):
        rewrite(folder / "model.keras", {info: data})

    return change


def config(edit):
    """Change the list of layers: ``edit(config, layers)``."""

    def change(folder):
        file = folder / "model.keras"
        found = json.loads(members(file)["config.json"])
        found = edit(found, found["config"]["layers"]) or found
        rewrite(file, {"config.json": json.dumps(found).encode()})

    return change


def raw_config(data):
    def change(folder):
        rewrite(folder / "model.keras", {"config.json": data}, zipfile.ZIP_DEFLATED)

    return change


def weights(edit):
    """Change the file of weights: ``edit(h5py.File)``."""

    def change(folder):
        file = folder / "model.keras"
        stream = io.BytesIO(members(file)[WEIGHTS])
        with h5py.File(stream, "r+") as found:
            edit(found)
        rewrite(file, {WEIGHTS: stream.getvalue()})

    return change


def layer(kind, module="keras.layers", name="odd", **more):
    """A layer's entry in the list, put before the last."""

    def edit(found, layers):
        inside = {"name": name, "trainable": True, "dtype": "float32", **more}
        layers.insert(
            -1,
            {"module": module, "class_name": kind, "config": inside, "registered_name": None},
        )

    return config(edit)


def setting(position, **values):
    """Change settings of the layer at that place."""
    return config(lambda found, layers: layers[position]["config"].update(values))


def drop_dropout(found, layers):
    del layers[2]


def kernel(found):
    return found["layers/dense/vars"]


def replace_kernel(values):
    def edit(found):
        del kernel(found)["0"]
        kernel(found)["0"] = values

    return edit


def claim_kernel(found):
    """A data set that claims 10^12 values and has none."""
    del kernel(found)["0"]
    kernel(found).create_dataset("0", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))


def link_out(found):
    del kernel(found)["0"]
    kernel(found)["0"] = h5py.ExternalLink("other.h5", "/secret")


def read_out(found):
    del kernel(found)["0"]
    kernel(found).create_dataset(
        "0", shape=(3, 8), dtype="f4", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)]
    )


def nan_kernel(found):
    kernel(found)["0"][0, 0] = np.nan


def cut(name, share=0.5):
    """Leave only the first part of a file."""

    def change(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(share * len(data))])

    return change


def content(name, data):
    """Put that into the file (bytes, or text)."""
    data = data.encode() if isinstance(data, str) else data

    def change(folder):
        (folder / name).write_bytes(data)

    return change


def gone(name):
    def change(folder):
        path = Path(folder, name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def folder_instead(name):
    def change(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return change
