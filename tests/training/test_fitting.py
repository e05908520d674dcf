"""The small NumPy fit, against finite differences and against Keras."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import log_softmax

from spikedrop.network.keras_import import import_tensorflow
from spikedrop.sampling.ann import predict
from spikedrop.training.dense import _initial, _masks, fit_network, gradient

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3))
TARGETS = {"linear": RNG.normal(size=(24, 2)), "softmax": np.eye(3)[RNG.integers(3, size=24)]}


@pytest.mark.parametrize("head", ["linear", "softmax"])
def test_gradient_by_finite_differences(head):
    rng, y = np.random.default_rng(1), TARGETS[head]
    sizes = (3, 5, 4, y.shape[1])
    params = [(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in pairwise(sizes)]
    masks = _masks((5, 4), 24, 0.5, rng)

    def loss():
        h = X
        for (w, b), mask in zip(params[:-1], masks, strict=True):
            h = np.maximum(h @ w + b, 0) * mask
        z = h @ params[-1][0] + params[-1][1]
        if head == "linear":
            return ((z - y) ** 2).sum() / 2 / 24
        return -(y * log_softmax(z, axis=1)).sum() / 24

    into = [(np.empty_like(w), np.empty_like(b)) for w, b in params]
    gradient(params, X, y, masks, head, into)
    for layer, slopes in zip(params, into, strict=True):
        for part, slope in zip(layer, slopes, strict=True):
            for i in np.ndindex(part.shape):
                kept, ends = part[i], []
                for step in (1e-6, -1e-6):
                    part[i] = kept + step
                    ends.append(loss())
                part[i] = kept
                assert slope[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("head", ["linear", "softmax"])
def test_the_same_weights_as_keras(head):
    """Twelve epochs of one batch, from the same initial weights, by Keras's AdamW."""
    import_tensorflow()
    import keras

    y = TARGETS[head]
    network = fit_network(
        X, y, hidden=(6,), dropout=0.0, head=head, epochs=12, batch_size=100, learning_rate=0.05,
        weight_decay=0.2, rng=np.random.default_rng(5),
    )  # fmt: skip
    dense = keras.layers.Dense
    model = keras.Sequential(
        [keras.Input((3,)), dense(6, activation="relu"), dense(y.shape[1], activation=head)]
    )
    start = _initial((3, 6, y.shape[1]), np.random.default_rng(5))[1]
    model.set_weights([part for layer in start for part in layer])
    schedule = keras.optimizers.schedules.CosineDecay(0.05, 12)
    loss = "mse" if head == "linear" else "categorical_crossentropy"  # mse: two outputs, so equal
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.2), loss)
    model.fit(X, y, epochs=12, batch_size=24, verbose=0)
    found = [part for layer in network.layers[1:] for part in (layer.weights, layer.bias)]
    moved = 0.0
    for ours, theirs, first in zip(found, model.get_weights(), sum(start, ()), strict=True):
        assert ours == pytest.approx(theirs, abs=2e-4)
        moved = max(moved, np.abs(theirs - first).max())
    assert moved > 0.2
    assert predict(network, X) == pytest.approx(model.predict(X, verbose=0), abs=2e-3)


def test_masks():
    """Values 0 and 4 at a rate of 3/4; the mean is 1, with an sd of 0.0055 over 100,000."""
    masks = _masks((100, 1), 1000, 0.75, np.random.default_rng(0))
    assert [mask.shape for mask in masks] == [(1000, 100), (1000, 1)]
    assert set(np.unique(masks[0])) == {0, 4}
    assert masks[0].mean() == pytest.approx(1, abs=0.03)


def test_training_sees_the_masks():
    """64 units can learn 40 rows of noise by heart, but not with four fifths of them silent."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 10)), rng.normal(size=(40, 1))
    errors = [
        np.mean((predict(fit_network(
            x, y, hidden=(64,), dropout=p, head="linear", epochs=300, batch_size=20,
            learning_rate=0.01, weight_decay=0.0, rng=np.random.default_rng(1),
        ), x) - y) ** 2)
        for p in (0.0, 0.8)
    ]  # fmt: skip
    assert errors[0] < 0.01 < 0.1 < errors[1]
