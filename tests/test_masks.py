"""Masks are a pure function of (seed, layer, draw, observation)."""

import numpy as np
import pytest
from scipy import stats

from spikedrop.errors import InputError
from spikedrop.masks import blocks, layer_mask, network_masks
from spikedrop.network import Layer, Network


def network(rates=(0.0, 0.5), input_dropout=0.0):
    sizes = (3, *([20] * len(rates)))
    hidden = tuple(
        Layer(f"h{i}", np.zeros((n, m), "f4"), np.zeros(m, "f4"), rate)
        for i, (n, m, rate) in enumerate(zip(sizes, sizes[1:], rates, strict=False))
    )
    return Network.chain(
        hidden, Layer("y", np.zeros((20, 1), "f4"), np.zeros(1, "f4")), input_dropout
    )


def test_values_are_zero_or_one_over_keep():
    mask = layer_mask(0, 1, 0, units=1000, rate=0.2, observations=range(10))
    assert mask.shape == (10, 1000)
    assert ((mask == 0) | np.isclose(mask, 1.25)).all()


def test_share_of_silent_units_is_the_rate():
    """Two-sided binomial test; false-alarm rate 1e-4 over four rates, with these seeds."""
    for rate in (0.05, 0.1, 0.5, 0.9):
        mask = layer_mask(3, 2, 7, units=1001, rate=rate, observations=range(200))
        silent = int((mask == 0).sum())
        assert stats.binomtest(silent, mask.size, rate).pvalue > 1e-4 / 4


@pytest.mark.parametrize("other", [(1, 1, 0), (0, 2, 0), (0, 1, 1)])
def test_seed_layer_and_draw_all_matter_and_are_independent(other):
    """Agreement of two independent fair masks is binomial; false-alarm rate 1e-4 each."""
    a = layer_mask(0, 1, 0, units=4096, rate=0.5)
    b = layer_mask(*other, units=4096, rate=0.5)
    agree = int((a == b).sum())
    assert stats.binomtest(agree, 4096, 0.5).pvalue > 1e-4


def test_units_and_neighbouring_rows_are_uncorrelated():
    """Largest of 600 correlations, Bonferroni at 1e-3."""
    z = layer_mask(5, 1, 0, units=25, rate=0.5, observations=range(4000)) > 0
    r = np.corrcoef(z.T)[np.triu_indices(25, 1)]
    row_r = [np.corrcoef(z[i], z[i + 1])[0, 1] for i in range(0, 600, 2)]
    assert np.abs(r).max() < stats.norm.isf(1e-3 / 2 / 600) / np.sqrt(4000)
    assert abs(np.mean(row_r)) < stats.norm.isf(1e-3 / 2) / np.sqrt(300 * 25)


@pytest.mark.parametrize("units", [1, 8, 20, 513])
def test_any_cut_of_the_observations_gives_the_same_masks(units):
    whole = layer_mask(9, 1, 4, units=units, rate=0.3, observations=range(300))
    parts = [layer_mask(9, 1, 4, units=units, rate=0.3, observations=r) for r in blocks(300)]
    alone = layer_mask(9, 1, 4, units=units, rate=0.3, observations=range(137, 138))
    assert (np.concatenate(parts) == whole).all()
    assert (alone[0] == whole[137]).all()


def test_scope_draw_is_one_row_and_differs_from_scope_row():
    one = layer_mask(0, 1, 0, units=64, rate=0.5)
    row = layer_mask(0, 1, 0, units=64, rate=0.5, observations=range(1))
    assert one.shape == (1, 64)
    assert (one != row).any()


def test_a_step_redraws_the_mask():
    steps = [layer_mask(0, 1, 0, units=64, rate=0.5, step=t) for t in (None, 0, 1)]
    assert all((a != b).any() for a, b in [steps[:2], steps[1:], steps[::2]])


