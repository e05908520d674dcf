"""One split by the published protocol: choose on training rows, train again, sample, score."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikedrop.checks.arguments import real_number, whole_number
from spikedrop.conversion import Conversion, calibrate
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.sampling.ann import sample_ann
from spikedrop.sampling.snn import sample_snn
from spikedrop.scores import fit_noise_sd, log_likelihood, rmse
from spikedrop.study.uci.reading import RegressionSet
from spikedrop.study.uci.training import member_network, train_members

__all__ = ["Protocol", "fit_rows", "fit_split", "run_split"]

MANY_ROWS = 4000  # from here on one fold is held out alone, and batches are four times as large
LEAST = {"folds": 2, "seed": 0}
LEAST |= dict.fromkeys(("layers", "train_steps", "validation_draws", "draws", "steps"), 1)


@dataclass(frozen=True)
class Protocol:
    """What is done with every split; the defaults are those of `spikedrop uci`.

    Attributes
    ----------
    layers : int
        Hidden layers, each with the set's `n_hidden` units. The published figures are for one; the
        same authors give figures for two beside their programs (`spikedrop.study.uci.published`).
    more_rates : tuple of float
        Dropout rates to choose from besides the set's own, which end at 0.1.
    decays : tuple of float
        Weight decays to choose from, each with each rate.
    folds : int
        Parts of the training rows; each is held out once, by networks that learn from the others.
        Of 4,000 rows and more, only the first part is.
    train_steps, learning_rate
        Of the optimiser, see `spikedrop.study.uci.training.train_members`.
    validation_draws, draws : int
        Draws to choose by, and draws of test rows.
    rate_hz, steps
        Of the spiking network, whose neurons keep their charge; see `spikedrop.calibrate` and
        `spikedrop.sample_snn`.
    seed : int
    """

    layers: int = 2
    more_rates: tuple[float, ...] = (0.2, 0.3)
    decays: tuple[float, ...] = (0.01, 0.1, 0.3)
    folds: int = 5
    train_steps: int = 20_000
    learning_rate: float = 0.01
    validation_draws: int = 50
    draws: int = 500
    rate_hz: float = 500.0
    steps: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name, least in LEAST.items():
            whole_number(name, getattr(self, name), least=least)
        for name in ("learning_rate", "rate_hz"):
            real_number(name, getattr(self, name), above=0)
        if not self.decays or min(self.decays) < 0:
            raise InputError(f"decays={self.decays}: give at least one, and none below 0.")
        if not all(0 < rate < 1 for rate in self.more_rates):
            raise InputError(f"more_rates={self.more_rates}: rates must lie between 0 and 1.")


@dataclass(frozen=True)
class Fitted:
    """All that is learnt from training rows.

    Attributes
    ----------
    network : Network
        In normalised units.
    conversion : Conversion
    mean_x, sd_x : numpy.ndarray
        Of the training rows, axis (feature,).
    mean_y, sd_y : float
        Of the training rows, in the unit of the target.
    noise_sd : float
        Sd of what the draws miss, in the unit of the target; the precision tau is its inverse
        square.
    rate, decay : float
        Dropout rate and weight decay that were chosen.
    validation : float
        Log likelihood of held-out training rows with them, in nats.
    """

    network: Network
    conversion: Conversion
    mean_x: np.ndarray
    sd_x: np.ndarray
    mean_y: float
    sd_y: float
    noise_sd: float
    rate: float
    decay: float
    validation: float

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """Normalise rows by the training rows' statistics."""
        return ((x - self.mean_x) / self.sd_x).astype(np.float32)

    def in_units(self, samples: Any) -> Any:
        """Return predictive samples in the unit of the target, axes (draw, observation)."""
        return np.asarray(samples, np.float64)[:, :, 0] * self.sd_y + self.mean_y


