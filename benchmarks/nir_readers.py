"""Norse, snnTorch and sinabs read NIR files and run them; no spikedrop here.

Run by the peers' interpreter: ``nir_readers.py cases.npz counts.npz``. Every case is a file, its
inputs, shown for so many steps, and the charge to start from, which NIR has no place for and
which is therefore set by hand. What is written: the spikes of every `IF` node, or why there are
none, reader by reader.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import nir
import numpy as np
import torch

Counts = list[np.ndarray]


def start(module: torch.nn.Module, file: str) -> torch.Tensor:
    """Charge to start from, of the neurons of one node: axes of the node's values."""
    share = float(nir.read(file).metadata["initial_charge"].split()[0])
    threshold = nir.read(file).nodes[module.node].v_threshold
    return torch.as_tensor(share * threshold).float()


def neurons(model: torch.nn.Module, kind: str, file: str) -> list[torch.nn.Module]:
    """Return the modules that came from `IF` nodes, in the file's order."""
    names = [name for name, node in nir.read(file).nodes.items() if isinstance(node, nir.IF)]
    found = {
        name.split(".")[-1]: m for name, m in model.named_modules() if type(m).__name__ == kind
    }
    for name in names:
        found[name].node = name
    return [found[name] for name in names]


def sinabs(file: str, x: torch.Tensor, steps: int, *, floor: bool) -> Counts:
    """Whole sequences; `floor` leaves in that charge below minus the threshold is lost."""
    model = importlib.import_module("sinabs.nir").from_nir(nir.read(file), batch_size=len(x))
    cells, counts = neurons(model, "IAFSqueeze", file), []
    for cell in cells:
        charge = start(cell, file)
        cell.init_state_with_shape((len(x), *charge.shape))
        cell.v_mem.data[:] = charge
        if not floor:
            cell.min_v_mem = None
        cell.register_forward_hook(lambda _, __, out: counts.append(out))
    model(x.repeat_interleave(steps, 0))
    return [c.reshape(len(x), steps, *c.shape[1:]).sum(1).numpy() for c in counts]


def snntorch(file: str, x: torch.Tensor, steps: int, *, leak: bool) -> Counts:
    """Step by step; `leak` leaves in the decay of 0.9 a step that its importer gives an `IF`."""
    snn = importlib.import_module("snntorch.import_nir")
    model = snn.import_from_nir(nir.read(file))
    cells = neurons(model, "Leaky", file)
    counts = [0] * len(cells)
    for i, cell in enumerate(cells):
        cell.init_hidden = True  # as imported it returns a pair, which the next node cannot take
        if not leak:
            cell.beta = torch.tensor(1.0)
        charge = start(cell, file)
        cell.mem = charge.expand((len(x), *charge.shape) if x.ndim == 2 else charge.shape).clone()
        cell.register_forward_hook(lambda _, __, out, i=i: counts.__setitem__(i, counts[i] + out))
    for _ in range(steps):
        model(x)
    return [np.asarray(c) for c in counts]


def snntorch_untouched(file: str, x: torch.Tensor, steps: int) -> Counts:
    """Run just what the importer returns."""
    model = importlib.import_module("snntorch.import_nir").import_from_nir(nir.read(file))
    model(x)
    return []


def norse(file: str, x: torch.Tensor, steps: int) -> Counts:
    """Step by step, from a state of its own."""
    torch_norse = importlib.import_module("norse.torch")
    iaf = importlib.import_module("norse.torch.functional.iaf")
    model = torch_norse.from_nir(nir.read(file))
    cells = neurons(model, "IAFCell", file)
    counts = [0] * len(cells)
    for i, cell in enumerate(cells):
        charge = start(cell, file)
        cell.state_fallback = lambda like, charge=charge: iaf.IAFFeedForwardState(
            v=charge.expand(like.shape).clone()
        )
        cell.register_forward_hook(
            lambda _, __, out, i=i: counts.__setitem__(i, counts[i] + out[0])
        )
    state = None
    for _ in range(steps):
        _, state = model(x, state)
    return [np.asarray(c) for c in counts]


def by_image(reader: Callable[..., Counts], *job: object, **how: bool) -> Counts:
    """Show feature maps one by one: NIR flattens every axis it knows, and it knows no batch."""
    file, x, steps = job
    if x.ndim == 2:
        return reader(file, x, steps, **how)
    return [np.stack(c) for c in zip(*(reader(file, i, steps, **how) for i in x), strict=True)]


READERS: dict[str, Callable[[str, torch.Tensor, int], Counts]] = {
    "sinabs": lambda *job: sinabs(*job, floor=True),
    "sinabs, no floor": lambda *job: sinabs(*job, floor=False),
    "snnTorch": snntorch_untouched,
    "snnTorch, runnable": lambda *job: by_image(snntorch, *job, leak=True),
    "snnTorch, no leak": lambda *job: by_image(snntorch, *job, leak=False),
    "Norse": lambda *job: by_image(norse, *job),
}


def main() -> None:
    """Run every reader on every case."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    cases, answers = np.load(sys.argv[1]), {}
    packages = ("nir", "nirtorch", "torch", "sinabs", "snntorch", "norse")
    answers["versions"] = ", ".join(f"{name} {version(name)}" for name in packages)
    with TemporaryDirectory() as folder, torch.no_grad():
        for case in cases["cases"]:
            file = str(Path(folder) / "case.nir")
            Path(file).write_bytes(cases[f"{case}/file"].tobytes())
            x, steps = torch.from_numpy(cases[f"{case}/x"]), int(cases[f"{case}/steps"])
            for name, reader in READERS.items():
                try:
                    for i, count in enumerate(reader(file, x, steps)):
                        answers[f"{case}/{name}/{i}"] = count.astype(np.int16)
                except Exception as error:  # one that fails must not take the others with it
                    why = f"{type(error).__name__}: {error}".splitlines()[0][:150]
                    answers[f"{case}/{name}/why"] = why
    np.savez(sys.argv[2], **answers)


if __name__ == "__main__":
    main()
