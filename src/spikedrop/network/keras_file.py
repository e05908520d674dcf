"""Read a `.keras` file from anywhere: nothing in it runs, and it takes no more than it holds.

The archive, the list of layers and the weights' file are looked at before Keras is imported. What
is then built are only layers of a known list, and each of their weights is counted against the
weights that the file really holds before it takes memory.
"""

from __future__ import annotations

import json
import stat
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from spikedrop.errors import InputError
from spikedrop.files.checks import enough_memory, regular_file
from spikedrop.network.convertible import LAYERS, why_not
from spikedrop.network.keras_import import import_keras
from spikedrop.network.named import columns_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py
    import keras

    from spikedrop.network.graph import Network

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MAX_CONFIG_BYTES = 16_000_000
MAX_RATIO, SMALL = 100, 1_000_000  # a member of more than SMALL bytes is packed no tighter
MAX_VALUES = 50_000_000  # of one layer for one observation
WHERE = ("keras", "keras.layers", "keras.models")
MODELS = ("Sequential", "Functional", "Model")
MODEL_MODULES = (*WHERE, "keras.src.models.functional", "keras.src.models.sequential")
INITIALISED = {
    "Dense": ("kernel", "bias"),
    "Conv1D": ("kernel", "bias"),
    "Conv2D": ("kernel", "bias"),
    "BatchNormalization": ("beta", "gamma", "moving_mean", "moving_variance"),
}
#: Other files that hold models, and how each becomes a `.keras` file.
_TENSORFLOW = (
    "it holds a graph of operations without layers; open the model in Keras where it was made"
)
_TRANSLATED = (
    "build the same layers in Keras and copy the weights with set_weights (kernels have axes "
    "(input, unit))"
)
_LEGACY = (
    "a legacy HDF5 model; in Keras 3: model = keras.saving.load_model('{name}', compile=False)"
)
OTHER = {
    ".weights.h5": "weights without layers; build the model in Keras and call its load_weights",
    ".h5": _LEGACY,
    ".hdf5": _LEGACY,
    ".pb": f"part of a TensorFlow SavedModel; {_TENSORFLOW}",
    ".ckpt": "a TensorFlow checkpoint without layers; build the model in Keras and call its "
    "load_weights",
    ".index": "part of a TensorFlow checkpoint without layers; build the model in Keras and call "
    "its load_weights",
    ".tflite": f"a TensorFlow Lite model; {_TENSORFLOW}, before it was converted",
    ".onnx": f"an ONNX model; {_TRANSLATED}",
    ".pt": f"a PyTorch model; {_TRANSLATED}",
    ".pth": f"a PyTorch model; {_TRANSLATED}",
    ".safetensors": f"weights without layers; {_TRANSLATED}",
    ".json": "layers without weights; in Keras: keras.models.model_from_json, then load_weights",
    ".pkl": "a pickle, which runs code when it is opened; open it where it was made",
    ".joblib": "a pickle, which runs code when it is opened; open it where it was made",
}
ABSENT = ("_regularizer", "_constraint")  # of training; not needed to predict


def read_model(path: str | Path) -> Network:
    """Read a model file as a network that can be sampled.

    Parameters
    ----------
    path : path
        A `.keras` file, written by ``keras.Model.save``.

    Raises
    ------
    InputError
        If the file is missing, damaged or hostile, carries code or a class of its own, claims more
        than it holds, or its model cannot be converted (`spikedrop.network.keras_model.read`).

    Examples
    --------
    >>> read_model("none.keras")
    Traceback (most recent call last):
    spikedrop.errors.InputError: none.keras: No such file or directory; give the path of a model.
    """
    from spikedrop.network.graph import Network

    path = Path(path)
    model = load_keras(path)
    try:
        return Network.from_keras(model)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def load_keras(path: str | Path) -> keras.Model:
    """Read a model file as a Keras model; the checks are those of `read_model`.

    Where the file names its inputs, the model has them as ``feature_names_in_``.
    """
    path = Path(path)
    _refuse_other_kinds(path)
    regular_file(path, (".keras",), "a model")
    with _damage_named(path), zipfile.ZipFile(path) as archive:
        _check_members(path, archive)
        config = _read_config(path, archive)
        stored = _stored_values(path, archive)
        columns = columns_in(path, archive)
    import_keras()
    with _damage_named(path):
        model = _build(path, config, stored)
        _check_layers(path, model)
        with _in_small_letters(path) as named:
            model.load_weights(named)
    if columns is not None:
        model.feature_names_in_ = columns.inputs
    return model


