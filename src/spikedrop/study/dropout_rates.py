"""The same weights sampled at other dropout rates: which rate predicts best?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from spikedrop.network.graph import Network
from spikedrop.sampling.ann import sample_ann
from spikedrop.scores.noise import fit_noise_sd
from spikedrop.scores.table import method_table

__all__ = ["rate_table"]


def rate_table(
    network: Network,
    validation: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    *,
    rates: Sequence[float],
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Scores of the same weights sampled at other dropout rates, index the rate.

    `validation` and `test` are pairs (inputs, observations); the noise of every rate is chosen on
    the first. See `method_table` for the columns.

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
