"""Training: reproducible from its seed, stopped at the best epoch, kept in a file."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from spikedrop.errors import InputError
from spikedrop.network.keras_import import import_tensorflow
from spikedrop.training.keras import build_model, load_or_train, train

tf = import_tensorflow()

SMALL = {"hidden": (8, 8), "dropout": 0.1, "epochs": 3, "batch_size": 32, "patience": 10}


def rows(n=200, seed=0, inputs=4, noise=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, inputs)).astype("float32")
    y = x[:, 0] - 0.5 * x[:, -1] + noise * rng.normal(size=n)
    return x, y.astype("float32")


def fit(seed=0, **change):
    x, y = rows()
    return train(x, y, rows(60, seed=1), **{"seed": seed, **SMALL, **change})


def equal(a, b):
    return all((p == q).all() for p, q in zip(a.get_weights(), b.get_weights(), strict=True))


def global_states():
    """Everything a hidden seeding would move: Python's, NumPy's, TensorFlow's and Keras's."""
    import keras

    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    keras_seed = keras.config.get_random_seed() if hasattr(keras.config, "get_random_seed") else 0
    return (python, legacy[0], legacy[1].tolist(), legacy[2:], keras_seed)


@pytest.fixture(scope="module")
def trained():
    return fit()


def test_the_seed_fixes_the_weights_and_global_seeds_have_no_say(trained):
    """Not even TensorFlow's, which `Dataset.shuffle` would mix in; and none is touched."""
    import keras

    keras.utils.set_random_seed(99)
    before = global_states()
    again = fit()
    assert global_states() == before
    tf.random.set_seed(None)
    assert equal(trained, again)


def test_another_seed_gives_other_weights(trained):
    assert not equal(trained, fit(1))


def test_the_start_and_the_shape_of_the_network_follow_the_arguments():
    model = build_model(3, hidden=(5, 6), dropout=0.25, seed=0)
    assert [layer.name for layer in model.layers] == [
        "dense_1",
        "dropout_1",
        "dense_2",
        "dropout_2",
        "readout",
    ]
    assert [model.get_layer(f"dropout_{i}").rate for i in (1, 2)] == [0.25, 0.25]
    assert model.count_params() == 3 * 5 + 5 + 5 * 6 + 6 + 6 + 1
    assert equal(model, build_model(3, hidden=(5, 6), dropout=0.25, seed=0))
    assert not equal(model, build_model(3, hidden=(5, 6), dropout=0.25, seed=1))


def test_swap_shows_every_row_in_both_orders(monkeypatch):
    import keras

    seen = []
    original = keras.Model.fit
    monkeypatch.setattr(
        keras.Model, "fit", lambda self, data, **k: (seen.append(data), original(self, data, **k))
    )
    x, y = rows(64)
    swap = np.array([2, 3, 0, 1])
    arguments = {**SMALL, "batch_size": 16, "epochs": 1, "seed": 0}
    train(x, y, rows(20, seed=1), swap=swap, **arguments)
    shown = np.concatenate([np.c_[a, b] for a, b in seen[0]])
    expected = np.concatenate([np.c_[x, y], np.c_[x[:, swap], y]])
    assert shown.shape == (128, 5)
    assert not (shown == expected).all()  # shuffled
    order = [np.lexsort(table.T) for table in (shown, expected)]
    assert (shown[order[0]] == expected[order[1]]).all()


def test_it_learns_and_swap_makes_a_one_sided_sample_symmetric():
    """The target is symmetric, but drug A is the stronger in every row shown.

    Without the swapped copies the network never sees the other order, where the target differs
    from a linear continuation; with them both orders have one error.
    """
    rng = np.random.default_rng(0)

    def ordered(n):
        x = np.sort(rng.uniform(-1, 1, (n, 2)), axis=1)[:, ::-1].astype("float32")
        return x, np.abs(x[:, 0] - x[:, 1])  # linear on the rows shown

    x, y = ordered(600)
    held_out = ordered(100)
    test_x, test_y = ordered(200)
    settings = {"seed": 0, "hidden": (32,), "dropout": 0.02, "epochs": 20, "batch_size": 32}
    settings["learning_rate"] = 1e-2
    errors = {}
    for name, swap in (("one", None), ("both", np.array([1, 0]))):
        model = train(x, y, held_out, swap=swap, **settings)
        for order, shown in (("shown", test_x), ("swapped", test_x[:, ::-1])):
            errors[name, order] = np.mean((model(shown.copy()).numpy()[:, 0] - test_y) ** 2)
    assert errors["one", "shown"] < 0.05 * test_y.var()
    assert errors["both", "shown"] < 0.05 * test_y.var()
    assert errors["one", "swapped"] > 10 * errors["one", "shown"]
    assert errors["both", "swapped"] < 0.1 * errors["one", "swapped"]
    assert errors["both", "swapped"] < 3 * errors["both", "shown"]


def recorded(monkeypatch):
    """Keep what `fit` returns and the weights after every epoch."""
    import keras

    kept = {"weights": []}
    original = keras.Model.fit

    def fit_and_keep(self, data, callbacks, **k):
        after = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: kept["weights"].append(self.get_weights())
        )
        kept["history"] = original(self, data, callbacks=[after, *callbacks], **k).history

    monkeypatch.setattr(keras.Model, "fit", fit_and_keep)
    return kept