def fit_rows(
    x: np.ndarray,
    y: np.ndarray,
    *,
    rates: tuple[float, ...],
    n_hidden: int,
    protocol: Protocol,
    split: int = 0,
) -> Fitted:
    r"""Choose dropout rate, weight decay and noise on held-out training rows, then train on all.

    Every pair of rate and decay is trained once for each held-out fold, on the others. Its noise
    :math:`\sigma` is what gives the held-out rows of all folds the highest log likelihood
    (`spikedrop.scores.fit_noise_sd`), and the pair with the highest is chosen. One network with
    that pair then learns from all rows; its firing-rate scales are calibrated on the same rows.
    Test rows are not an argument of this function.

    Parameters
    ----------
    x, y : numpy.ndarray
        Training rows in their units, axes (row, feature) and (row,).
    rates : tuple of float
        Dropout rates to choose from.
    n_hidden : int
        Units of each hidden layer.
    protocol : Protocol
        What is done.
    split : int, default 0
        Number of the split; with the protocol's seed it seeds everything.

    Returns
    -------
    Fitted
        Network, conversion, scaling, noise, and what was chosen.

    Raises
    ------
    InputError
        If the target is constant, there are fewer than two rows per fold, or every training
        diverged.

    Examples
    --------
    >>> small = {"layers": 1, "more_rates": (), "decays": (0.01,), "folds": 2, "train_steps": 20}
    >>> protocol = Protocol(**small, validation_draws=5, draws=10, steps=20)
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> fitted = fit_rows(x, x.sum(axis=1), rates=(0.05,), n_hidden=5, protocol=protocol)
    >>> fitted.rate, fitted.decay, fitted.noise_sd > 0
    (0.05, 0.01, True)
    """
    if len(x) < 2 * protocol.folds or np.ptp(y) == 0:
        raise InputError(
            f"{len(x)} training rows, target from {np.min(y):g} to {np.max(y):g}: need two rows a "
            "fold and a target that varies."
        )
    mean_x, sd_x, mean_y, sd_y = x.mean(axis=0), x.std(axis=0), float(y.mean()), float(y.std())
    sd_x = np.where(sd_x == 0, 1.0, sd_x)
    inputs, targets = ((x - mean_x) / sd_x).astype(np.float32), (y - mean_y) / sd_y
    rng = np.random.default_rng([protocol.seed, split])
    many = len(x) >= MANY_ROWS
    pairs = [(rate, decay) for rate in rates for decay in protocol.decays]
    settings: dict[str, Any] = {
        "hidden": (n_hidden,) * protocol.layers,
        "steps": protocol.train_steps,
        "batch_size": 128 if many else 32,
        "learning_rate": protocol.learning_rate,
        "rng": rng,
    }

    size = len(x) // protocol.folds  # folds of one size; what is left over is always learnt from
    shuffled = rng.permutation(len(x))
    held = [shuffled[k * size : (k + 1) * size] for k in range(1 if many else protocol.folds)]
    learnt = [np.setdiff1d(shuffled, rows) for rows in held]
    weights = train_members(
        inputs,
        targets,
        np.repeat(learnt, len(pairs), axis=0),
        rates=np.tile([rate for rate, _ in pairs], len(held)),
        decays=np.tile([decay for _, decay in pairs], len(held)),
        **settings,
    )
    choices = []
    for i, (rate, decay) in enumerate(pairs):
        members = list(range(i, len(held) * len(pairs), len(pairs)))
        if not all(np.isfinite(w[members]).all() for w, _ in weights):
            continue  # diverged
        # Every held-out row by the member that has not seen it, axes (draw, row).
        sampled: dict[str, Any] = {
            "draws": protocol.validation_draws,
            "seed": protocol.seed,
            "progress": False,
        }
        parts = [
            sample_ann(member_network(weights, member, rate), inputs[rows], **sampled)
            for member, rows in zip(members, held, strict=True)
        ]
        samples = np.concatenate(parts, axis=1)[:, :, 0]
        observed = targets[np.concatenate(held)]
        noise = fit_noise_sd(samples, observed)
        choices.append((log_likelihood(samples, observed, noise), noise, rate, decay))
    if not choices:
        raise InputError(
            f"split {split}: every training diverged with learning_rate={protocol.learning_rate}."
        )
    best, noise, rate, decay = max(choices)

    weights = train_members(
        inputs,
        targets,
        np.arange(len(x))[None],
        rates=np.array([rate]),
        decays=np.array([decay]),
        **settings,
    )
    network = member_network(weights, 0, rate)
    conversion = calibrate(network, inputs, rate_hz=protocol.rate_hz)
    scaling, validation = (mean_x, sd_x, mean_y, sd_y), best - float(np.log(sd_y))
    return Fitted(network, conversion, *scaling, noise * sd_y, rate, decay, validation)