def _refuse_other_kinds(path: Path) -> None:
    """Say how another file or folder that holds a model becomes a `.keras` file."""
    if (path / "saved_model.pb").is_file():
        found: str | None = f"a TensorFlow SavedModel; {_TENSORFLOW}"
    elif path.is_file():
        name = path.name.lower()
        found = next((text for ending, text in OTHER.items() if name.endswith(ending)), None)
    else:
        found = None
    if found is not None:
        found = found.format(name=path.name)
        raise InputError(f"{path}: is {found}, then model.save('{path.name.split('.')[0]}.keras').")


@contextmanager
def _in_small_letters(path: Path) -> Iterator[Path]:
    """Give the path of a file whose name ends in .keras, as Keras asks, whatever its letters."""
    if path.suffix == ".keras":
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder, "model.keras")
        link.symlink_to(path.resolve())
        yield link


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what archives, parsers and Keras raise into one line."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into memory.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(f"{path}: is not a sound .keras archive ({_short(error)}).") from error
    except Exception as error:  # Keras and HDF5 raise of every kind on what they cannot read
        raise InputError(f"{path}: cannot be read as a Keras model ({_short(error)}).") from error


def _short(error: BaseException) -> str:
    """One short line of an error, which the file may have written."""
    line = " ".join(str(error).split()) or type(error).__name__
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= 200 else f"{line[:200]}..."


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Look only at the archive's list: names, kinds, sizes."""
    members = archive.infolist()
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in member.filename:
            raise InputError(
                f"{path}: member {member.filename!r} would be written outside its folder; the file "
                "is hostile."
            )
        if stat.S_ISLNK(member.external_attr >> 16) or member.is_dir():
            raise InputError(f"{path}: member {member.filename!r} is a link or a folder.")
        if member.flag_bits & 1:
            raise InputError(f"{path}: member {member.filename!r} is encrypted.")
        packed = member.file_size > MAX_RATIO * max(member.compress_size, 1)
        if member.file_size > SMALL and packed:
            raise InputError(
                f"{path}: member {member.filename!r} unpacks to {member.file_size:,} bytes from "
                f"{member.compress_size:,}; Keras does not write that."
            )
    names = sorted(member.filename for member in members)
    if len(set(names)) < len(names):
        raise InputError(f"{path}: a member is a duplicate.")
    if not {CONFIG, WEIGHTS} <= set(names) <= {CONFIG, WEIGHTS, METADATA}:
        raise InputError(
            f"{path}: holds {', '.join(map(repr, names[:5])) or 'nothing'}; a model holds "
            f"{CONFIG}, {METADATA} and {WEIGHTS}: save it with model.save('name.keras')."
        )
    if archive.getinfo(CONFIG).file_size > MAX_CONFIG_BYTES:
        raise InputError(f"{path}: {CONFIG} is larger than {MAX_CONFIG_BYTES:,} bytes.")
    enough_memory(path, sum(member.file_size for member in members))


def _read_config(path: Path, archive: zipfile.ZipFile) -> dict:
    """Read the list of layers; refuse all that is not on ours, before anything is made of it."""
    try:
        config = json.loads(archive.read(CONFIG).decode("utf-8"))
        _refuse_keras_2(path, archive, config)
        if not isinstance(config, dict) or config.get("class_name") not in MODELS:
            kind = config.get("class_name") if isinstance(config, dict) else type(config).__name__
            raise InputError(
                f"{path}: holds {kind!r}, not a keras.Sequential or functional model; a class of "
                "your own cannot be read without running its code."
            )
        return _checked(path, config)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: {CONFIG} is no JSON that can be read.") from error


def _refuse_keras_2(path: Path, archive: zipfile.ZipFile, config: object) -> None:
    """Keras 2 and tf_keras name their modules and their inputs otherwise."""
    found = None
    if METADATA in archive.namelist() and archive.getinfo(METADATA).file_size < SMALL:
        found = json.loads(archive.read(METADATA).decode("utf-8"))
    version = str(found.get("keras_version")) if isinstance(found, dict) else ""
    module = config.get("module") if isinstance(config, dict) else None
    if version.startswith(("1.", "2.")) or str(module).startswith("tf_keras."):
        raise InputError(
            f"{path}: was saved by Keras 2, whose layers Keras 3 does not read from such a file: "
            "save it there with model.save('name.h5'), then in Keras 3: "
            "keras.saving.load_model('name.h5', compile=False).save('name.keras')."
        )


