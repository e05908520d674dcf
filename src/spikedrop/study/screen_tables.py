"""Tables of the models of a screen: who predicts growth, who predicts synergy, and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from spikedrop.data import Baseline, Screen, Split, naive_mean, recorded_null, training_null
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.sampling.ann import sample_ann
from spikedrop.scores import (
    coverage,
    fit_noise_sd,
    fitted_point,
    method_table,
    point_table,
    rmse,
    sharpness,
    synergy_score,
    synergy_table,
)
from spikedrop.study.example import Example

__all__ = [
    "growth_table",
    "network_baseline",
    "null_methods",
    "rate_table",
    "synergy_of",
    "truth_table",
]

NAIVE = "naive mean of the score"
INDEX = ["held out", "model"]
Results = Mapping[str, Mapping[str, Baseline]]


def growth_table(results: Results, *, beside: str | None = None) -> pd.DataFrame:
    """Tabulate `spikedrop.scores.point_table` for each split and model.

    Parameters
    ----------
    results : mapping
        Split to model to predictions of its test records, as `spikedrop.data.all_baselines` gives
        them for one split.
    beside : str, optional
        A model whose R2 on the rows of every other is a column; by default there is none.

    Returns
    -------
    pandas.DataFrame
        Index (``held out``, ``model``).

    Raises
    ------
    InputError
        If there is no result, or `beside` is not among the models of a split.

    Examples
    --------
    >>> y = np.array([0.0, 1.0])
    >>> growth_table({"rows": {"exact": Baseline(y, y)}})["R2"].to_dict()
    {('rows', 'exact'): 1.0}
    """
    tables = {}
    for by, models in _some(results).items():
        measured = next(iter(models.values())).measured
        predicted = {name: model.predicted for name, model in models.items()}
        tables[by] = point_table(predicted, measured, beside=beside)
    return pd.concat(tables, names=INDEX)


def synergy_of(
    results: Results,
    screen: Screen,
    splits: Mapping[str, Split],
    *,
    of_score: Results | None = None,
    threshold: float = 0.2,
) -> pd.DataFrame:
    """Tabulate `spikedrop.scores.synergy_table` for each split and model.

    A model of growth predicts the score that remains: the recorded expected growth less its
    prediction. The naive mean of the score itself is listed beside them: an effect of each drug and
    of the line finds many high scores without knowing anything of the pair.

    Parameters
    ----------
    results : mapping
        As in `growth_table`, on the test records of `splits`.
    screen : Screen
        With expected growth.
    splits : mapping
        Split by its name.
    of_score : mapping, optional
        Models that predict the score itself, in the same form.
    threshold : float, default 0.2
        A score above it counts as synergistic.

    Returns
    -------
    pandas.DataFrame
        Index (``held out``, ``model``).

    Raises
    ------
    InputError
        If there is no result, or a model's rows are not those of its split.

    Examples
    --------
    >>> from spikedrop.data import recorded_null, simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> parts = split(screen.pairs, seed=0)
    >>> results = {"rows": {"null model": recorded_null(screen, parts)}}
    >>> synergy_of(results, screen, {"rows": parts}, threshold=0.0)["AUC at 0"].round(2).to_dict()
    {('rows', 'null model'): 0.5, ('rows', 'naive mean of the score'): 0.44}
    """
    recorded = screen.pairs["expected_growth_fraction"].to_numpy(float)
    tables = {}
    for by, models in _some(results).items():
        expected = recorded[splits[by].test]
        measured = next(iter(models.values())).measured
        if measured.shape != expected.shape:
            raise InputError(
                f"{by}: {len(measured)} predictions, and {len(expected)} test records of the split."
            )
        predicted = {name: synergy_score(expected, m.predicted) for name, m in models.items()}
        predicted[NAIVE] = naive_mean(screen, splits[by], target="score").predicted
        predicted |= {name: m.predicted for name, m in (of_score or {}).get(by, {}).items()}
        tables[by] = synergy_table(
            predicted, synergy_score(expected, measured), threshold=threshold
        )
    return pd.concat(tables, names=INDEX)


def _some(results: Results) -> Results:
    if not results or not all(results.values()):
        raise InputError("results: give at least one split, and one model for each.")
    return results


def network_baseline(example: Example, rows: np.ndarray, *, draws: int, seed: int) -> Baseline:
    """Predict records by the mean over draws of permanent dropout, as one model among others.

    Parameters
    ----------
    example : Example
        Network, inputs and targets.
    rows : numpy.ndarray
        Positions of the records to predict, axis (row,).
    draws, seed : see `sample_ann`

    Returns
    -------
    Baseline
        Measured is the example's target, growth or the synergy score; predicted has axis (row,).

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> from types import SimpleNamespace
    >>> example = SimpleNamespace(network=network, x=np.ones((2, 1)), y=np.array([2.0, 1.0]))
    >>> found = network_baseline(example, np.array([0, 1]), draws=400, seed=0)
    >>> bool(1.6 < found.predicted[0] < 2.4)  # half of the draws are 0, half 4
    True
    """
    samples = sample_ann(example.network, example.x[rows], draws=draws, seed=seed)
    return Baseline(example.y[rows], samples.mean("draw").to_numpy()[:, 0])


def null_methods(
    screen: Screen, parts: Split, rows: np.ndarray | None = None
) -> dict[str, tuple[np.ndarray, float]]:
    """Give the null models and the naive mean a noise, for `spikedrop.scores.method_table`.

    The noise of each is chosen on the validation records, as that of the networks. A model that
    exists on none of them, such as a null model of new drugs, is left out.

    Parameters
    ----------
    screen : Screen
    parts : Split
        With validation rows.
    rows : numpy.ndarray, optional
        Positions of the records to predict; by default ``parts.test``.

    Returns
    -------
    dict
        Name to samples, axes (2, row), NaN where the model does not exist, and noise sd.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen, split
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> methods = null_methods(screen, split(screen.pairs, seed=0))
    >>> {name: samples.shape for name, (samples, noise_sd) in methods.items()}
    {'null model, recorded': (2, 60), 'null model, training records': (2, 60),
     'naive mean': (2, 60)}
    """
    rows = parts.test if rows is None else rows
    models = {
        "null model, recorded": recorded_null,
        "null model, training records": training_null,
        "naive mean": naive_mean,
    }
    methods = {}
    for name, model in models.items():
        held_out = model(screen, replace(parts, test=parts.validation))
        if held_out.covered.any():
            predicted = model(screen, replace(parts, test=rows)).predicted
            methods[name] = fitted_point((held_out.predicted, held_out.measured), predicted)
    return methods


def truth_table(
    screen: Screen, rows: np.ndarray, methods: Mapping[str, tuple[np.ndarray, float]]
) -> pd.DataFrame:
    r"""Hold draws and fitted noise against the true growth of a simulated screen.

    An error has two parts, the noise of the measurement and the network's own error, and as they
    are independent their variances add:

    .. math:: \underbrace{\mathrm E\,(y - \bar y)^2}_{\text{error}^2} =
              \underbrace{\mathrm E\,(y - t)^2}_{\text{assay noise}^2} +
              \underbrace{\mathrm E\,(t - \bar y)^2}_{\text{own error}^2}

    with t the true growth. A noise that is fitted to measurements holds whatever of both the draws
    miss. With few records the two sides differ by the chance that noise and own error agree in
    sign.

    Parameters
    ----------
    screen : Screen
    rows : numpy.ndarray
        Positions of pair records.
    methods : mapping
        Name to samples of these records, axes (draw, row[, 1]), and the noise sd.

    Returns
    -------
    pandas.DataFrame
        One column per method; rows in growth fraction but for the last, a share. What needs the
        truth is NaN for a real screen, where it is unknown.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> true = screen.pairs["true_growth_fraction"].to_numpy()
    >>> exact = true + 0.01 * np.array([[-1], [1]])
    >>> truth_table(screen, np.arange(300), {"exact": (exact, 0.09)})["exact"].round(2).to_dict()
    {'fitted noise': 0.09, 'sd of draws': 0.01, 'error': 0.09, 'assay noise': 0.09,
     'own error': 0.0, 'assay noise and own error': 0.09,
     "truth inside the draws' 90 % interval": 1.0}
    """
    records = screen.pairs.iloc[rows]
    measured = records["growth_fraction"].to_numpy(float)
    known = "true_growth_fraction" in records
    columns = {}
    for name, (samples, noise_sd) in methods.items():
        assay = own = inside = np.nan
        if known:
            true = records["true_growth_fraction"].to_numpy(float)
            assay = np.sqrt(np.mean(records["noise_sd_fraction"] ** 2))
            own, inside = rmse(samples, true), coverage(samples, true)
        columns[name] = {
            "fitted noise": noise_sd,
            "sd of draws": sharpness(samples),
            "error": rmse(samples, measured),
            "assay noise": assay,
            "own error": own,
            "assay noise and own error": np.hypot(assay, own),
            "truth inside the draws' 90 % interval": inside,
        }
    return pd.DataFrame(columns).astype(float)


def rate_table(
    network: Network,
    validation: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    *,
    rates: Sequence[float],
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Scores of the same weights sampled at other dropout rates.

    The noise of every rate is chosen on the validation rows.

    Parameters
    ----------
    network : Network
    validation, test : tuple of numpy.ndarray
        Inputs, axes (row, input), and observations, axis (row,).
    rates : sequence of float
        Dropout rates, each given to every layer that has dropout.
    draws, seed : see `sample_ann`

    Returns
    -------
    pandas.DataFrame
        Index the rate; columns of `spikedrop.scores.method_table` but ``rows covered``.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.network.graph import Layer, Network
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> x, y = [[1.0], [2.0]], np.array([2.0, 3.5])
    >>> table = rate_table(network, (x, y), (x, y), rates=(0.1, 0.5), draws=50, seed=0)
    >>> table.index.tolist()
    [0.1, 0.5]
    """
    methods = {}
    for rate in rates:
        other = network.with_dropout(rate)
        held_out = sample_ann(other, validation[0], draws=draws, seed=seed)
        samples = sample_ann(other, test[0], draws=draws, seed=seed)
        methods[rate] = (samples, fit_noise_sd(held_out, validation[1]))
    table = method_table(methods, test[1]).drop(columns="rows covered")
    return table.rename_axis("dropout rate")