@pytest.mark.parametrize("patience", [2, 100])
def test_the_best_epoch_is_kept(patience, monkeypatch):
    """Few noisy rows and a high rate overfit; stopped early or not, the best weights return."""
    kept = recorded(monkeypatch)
    x, y = rows(40, noise=2.0)
    model = train(
        x, y, rows(60, seed=1, noise=0.1), seed=0, hidden=(64,), dropout=0.0, epochs=15,
        batch_size=20, learning_rate=2e-2, patience=patience,
    )  # fmt: skip
    losses = kept["history"]["val_loss"]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1  # so that there is something to restore
    assert len(losses) == (best + 1 + patience if patience == 2 else 15)
    for got, expected in zip(model.get_weights(), kept["weights"][best], strict=True):
        assert (got == expected).all()
    assert any(
        (got != last).any()
        for got, last in zip(model.get_weights(), kept["weights"][-1], strict=True)
    )


def test_a_saved_model_is_loaded_instead_of_trained(tmp_path, monkeypatch, trained):
    import keras

    file = tmp_path / "new" / "network.keras"
    model = fit(file=file)
    assert [path.name for path in file.parent.iterdir()] == ["network.keras"]

    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(keras.Model, "fit", refuse)
    loaded = fit(seed=5, file=str(file))
    x, _ = rows(50, seed=3)
    assert (loaded(x).numpy() == model(x).numpy()).all()
    assert equal(loaded, model)
    assert equal(loaded, trained)  # saving changes nothing
    with pytest.raises(InputError, match=r"network with inputs \(4,\), but x has 3 columns"):
        x, y = rows(inputs=3)
        train(x, y, (x, y), seed=0, file=file, **SMALL)


def test_of_several_who_want_a_model_one_fits_it_and_the_others_wait(tmp_path):
    file, fitted, begun = tmp_path / "new" / "network.keras", [], threading.Event()

    def fit_slowly():
        begun.set()
        fitted.append("model")
        time.sleep(0.3)
        if len(fitted) == 1:
            raise InputError("the first fails")
        return build_model(2, hidden=(3,), seed=0)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(load_or_train, file, fit_slowly)
        assert begun.wait(60)
        others = [pool.submit(load_or_train, file, fit_slowly) for _ in range(2)]
    with pytest.raises(InputError, match="the first fails"):
        first.result()
    one, other = (future.result().get_weights() for future in others)
    assert all(map(np.array_equal, one, other))
    assert len(fitted) == 2  # the one that failed, and one more
    assert [path.name for path in file.parent.iterdir()] == ["network.keras"]


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_diverged_training_is_an_error_and_leaves_no_file(tmp_path):
    file = tmp_path / "network.keras"
    with pytest.raises(InputError, match=r"diverged: learning_rate=1e\+30"):
        fit(file=file, learning_rate=1e30)
    assert list(tmp_path.iterdir()) == []


def spoiled(value, row, what):
    x, y = rows()
    (x[row] if what == "x" else y[row : row + 1])[...] = value
    return {what: x if what == "x" else y}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (spoiled(np.nan, 17, "x"), "training rows: x holds NaN.*row 17.*drop or fill"),
        (spoiled(np.inf, 3, "y"), "training rows: y holds NaN or infinite.*row 3"),
        ({"x": rows()[0][:150]}, r"x has shape \(150, 4\) and y \(200,\)"),
        ({"x": rows()[0][0]}, r"expected \(rows, inputs\)"),
        ({"y": rows()[1][:, None]}, r"y \(200, 1\); expected"),
        ({"x": np.empty((0, 4)), "y": np.empty(0)}, "at least one row"),
        ({"validation": (rows()[0], rows()[1][:9])}, r"validation rows.*y \(9,\)"),
        ({"validation": rows(20, inputs=3)}, "4 inputs and validation rows 3"),
        ({"swap": np.array([1, 0])}, "permutation of the 4 columns"),
        ({"swap": np.array([0, 0, 1, 2])}, "permutation of the 4 columns"),
        ({"file": "network.h5"}, r"network.h5: the model file must end in \.keras"),
        ({"dropout": 1.0}, "dropout=1.0.*below 1"),
        ({"hidden": ()}, "at least one layer"),
        ({"hidden": (8, 0)}, r"hidden\[1\]=0; give a whole number, at least 1"),
        ({"hidden": (8.5,)}, r"hidden\[0\]=8.5; give a whole number"),
        ({"epochs": 0}, "epochs=0; give a whole number, at least 1"),
        ({"epochs": 2.5}, "epochs=2.5; give a whole number"),
        ({"epochs": True}, "epochs=True; give a whole number"),
        ({"batch_size": 0}, "batch_size=0; give a whole number, at least 1"),
        ({"batch_size": "many"}, "batch_size='many'; give a whole number"),
        ({"patience": -1}, "patience=-1; give a whole number, at least 0"),
        ({"seed": 1.5}, "seed=1.5; give a whole number"),
        ({"learning_rate": np.nan}, "learning_rate=nan; give a finite number, above 0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0; give a finite number, above 0"),
        ({"learning_rate": np.inf}, "learning_rate=inf; give a finite number"),
        ({"weight_decay": -1e-3}, "weight_decay=-0.001; give a finite number, at least 0"),
        ({"dropout": np.nan}, "dropout=nan.*below 1"),
        ({"x": rows()[0].astype(float) + 1e9}, "training rows, x, column 0: its values, near 1e"),
        ({"y": rows()[1].astype(float) + 1e9}, "training rows, column 'y': its values, near 1e"),
        ({"y": rows()[1].astype(str)}, "y has type <U.*; expected real numbers"),
    ],
)
def test_bad_input_fails_before_training(change, says, monkeypatch):
    import keras

    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("training began"))
    x, y = rows()
    good = {"x": x, "y": y, "validation": rows(60, seed=1), "seed": 0, **SMALL}
    with pytest.raises(InputError, match=says):
        train(**{**good, **change})


def test_fewer_rows_than_a_batch_still_train():
    x, y = rows(10)
    start = build_model(4, hidden=(8, 8), seed=0)
    assert not equal(train(x, y, (x, y), seed=0, **{**SMALL, "epochs": 1}), start)
