"""NIR: exact round trips, what a graph means, members of mask sets, refusals, other simulators."""

import sys
from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest

from spikedrop.conversion import Conversion, calibrate
from spikedrop.engines.reference import simulate
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.folding import fold_masks
from spikedrop.network.forward import forward
from spikedrop.nir import from_nir, to_nir, write_members, write_nir
from spikedrop.study.nir_replay import RECORDING, replay
from tests.networks import images, sequences, towers, weights


def chain(**stored):
    """Three inputs; weights are sixteenths, so that float32 adds them exactly."""
    rng = np.random.default_rng(2)

    def some(*shape):
        return (np.round(rng.normal(0, 0.7, shape) * 16) / 16).astype("float32")

    hidden = (Layer("h/1", some(3, 6), some(6), 0.5), Layer("h.2", some(6, 5), some(5), 0.5))
    network = Network.chain(hidden, Layer("y", some(5, 2), some(2)), input_dropout=0.5)
    return network.with_dropout(**stored)


def lenet():
    """`images` with pooling that NIR has: no window over the edge."""
    change = {"p2": {"padding": "valid", "strides": (2, 2)}, "h": {"weights": weights(8, 20)[0]}}
    network = images()
    return replace(
        network, layers=tuple(replace(one, **change.get(one.name, {})) for one in network.layers)
    )


def sequence():
    """`sequences` with whole channels dropped, zeros on both sides, and a normalisation."""
    kernel, bias = weights(3, 2, 5)
    change = {"c": {"family": "channel", "weights": kernel, "bias": bias, "strides": (1,)}}
    change["p"] = {"window": (4,), "strides": (4,), "sources": ("n",)}
    change["f"] = {"sources": ("p",)}
    change["y"] = {"weights": weights(10, 1)[0]}
    layers = [replace(one, **change.get(one.name, {})) for one in sequences().layers]
    factor, offset = weights(5, 5, seed=4)
    layers.insert(2, Layer("n", factor[0], offset, op="scale", sources=("c",)))
    return Network(tuple(layers), ("y",))


def float32(network):
    """The networks of `tests.networks` have a layer or two in float64."""
    return replace(
        network,
        layers=tuple(
            one
            if one.weights is None
            else replace(one, weights=np.float32(one.weights), bias=np.float32(one.bias))
            for one in network.layers
        ),
    )


NETWORKS = {
    "chain": chain,
    "towers": lambda: float32(towers()),
    "lenet": lenet,
    "sequence": sequence,
}


def inputs(network, rows=4):
    rng = np.random.default_rng(9)
    return (np.round(rng.normal(size=(rows, network.n_inputs)) * 8) / 8).astype("float32")


def conversions(network):
    """Return one scale a layer, and one a neuron (a channel, where feature maps share weights)."""
    uniform = calibrate(network, inputs(network, 20), rate_hz=300)
    rng, scales = np.random.default_rng(3), []
    for layer in network.hidden:
        shape = network.shapes[layer.name]
        own = rng.uniform(40, 90, shape[-1:] if len(shape) > 1 else shape)
        scales.append(np.broadcast_to(own, shape))
    return uniform, replace(uniform, scales_hz=tuple(scales), initial_charge=0.25, dt=0.0005)


