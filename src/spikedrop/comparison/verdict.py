"""`compare`: equivalent, different, or not enough draws to tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikedrop.checks.accepted import NoiseLike, SamplesLike, ValuesLike
from spikedrop.checks.arguments import real_number
from spikedrop.checks.samples import both
from spikedrop.comparison.comparison import Comparison, Verdict
from spikedrop.comparison.criteria import FAR, Claim, Criterion
from spikedrop.comparison.crps_equivalence import crps_equivalence
from spikedrop.comparison.difference import global_test
from spikedrop.comparison.draws import (
    check_independent,
    fewest_draws,
    pairing_fault,
    predictive_sd,
    said_to_be_paired,
)
from spikedrop.comparison.errors_of_draws import FAR_OFF, MEAN_ERROR, mean_error, rare_draws
from spikedrop.comparison.kernel_equivalence import KERNELS, kernel_equivalence
from spikedrop.comparison.moments import moment_equivalence
from spikedrop.comparison.paired import paired_error
from spikedrop.errors import InputError

__all__ = ["compare"]

NAMED = 3  # open criteria that the reason names, those furthest from an answer first
CRITERIA = 12  # at most: the level of *different* is shared out among so many


def compare(
    a: SamplesLike,
    b: SamplesLike,
    *,
    paired: bool | None = None,
    y: ValuesLike | None = None,
    noise_sd: NoiseLike = 0.0,
    margin: float = 0.05,
    crps_margin: float = 0.01,
    level: float = 0.05,
    permutations: int = 999,
    seed: int = 0,
) -> Comparison:
    r"""Say whether two predictive samples are equivalent, different, or what is still open.

    Each criterion is the size of one difference, with an interval and a margin, and comes out
    *within*, *beyond* or *open*:

    - mean, log sd, and the 5, 50 and 95 % quantile over all observations, and mean and log sd at
      the worst of them (`moment_equivalence`);
    - each law, and the joint law of all observations (`kernel_equivalence`);
    - the share of draws far off at any observation (`rare_draws`);
    - with `y`, the CRPS (`crps_equivalence`);
    - **paired** (draw s of both had the same masks), the mean error of a draw (`mean_error`). It
      bounds the distance of the two *joint* laws, whatever the other criteria look at.

    The verdict is

    - *equivalent* if all are within. A conjunction of tests of one level has that level (Berger &
      Hsu 1996, doi:10.1214/ss/1032280304);
    - *different* if one is beyond: a difference larger than the margin is shown. Equal laws, or
      laws within all margins, come out so with probability at most `level`, which is shared out
      among the criteria;
    - *detected* if a difference is shown, but not on which side of its margin it lies. Unpaired,
      `global_test` shows it, at exactly `level`; paired, a lower bound above 0 (of any criterion
      but the error of a draw, which is never 0);
    - else *not enough draws to tell*.

    The unit is the sd of the draws of `a` at hand. A hundred draws of a heavy-tailed law have an sd
    that is often a tenth below that of the law, and a difference is as much larger in it: near a
    margin *different* is then said more often than `level`.

    Below `fewest_draws` nothing is equivalent, and a difference is shown only by the error of a
    draw, by draws far off and by the exact test: the other bounds ask for means of many draws.

    A fault that strikes few draws may strike none of those at hand. What n draws cannot exclude
    stands in the reason: about 3/n of them.

    Parameters
    ----------
    a, b : xarray.DataArray or array
        Axes (draw, observation[, output]); `a` is the reference, whose sd is the unit. Draws are
        independent; what ties the observations of one draw together is kept. The law of `a` must
        vary at every observation; that of `b` need not.
    paired : bool, optional
        By default what the labels of `sample_ann` and `sample_snn` say: the same seed, scope and
        draws. Arrays without labels are not paired.
    y : array, optional
        What was observed, axes (observation[, output]): asks that the CRPS differ by less than
        `crps_margin` too.
    noise_sd : float or array, default 0.0
        Of the observation noise that the CRPS adds to every draw, in the unit of `y`.
    margin : float, default 0.05
        In predictive sd; four times that at the worst observation. ``python -m benchmarks.verdict``
        tells how many draws that takes.
    crps_margin : float, default 0.01
        As a fraction of the CRPS of `a`.
    level : float, default 0.05
        Probability of error allowed, for "equivalent" and for "different" alike.
    permutations, seed : int
        Of `global_test`; the seed also of simulated bounds.

    Returns
    -------
    Comparison
        The verdict, why, and every criterion.

    Raises
    ------
    InputError
        If shapes disagree, values are NaN or infinite, a sample has one draw, `a` is constant at
        an observation, draws follow one another (as those of a sampler that keeps its state), or
        the labels forbid pairing and `paired` is True.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, noise = rng.normal(size=(2, 200, 10))
    >>> compare(a, a + 0.02 * noise, paired=True).verdict
    'equivalent'
    >>> compare(a, rng.normal(0.3, 1, size=(200, 10))).verdict
    'different'
    >>> compare(a, rng.normal(size=(200, 10))).verdict
    'not enough draws to tell'
    """
    if paired is None:
        paired = said_to_be_paired(a, b)
    fault = pairing_fault(a, b) if paired else None
    if fault:
        raise InputError(f"paired=True, but the samples are not paired: {fault}")
    real_number("level", level, above=0, below=1)
    real_number("crps_margin", crps_margin, above=0, below=1)
    claim = Claim(margin, level, level / CRITERIA, bool(paired), seed)
    x, z = both(a, b, paired=claim.paired)
    if y is None and np.any(noise_sd):
        raise InputError("noise_sd without y: it takes part only in the score of y.")
    predictive_sd(x)
    check_independent(x)
    check_independent(z)
    criteria = (
        *((mean_error(x, z, claim),) if paired else ()),
        *moment_equivalence(x, z, claim),
        *(kernel_equivalence(x, z, claim, kernel=kernel) for kernel in KERNELS),
        rare_draws(x, z, claim),
    )
    if y is not None:
        scored = crps_equivalence(x, z, y, claim, noise_sd=noise_sd, margin=crps_margin)
        criteria += (scored,)
    if min(len(x), len(z)) < fewest_draws(level):  # too few for what is nearly normal
        criteria = tuple(
            c if c.name in (MEAN_ERROR, FAR_OFF) else replace(c, low=0.0) for c in criteria
        )
    difference = None
    if not paired:
        difference = global_test(x, z, seed=seed, permutations=permutations, level=level)
        found = difference.p_value <= level
    else:
        found = any(c.low > 0 for c in criteria[1:])
    error = paired_error(x, z) if paired else None
    verdict = _verdict(criteria, found)
    return Comparison(
        verdict=verdict,
        reason=_reason(verdict, criteria, error.largest if error else None),
        paired=claim.paired,
        margin=margin,
        level=level,
        draws=(len(x), len(z)),
        observations=x.shape[1],
        smallest_effect=(
            difference.smallest_shift if difference else criteria[0].high - criteria[0].estimate
        ),
        attainable_margin=max(c.reach for c in criteria),
        criteria=criteria,
        difference=difference,
        error=error,
        samples=(x, z),
    )


def _verdict(criteria: tuple[Criterion, ...], found: bool) -> Verdict:
    answers = {c.answer for c in criteria}
    if answers == {"within"}:
        return "equivalent"
    if "beyond" in answers:
        return "different"
    return "detected" if found else "not enough draws to tell"


def _reason(verdict: Verdict, criteria: tuple[Criterion, ...], largest: float | None) -> str:
    """Say why, in one sentence, with the numbers that decide."""
    if verdict == "equivalent":
        rare = next(c for c in criteria if c.name == FAR_OFF)
        share = f"{rare.estimate:.2g} of the draws" if rare.estimate else "no draw"
        if largest is None:
            what = f"{share} lay more than {FAR:g} sd outside all draws of the reference"
        else:
            what = f"{share} had an error beyond {FAR:g} sd (the largest was {largest:.2g} sd)"
        return (
            f"all {len(criteria)} criteria are within their margins. At any observation {what}, "
            f"which leaves at most {100 * rare.high:.2g} % of draws to such."
        )
    if verdict == "different":
        worst = max(
            (c for c in criteria if c.answer == "beyond"),
            key=lambda c: c.low / c.margin,
        )
        size = f"at least {worst.low:.3g} {worst.unit}"
        return f"the difference in {worst.name} is {size}, beyond its margin of {worst.margin:.3g}."
    left = [c for c in criteria if c.answer == "open"]
    left = sorted(left, key=lambda c: c.high / c.margin, reverse=True)
    names = ", ".join(c.name for c in left[:NAMED])
    names += f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    if verdict == "detected":
        return f"there is a difference, and its size against the margin is open: {names}."
    return f"no difference is shown, and none beyond the margin is excluded: {names}."
