"""Questions about the graph, against brute force: all paths written out, or values run through."""

import numpy as np
import pytest

from spikedrop.network.layers import linear
from spikedrop.network.topology import (
    differ_between_draws,
    driven_by_neurons,
    firing_windows,
    neuron_maps,
    neurons_in_a_row,
    neurons_read,
    places,
    reached_by_input,
    readers,
    upstream,
)
from tests.networks import inputs, towers
from tests.random_graphs import draw_network

NETWORKS = [
    towers(),
    *(draw_network(np.random.default_rng(seed), True, plain=seed % 2 == 0) for seed in range(40)),
]
each_network = pytest.mark.parametrize("network", NETWORKS)


def paths(network):
    """Every path from a layer up to another, both ends included, as tuples of layers."""
    by_name = {layer.name: layer for layer in network.layers}
    open_paths, found = [(layer,) for layer in network.layers], []
    while open_paths:
        path = open_paths.pop()
        found.append(path)
        open_paths += [(by_name[source], *path) for source in set(path[0].sources)]
    return found


def through_synapses(path):
    """Whether nothing inside the path fires."""
    return not any(layer.spiking for layer in path[1:-1])


def values(network, x, sent):
    """Values of every layer before it rectifies, where its neurons send `sent` in its place."""
    given, passed, found = network.split(x.astype(float)), {}, {}
    for layer in network.layers:
        below = [passed[source] for source in layer.sources]
        found[layer.name] = given[layer.name] if layer.is_input else linear(layer, below)
        passed[layer.name] = sent.get(layer.name, found[layer.name])
    return found


@each_network
def test_what_is_read_and_what_lies_upstream(network):
    found, counts = paths(network), readers(network.layers, network.outputs)
    for layer in network.layers:
        above = {path[0].name for path in found if path[-1] is layer}
        assert upstream(network.layers, [layer.name]) == above
        barred = {one.name for one in network.hidden} - {layer.name}
        near = {
            path[0].name
            for path in found
            if path[-1] is layer and not any(one.name in barred for one in path[1:])
        }
        assert upstream(network.layers, [layer.name], without=barred) == near
        read = sum(other.sources.count(layer.name) for other in network.layers)
        assert counts[layer.name] == read + network.outputs.count(layer.name)


@each_network
def test_which_neurons_are_read_and_where_layers_stand(network):
    found = paths(network)
    received, stands = neurons_read(network.layers), places(network.layers)
    driven, reached = driven_by_neurons(network.layers), reached_by_input(network.layers)
    for layer in network.layers:
        ends = [path for path in found if path[-1] is layer and len(path) > 1]
        near = {p[0].name for p in ends if p[0].spiking and through_synapses(p)}
        assert received[layer.name] == near
        after = any(path[0].spiking for path in ends)
        assert (layer.name in driven) == (layer.spiking and after)
        assert (layer.name in reached) == (
            layer.is_input or any(p[0].is_input and through_synapses(p) for p in ends)
        )
        leads = any(path[0] is layer and path[-1].spiking for path in found if len(path) > 1)
        place = "neurons" if layer.spiking else "between" if leads else "behind"
        assert stands[layer.name] == (place if after else "before")


@each_network
def test_what_differs_between_draws_lies_behind_a_mask(network):
    masked = set(network.dropout_rates)
    found = differ_between_draws(network.layers, masked)
    for layer in network.layers:
        above = upstream(network.layers, layer.sources)
        own = layer.name in masked and layer.family == "weights"
        assert (layer.name in found) == (own or bool(above & masked))
    assert differ_between_draws(network.layers, ()) == set()


@each_network
def test_windows_are_depths_and_last_until_all_readers_have_integrated(network):
    found = paths(network)

    def depth(layer):
        return max(sum(one.spiking for one in path) for path in found if path[-1] is layer)

    deepest, windows = max(map(depth, network.layers)), firing_windows(network)
    assert list(windows) == [layer.name for layer in network.hidden]
    for layer in network.hidden:
        last = depth(layer)
        for path in found:
            if path[0] is layer and len(path) > 1 and through_synapses(path):
                end = path[-1]
                last = max(last, depth(end) - 1 if end.spiking else 0)
                if end.name in network.outputs:
                    last = max(last, deepest)
        assert windows[layer.name] == (depth(layer) - 1, last)


@each_network
def test_maps_between_neurons_give_the_values_that_the_layers_give(network):
    rng, x = np.random.default_rng(0), inputs(network, 3)
    shapes = {layer.name: network.shapes[layer.name] for layer in network.hidden}
    sent = {name: rng.integers(0, 5, (3, *shape)) / 4 for name, shape in shapes.items()}
    silent = values(network, x, {name: np.zeros((3, *shape)) for name, shape in shapes.items()})
    maps, rows = neuron_maps(network), neurons_in_a_row(network)
    for name, whole in values(network, x, sent).items():
        by_maps = np.zeros((3, network.units(name)))
        for source, matrix in maps[name].items():
            by_maps += sent[source].reshape(3, -1) @ matrix
        np.testing.assert_allclose((whole - silent[name]).reshape(3, -1), by_maps, atol=1e-9)
        assert set(maps[name]) == neurons_read(network.layers)[name]
        if name in rows and name not in sent:
            beside = [sent[n].reshape(3, -1) for n in rows[name]]
            assert (whole.reshape(3, -1) == np.concatenate(beside, axis=1)).all()


def test_the_random_networks_ask_every_question():
    kinds = {place for network in NETWORKS for place in places(network.layers).values()}
    assert kinds == {"before", "neurons", "between", "behind"}
    assert any(len(neurons_in_a_row(n)) > len(n.hidden) for n in NETWORKS)
    assert any(last > first + 1 for n in NETWORKS for first, last in firing_windows(n).values())