def assert_same(a, b):
    """Equal in everything, arrays bit by bit."""
    assert a.outputs == b.outputs and a.stored_masks == b.stored_masks
    for one, other in zip(a.layers, b.layers, strict=True):
        for field, value in vars(one).items():
            if isinstance(value, np.ndarray):
                assert value.dtype == vars(other)[field].dtype
                np.testing.assert_array_equal(value, vars(other)[field])
            else:
                assert value == vars(other)[field], (one.name, field)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_round_trip_returns_every_bit(name, tmp_path):
    network = NETWORKS[name]()
    for conversion in conversions(network):
        file = write_nir(tmp_path / "deep" / f"{name}.nir", network, conversion)
        for source in (file, str(file), to_nir(network, conversion)):
            again, back = from_nir(source)
            assert_same(network, again)
            assert (back.neuron, back.synapse_s) == ("charge_keeping", None)
            assert (back.initial_charge, back.dt) == (conversion.initial_charge, conversion.dt)
            for scale, other in zip(conversion.scales_hz, back.scales_hz, strict=True):
                np.testing.assert_array_equal(scale, other)
                assert np.ndim(scale) == np.ndim(other)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_nodes_alone_say_the_same_network(name):
    """Read without our metadata, every neuron fires as often."""
    network = fold_masks(NETWORKS[name](), network_masks(NETWORKS[name](), 0, 1))
    x = inputs(network)
    for conversion in conversions(network):
        graph = to_nir(network, conversion)
        graph.metadata.clear()
        with pytest.warns(UserWarning, match="does not say how its neurons reset"):
            foreign, read = from_nir(graph)
        assert read.initial_charge == 0
        started = replace(read, initial_charge=conversion.initial_charge)
        _, counts = simulate(network, conversion, x, {}, steps=60)
        _, found = simulate(foreign, started, x, {}, steps=60)
        assert sum(count.sum() for count in counts) > 0
        for count, other in zip(counts, found, strict=True):
            # Folded weights add with other roundings: a spike may come a step later.
            assert np.abs(count - other).max() <= 1
            assert (count == other).mean() > 0.97


def run_nodes(graph, x, steps, start):
    """Run a graph of `Affine` and `IF` nodes by NIR's equations, the reset alone replaced."""
    charge = {n: start * node.v_threshold for n, node in graph.nodes.items() if hasattr(node, "r")}
    counts = {name: 0 for name in charge}
    for _ in range(steps):
        values = {}
        for name, node in graph.nodes.items():  # written in an order in which they can be run
            below = sum(values[a] for a, b in graph.edges if b == name)
            if isinstance(node, nir.Input):
                values[name] = x.astype(float)
            elif isinstance(node, nir.Affine):
                values[name] = node.weight @ below + node.bias
            elif isinstance(node, nir.IF):
                charge[name] = charge[name] + node.r * below
                values[name] = np.maximum(np.floor(charge[name] / node.v_threshold), 0)
                charge[name] = charge[name] - values[name] * node.v_threshold
                counts[name] = counts[name] + values[name]
    return list(counts.values())


def test_a_graph_run_by_its_equations_fires_as_the_reference():
    """Counts are equal, neuron by neuron: all sums are exact, and no charge meets its threshold."""
    network = chain()
    conversion = Conversion((250.0, 125.0), initial_charge=0.5 + 2**-10)
    x, masks = inputs(network), network_masks(network, 4, 0)
    _, counts = simulate(network, conversion, x, masks, steps=50)
    assert min(count.sum() for count in counts) > 20
    graph = to_nir(network, conversion, masks)
    for row in range(len(x)):
        found = run_nodes(graph, x[row], 50, conversion.initial_charge)
        for count, other in zip(counts, found, strict=True):
            np.testing.assert_array_equal(count[row], other)


def test_members_hold_their_masks(tmp_path):
    network = chain(stored_masks=3)
    conversion = Conversion((250.0, 125.0), initial_charge=0.5 + 2**-10)
    files = write_members(tmp_path / "set", network, conversion, seed=7)
    assert [file.name for file in files] == ["member_000.nir", "member_001.nir", "member_002.nir"]
    x, seen = inputs(network), set()
    for k, file in enumerate(files):
        member, _ = from_nir(file)
        masks = network_masks(network, 7, k + 3)  # draw k + 3 uses mask k again
        assert_same(fold_masks(network, masks), member)
        assert not member.dropout_rates and member.stored_masks is None
        kept = masks["h/1"][0]
        np.testing.assert_array_equal(
            member["h.2"].weights[:, masks["h.2"][0] > 0],
            (kept[:, None] * network["h.2"].weights)[:, masks["h.2"][0] > 0],
        )
        readout, counts = simulate(network, conversion, x, masks, steps=40)
        readout2, counts2 = simulate(member, conversion, x, {}, steps=40)
        for count, other in zip(counts, counts2, strict=True):
            np.testing.assert_array_equal(count, other)  # dropped neurons are silent in both
        np.testing.assert_allclose(readout, readout2, rtol=1e-5, atol=1e-5)
        seen.add(kept.tobytes() + masks["h.2"].tobytes())
    assert len(seen) == 3