def _checked(path: Path, value: Any) -> Any:
    """Return a configuration without what only training needs, or raise `InputError`."""
    if isinstance(value, list):
        return [_checked(path, item) for item in value]
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {
            key: None if key.endswith(ABSENT) else _checked(path, item)
            for key, item in value.items()
            if not key.endswith("_initializer")
        }
    kind, module = value["class_name"], value.get("module")
    inside = value.get("config")
    name = inside.get("name") if isinstance(inside, dict) else None
    known = (
        (kind in MODELS and module in MODEL_MODULES)
        or (kind in (*LAYERS, "InputLayer") and module in WHERE)
        or (kind == "DTypePolicy" and module in ("keras", "keras.dtype_policies"))
        or (kind == "__keras_tensor__" and module is None)
    )
    if isinstance(kind, str) and kind.endswith("DTypePolicy") and kind != "DTypePolicy":
        raise InputError(
            f"{path}: its weights are quantized ({kind}), codes and not numbers: save the model "
            "before it is quantized, or train it again."
        )
    if not known or value.get("registered_name") not in (None, kind):
        if module in WHERE and isinstance(kind, str) and (fault := why_not(kind)):
            raise InputError(f"{path}: layer {name!r} ({kind}) {fault}")
        raise InputError(
            f"{path}: {kind!r} of {module!r} is not a part of Keras that a convertible model has; "
            "code and classes of your own are not loaded."
        )
    if not isinstance(inside, dict):
        raise InputError(f"{path}: {kind} has no configuration.")
    checked = {key: _checked(path, item) for key, item in value.items() if key != "compile_config"}
    for weight in INITIALISED.get(kind, ()):
        checked["config"][f"{weight}_initializer"] = {
            "module": None,
            "class_name": "Counted",
            "config": {},
            "registered_name": "Counted",
        }
    shape = inside.get("batch_shape") if kind == "InputLayer" else None
    if shape is not None and _size(shape) > MAX_VALUES:
        raise InputError(f"{path}: input {name!r} has shape {shape}: too large.")
    return checked


def _size(shape: list | tuple) -> float:
    """Values of one observation; unknown axes count once."""
    return float(np.prod([float(n or 1) for n in shape]))


def _stored_values(path: Path, archive: zipfile.ZipFile) -> int:
    """Count the weights that the file holds; refuse links and claims without data."""
    import h5py

    links: list[tuple[str, object]] = []
    found: list[h5py.Dataset] = []

    def collect(name: str, thing: object) -> None:  # to raise from in here upsets HDF5
        if isinstance(thing, h5py.Dataset):
            found.append(thing)

    with archive.open(WEIGHTS) as stream, h5py.File(stream, "r") as file:
        file.visititems_links(lambda name, link: links.append((name, link)))
        for name, link in links:
            if not isinstance(link, h5py.HardLink):
                raise InputError(f"{path}: {WEIGHTS} has a link to elsewhere, {name!r}.")
        file.visititems(collect)
        for data in found:
            if data.external or data.is_virtual:
                raise InputError(f"{path}: {WEIGHTS} reads {data.name!r} from another file.")
            if data.dtype.kind not in "fiub" and not _brain_float(data):
                raise InputError(
                    f"{path}: {WEIGHTS} holds {data.dtype} in {data.name!r}, not numbers."
                )
        values, claimed = (
            sum(getattr(data, what) for data in found) for what in ("size", "nbytes")
        )
    size = archive.getinfo(WEIGHTS).file_size
    if claimed > size:
        raise InputError(f"{path}: {WEIGHTS} claims {claimed:,} bytes of weights in {size:,}.")
    return values


def _brain_float(data: h5py.Dataset) -> bool:
    """Whether that is how Keras stores bfloat16, which HDF5 does not know."""
    return data.dtype == np.dtype("V2") and data.attrs.get("dtype") == "bfloat16"


def _build(path: Path, config: dict, stored: int) -> keras.Model:
    """Make the layers; every weight is counted before it takes memory."""
    import keras

    made = 0

    class Counted(keras.initializers.Initializer):
        def __call__(self, shape: tuple[int, ...], dtype: object = None) -> object:
            nonlocal made
            made += int(_size(shape))
            if made > stored:
                raise InputError(
                    f"{path}: its layers ask for at least {made:,} weights, and the file holds "
                    f"{stored:,}."
                )
            return keras.ops.zeros(shape, dtype)

    return keras.saving.deserialize_keras_object(
        config, custom_objects={"Counted": Counted}, safe_mode=True
    )


def _check_layers(path: Path, model: keras.Model) -> None:
    """Refuse layers whose values alone would fill the memory; leave ordinary initializers."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _check_layers(path, layer)
        for weight in INITIALISED.get(type(layer).__name__, ()):  # so that it can be cloned
            setattr(layer, f"{weight}_initializer", keras.initializers.Zeros())
        for tensor in keras.tree.flatten(layer.output):
            if _size(tensor.shape[1:]) > MAX_VALUES:
                raise InputError(
                    f"{path}: layer {layer.name!r} has values of shape {tensor.shape[1:]} for one "
                    "observation: too large."
                )
