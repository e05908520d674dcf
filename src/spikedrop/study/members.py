"""A fixed set of masks, as a chip stores it: how many members are enough?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from spikedrop.checks.arguments import whole_number
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.sampling.ann import sample_ann

__all__ = ["members_table"]


def members_table(
    network: Network,
    x: np.ndarray,
    *,
    seed: int,
    members: Sequence[int] = (2, 4, 8, 16, 32, 64),
    sets: int = 16,
    reference: int = 1000,
) -> pd.DataFrame:
    r"""Compare a set of K stored masks with masks drawn without end.

    With :math:`\mu, \sigma` of `reference` draws and :math:`\mu_K, \sigma_K` of the K members, the
    errors are means over observations, outputs and `sets` independent sets of

    .. math:: |\mu_K - \mu| / \sigma, \qquad |\sigma_K / \sigma - 1| .

    Were predictions normal, they would be

    .. math:: \sqrt{2 / (\pi K)}, \qquad \sqrt{1 / (\pi (K - 1))}

    to first order. The error is that of K draws; but a stored set is drawn once: every
    prediction that the chip ever makes shares it.

    Parameters
    ----------
    network : Network
        Its own `stored_masks` is not looked at.
    x : array
        As for `sample_ann`.
    seed : int
        Of the reference's masks; the sets have the seeds after it.
    members : sequence of int, default (2, 4, 8, 16, 32, 64)
        Sizes K, at least 2.
    sets : int, default 16
        Sets to average over.
    reference : int, default 1000
        Draws that stand for masks drawn without end.

    Returns
    -------
    pandas.DataFrame
        One row per size: ``members``, ``mean error`` (predictive sd) and ``sd error`` (share of the
        sd), lower is better, ``mean error expected`` and ``sd error expected``.

    Raises
    ------
    InputError
        If a size is below 2, `sets` below 1, `reference` below ten times the largest set, or an
        output has no spread.

    Examples
    --------
    >>> from spikedrop.network.graph import Layer
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, one[0]))
    >>> table = members_table(network, [[1.0]], seed=0, members=(4, 16), sets=50, reference=500)
    >>> bool(table["mean error"].is_monotonic_decreasing)
    True
    """
    for size in members:
        whole_number("members", size, least=2)
    whole_number("sets", sets, least=1)
    whole_number("reference", reference, least=10 * max(members))
    endless = Network(network.layers, network.outputs)
    draws = sample_ann(endless, x, draws=reference, seed=seed, progress=False)
    mean, sd = draws.mean("draw"), draws.std("draw", ddof=1)
    if not (sd > 0).all():
        raise InputError("dropout moves some output not at all, so there is no sd to compare with.")
    errors: dict[int, tuple[list, list]] = {k: ([], []) for k in members}
    for number in range(sets):
        # draw s of a stored set is mask s, so the first K draws are the set of size K
        drawn = sample_ann(endless, x, draws=max(members), seed=seed + 1 + number, progress=False)
        for k, (off, width) in errors.items():
            off.append(float((abs(drawn[:k].mean("draw") - mean) / sd).mean()))
            width.append(float(abs(drawn[:k].std("draw", ddof=1) / sd - 1).mean()))
    return pd.DataFrame(
        {
            "members": k,
            "mean error": np.mean(off),
            "sd error": np.mean(width),
            "mean error expected": np.sqrt(2 / (np.pi * k)),
            "sd error expected": np.sqrt(1 / (np.pi * (k - 1))),
        }
        for k, (off, width) in errors.items()
    )