@pytest.mark.parametrize("family", ["unit", "gaussian", "weights"])
def test_folded_masks_are_the_draw(family):
    network = chain()
    if family == "weights":
        network = replace(
            network, layers=(replace(network.layers[0], dropout=0.0), *network.layers[1:])
        )
    network = network.with_dropout(family=family)
    x, masks = inputs(network), network_masks(network, 1, 0)
    wanted, _ = forward(network, x, masks)
    plain, _ = forward(network, x)
    found, _ = forward(fold_masks(network, masks), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert np.abs(plain - wanted).max() > 0.1


def test_folded_masks_of_branches_and_channels_are_the_draw():
    for network in (float32(towers()), lenet(), sequence()):
        x = inputs(network)
        for draw in range(3):
            masks = network_masks(network, 0, draw)
            wanted, found = (forward(*job)[0] for job in
                             ((network, x, masks), (fold_masks(network, masks), x)))  # fmt: skip
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def hand_made(**changes):
    """Two inputs, R = 2, threshold 6 of one neuron and 3 of the other, no spikespike metadata."""
    parts = {
        "in": nir.Input({"input": np.array([2])}),
        "w": nir.Affine(np.array([[1.0, 0.5], [0.0, -1.0]]), np.array([0.25, 0.0])),
        "n": nir.IF(r=np.full(2, 2.0), v_threshold=np.array([6.0, 3.0])),
        "read": nir.Linear(np.array([[1.0, 10.0]])),
        "out": nir.Output({"output": np.array([1])}),
    }
    parts.update(changes)
    names = list(parts)
    return nir.NIRGraph(parts, list(pairwise(names)), type_check=False)


def test_a_hand_made_graph_is_read_as_it_stands():
    """Input (1, 1.5): 2 x 2.0 = 4 a step over 6; -3 a step never; 1 and -2: 2 x 0.25, 2 x 2."""
    with pytest.warns(UserWarning, match="v_reset"):
        network, conversion = from_nir(hand_made())
    x = np.array([[1.0, 1.5], [1.0, -2.0]], "float32")
    readout, (counts,) = simulate(network, conversion, x, {}, steps=31)
    assert counts.tolist() == [[20.0, 0.0], [2.0, 41.0]]  # 124/6; 15.5/6 and 124/3
    np.testing.assert_allclose(readout[:, 0], [20 / 31, (2 + 410) / 31], rtol=1e-6)


def test_a_graph_that_ends_in_neurons_is_read_by_its_spikes():
    graph = nir.NIRGraph.from_list(
        nir.Conv2d((4, 4), np.ones((1, 1, 2, 2)), 2, 0, 1, 1, np.zeros(1)),
        nir.IF(r=np.ones((1, 2, 2)), v_threshold=np.full((1, 2, 2), 8.0)),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten({"input": np.array([1, 1, 1])}, 0, -1),
        nir.IF(r=np.ones(1), v_threshold=np.ones(1)),
    )
    with pytest.warns(UserWarning, match="starting empty"):
        network, conversion = from_nir(graph)
    readout, counts = simulate(network, conversion, np.ones((1, 16), "float32"), {}, steps=10)
    assert counts[0].tolist() == [[[[5.0], [5.0]], [[5.0], [5.0]]]]  # 4 a step over 8
    assert counts[1].tolist() == [[5.0]] and readout.tolist() == [[0.5]]


def bad_networks():
    one, zero = np.ones((2, 2), "float32"), np.zeros(2, "float32")
    plain = Network.chain((Layer("h", one, zero, 0.5),), Layer("y", one, zero))
    keeps = Conversion((100.0,))
    unit = images(family="unit")
    many = Conversion((100.0,) * 3)
    strided = replace(
        sequences(), layers=tuple(replace(one, dropout=0.0) for one in sequences().layers)
    )
    rows = {"h": np.ones((2, 2), "float32")}
    oblong = Network(
        (
            Layer("i", op="input", shape=(4, 4, 1)),
            Layer("c", *weights(3, 2, 1, 2), op="conv", sources=("i",), activation="relu"),
            Layer("f", op="flatten", sources=("c",)),
            Layer("y", *weights(12, 1), sources=("f",)),
        ),
        ("y",),
    )
    return {
        "adds only positive": (plain, replace(keeps, neuron="rectified"), None),
        "waits for a window": (plain, replace(keeps, neuron="integrate_first"), None),
        "halves its threshold": (plain, replace(keeps, neuron="radix"), None),
        "low-pass": (plain, replace(keeps, synapse_s=0.005), None),
        "has 3 firing-rate scales": (plain, many, None),
        "'p2' averages over windows that reach|'p2' pads by": (images(), many, None),
        "'c' pads by": (strided, keeps, None),
        "'c1' needs a multiplier for every position": (unit, many, network_masks(unit, 0, 0)),
        "use a square window": (oblong, keeps, None),
        "one for each observation": (plain, keeps, rows),
    }


@pytest.mark.parametrize("message", bad_networks())
def test_what_nir_cannot_say_is_refused(message):
    with pytest.raises(InputError, match=message):
        to_nir(*bad_networks()[message])


def test_a_set_without_end_is_refused(tmp_path):
    with pytest.raises(InputError, match="stored_masks"):
        write_members(tmp_path, chain(), Conversion((1.0, 1.0)), seed=0)


def bad_graphs():
    two = np.ones(2)
    loop = hand_made()
    loop.edges.append(("n", "w"))
    lost = hand_made()
    lost.edges.append(("nowhere", "w"))
    affine = nir.Affine(np.ones((2, 3)), np.zeros(2))
    maps = nir.Input({"input": np.array([2, 4])})
    grouped = {"input_shape": 4, "weight": np.ones((2, 1, 3)), "stride": 1, "bias": np.zeros(2)}
    grouped |= {"padding": 0, "dilation": 1, "groups": 2}
    padded = {"input_shape": 4, "weight": np.ones((2, 2, 3)), "stride": 1, "bias": np.zeros(2)}
    padded |= {"padding": 2, "dilation": 1, "groups": 1}
    return {
        "loop through": loop,
        "'nowhere', which is not a node": lost,
        r"'n' \(LIF\) cannot be read": hand_made(n=nir.LIF(two, two, 0 * two, two)),
        "takes 3 values and gets 2": hand_made(w=affine),
        "resets to 0.5": hand_made(n=nir.IF(two, two, 0.5 * two)),
        "must be positive": hand_made(n=nir.IF(two, -two)),
        "NaN": hand_made(w=nir.Affine(np.full((2, 2), np.nan), two)),
        r"has \(3,\) thresholds": hand_made(n=nir.IF(np.ones(3), np.ones(3))),
        "has groups": hand_made(**{"in": maps, "w": nir.Conv1d(**grouped)}),
        "padding 2": hand_made(**{"in": maps, "w": nir.Conv1d(**padded)}),
        "reads nothing": hand_made(**{"in": nir.Affine(np.ones((2, 2)), two)}),
        "no layer has activation 'relu'": hand_made(n=nir.Scale(two)),
        "neither a NIR graph": 7,
    }  # fmt: skip


@pytest.mark.parametrize("message", bad_graphs())
@pytest.mark.filterwarnings("ignore:this NIR graph does not say")
def test_graphs_that_cannot_be_read_are_refused(message):
    with pytest.raises(InputError, match=message):
        from_nir(bad_graphs()[message])


def tampered():
    """Graphs of ours whose nodes and metadata no longer agree."""
    found = {}
    for name in ("weight", "threshold", "edge", "dropped", "format", "structure", "scale"):
        graph = found[name] = to_nir(chain(), conversions(chain())[name == "scale"])
        first = next(n for n in graph.nodes.values() if isinstance(n, nir.Affine))
        neuron = next(n for n in graph.nodes.values() if isinstance(n, nir.IF))
        text = graph.metadata["structure"]
        if name == "weight":
            first.weight[0, 0] *= 1 + 1e-12
        elif name == "threshold":
            neuron.v_threshold[0] *= 2
        elif name == "scale":
            neuron.metadata["scale_hz"] = neuron.metadata["scale_hz"][:2]
        elif name == "edge":
            graph.edges.pop(2)
        elif name == "dropped":
            graph.metadata["structure"] = text.replace('"family": "unit"', '"family": "none"')
            del graph.nodes[next(iter(graph.nodes))]
        elif name == "format":
            graph.metadata["format"] = "spikedrop 99"
        else:
            graph.metadata["structure"] = text[:-9]
    return found


@pytest.mark.parametrize("name", tampered())
def test_metadata_that_contradict_the_nodes_are_refused(name):
    with pytest.raises(InputError, match=r"describe another graph|cannot be read|this version"):
        from_nir(tampered()[name])


def damage(kind, file):
    """Spoil a good file."""
    import h5py

    good = file.read_bytes()
    if kind == "text":
        file.write_text("not a graph")
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "cut":
        file.write_bytes(good[: len(good) // 2])
    elif kind == "gone":
        file.unlink()
    else:
        with h5py.File(file, "r+") as opened:
            nodes = opened["node/nodes"]
            first = nodes["n01_h_1"]
            if kind == "no graph":
                del opened["node"]
            elif kind == "type":
                del first["type"]
                first["type"] = "Teapot"
            elif kind == "field":
                del first["weight"]
            elif kind == "shape":
                del first["weight"]
                first["weight"] = np.ones((2, 2))
            elif kind == "link out":
                first["more"] = h5py.ExternalLink("/etc/hostname", "/")
            elif kind == "soft link":
                first["more"] = h5py.SoftLink("/node")
            elif kind == "itself":
                first["more"] = opened["node"]
            elif kind == "huge":
                first.create_dataset("more", shape=(2**40,), chunks=(2**20,), dtype="f8",
                                     compression="gzip")  # fmt: skip
            elif kind == "reference":
                first["more"] = opened["node"].ref
            else:
                del opened["node/edges"]


KINDS = (
    "text", "empty", "cut", "gone", "no graph", "type", "field", "shape", "link out", "soft link",
    "itself", "huge", "reference", "edges",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_and_hostile_files_are_refused(kind, tmp_path):
    file = write_nir(tmp_path / "net.nir", chain(), conversions(chain())[0])
    damage(kind, file)
    with pytest.raises(InputError, match=r"net\.nir|cannot be read"):
        from_nir(file)


def test_no_flipped_bit_changes_a_network_unseen(tmp_path):
    """A flipped bit is refused, or fell where nothing is read; seeded, 40 bits."""
    network, conversion = chain(), conversions(chain())[0]
    file = write_nir(tmp_path / "net.nir", network, conversion)
    good, rng, refused = file.read_bytes(), np.random.default_rng(0), 0
    for place in rng.integers(0, len(good), 40):
        changed = bytearray(good)
        changed[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(changed)
        try:
            assert_same(network, from_nir(file)[0])
        except InputError:
            refused += 1
    assert refused > 0


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ImportError, match=r'pip install "spikedrop\[nir\]"'):
        to_nir(chain(), Conversion((1.0, 1.0)))


def as_reader(network, conversion, x, steps, *, once=False, floor=False, leak=0.0, zero=False):
    """The reference with what a reader does otherwise, in float32 as they compute.

    A share `leak` of the charge is lost a step; at most `once` a step a neuron fires, above its
    threshold only, and then loses the threshold, or all its charge if it resets to `zero`; below
    minus the threshold charge is lost at a `floor`. snnTorch, which fires once, subtracts for
    charge that was left above the threshold before it compares, and so may skip a step.
    """
    scales = {one.name: s for one, s in zip(network.hidden, conversion.scales_hz, strict=True)}
    values = {network.layers[0].name: np.stack([x] * steps)}
    counts = []
    for layer in network.layers[1:-1]:
        top = np.float32(1 / (scales[layer.name] * conversion.dt))
        current = values[layer.sources[0]] @ layer.weights + layer.bias
        v, spikes = np.full(current.shape[1:], conversion.initial_charge * top, np.float32), []
        for now in current:
            left = v > top
            v = np.float32(1 - leak) * v + now
            n = 1.0 * (v - left * top > top) if once else np.maximum(np.floor(v / top), 0)
            v = np.where(n > 0, 0, v) if zero else v - n * top
            v = np.maximum(v, -top) if floor else v
            spikes.append(n.astype(np.float32))
        values[layer.name] = np.stack(spikes) * top
        counts.append(np.sum(spikes, axis=0))
    return counts


READERS = {
    "sinabs": {"floor": True},
    "sinabs, no floor": {},
    "snnTorch, runnable": {"once": True, "leak": 0.1},
    "snnTorch, no leak": {"once": True},
    "Norse": {"once": True, "zero": True},
}


def test_independent_simulators_fire_as_the_reference():
    """Counts that sinabs, snnTorch and Norse recorded, on networks read from the same files.

    sinabs without its floor is exact in every case, snnTorch without its leak where a neuron
    fires at most once a step. The others differ by just what `as_reader` says.
    """
    table = replay(RECORDING).set_index(["reader", "case"])
    exact = table.loc["sinabs, no floor"]
    assert len(exact.index.unique()) == 7
    assert (exact["equal"] == 1).all() and (exact["spikes"] > 0).all()
    assert (table.loc["snnTorch, no leak"].loc[["chain", "convolution"], "equal"] == 1).all()
    assert (table.loc["Norse", "equal"] < 1).all()
    assert table.loc["snnTorch", "why"].notna().all()  # as imported it does not run
    hand = table.loc[(slice(None), "by hand"), :]
    assert hand.loc["sinabs", "spikes"].tolist() == [30 + 3 + 90 + 40 + 10, 31]
    assert hand.loc["sinabs, no floor", "spikes"].tolist() == [30 + 3 + 90 + 40 + 10, 6]
    assert hand.loc["snnTorch, no leak", "spikes"].tolist() == [30 + 3 + 40 + 40 + 10, 6]


@pytest.mark.parametrize("reader", READERS)
def test_what_readers_do_otherwise_is_all_they_do_otherwise(reader, tmp_path):
    with np.load(RECORDING) as found:
        for case in map(str, found["cases"]):
            if case == "convolution":
                continue
            file = tmp_path / "case.nir"
            file.write_bytes(found[f"{case}/file"].tobytes())
            network, conversion = from_nir(file)
            x, steps = found[f"{case}/x"], int(found[f"{case}/steps"])
            counts = as_reader(network, conversion, x, steps, **READERS[reader])
            for i, count in enumerate(counts):
                np.testing.assert_array_equal(count, found[f"{case}/{reader}/{i}"])
