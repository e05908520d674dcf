"""Small networks on NengoLoihi's emulator of the chip, recorded.

Run by an interpreter that has NengoLoihi and no spikedrop: ``loihi_emulator.py job.npz out.npz``.
Records the integers that the emulator really uses, the spikes of every neuron, and nothing else.
Masks are gates: an axon whose target is negative is not used.
"""

from __future__ import annotations

import sys
import warnings

import nengo
import nengo_loihi
import numpy as np

NEVER = -1  # an axon that leads nowhere
LOWEST = -(2**23) + 1  # to which the chip's parameter `vmin` can be set
KINDS = ((None, 0), (0.005, 0), (None, LOWEST))  # synapse in seconds, charge at which it stops


def build(weights: list, biases: list, synapse: float | None) -> tuple[nengo.Network, list, list]:
    """Chain of layers; weights are thresholds a spike, biases thresholds a step of 1 ms."""
    layers, probes = [], []
    with nengo.Network(seed=0) as model:
        for bias in biases:
            layers.append(
                nengo.Ensemble(
                    len(bias),
                    1,
                    gain=np.ones(len(bias)),
                    bias=bias / 0.001,
                    neuron_type=nengo_loihi.neurons.LoihiSpikingRectifiedLinear(),
                )
            )
            probes.append(nengo.Probe(layers[-1].neurons))
        for below, above, matrix in zip(layers, layers[1:], weights):  # noqa: B905
            nengo.Connection(below.neurons, above.neurons, transform=matrix.T, synapse=synapse)
    return model, layers, probes


def present(
    weights: list, biases: list, gates: list, synapse: float | None, floor: int, steps: int
) -> dict:
    """Run one presentation; return integers and spikes."""
    model, layers, probes = build(weights, biases, synapse)
    found = {}
    with nengo_loihi.Simulator(model, target="sim", precompute=False, seed=0) as sim:
        state = sim.sims["emulator"].compartment
        assert state.dtype == np.int32
        state.vmin[:] = floor  # NengoLoihi's neuron has 0
        for i, ensemble in enumerate(layers):
            (block,) = sim.model.objs[ensemble]["out"]
            for name in ("vth", "bias", "decay_u", "decay_v", "refract_delay"):
                found[f"{name}{i}"] = np.array(getattr(block.compartment, name))
            for synapses in block.synapses:
                found[f"w{i}"] = np.concatenate(synapses.weights)
                found[f"exponent{i}"] = synapses.synapse_cfg.weight_exp
            for axon in block.axons:
                axon.set_compartment_axon_map(np.where(gates[i], np.arange(len(gates[i])), NEVER))
        sim.run_steps(steps)
        for i, probe in enumerate(probes):
            found[f"spikes{i}"] = sim.data[probe] > 0
    return found


def main(job_file: str, out_file: str) -> None:
    """Present every input under every mask, with every kind of neuron."""
    job = np.load(job_file)
    depth, steps = int(job["depth"]), int(job["steps"])
    weights = [job[f"w{i}"] for i in range(1, depth)]
    recorded: dict[str, list] = {}
    for synapse, floor in KINDS:
        for row in range(len(job["b0"])):
            for draw in range(len(job["gate0"])):
                biases = [job[f"b{i}"][row % len(job[f"b{i}"])] for i in range(depth)]
                gates = [job[f"gate{i}"][draw] for i in range(depth)]
                found = present(weights, biases, gates, synapse, floor, steps)
                found |= {f"gate{i}": gate for i, gate in enumerate(gates)}
                for name, value in (found | {"floor": floor}).items():
                    recorded.setdefault(name, []).append(value)
    arrays = {name: np.stack(values) for name, values in recorded.items()}
    for name, array in arrays.items():
        arrays[name] = np.packbits(array, axis=-1) if array.dtype == bool else array
    np.savez_compressed(out_file, steps=steps, depth=depth, **arrays)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