def test_rate_zero_is_all_ones_and_only_layers_with_dropout_get_masks():
    assert (layer_mask(0, 1, 0, units=4, rate=0.0) == 1).all()
    masks = network_masks(network(input_dropout=0.5), 0, 0, range(5))
    assert {name: m.shape for name, m in masks.items()} == {"input": (5, 3), "h1": (5, 20)}
    assert (masks["h1"] == layer_mask(0, 2, 0, units=20, rate=0.5, observations=range(5))).all()
    assert masks["input"].dtype == np.float32


def test_gaussian_noise_has_mean_one_and_the_variance_of_dropout():
    """Kolmogorov-Smirnov against N(1, p/(1-p)); false-alarm rate 1e-4 over three rates."""
    for rate in (0.1, 0.5, 0.8):
        m = layer_mask(3, 1, 2, units=2000, rate=rate, observations=range(5), family="gaussian")
        p = stats.kstest(m.ravel(), stats.norm(1, np.sqrt(rate / (1 - rate))).cdf).pvalue
        assert p > 1e-4 / 3
    apart = layer_mask(3, 1, 2, units=2000, rate=0.5, observations=range(4, 5), family="gaussian")
    m = layer_mask(3, 1, 2, units=2000, rate=0.5, observations=range(5), family="gaussian")
    assert (apart[0] == m[4]).all()


def image_network(family):
    """Input 4 x 4 x 1, three channels of 3 x 3 with dropout, and a readout."""
    layers = (
        Layer("x", op="input", shape=(4, 4, 1)),
        Layer("c", np.ones((2, 2, 1, 3)), np.zeros(3), 0.5, "conv", ("x",), "relu", family),
        Layer("f", op="flatten", sources=("c",)),
        Layer("y", np.ones((27, 1)), np.zeros(1), sources=("f",)),
    )
    return Network(layers, ("y",))


def test_a_channel_is_dropped_whole():
    masks = [network_masks(image_network("channel"), 0, draw, range(6)) for draw in range(50)]
    assert {m["c"].shape for m in masks} == {(6, 1, 1, 3)}
    silent = sum(int((m["c"] == 0).sum()) for m in masks)
    assert stats.binomtest(silent, 900, 0.5).pvalue > 1e-4
    assert network_masks(image_network("unit"), 0, 0)["c"].shape == (1, 3, 3, 3)


def test_weights_are_dropped_one_by_one():
    net = network().with_dropout(0.25, family="weights")
    mask = network_masks(net, 0, 0)["h1"]
    assert mask.shape == (1, 20, 20)
    assert set(np.unique(mask)) == {0.0, np.float32(1 / 0.75)}


def test_stored_masks_come_round_again():
    net = network().with_dropout(stored_masks=3)
    masks = [network_masks(net, 7, draw)["h1"] for draw in range(7)]
    assert all((masks[d] == masks[d % 3]).all() for d in range(7))
    assert len({m.tobytes() for m in masks}) == 3
    assert (masks[1] == network_masks(network(), 7, 1)["h1"]).all()


def test_known_stream():
    """The definition is a contract: stores written today must be readable tomorrow.

    The first block of Philox4x64-10 for this key and counter, split into eight 32-bit halves,
    compared with the threshold by hand.
    """
    words = np.random.Philox(key=[11, 2], counter=[0, 0, 5, 0]).random_raw(4)
    by_hand = [h >= 2**31 for w in words.tolist() for h in (w & 0xFFFFFFFF, w >> 32)]
    assert (layer_mask(11, 2, 5, units=8, rate=0.5)[0] > 0).tolist() == by_hand


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"rate": 1.0}, "below 1"),
        ({"rate": -0.1}, "at least 0"),
        ({"seed": -1}, "seed=-1"),
        ({"draw": -1}, "draw=-1"),
        ({"observations": range(0, 10, 2)}, "consecutive"),
    ],
)
def test_bad_input_is_named(arguments, says):
    good = {"seed": 0, "layer": 1, "draw": 0, "units": 4, "rate": 0.5}
    with pytest.raises(InputError, match=says):
        layer_mask(**{**good, **arguments})
