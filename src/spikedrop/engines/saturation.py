"""Neurons that are driven beyond what their presentation can hold: counted, and said.

A neuron that sends at most one spike per step cannot stand for more than ``1 / (g dt)``, its full
scale; what is beyond is lost. Every program reports the share of such neurons, layer by layer and
observation by observation; the samplers gather them here and warn once a call.
"""

from __future__ import annotations

import warnings

import numpy as np

from spikedrop.errors import SaturationWarning
from spikedrop.network.graph import Network

Shares = dict[str, np.ndarray]  # by layer: share of (draw, neuron), axis (observation,)
# Warned of beyond these shares: of all neurons and presentations, and of those of one observation.
# On the book's example (three layers of 128, integrate_first and radix; mean and largest error of
# an observation in predictive sd): at 0.03 % and 0.8 % clipping adds 0.003 and 0.15 sd, at 0.17 %
# and 1.3 % it adds 0.03 and 0.3 sd, at 0.6 % and 2.8 % 0.13 and 0.7 sd.
MEAN = 0.001
ROW = 0.01
REMEDY = (
    "calibrate on rows of this range, or with a lower rate_hz or a higher percentile; or use "
    "neuron='charge_keeping', which fires as often as it must"
)


def share(mask: np.ndarray) -> np.ndarray:
    """Share of neurons: from axes ``(observation, *shape)`` to (observation,)."""
    return mask.reshape(len(mask), -1).mean(axis=1)


class Saturation:
    """The shares of some observations, added up chunk by chunk.

    Parameters
    ----------
    network : Network
    rows : range
        Numbers of the observations.
    """

    def __init__(self, network: Network, rows: range) -> None:
        """Start with nothing lost."""
        self.rows = rows
        self.seen = np.zeros(len(rows))  # draws
        self.sums = {layer.name: np.zeros(len(rows)) for layer in network.hidden}

    def add(self, shares: Shares, draws: int, rows: range) -> None:
        """Take the shares of some draws of some observations."""
        here = slice(rows.start - self.rows.start, rows.stop - self.rows.start)
        self.seen[here] += draws
        for name, values in shares.items():
            self.sums[name][here] += draws * np.asarray(values, float)

    def means(self) -> tuple[float, ...]:
        """Share of neurons and presentations beyond full scale, by layer, in order."""
        total = max(1.0, float(self.seen.sum()))
        return tuple(float(lost.sum()) / total for lost in self.sums.values())

    def _worst(self, name: str) -> tuple[float, int]:
        """Largest share of one observation, and which."""
        each = self.sums[name] / np.maximum(self.seen, 1)
        return float(each.max()), self.rows[int(each.argmax())]

    def _loud(self) -> dict[str, float]:
        """By layer, the share in units of what is warned of."""
        means = dict(zip(self.sums, self.means(), strict=True))
        return {name: max(means[name] / MEAN, self._worst(name)[0] / ROW) for name in means}

    @property
    def loudness(self) -> float:
        """The largest share in units of what is warned of."""
        return max(self._loud().values())

    def warn(self, remedy: str) -> None:
        """Warn once, of the layer that loses most, if it loses what can be seen in samples."""
        loud = self._loud()
        name = max(loud, key=loud.__getitem__)
        if loud[name] <= 1:
            return
        mean = dict(zip(self.sums, self.means(), strict=True))[name]
        most, row = self._worst(name)
        more = sum(value > 1 for value in loud.values()) - 1
        also = f" (and {more} more)" if more else ""
        warnings.warn(
            f"layer {name!r}{also}: {mean:.2%} of neurons x presentations are driven beyond full "
            f"scale and cut off, {most:.0%} in observation {row}: {remedy}.",
            SaturationWarning,
            stacklevel=3,
        )
