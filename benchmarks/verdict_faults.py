"""Faults of a known size, and how often `compare` errs about them.

``python -m benchmarks.verdict_faults`` prints four tables:

1. faults exactly at the margin, paired: how often they are called *equivalent*, for the claim as
   it is stated (a fault that strikes few draws may be absent: then the reason says how many draws
   it leaves to it, and that has to be true);
2. the same unpaired, where the margin is wider because that takes fewer draws;
3. shifts inside the margin: how often they are called *different*;
4. paired, 20,000 draws, differences at least a fifth off the margin: which verdict comes out.

Draws are normal, with correlation one half between observations. ``--quick`` tries it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikedrop.comparison import Comparison, compare
from spikedrop.comparison.criteria import FAR
from spikedrop.comparison.errors_of_draws import FAR_OFF

OBSERVATIONS = 40
MARGIN = 0.05
NOISE = 0.01  # sd of what a sound conversion adds
INSIDE = (0.02, 0.03, 0.045)
SHARES = {"rare draws, 1 %": 0.01, "rare draws, 0.5 %": 0.005}


def together(rng: np.random.Generator, draws: int, observations: int = OBSERVATIONS) -> np.ndarray:
    """Standard normal draws whose observations move together, axes (draw, observation)."""
    common = rng.normal(size=(draws, 1))
    return np.sqrt(0.5) * (common + rng.normal(size=(draws, observations)))


def _moved(a: np.ndarray, size: float, _: np.random.Generator) -> np.ndarray:
    return a + size


def _spread(a: np.ndarray, size: float, _: np.random.Generator) -> np.ndarray:
    return a * np.exp(size)


def _tail(a: np.ndarray, size: float, _: np.random.Generator) -> np.ndarray:
    """Beyond one sd everything is further out, which the mean hardly feels."""
    return a + size * (a > 1)


def _one_row(a: np.ndarray, size: float, _: np.random.Generator) -> np.ndarray:
    """The worst observation is allowed four margins."""
    b = a.copy()
    b[:, 0] += 4 * size
    return b


def _rare(share: float) -> Callable[[np.ndarray, float, np.random.Generator], np.ndarray]:
    """Few draws are far off: the mean error of all is `size`, less what noise adds."""

    def strike(a: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
        far = (size - NOISE * np.sqrt(2 / np.pi)) / share
        return a + far * (rng.random((len(a), 1)) < share)

    return strike


def _dependence(a: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Every law as it was, but part of what ties the observations is lost: mean error `size`."""
    own = size * np.sqrt(np.pi / 2)
    return np.sqrt(1 - own**2) * a + own * rng.normal(size=a.shape)


FAULTS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "shift": _moved,
    "spread": _spread,
    "tail": _tail,
    "one bad row": _one_row,
    **{name: _rare(share) for name, share in SHARES.items()},
    "lost dependence": _dependence,
}


def pair(
    fault: str, size: float, draws: int, rng: np.random.Generator, *, paired: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a sample, and one with a fault of the given size."""
    a = together(rng, draws)
    b = FAULTS[fault](a if paired else together(rng, draws), size, rng)
    return a, b + NOISE * rng.normal(size=b.shape)


def false_equivalent(fault: str, found: Comparison) -> bool:
    """Whether *equivalent* was said of a fault at the margin, and what was stated is not true."""
    if found.verdict != "equivalent":
        return False
    far_off = next(one for one in found.criteria if one.name == FAR_OFF)
    if fault in SHARES and far_off.estimate == 0:
        return SHARES[fault] > far_off.high  # "leaves at most so many of the draws beyond FAR"
    return True


class Rates(NamedTuple):
    """Counts of `repeats` comparisons."""

    false: int
    verdicts: dict[str, int]


def rates(
    fault: str,
    size: float,
    draws: int,
    repeats: int,
    *,
    seed: int = 0,
    paired: bool = True,
    margin: float = MARGIN,
) -> Rates:
    """Compare many pairs; `false` counts `false_equivalent`."""
    verdicts: dict[str, int] = {}
    false = 0
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat, draws])
        a, b = pair(fault, size, draws, rng, paired=paired)
        found = compare(a, b, paired=paired, margin=margin, permutations=199, seed=repeat)
        verdicts[found.verdict] = verdicts.get(found.verdict, 0) + 1
        false += false_equivalent(fault, found)
    return Rates(false, verdicts)


def off_the_margin() -> Iterator[tuple[str, float, str]]:
    """Faults at least a fifth off every margin, and the verdict that they must get.

    A larger spread moves the 5 and 95 % quantiles 1.7 times as far as its log sd.
    """
    for size in (0.02, 0.04):
        for fault in ("shift", "tail", "one bad row", "lost dependence"):
            yield fault, size, "equivalent"
    yield "spread", 0.02, "equivalent"
    for size in (0.06, 0.1):
        for fault in FAULTS:
            yield fault, size, "different"


@dataclass(frozen=True)
class Sizes:
    """How often, and with how many draws."""

    repeats: int = 400
    draws: tuple[int, ...] = (60, 100, 500)
    unpaired: int = 600
    wide: float = 0.15
    inside: int = 2000
    many: int = 20_000


QUICK = Sizes(4, (60,), 100, 0.4, 100, 500)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    sizes = QUICK if parser.parse_args().quick else Sizes()
    start = time.perf_counter()
    n = sizes.repeats

    def line(name: str, draws: int, found: Rates, repeats: int = n) -> None:
        told = ", ".join(f"{k} {v / repeats:.3f}" for k, v in sorted(found.verdicts.items()))
        print(f"{name:<28}{draws:>7}{found.false / repeats:>9.3f}  {told}", flush=True)

    print(f"1. at the margin {MARGIN}, paired, {n} repetitions: false equivalent, and verdicts")
    for fault in FAULTS:
        for draws in sizes.draws:
            line(fault, draws, rates(fault, MARGIN, draws, n))
    print(f"2. at the margin {sizes.wide}, unpaired")
    for fault in ("shift", "spread", "tail", "one bad row"):
        how = {"paired": False, "margin": sizes.wide}
        line(fault, sizes.unpaired, rates(fault, sizes.wide, sizes.unpaired, n, **how))
    print("3. shifts inside the margin: share of *different*")
    for size in INSIDE:
        for paired, draws in ((True, sizes.draws[-1]), (False, sizes.inside)):
            found = rates("shift", size, draws, n, paired=paired)
            line(f"shift {size}, {'' if paired else 'un'}paired", draws, found)
    print(f"4. off the margin by a fifth or more, paired, {sizes.many} draws")
    wrong = 0
    for fault, size, must in off_the_margin():
        found = rates(fault, size, sizes.many, 3)
        wrong += 3 - found.verdicts.get(must, 0)
        line(f"{fault} {size}", sizes.many, found, 3)
    print(f"{wrong} verdicts that are not what they must be; {time.perf_counter() - start:.0f} s")
    print(f"an error counts as far off beyond {FAR} sd")


if __name__ == "__main__":
    main()
