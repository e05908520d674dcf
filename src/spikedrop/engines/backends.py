"""Backends by name: each is opened for a network, and says what it can run.

`register_backend` adds one. Whatever takes ``backend=`` (sampling and stores) then takes it, and
refuses by name what its programs cannot run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np

from spikedrop.checks.arguments import of_type, one_of
from spikedrop.checks.registry import register
from spikedrop.conversion import Conversion
from spikedrop.engines.capabilities import PROGRAMS, Program, Simulator
from spikedrop.engines.compiled import load, run_snn
from spikedrop.engines.reference import simulate
from spikedrop.engines.saturation import Shares
from spikedrop.errors import InputError
from spikedrop.network.graph import Network

Masks = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Ran:
    """What a program answers for some draws of some observations.

    Attributes
    ----------
    outputs : numpy.ndarray
        Axes (draw, observation, output).
    spikes : float
        Of all hidden neurons, draws and observations together.
    counts : list of numpy.ndarray
        Spikes of every hidden neuron, axes ``(draw, observation, *shape)``; empty where they were
        not asked for.
    shares : dict
        By layer, the share of (draw, neuron) beyond full scale, axis (observation,).
    """

    outputs: np.ndarray
    spikes: float = 0.0
    counts: list[np.ndarray] = field(default_factory=list)
    shares: Shares = field(default_factory=dict)


#: From inputs (observation, feature), stacked masks ``(draw, observation or 1, *shape)`` and the
#: numbers of the draws.
Run = Callable[[np.ndarray, Masks, range], Ran]


@dataclass(frozen=True, eq=False)
class Presentation:
    """What a backend is opened for.

    Attributes
    ----------
    network : Network
    conversion : Conversion
    steps, settle : int
        Time steps of a presentation, and those left out of the average.
    rows : int
        Most observations that are shown at once.
    keep_counts : bool
        Whether the spikes of every neuron are asked for.
    """

    network: Network
    conversion: Conversion
    steps: int
    settle: int
    rows: int
    keep_counts: bool = False


@dataclass(frozen=True, eq=False)
class Backend:
    """A way to run spiking networks.

    Attributes
    ----------
    name : str
        As ``backend=`` gives it.
    open : callable
        From `Presentation` to a context manager that gives a `Run`; see `one_draw_at_a_time`.
    timed, windowed : Program
        What it can run of neurons that fire while they integrate, and of those that integrate
        first.
    stacks : bool
        Whether it takes many draws at once, cut as `spikedrop.engines.compiled.chunks` says; others
        take one draw of a block of observations.
    library : str, optional
        Module whose import refuses, with what to install, where the backend is not there.
    packages : tuple of str
        Distributions whose versions are kept beside stored samples, besides our own.
    """

    name: str
    open: Callable[[Presentation], AbstractContextManager[Run]]
    timed: Program
    windowed: Program
    stacks: bool = False
    library: str | None = None
    packages: tuple[str, ...] = ()

    def program(self, conversion: Conversion) -> Program:
        """Return the program that runs these neurons."""
        return self.windowed if conversion.windowed else self.timed

    def require(self) -> None:
        """Import what the backend needs, or raise `InputError` that names it."""
        if self.library is not None:
            try:
                import_module(self.library)
            except ImportError as error:
                raise InputError(
                    f"backend={self.name!r} needs {self.library!r}, which cannot be imported "
                    f"({error}): install it."
                ) from error


def one_draw_at_a_time(
    opener: Callable[[Presentation, Shares], AbstractContextManager[Simulator]],
) -> Callable[[Presentation], AbstractContextManager[Run]]:
    """Make the `open` of a backend that takes the masks of one draw.

    ``opener(presentation, shares)`` opens ``simulator(x, masks) -> (readout, counts)`` with masks
    as in `network_masks`, the readout (observation, output) and the counts a list over hidden
    layers, each (observation, unit). At every call it may put the shares of neurons beyond full
    scale into `shares`.
    """

    @contextmanager
    def open_(presentation: Presentation) -> Iterator[Run]:
        shares: Shares = {}
        with opener(presentation, shares) as simulator:

            def run(x: np.ndarray, masks: Masks, draws: range) -> Ran:
                if len(draws) != 1:
                    raise InputError(
                        f"{len(draws)} draws at once for a backend that takes one: register it "
                        "without `stacks`."
                    )
                readout, counts = simulator(x, {name: mask[0] for name, mask in masks.items()})
                spikes = float(sum(count.sum(dtype=np.float64) for count in counts))
                kept = [count[None] for count in counts] if presentation.keep_counts else []
                return Ran(readout[None], spikes, kept, dict(shares))

            yield run

    return open_


@contextmanager
def _engine(asked: Presentation) -> Iterator[Run]:
    loaded = load(asked.network, asked.conversion)

    def run(x: np.ndarray, masks: Masks, draws: range) -> Ran:
        shares: Shares = {}
        readout, fired, counts = run_snn(
            loaded,
            x,
            masks,
            len(draws),
            steps=asked.steps,
            settle=asked.settle,
            keep_counts=asked.keep_counts,
            shares=shares,
        )
        return Ran(readout, float(fired.sum(dtype=np.float64)), counts, shares)

    yield run


@contextmanager
def _numpy(asked: Presentation, shares: Shares) -> Iterator[Simulator]:
    yield lambda x, masks: simulate(
        asked.network,
        asked.conversion,
        x,
        masks,
        steps=asked.steps,
        settle=asked.settle,
        shares=shares,
    )


def _nengo(asked: Presentation, shares: Shares) -> AbstractContextManager[Simulator]:
    from spikedrop.engines.nengo_model import nengo_simulator  # Nengo is needed from here on

    return nengo_simulator(
        asked.network, asked.conversion, steps=asked.steps, settle=asked.settle, shares=shares
    )


def _nengo_dl(asked: Presentation, shares: Shares) -> AbstractContextManager[Simulator]:
    from spikedrop.engines.nengo_model import nengo_dl_simulator

    return nengo_dl_simulator(
        asked.network,
        asked.conversion,
        rows=asked.rows,
        steps=asked.steps,
        settle=asked.settle,
        shares=shares,
    )


#: Every backend by its name.
#:
#: :meta hide-value:
BACKENDS: dict[str, Backend] = {}
SHIPPED = ("engine", "numpy", "nengo", "nengo_dl")  # their names mean the same in every process


def register_backend(backend: Backend) -> None:
    """Make a backend known by its name, in this process.

    A name of yours may be registered again, as in a notebook whose cell runs twice. Stores keep a
    fingerprint of its code beside the samples, so that another program does not resume them.

    Raises
    ------
    InputError
        If it is not a `Backend` that can be opened, or its name is empty or that of a backend of
        this package.

    Examples
    --------
    >>> from dataclasses import replace
    >>> register_backend(replace(BACKENDS["numpy"], name="plain"))
    >>> backend_of("plain").timed.name
    "backend='numpy'"
    >>> del BACKENDS["plain"]
    """
    of_type("backend", backend, Backend, "`Backend`")
    for name in ("timed", "windowed"):
        of_type(name, getattr(backend, name), Program, "`spikedrop.engines.capabilities`")
    if not callable(backend.open):
        raise InputError(f"open={backend.open!r}: give a function of a `Presentation`.")
    register(BACKENDS, SHIPPED, backend.name, backend, "backend")


def backend_of(name: str) -> Backend:
    """Return the backend of that name.

    Raises
    ------
    InputError
        If there is none, with the names of those that are there.
    """
    one_of("backend", name, tuple(BACKENDS))
    return BACKENDS[name]


def backend_for(conversion: Conversion) -> str:
    """Name the backend for work that names none: the engine, or NumPy if only it has the neuron.

    >>> backend_for(Conversion((500.0,), "radix"))
    'engine'
    """
    kinds = BACKENDS["engine"].program(conversion).kinds
    return "engine" if kinds is None or conversion.neuron in kinds else "numpy"


_DOOR = "spikedrop.engines.nengo_import"
for _backend in (
    Backend("engine", _engine, PROGRAMS["timed"], PROGRAMS["windows"], stacks=True),
    Backend("numpy", one_draw_at_a_time(_numpy), PROGRAMS["numpy"], PROGRAMS["numpy"]),
    Backend(
        "nengo",
        one_draw_at_a_time(_nengo),
        PROGRAMS["nengo"],
        PROGRAMS["nengo"],
        library=_DOOR,
        packages=("nengo",),
    ),
    Backend(
        "nengo_dl",
        one_draw_at_a_time(_nengo_dl),
        PROGRAMS["nengo_dl"],
        PROGRAMS["nengo_dl"],
        library=_DOOR,
        packages=("nengo", "nengo-dl", "tf-keras"),
    ),
):
    BACKENDS[_backend.name] = _backend
