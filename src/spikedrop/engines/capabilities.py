"""What each program that runs spiking networks can run: stated here, and nowhere else.

A program is a way to run the dynamics of `spikedrop.engines.reference`. Whoever runs one asks
`refusal` first, and hands the network over to another program or refuses it by name. A kind of
layer, neuron or dropout that a program does not name is not run by it, so that a new one is
refused everywhere until somebody has taught it; but layers of a new kind are run by their matrix
(`spikedrop.network.kinds.Kind.matrices`) where `Takes.others` allows that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikedrop.network.graph import Network
from spikedrop.network.kinds import KINDS
from spikedrop.network.layers import Family, Layer
from spikedrop.network.topology import neurons_read, places
from spikedrop.neurons import NEURONS

if TYPE_CHECKING:
    from spikedrop.conversion import Conversion

Simulator = Callable[[np.ndarray, dict[str, np.ndarray]], tuple[np.ndarray, list[np.ndarray]]]

# Kinds of layer that `xla` has code for, each with the most axes of the values it reads,
# observations not counted.
ANY = math.inf
PLAIN = {"input": ANY, "dense": ANY, "scale": ANY, "flatten": ANY, "add": ANY, "concatenate": ANY}
EVERY = {**PLAIN, "conv": 4, "average_pool": 4}  # windows in up to three dimensions, and channels
VALUES: tuple[Family, ...] = ("unit", "channel", "gaussian")  # masks that multiply values
GATES: tuple[Family, ...] = ("unit", "channel")  # masks that are 0 or one constant
TIMED = ("charge_keeping", "rectified")
WINDOWED = ("integrate_first", "radix")


@dataclass(frozen=True)
class Takes:
    """What a program takes in one place of a network.

    Attributes
    ----------
    ops : mapping
        Kinds of layer, each with the most axes of the values it reads.
    families : tuple of str
        Families of dropout.
    others : float
        The most axes of what kinds read that are not among `ops`; below 0 where they cannot run.
    """

    ops: Mapping[str, float]
    families: tuple[Family, ...]
    others: float = ANY


@dataclass(frozen=True)
class Program:
    """What a program can run.

    Attributes
    ----------
    name : str
        What errors call it.
    kinds : tuple of str or None
        Neurons, as in `Conversion`; None for every one, by its own `spikedrop.neurons.Neuron.step`.
    synapse : bool
        Whether it runs a low-pass filter between layers.
    redraws : bool
        Whether masks may change at every step.
    mixed : bool
        Whether a layer before neurons may read neurons beside values that do not fire.
    before, neurons, between, behind : Takes
        ``before``: layers that receive from no neurons, among them the first neurons.
        ``neurons``: layers of neurons that receive from neurons. ``between``: those without
        neurons that lead from neurons to neurons. ``behind``: those that lead from neurons only
        to outputs.
    weighted : bool
        Whether it can weight the steps in the average of the readout, as `Conversion.readout` says.
    from_zero : tuple of str
        Neurons that must not begin below zero charge, because they send as many spikes as the floor
        of the charge says, and that is negative there.
    """

    name: str
    kinds: tuple[str, ...] | None
    synapse: bool
    redraws: bool
    mixed: bool
    before: Takes
    neurons: Takes
    between: Takes
    behind: Takes
    weighted: bool = False
    from_zero: tuple[str, ...] = ()


_ALL = (Takes(EVERY, (*VALUES, "weights")),) * 4
_VALUES = (Takes(EVERY, VALUES),) * 4
_GATED, _BARE = Takes(EVERY, GATES), Takes(EVERY, ())
_DENSE = Takes({"dense": 1}, VALUES, others=-1)
_IN_A_ROW = Takes({"flatten": ANY, "concatenate": 1}, (), others=-1)

#: Every program by its name; the engine chooses among the first three.
#:
#: :meta hide-value:
PROGRAMS: dict[str, Program] = {
    "events": Program(
        "spikedrop.engines.events", ("charge_keeping",), False, False, False,
        _ALL[0], _DENSE, _IN_A_ROW, _ALL[0], True,
    ),
    "timed": Program("backend='engine'", TIMED, True, False, True, *_ALL, True),
    "windows": Program("backend='engine'", WINDOWED, False, False, True, *_ALL),
    "numpy": Program("backend='numpy'", None, True, True, True, *_ALL, True),
    "nengo": Program(
        "backend='nengo'", TIMED + WINDOWED, True, False, True, *_VALUES, True, ("rectified",)
    ),
    "nengo_dl": Program(
        "backend='nengo_dl'", TIMED + WINDOWED, True, False, True, *_VALUES, True, ("rectified",)
    ),
    "chip": Program(
        "the chip model", ("charge_keeping",), False, False, True,
        _GATED, _GATED, _BARE, _BARE,
    ),
}  # fmt: skip


def refusal(
    program: Program, network: Network, conversion: Conversion, redrawn: Iterable[str] = ()
) -> str | None:
    """Say why a program cannot run a network, with the layer's name and what to do; or None.

    Parameters
    ----------
    program : Program
    network, conversion : what is to be run
    redrawn : iterable of str
        Layers whose masks change at every step.

    Examples
    --------
    >>> import numpy as np
    >>> from spikedrop.conversion import Conversion
    >>> one = np.ones((1, 1), "float32")
    >>> network = Network.chain((Layer("h", one, one[0], 0.5),), Layer("y", one, 0 * one[0]))
    >>> refusal(PROGRAMS["nengo"], network, Conversion((500.0,), "radix")) is None
    True
    >>> refusal(PROGRAMS["chip"], network, Conversion((500.0,), "radix"))[:32]
    "neuron='radix' with synapse_s=No"
    """
    kinds = tuple(NEURONS) if program.kinds is None else program.kinds
    other = conversion.neuron not in kinds
    if other or (conversion.synapse_s is not None and not program.synapse):
        remedy = ", or use backend='numpy', which runs every neuron"
        if program is PROGRAMS["chip"]:
            remedy = (
                f"; {conversion.neuron!r} needs {conversion.dynamics.hardware}" if other else ""
            )
        return (
            f"neuron={conversion.neuron!r} with synapse_s={conversion.synapse_s}: {program.name} "
            f"runs {', '.join(map(repr, kinds))}{'' if program.synapse else ', without synapse'}; "
            f"calibrate with those{remedy}."
        )
    if conversion.readout != "mean" and not program.weighted:
        return (
            f"readout={conversion.readout!r}: {program.name} counts spikes and cannot weight them "
            "by the step they come in; calibrate with readout='mean'."
        )
    if conversion.neuron in program.from_zero and conversion.initial_charge < 0:
        return (
            f"initial_charge={conversion.initial_charge:g}: {program.name} runs Nengo's own neuron "
            f"for {conversion.neuron!r}, which would send negative spikes from a charge below 0; "
            "calibrate with an initial_charge of at least 0, or use backend='engine' or 'numpy'."
        )
    redrawn = set(redrawn)
    if redrawn and (not program.redraws or conversion.windowed):
        return (
            "hold='step' is a control that only backend='numpy' offers, and only for neurons that "
            "fire while they integrate."
        )
    stands, received = places(network.layers), neurons_read(network.layers)
    for layer in network.layers:
        if layer.op not in KINDS:
            return f"layer {layer.name!r} has op={layer.op!r}, a kind that is not registered."
        if layer.dropout and layer.family == "weights" and layer.name in redrawn:
            return _drops(program, layer, received)
        takes = getattr(program, stands[layer.name])
        axes = max((len(network.shapes[source]) for source in layer.sources), default=0)
        if axes > takes.ops.get(layer.op, takes.others):
            return (
                f"layer {layer.name!r} ({layer.op}) reads values of {axes} axes, which "
                f"{program.name} cannot run where it stands: use backend='numpy', or leave the "
                "layer out."
            )
        still = [s for s in layer.sources if not (network[s].spiking or received[s])]
        if still and not program.mixed and stands[layer.name] in ("neurons", "between"):
            return (
                f"layer {layer.name!r} reads neurons beside {still[0]!r}, which does not fire; "
                f"{program.name} cannot run that: use backend='numpy'."
            )
        if layer.dropout and layer.family not in takes.families:
            return _drops(program, layer, received)
    return None


def _drops(program: Program, layer: Layer, received: dict[str, set[str]]) -> str:
    """Say why the dropout of a layer cannot be run."""
    if program is not PROGRAMS["chip"]:
        return (
            f"layer {layer.name!r} drops values of the family {layer.family!r}, which "
            f"{program.name} cannot do there: use backend='engine' or 'numpy', with "
            "hold='presentation'."
            if layer.family != "weights"
            else f"layer {layer.name!r} drops single weights, which only backend='engine' and "
            "'numpy' can do, with hold='presentation'."
        )
    if layer.family not in GATES:
        return (
            f"layer {layer.name!r} has dropout of the family {layer.family!r}, which is not a "
            "gate of an axon: train with Dropout or SpatialDropout, or put the mask on the "
            "units, with network.with_dropout(family='unit')."
        )
    return (
        f"layer {layer.name!r} has dropout and no neurons, so its values come from several "
        "axons and no gate can drop one: put the dropout behind the layer of neurons "
        f"({', '.join(map(repr, sorted(received[layer.name])))})."
    )
