"""Samples of the classical network: their distribution, their seeds, their refusals."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import spikedrop.sampling.ann
from spikedrop.errors import InputError
from spikedrop.masks import network_masks
from spikedrop.network import Layer, Network
from spikedrop.network.forward import forward
from spikedrop.sampling.ann import predict, sample_ann
from spikedrop.study.linear_gaussian import as_network, dropout_moments


def network(seed=0, *, sizes=(5, 20, 20, 2), rate=0.2, input_rate=0.0):
    rng = np.random.default_rng(seed)
    layers = [
        Layer(
            f"layer_{i}",
            rng.normal(0, np.sqrt(2 / n), (n, m)).astype("float32"),
            rng.normal(0, 0.1, m).astype("float32"),
            rate if i < len(sizes) - 2 else 0.0,
        )
        for i, (n, m) in enumerate(pairwise(sizes))
    ]
    return Network.chain(tuple(layers[:-1]), layers[-1], input_rate)


def inputs(n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, 5)).astype("float32")


def test_forward_equals_numbers_worked_by_hand():
    net = Network.chain(
        (Layer("h", np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([0.5, 0.0]), 0.5),),
        Layer("y", np.array([[3.0], [10.0]]), np.array([1.0])),
        0.5,
    )
    # plain: h = (1 + 4 + 0.5, -1 + 2) = (5.5, 1), y = 16.5 + 10 + 1
    assert forward(net, np.array([[1.0, 2.0]]))[0].tolist() == [[27.5]]
    # input mask (2, 0): h = (2.5, -2 -> 0); unit mask (2, 2): y = 15 + 0 + 1
    masks = {"input": np.array([[2.0, 0.0]]), "h": np.array([[2.0, 2.0]])}
    outputs, activations = forward(net, np.array([[1.0, 2.0]]), masks)
    assert outputs.tolist() == [[16.0]]
    assert activations[0].tolist() == [[2.5, 0.0]]


@pytest.mark.parametrize("scope", ["draw", "row"])
def test_without_dropout_every_draw_is_the_plain_network_exactly(scope):
    net, x = network(rate=0.0), inputs(300)
    samples = sample_ann(net, x, draws=3, seed=0, scope=scope)
    assert (samples.values == predict(net, x)).all()


def test_axes_and_labels():
    samples = sample_ann(network(), inputs(4), draws=3, seed=8, first_draw=2, scope="row")
    assert samples.dims == ("draw", "observation", "output")
    assert samples.shape == (3, 4, 2)
    assert samples.dtype == np.float32
    assert samples["draw"].values.tolist() == [2, 3, 4]
    assert (samples.attrs["seed"], samples.attrs["scope"]) == (8, "row")


@pytest.mark.parametrize("scope", ["draw", "row"])
def test_a_draw_is_the_forward_pass_with_its_masks(scope):
    net, x = network(input_rate=0.3), inputs(6)
    masks = network_masks(net, 5, 7, range(6) if scope == "row" else None)
    sample = sample_ann(net, x, draws=1, first_draw=7, seed=5, scope=scope)
    assert sample.values[0] == pytest.approx(forward(net, x, masks)[0], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_moments_of_the_linear_case(rate):
    """Mean and variance against the closed form; false-alarm rate 1e-4 each, Bonferroni.

    The sampling variance of the sample variance is exact too: cumulants of independent terms
    add, and the fourth of a Bernoulli variable is pq(1 - 6pq).
    """
    draws, rng = 4000, np.random.default_rng(3)
    weights, x = rng.normal(size=12), rng.normal(size=(10, 12))
    samples = sample_ann(as_network(weights, rate), x, draws=draws, seed=1, scope="row")
    values = samples.values[:, :, 0].astype(float)
    mean, variance = dropout_moments(weights, x, rate)
    bound = stats.norm.isf(1e-4 / 2 / len(x))
    assert np.abs((values.mean(axis=0) - mean) / np.sqrt(variance / draws)).max() < bound
    pq = rate * (1 - rate)
    fourth = ((x * weights / (1 - rate)) ** 4).sum(axis=1) * pq * (1 - 6 * pq)
    sd_of_variance = np.sqrt(fourth / draws + 2 * variance**2 / (draws - 1))
    z = (values.var(axis=0, ddof=1) - variance) / sd_of_variance
    assert np.abs(z).max() < bound


@pytest.fixture(scope="module")
def keras_draws():
    """Return a Keras model, inputs, and 600 draws of ``model(x, training=True)``."""
    from spikedrop.network.keras_import import import_tensorflow

    import_tensorflow()
    import keras

    layers = [keras.Input((5,)), keras.layers.Dropout(0.1, seed=1)]
    for i in range(2):
        start = keras.initializers.HeNormal(seed=i)
        layers.append(keras.layers.Dense(30, activation="relu", kernel_initializer=start))
        layers.append(keras.layers.Dropout(0.3, seed=i))
    start = keras.initializers.HeNormal(seed=9)
    model = keras.Sequential([*layers, keras.layers.Dense(1, kernel_initializer=start)])
    x, draws = inputs(25), 600
    values = np.asarray(model(np.tile(x, (draws, 1)), training=True)).reshape(draws, len(x))
    return model, x, values


def smallest_p(a, b):
    return min(stats.ks_2samp(p, q).pvalue for p, q in zip(a.T, b.T, strict=True))


def test_same_distribution_as_keras_with_training_true(keras_draws):
    """Kolmogorov-Smirnov at 25 observations and both scopes; false-alarm rate 1e-3, Bonferroni.

    The same test sees a network whose kept units are not scaled, so it can fail.
    """
    model, x, keras_values = keras_draws
    net = Network.from_keras(model)
    for scope in ("draw", "row"):
        ours = sample_ann(net, x, draws=600, seed=2, scope=scope).values[:, :, 0]
        assert smallest_p(ours, keras_values) > 1e-3 / 50
    from spikedrop.study.controls import without_mask_scale

    wrong = sample_ann(without_mask_scale(net), x, draws=600, seed=2).values[:, :, 0]
    assert smallest_p(wrong, keras_values) < 1e-6


@pytest.mark.parametrize("scope", ["draw", "row"])
def test_the_seed_is_all_the_randomness(scope):
    net, x = network(), inputs(140)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - must stay as it is
    one, two, other = (sample_ann(net, x, draws=3, seed=s, scope=scope).values for s in (4, 4, 5))
    assert (one == two).all()
    assert (one != other).any(axis=(1, 2)).all()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.parametrize("scope", ["draw", "row"])
def test_draws_can_be_cut(scope):
    net, x = network(), inputs(140)
    whole = sample_ann(net, x, draws=10, seed=4, scope=scope)
    parts = [sample_ann(net, x, draws=5, seed=4, scope=scope, first_draw=i) for i in (0, 5)]
    assert (whole.values == np.concatenate(parts)).all()
    draws = [d for part in parts for d in part["draw"].values.tolist()]
    assert whole["draw"].values.tolist() == draws
    assert len(np.unique(whole.values[:, 0, 0])) == 10


def test_scope_draw_is_joint_and_scope_row_is_not():
    net, x = network(), np.repeat(inputs(1), 140, axis=0)
    joint = sample_ann(net, x, draws=4, seed=0).values
    assert np.allclose(joint, joint[:, :1], rtol=1e-5)  # one row, shown 140 times, in two blocks
    apart = sample_ann(net, x, draws=4, seed=0, scope="row").values[:, :, 0]
    assert all(len(np.unique(draw)) > 70 for draw in apart)  # only dead units make ties


def test_the_masks_of_a_row_do_not_depend_on_how_many_rows_there_are():
    """To float32 rounding: the products of a last block of another length may round otherwise."""
    net, x = network(), inputs(300)
    few = sample_ann(net, x[:150], draws=3, seed=0, scope="row").values
    many = sample_ann(net, x, draws=3, seed=0, scope="row").values[:, :150]
    assert np.allclose(few, many, rtol=1e-4, atol=1e-5)


def with_value(value, row, column):
    x = inputs(4).astype(float)
    x[row, column] = value
    return x


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x": inputs(4)[:, :4]}, r"shape \(4, 4\); expected \(observations, 5\)"),
        ({"x": inputs(4)[0]}, r"shape \(5,\); expected"),
        ({"x": inputs(0)}, "at least one row"),
        ({"x": with_value(np.nan, 2, 3)}, "1 NaN.*row 2, column 3.*fill or drop"),
        ({"x": with_value(-np.inf, 0, 1)}, "row 0, column 1"),
        ({"x": with_value(1e300, 3, 4)}, "row 3, column 4"),
        ({"x": np.full((2, 5), "a")}, "expected real numbers"),
        ({"x": inputs(4) * 1j}, "expected real numbers"),
        ({"draws": 0}, "draws=0; give a whole number, at least 1"),
        ({"draws": 2.5}, "draws=2.5; give a whole number"),
        ({"scope": "batch"}, "scope='batch'; use 'draw', 'row'"),
    ],
)
def test_bad_input_fails_before_work(change, says, monkeypatch):
    def work(*_):
        raise AssertionError("work was done first")

    monkeypatch.setattr(spikedrop.sampling.ann, "run_ann", work)
    monkeypatch.setattr(spikedrop.sampling.ann, "collect", work)
    with pytest.raises(InputError, match=says):
        sample_ann(network(), **{"x": inputs(4), "draws": 2, "seed": 0, **change})


@pytest.mark.parametrize("change", [{"seed": -1}, {"first_draw": -3}])
def test_negative_seeds_and_draws_are_refused(change):
    with pytest.raises(InputError, match="at least 0"):
        sample_ann(network(), inputs(4), **{"draws": 2, "seed": 0, **change})
