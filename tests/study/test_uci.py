"""The published protocol of UCI regression, on small made-up sets."""

import numpy as np
import pytest
from scipy import stats

import spikedrop as sd
from spikedrop.errors import InputError
from spikedrop.network.keras_import import import_tensorflow
from spikedrop.study import uci
from spikedrop.study.uci import protocol
from spikedrop.study.uci.protocol import Fitted
from spikedrop.study.uci.run import summary
from spikedrop.study.uci.training import train_members
from tests.uci_sets import SMALL, poisoned, write_set


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path / "sets" / "power-plant")


# training


def toy_rows(n=16, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return x, np.sin(x[:, 0]) + x[:, 1] * x[:, 2]


def trained(members, x, y, *, rates, decays, steps=20, learning_rate=0.01, hidden=(5, 4), batch=99):
    return train_members(
        x,
        y,
        np.tile(np.arange(len(x)), (members, 1)),
        rates=np.array(rates),
        decays=np.array(decays),
        hidden=hidden,
        steps=steps,
        batch_size=batch,
        learning_rate=learning_rate,
        rng=np.random.default_rng(3),
    )


def test_training_without_dropout_is_adamw_of_keras():
    import_tensorflow()
    import keras

    x, y = toy_rows()
    start = trained(1, x, y, rates=[0], decays=[0.1], learning_rate=0.0)
    got = trained(1, x, y, rates=[0], decays=[0.1])
    model = keras.Sequential(
        [keras.Input((3,)), *(keras.layers.Dense(u, "relu") for u in (5, 4)), keras.layers.Dense(1)]
    )
    model.set_weights([array for w, b in start for array in (w[0], b[0, 0])])
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 20)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.1), loss="mse")
    model.fit(x, y, epochs=20, batch_size=16, shuffle=False, verbose=0)
    expected = model.get_weights()
    for mine, theirs in zip([a for w, b in got for a in (w[0], b[0, 0])], expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert np.abs(got[0][0] - start[0][0]).max() > 0.1  # it did learn


def test_steps_after_the_last_change_nothing_and_members_do_not_mix():
    x, y = toy_rows()
    settings = {"steps": 700, "batch": 4}  # a chunk is 500
    both = trained(2, x, y, rates=[0.1, 0.3], decays=[0.1, 0.0], **settings)
    one = trained(1, x, y, rates=[0.3], decays=[0.0], **settings)
    for (w, b), (v, c) in zip(both, one, strict=True):
        np.testing.assert_allclose(w[1], v[0], atol=1e-3)
        np.testing.assert_allclose(b[1], c[0], atol=1e-3)
    assert np.abs(both[0][0][0] - both[0][0][1]).max() > 0.05


def test_a_silent_unit_learns_nothing_from_a_row():
    """Adam's first step moves exactly the weights with a gradient: those of units that are on.

    About a share 1 - p of the active units is kept; a binomial bound, false alarm below 1e-6.
    """
    x, y = np.ones((1, 3), np.float32), np.array([5.0])
    one = {"steps": 1, "hidden": (400,), "decays": [0.0]}
    start = trained(1, x, y, rates=[0.0], learning_rate=0.0, **one)
    active, kept = (
        (trained(1, x, y, rates=[rate], **one)[1][0] != start[1][0])[0, :, 0] for rate in (0, 0.3)
    )
    assert not (kept & ~active).any()
    low, high = stats.binom.interval(1 - 1e-6, active.sum(), 0.7)
    assert low <= kept.sum() <= high


# the protocol


@pytest.mark.parametrize("poison", [np.nan, 1e30])
def test_rows_outside_the_training_rows_change_nothing_that_is_learnt(folder, poison):
    data = uci.read_set("mine", folder)
    clean = uci.fit_split(data, 0, SMALL)
    fitted = uci.fit_split(poisoned(data, data.test[0], poison), 0, SMALL)
    for a, b in zip(clean.network.layers[1:], fitted.network.layers[1:], strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
        np.testing.assert_array_equal(a.bias, b.bias)
    for name in ("rate", "decay", "noise_sd", "mean_y", "sd_y", "validation", "conversion"):
        assert getattr(clean, name) == getattr(fitted, name)
    train = data.x[data.train[0]]
    np.testing.assert_allclose(fitted.mean_x, train.mean(axis=0))
    np.testing.assert_allclose(fitted.sd_x, train.std(axis=0))
    np.testing.assert_allclose(fitted.inputs(train).std(axis=0), 1, rtol=1e-5)


def test_a_training_row_does_change_what_is_learnt(folder):
    """The control of the test above: it could have failed."""
    data = uci.read_set("mine", folder)
    fitted = uci.fit_split(poisoned(data, data.train[0][:1], 1.0), 0, SMALL)
    clean = uci.fit_split(data, 0, SMALL)
    assert not np.array_equal(clean.network.layers[1].weights, fitted.network.layers[1].weights)


@pytest.mark.parametrize(("many", "trainings"), [(51, 4), (50, 2)])
def test_with_many_rows_one_part_alone_is_held_out(folder, monkeypatch, many, trainings):
    """Two rates, one decay: a training for each on each of two folds, or on the first alone."""
    data = uci.read_set("mine", folder)
    monkeypatch.setattr(protocol, "MANY_ROWS", many)
    seen = []
    original = protocol.train_members
    monkeypatch.setattr(
        protocol,
        "train_members",
        lambda x, y, rows, **work: seen.append(rows) or original(x, y, rows, **work),
    )
    uci.fit_split(data, 0, SMALL)
    assert [rows.shape for rows in seen] == [(trainings, 25), (1, 50)]
    np.testing.assert_array_equal(np.sort(seen[1][0]), np.arange(50))
    if trainings == 4:  # what one fold learns from, the other is tested on
        assert sorted([*seen[0][0], *seen[0][2]]) == list(range(50))


def test_the_noise_is_chosen_by_held_out_rows_and_is_about_right(folder):
    """The made-up target has noise of sd 1; 50 rows tell it to about 10 %, the fit adds to it."""
    fitted = uci.fit_split(uci.read_set("mine", folder), 1, SMALL)
    assert 0.6 < fitted.noise_sd < 2.5
    assert fitted.rate in (0.01, 0.1)
    # the log likelihood of N(0, s) at its own s is -log(s sqrt(2 pi e)); dropout adds little
    assert fitted.validation == pytest.approx(-np.log(fitted.noise_sd * 4.1327), abs=0.3)


def test_log_likelihood_in_units_by_hand():
    """Draws 0 and 1 are 1 and 3 in units; y = 1, noise 2: log (phi(0) + phi(1)) / 4."""
    fitted = Fitted(None, None, np.zeros(1), np.ones(1), 1.0, 2.0, 2.0, 0.1, 0.0, 0.0)
    samples = fitted.in_units(np.array([[[0.0]], [[1.0]]], np.float32))
    assert samples.tolist() == [[1.0], [3.0]]
    value = sd.log_likelihood(samples, np.array([1.0]), fitted.noise_sd)
    assert value == pytest.approx(-1.83116, abs=1e-5)


def test_a_split_is_scored_on_its_test_rows_with_the_same_masks(folder):
    data = uci.read_set("mine", folder)
    result, fitted = uci.run_split(data, 2, SMALL), uci.fit_split(data, 2, SMALL)
    x, y = fitted.inputs(data.x[data.test[2]]), data.y[data.test[2]]
    ann = sd.sample_ann(fitted.network, x, draws=40, seed=0).values[:, :, 0]
    snn = sd.sample_snn(fitted.network, fitted.conversion, x, draws=40, seed=0, steps=200)
    for name, samples in (("ann", ann), ("snn", snn.values[:, :, 0])):
        samples = samples.astype(float) * fitted.sd_y + fitted.mean_y
        rmse = np.sqrt(np.mean((samples.mean(axis=0) - y) ** 2))
        density = stats.norm.pdf(y, samples, fitted.noise_sd).mean(axis=0)
        assert result[name]["rmse"] == pytest.approx(rmse, rel=1e-5)
        assert result[name]["log_likelihood"] == pytest.approx(np.log(density).mean(), rel=1e-4)
    assert result["ann"] != result["snn"]
    assert result["snn"]["rmse"] == pytest.approx(result["ann"]["rmse"], rel=0.05)
    assert result["spikes_per_presentation"] > 0


def test_unusable_rows_and_settings_are_refused():
    x, y = toy_rows()
    work = {"rates": (0.1,), "n_hidden": 4, "protocol": SMALL}
    with pytest.raises(InputError, match="3 training rows"):
        uci.fit_rows(x[:3], y[:3], **work)
    with pytest.raises(InputError, match="a target that varies"):
        uci.fit_rows(x, 0 * y, **work)
    for bad in (
        {"folds": 1},
        {"decays": ()},
        {"draws": 0},
        {"rate_hz": 0.0},
        {"more_rates": (1.0,)},
    ):
        with pytest.raises(InputError, match=next(iter(bad))):
            uci.Protocol(**bad)


def test_standard_errors_and_means_by_hand():
    splits = [{"snn": {"rmse": r, "log_likelihood": -2 * r, "seconds": 4}} for r in (1, 2, 3)]
    row = summary("mine", "snn", splits)
    assert row == {
        "set": "mine",
        "network": "snn",
        "rmse": 2,
        "rmse_se": pytest.approx(1 / 3**0.5),
        "log_likelihood": -4,
        "log_likelihood_se": pytest.approx(2 / 3**0.5),
        "splits": 3,
        "seconds": 12,
    }
    assert summary("mine", "snn", splits[:1])["rmse_se"] == 0