def fit_split(data: RegressionSet, split: int, protocol: Protocol) -> Fitted:
    """Learn from the training rows of one split; see `fit_rows`.

    Parameters
    ----------
    data : RegressionSet
        From `read_set`.
    split : int
        Number of the split, from 0.
    protocol : Protocol
        What is done.

    Returns
    -------
    Fitted
        As of `fit_rows`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, rows = rng.normal(size=(60, 2)), np.arange(60)
    >>> data = RegressionSet("mine", x, x.sum(axis=1), (rows[:50],), (rows[50:],), (0.05,), 5)
    >>> small = {"layers": 1, "more_rates": (), "decays": (0.01,), "folds": 2, "train_steps": 20}
    >>> protocol = Protocol(**small, validation_draws=5, draws=10, steps=20)
    >>> fit_split(data, 0, protocol).rate
    0.05
    """
    rows = data.train[split]
    return fit_rows(
        data.x[rows],
        data.y[rows],
        rates=tuple(sorted({*data.dropout_rates, *protocol.more_rates})),
        n_hidden=data.n_hidden,
        protocol=protocol,
        split=split,
    )


def run_split(data: RegressionSet, split: int, protocol: Protocol) -> dict[str, Any]:
    """Train on one split and score ANN and SNN, with the same masks, on its test rows.

    Parameters
    ----------
    data, split, protocol : see `fit_split`

    Returns
    -------
    dict
        ``ann`` and ``snn``, each with ``rmse`` (unit of the target, lower is better),
        ``log_likelihood`` (nats per observation, of the mixture of draws with the noise chosen on
        training rows, higher is better) and ``seconds`` (training counts for the ANN); and what was
        chosen: ``rate``, ``decay``, ``noise_sd``; and ``spikes_per_presentation``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, rows = rng.normal(size=(60, 2)), np.arange(60)
    >>> data = RegressionSet("mine", x, x.sum(axis=1), (rows[:50],), (rows[50:],), (0.05,), 5)
    >>> small = {"layers": 1, "more_rates": (), "decays": (0.01,), "folds": 2, "train_steps": 20}
    >>> protocol = Protocol(**small, validation_draws=5, draws=10, steps=20)
    >>> result = run_split(data, 0, protocol)
    >>> sorted(result["snn"]), result["rate"]
    (['log_likelihood', 'rmse', 'seconds'], 0.05)
    """
    started = time.perf_counter()
    fitted = fit_split(data, split, protocol)
    x, y = fitted.inputs(data.x[data.test[split]]), data.y[data.test[split]]
    work: dict[str, Any] = {"draws": protocol.draws, "seed": protocol.seed, "progress": False}
    samples = {"ann": sample_ann(fitted.network, x, **work)}
    trained = time.perf_counter()
    samples["snn"] = sample_snn(fitted.network, fitted.conversion, x, steps=protocol.steps, **work)
    seconds = {"ann": trained - started, "snn": time.perf_counter() - trained}
    scores = {
        name: {
            "rmse": rmse(fitted.in_units(drawn), y),
            "log_likelihood": log_likelihood(fitted.in_units(drawn), y, fitted.noise_sd),
            "seconds": seconds[name],
        }
        for name, drawn in samples.items()
    }
    return {
        **scores,
        "rate": fitted.rate,
        "decay": fitted.decay,
        "noise_sd": fitted.noise_sd,
        "spikes_per_presentation": float(samples["snn"].attrs["spikes_per_presentation"]),
    }
