"""NIR on random networks of all kinds of layers: refused at writing by name, or read back alike."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from spikedrop.conversion import Conversion
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.folding import fold_masks
from spikedrop.network.forward import forward
from spikedrop.network.kinds import KINDS
from spikedrop.nir import from_nir, to_nir, write_members, write_nir
from tests.nir.test_nir import assert_same

#: Stems of names that files, graphs and NIR itself could stumble over.
STEMS = ("input", "output", "a/b", "..", "n00_input", "Größe", "²", "层", "x" * 300, " ", "if", "")
FAMILIES = ("unit", "channel", "gaussian", "weights")
SEEDS = range(60)


class Maker:
    """Adds random layers to a network, each to values that are there already."""

    def __init__(self, seed):
        """Start with one to three inputs, of one to three axes."""
        self.rng = np.random.default_rng(seed)
        self.layers, self.shapes = [], {}
        for _ in range(self.rng.integers(1, 4)):
            size = self.pick([(3,), (4,), (4, 2), (5, 3), (4, 4, 1), (3, 4, 2)])
            self.add("input", size, shape=size)

    def pick(self, found):
        return found[self.rng.integers(len(found))]

    def array(self, *shape):
        return self.rng.normal(0, 0.7, shape).astype("float32")

    def add(self, op, values, sources=(), weights=None, **more):
        name = f"{self.pick(STEMS)}{len(self.layers)}"
        bias = None if weights is None else self.array(weights.shape[-1]) * self.pick([0, 1])
        if op != "input":
            more["activation"] = self.pick(["linear", "relu", "relu"])
        if self.rng.random() < 0.3:
            families = [f for f in FAMILIES if f != "weights" or op == "dense"]
            families = [f for f in families if f != "channel" or len(values) > 1]
            more |= {"dropout": self.pick([0.1, 0.5]), "family": self.pick(families)}
        self.layers.append(Layer(name, weights, bias, op=op, sources=tuple(sources), **more))
        self.shapes[name] = values

    def dense(self, source):
        shape, units = self.shapes[source], int(self.rng.integers(1, 5))
        alike = [one for one in self.layers if one.op == "dense" and len(one.weights) == shape[-1]]
        weights = self.pick(alike).weights if alike else self.array(shape[-1], units)
        self.add("dense", (*shape[:-1], weights.shape[-1]), [source], weights)

    def scale(self, source):
        weights = self.array(self.shapes[source][-1])
        self.add("scale", self.shapes[source], [source], weights)

    def flatten(self, source):
        self.add("flatten", (int(np.prod(self.shapes[source])),), [source])

    def windows(self, source):
        """A convolution or an average, of windows that may be oblong."""
        *space, channels = self.shapes[source]
        window = tuple(int(self.rng.integers(1, min(n, 3) + 1)) for n in space)
        if self.rng.random() < 0.7:
            window = (min(window),) * len(space)
        strides = self.pick([(), (1,) * len(space), (2,) * len(space), window])
        padding = self.pick(["valid", "valid", "same"])
        steps = strides or (1,) * len(space)
        room = [n if padding == "same" else n - k + 1 for n, k in zip(space, window, strict=True)]
        after = [-(-n // s) for n, s in zip(room, steps, strict=True)]
        more = {"strides": strides, "padding": padding}
        if self.rng.random() < 0.5:
            pool = {"window": window, **more}
            self.add("average_pool", (*after, channels), [source], **pool)
        else:
            weights = self.array(*window, channels, int(self.rng.integers(1, 4)))
            self.add("conv", (*after, weights.shape[-1]), [source], weights, **more)

    def joined(self, source):
        """An addition or a concatenation, also of a layer with itself."""
        shape = self.shapes[source]
        same = [name for name, other in self.shapes.items() if other == shape]
        beside = [name for name, other in self.shapes.items() if other[:-1] == shape[:-1]]
        if self.rng.random() < 0.5:
            self.add("add", shape, [source, self.pick(same), *self.pick([[], [source]])])
        else:
            more = [self.pick(beside)]
            width = shape[-1] + self.shapes[more[0]][-1]
            self.add("concatenate", (*shape[:-1], width), [source, *more])

    def network(self):
        """Grow, then read out or flatten whatever no layer reads."""
        for _ in range(self.rng.integers(2, 8)):
            source = self.pick(list(self.shapes)[-4:])
            kinds = [self.dense, self.dense, self.scale, self.flatten, self.joined]
            kinds += [self.windows] * 3 * (len(self.shapes[source]) > 1)
            self.pick(kinds)(source)
        while not any(one.spiking for one in self.layers):
            self.dense(self.layers[-1].name)
        read = {source for one in self.layers for source in one.sources}
        for name in [name for name in self.shapes if name not in read]:
            self.dense(name)
            self.layers[-1] = Layer(
                **{**vars(self.layers[-1]), "dropout": 0.0,
                   "activation": self.pick(["linear", "softmax", "sigmoid"])}
            )  # fmt: skip
        read = {source for one in self.layers for source in one.sources}
        ends = [one.name for one in self.layers if one.name not in read]
        inner = [one for one in self.layers if one.name in read and one.activation == "linear"]
        inner = [one.name for one in inner if one.op != "input" and not one.dropout]
        ends = (*ends, *inner[: self.pick([0, 0, 0, 1])])  # a layer may be read out and read on
        return Network(tuple(self.layers), ends, self.pick([None, 3]))


@cache
def case(seed):
    """A network, its conversion with one scale a layer or more, and inputs."""
    maker = Maker(seed)
    network, rng = maker.network(), maker.rng
    scales = []
    for layer in network.hidden:
        shape = network.shapes[layer.name]
        own = rng.uniform(50, 900, shape if rng.random() < 0.05 else shape[-1:])
        if len(shape) == 1 or rng.random() < 0.4:
            scales.append(np.broadcast_to(own, shape).astype(maker.pick(["float32", "float64"])))
        else:
            scales.append(float(own.flat[0]))
    conversion = Conversion(
        tuple(scales), initial_charge=float(rng.uniform(-0.5, 0.99)), dt=maker.pick([0.001, 0.002])
    )
    return network, conversion, rng.normal(size=(3, network.n_inputs)).astype("float32")


@cache
def refused(seed, draw=None):
    """Why NIR cannot say the network (or a draw), which has to name a layer; None if it can."""
    network, conversion, _ = case(seed)
    masks = None if draw is None else network_masks(network, seed, draw)
    try:
        to_nir(network, conversion, masks)
    except InputError as error:
        assert any(repr(layer.name) in str(error) for layer in network.layers)
        return str(error)
    return None


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_written_is_read_back_and_runs_alike(seed, tmp_path):
    """Bit by bit: every field of every layer, the scales, the readout, and every spike."""
    network, conversion, x = case(seed)
    if refused(seed):
        with pytest.raises(InputError):
            write_nir(tmp_path / "a.nir", network, conversion)
        assert not list(tmp_path.iterdir())
        return
    expected = simulate(network, conversion, x, {}, steps=12)
    file = write_nir(tmp_path / "a.nir", network, conversion)
    for source in (file, to_nir(network, conversion)):
        again, back = from_nir(source)
        assert_same(network, again)
        assert replace(back, scales_hz=()) == replace(conversion, scales_hz=())
        for scale, other in zip(conversion.scales_hz, back.scales_hz, strict=True):
            assert np.asarray(scale).dtype == np.asarray(other).dtype
            np.testing.assert_array_equal(scale, other)
        readout, counts = simulate(again, back, x, {}, steps=12)
        np.testing.assert_array_equal(readout, expected[0])
        for count, other in zip(counts, expected[1], strict=True):
            np.testing.assert_array_equal(count, other)


@pytest.mark.parametrize("seed", SEEDS[::2])
def test_members_are_written_all_or_none_and_run_as_their_draw(seed, tmp_path):
    network, conversion, x = case(seed)
    network = replace(network, stored_masks=2)
    draws = [network_masks(network, seed, draw) for draw in range(2)]
    if any(refused(seed, draw) for draw in range(2)):
        with pytest.raises(InputError):
            write_members(tmp_path / "set", network, conversion, seed=seed)
        assert not (tmp_path / "set").exists()
        return
    files = write_members(tmp_path / "set", network, conversion, seed=seed)
    for file, masks in zip(files, draws, strict=True):
        member, back = from_nir(file)
        assert_same(fold_masks(network, masks), member)
        wanted, found = forward(network, x, masks)[0], forward(member, x)[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
        _, counts = simulate(network, conversion, x, masks, steps=12)
        _, counts2 = simulate(member, back, x, {}, steps=12)
        for layer, count, other in zip(network.hidden, counts, counts2, strict=True):
            kept = masks.get(layer.name, 1) != 0 if layer.family != "weights" else True
            # Folded weights add with other roundings: a spike may come a step later.
            assert (np.abs(count - other) * kept).max() <= 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.filterwarnings("ignore:this NIR graph does not say")
def test_the_nodes_alone_are_the_plain_network(seed):
    """Read as a foreign graph: its outputs before a softmax or sigmoid, which NIR does not have."""
    network, conversion, x = case(seed)
    if refused(seed):
        return
    graph = to_nir(network, conversion)
    assert ("head" in graph.metadata) == any(
        network[name].activation != "linear" for name in network.outputs
    )
    graph.metadata.clear()
    try:
        foreign, read = from_nir(graph)
    except InputError as error:  # its values are in another order, which no layer after it undoes
        assert "is a flattened feature map" in str(error)
        assert any(network[name].op not in ("dense", "conv") for name in network.outputs)
        return
    heads = {name: replace(network[name], activation="linear") for name in network.outputs}
    headless = replace(network, layers=tuple(heads.get(o.name, o) for o in network.layers))
    wanted, found = forward(headless, x)[0], forward(foreign, x)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    _, counts = simulate(network, conversion, x, {}, steps=12)
    started = replace(read, initial_charge=conversion.initial_charge)
    _, counts2 = simulate(foreign, started, x, {}, steps=12)
    for count, other in zip(counts, counts2, strict=True):
        assert np.abs(count - other).max() <= 1  # other roundings, as above


def test_the_random_networks_reach_every_kind():
    """Of those written: all operations, dense layers on one to three axes, families, odd names."""
    written = [case(seed)[0] for seed in SEEDS if not refused(seed)]
    assert len(written) > 0.6 * len(SEEDS)
    layers = [(network, layer) for network in written for layer in network.layers]
    assert {layer.op for _, layer in layers} == set(KINDS)
    ranks = {len(net.shapes[layer.name]) for net, layer in layers if layer.op == "dense"}
    assert ranks == {1, 2, 3}
    assert {layer.family for _, layer in layers} == set(FAMILIES)
    assert {layer.activation for _, layer in layers} == {"linear", "relu", "softmax", "sigmoid"}
    for stem in STEMS:
        assert any(layer.name.startswith(stem) for _, layer in layers)
    for count in ("inputs", "outputs"):
        assert {len(getattr(network, count)) for network in written} >= {1, 2, 3}
    members = [seed for seed in SEEDS if not refused(seed, 0)]
    assert len(members) > 0.3 * len(SEEDS)


def on_a_sequence(**changes):
    """A dense layer on five positions of three channels, read out at each: the reported case."""
    rng = np.random.default_rng(0)
    parts = {
        "s": Layer("s", op="input", shape=(5, 3)),
        "h": Layer("h", rng.normal(size=(3, 4)).astype("float32"), np.zeros(4, "float32"),
                   sources=("s",), activation="relu"),
        "y": Layer("y", rng.normal(size=(4, 2)).astype("float32"), np.ones(2, "float32"),
                   sources=("h",)),
    }  # fmt: skip
    return Network(tuple((parts | changes).values()), ("y",))


def test_a_dense_layer_on_a_sequence_comes_back(tmp_path):
    network, conversion = on_a_sequence(), Conversion((200.0,))
    again, _ = from_nir(write_nir(tmp_path / "a.nir", network, conversion))
    assert_same(network, again)
    x = np.random.default_rng(1).normal(size=(6, 15)).astype("float32")
    np.testing.assert_array_equal(forward(again, x)[0], forward(network, x)[0])


def cannot_be_written():
    """By message: networks that no NIR graph says, and masks of another network."""
    keeps, one = Conversion((200.0,)), np.ones((1, 1), "float32")
    volume = Layer("s", op="input", shape=(2, 2, 2, 3))
    single = np.random.default_rng(0).normal(size=(3, 4))
    double = on_a_sequence(h=Layer("h", single, np.zeros(4), sources=("s",), activation="relu"))
    dropped = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, one[0]))
    tiny = Network.chain((Layer("h", one, one[0]),), Layer("y", one * 1e-30, one[0]))
    mask = np.full((1, 1), 2.0, "float32")
    return {
        "'h' has values with 3 axes": (on_a_sequence(s=volume), keeps, None),
        "'h' has weights that do not come back": (double, keeps, None),
        r"masks for \['g', 'h'\]": (dropped, keeps, {"h": mask, "g": mask}),
        r"masks for \[\], and .* are \['h'\]": (dropped, keeps, {}),
        r"'h' has a mask of shape \(3,\)": (dropped, keeps, {"h": np.ones((1, 3), "float32")}),
        "'y' has weights .* scale is extreme": (tiny, Conversion((1e308,), dt=1.0), None),
    }


@pytest.mark.parametrize("message", cannot_be_written())
def test_what_would_not_come_back_is_refused_at_writing(message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_nir(tmp_path / "new" / "a.nir", *cannot_be_written()[message])
    assert not list(tmp_path.iterdir())


def test_a_file_larger_than_is_read_is_not_written(monkeypatch, tmp_path):
    network, conversion = on_a_sequence(), Conversion((200.0,))
    file = write_nir(tmp_path / "a.nir", network, conversion)
    good = file.read_bytes()
    monkeypatch.setattr("spikedrop.nir.reading.MOST_BYTES", 300)
    with pytest.raises(InputError, match=r"a\.nir is not written: it unpacks to more than"):
        write_nir(file, network, conversion)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [good]


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    network, conversion = on_a_sequence(), Conversion((200.0,))
    with pytest.raises(InputError, match="is a folder; name a file"):
        write_nir(tmp_path, network, conversion)
    (tmp_path / "text").write_text("no folder")
    with pytest.raises(InputError, match="its folder cannot be made"):
        write_nir(tmp_path / "text" / "a.nir", network, conversion)


def test_what_the_machine_lacks_is_not_blamed_on_the_file(monkeypatch, tmp_path):
    file = write_nir(tmp_path / "a.nir", on_a_sequence(), Conversion((200.0,)))

    def full(name):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("nir.read", full)
        with pytest.raises(MemoryError):
            from_nir(file)
    monkeypatch.setattr("os.access", lambda name, mode: False)
    with pytest.raises(InputError, match=r"a\.nir: permission denied"):
        from_nir(file)
