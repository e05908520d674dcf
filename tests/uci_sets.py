"""Small made-up regression sets in the published layout, shared by tests."""

import numpy as np

from spikedrop.study import uci

SMALL = uci.Protocol(
    more_rates=(), decays=(1e-3,), folds=2, train_steps=300, validation_draws=20, draws=40
)


def write_set(folder, rows=60, splits=3, seed=0):
    """Write a set in the published layout: two columns that matter, the target between them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2)) * [1, 100] + [5, 0]
    y = 30 + 4 * (x[:, 0] - 5) + 0.03 * x[:, 1] + rng.normal(size=rows)
    folder.mkdir(parents=True)
    np.savetxt(folder / "data.txt", np.column_stack([x[:, 0], y, x[:, 1]]), fmt="%.6f")
    texts = {"index_features": "0\n2", "index_target": "1", "n_splits": f"{splits}"}
    texts |= {"n_hidden": "6", "n_epochs": "40", "dropout_rates": "0.01\n0.1", "tau_values": "1"}
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    for i in range(splits):
        order = rng.permutation(rows)
        np.savetxt(folder / f"index_test_{i}.txt", order[: rows // 6], fmt="%d")
        np.savetxt(folder / f"index_train_{i}.txt", order[rows // 6 :], fmt="%.18e")
    return folder


def poisoned(data, rows, what):
    """Return the set with other values in the rows."""
    x, y = data.x.copy(), data.y.copy()
    x[rows], y[rows] = what, what
    return uci.RegressionSet(
        data.name, x, y, data.train, data.test, data.dropout_rates, data.n_hidden
    )
