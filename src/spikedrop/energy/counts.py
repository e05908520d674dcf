r"""How many operations a predictive distribution takes, counted in the simulation itself.

A presentation shows one input to the network with one set of masks. With :math:`n_i` the spikes of
hidden neuron i in it, dropped neurons silent, and :math:`F_i` the weights that a spike of i meets
on its way to the neurons and readouts that receive it,

.. math::

    \text{spikes} = \sum_i n_i,

    \text{synaptic operations} = \sum_i n_i F_i,

    \text{neuron updates} = \sum_i T_i

with :math:`T_i` the time steps in which neuron i is at work. The conventions:

- A spike is one event, also that of a neuron that integrates first or sends binary digits. A
  neuron that fires twice in a step sends two.
- Dense weights: a spike meets one for every unit above. Convolution: one for every window
  that covers its place and every channel above; windows that reach over the edge meet fewer spikes,
  not more. What only hands values on (pooling, flatten, add, concatenate, scale) has no weights of
  its own: a chip's compiler folds it into the weights behind it. Where it leads into neurons or is
  the readout, it is one operation for each arrival.
- Dropout silences the source. What is sent to a dropped *target* still arrives, and is counted: a
  chip must be told to look away. Dropped single weights are not there and are not counted; weights
  that happen to be zero are.
- Neuron updates: every neuron, dropped ones too, at every step. One that integrates first is at
  work in the window in which it integrates and in those in which it fires, and idle in all others;
  where branches of different depth meet, the shallower fires again (`spikedrop.neurons`),
  and its spikes are counted again.
- The readout adds up what arrives, which is synaptic; it has no neurons to update. One that
  weights its steps takes one multiply-accumulate more for every output at every step.
- The input is a constant current, not spikes: one multiply-accumulate for every first weight, once
  a presentation. A linear layer in the middle that has weights and no neurons passes its sums on at
  every step: one for every weight behind it, every step.
- Shifts: a weight that a spike of a ``radix`` neuron meets is shifted by the place of the bit, so a
  shift for each synaptic operation. Doubling the membrane once a step instead would need fewer;
  the price of a shift begins at nothing (`spikedrop.energy.bills`).
- Mask bits: one for every unit, channel or weight that may be dropped, whether it is drawn or read
  from a store; for Gaussian dropout a number, not a bit. With scope ``draw`` all observations of a
  draw share them, so a prediction bears its part.

What lies before the first mask does the same in every draw of one input, and can be shared between
draws: `Operations.once`. That needs a chip that keeps or repeats what the shared layers sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields

import pandas as pd


@dataclass(frozen=True)
class Counts:
    """Operations, as means over presentations; see the head of this file for what is counted.

    Attributes
    ----------
    spikes : float
        Events of hidden neurons.
    synaptic : float
        Weights that spikes meet.
    updates : float
        Neuron updates.
    mask_bits : float
        Bits of dropout masks.
    macs : float
        Multiply-accumulates; those of a spiking network are what its constant input takes.
    macs_nonzero : float
        Those among them whose input is not zero: what hardware that skips zeros does.
    shifts : float
        Weights that are shifted by the place of a bit: those of a bit-serial network.

    Examples
    --------
    >>> total = Counts(spikes=2.0) + 3 * Counts(spikes=1.0, macs=5.0)
    >>> total.spikes, total.macs, total.synaptic
    (5.0, 15.0, 0.0)
    """

    spikes: float = 0.0
    synaptic: float = 0.0
    updates: float = 0.0
    mask_bits: float = 0.0
    macs: float = 0.0
    macs_nonzero: float = 0.0
    shifts: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        """Add kind by kind."""
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __rmul__(self, times: float) -> Counts:
        """Multiply every kind."""
        return Counts(*(times * a for a in astuple(self)))


KINDS = tuple(field.name for field in fields(Counts))


@dataclass(frozen=True, eq=False)
class Operations:
    """Operations of one prediction, which is many draws of one input.

    Attributes
    ----------
    once : Counts
        Work that all draws of a prediction share: the layers before the first mask, whose neurons
        fire as if none were dropped.
    draw : Counts
        Work done again in every draw.
    layers : pandas.DataFrame
        One row per layer, in order; of one draw that shares nothing. The columns of `Counts`, at
        the layer that does the work (synaptic operations where spikes arrive, spikes where they
        leave), then ``neurons``, ``fan_out`` (weights that one of its spikes meets, mean over
        neurons), ``rate`` (spikes per neuron and step in which it may fire, dropped ones
        included) and ``shared`` (whether the layer lies before the first mask).
    kind : {"SNN", "quantised", "bit-serial", "ANN"}
        What the network is; see `spikedrop.conversion.Conversion.kind`.
    """

    once: Counts
    draw: Counts
    layers: pd.DataFrame
    kind: str = "SNN"

    @property
    def alone(self) -> Counts:
        """Work of one draw that shares nothing with others."""
        return Counts(*(float(self.layers[kind].sum()) for kind in KINDS))

    def of(self, draws: int, *, shared: bool = True) -> Counts:
        """Return the work of one prediction from so many draws, with or without sharing."""
        return self.once + draws * self.draw if shared else draws * self.alone


def sharing_table(works: Mapping[str, Operations], draws: int) -> pd.DataFrame:
    """Operations of one prediction with and without sharing between its draws.

    Synaptic operations and multiply-accumulates together.

    Parameters
    ----------
    works : mapping
        Name of a network to its `Operations`.
    draws : int
        Draws of one prediction.

    Returns
    -------
    pandas.DataFrame
        One row per network: ``once`` and ``each draw``; ``shared`` and ``alone``, the operations of
        a prediction from so many draws; ``saved``, the share of operations that sharing saves.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.energy.operations import count_ann_operations
    >>> from spikedrop.network.graph import Layer, Network
    >>> square, zero = np.array([[1.0, -1.0], [1.0, -1.0]], "float32"), np.zeros(2, "float32")
    >>> readout = Layer("y", square[:, :1], zero[:1])
    >>> network = Network.chain((Layer("a", square, zero), Layer("b", square, zero, 0.5)), readout)
    >>> work = count_ann_operations(network, [[1.0, 1.0]], draws=10, seed=0)
    >>> table = sharing_table({"ANN": work}, draws=10)
    >>> table.loc["ANN", ["shared", "alone"]].tolist()  # 8 + 10 x 2, and 10 x (8 + 2)
    [28.0, 100.0]
    """
    rows = {}
    for name, work in works.items():
        parts = (work.once, work.draw, work.of(draws), work.of(draws, shared=False))
        once, each, shared, alone = (part.synaptic + part.macs for part in parts)
        rows[name] = (once, each, shared, alone, 1 - shared / alone)
    columns = ["once", "each draw", "shared", "alone", "saved"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)
