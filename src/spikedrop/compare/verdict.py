"""`compare`: equivalent, different, or not enough draws to tell."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from spikedrop.compare.comparison import Comparison
from spikedrop.compare.difference import global_test
from spikedrop.compare.draws import both, pairing_fault, predictive_sd, said_to_be_paired
from spikedrop.compare.equivalence import Equivalence, crps_equivalence, tost
from spikedrop.compare.kernel_equivalence import kernel_equivalence
from spikedrop.compare.paired import mean_error_bounds, paired_error
from spikedrop.errors import InputError
from spikedrop.predictive import Samples

RARE = 0.05  # share of draws that a fault must strike to be worth excluding


def fewest_draws(level: float = 0.05) -> int:
    """Draws below which nothing is called equivalent, however close it looks.

    A fault that strikes one draw in twenty is absent from n draws with probability 0.95**n; it
    takes 59 to make that at most 5 %.

    >>> fewest_draws(0.05)
    59
    """
    return math.ceil(math.log(level) / math.log(1 - RARE))


def compare(
    a: xr.DataArray | np.ndarray,
    b: xr.DataArray | np.ndarray,
    *,
    paired: bool | None = None,
    y: np.ndarray | None = None,
    margin: float = 0.05,
    crps_margin: float = 0.01,
    level: float = 0.05,
    permutations: int = 999,
    seed: int = 0,
) -> Comparison:
    r"""Say whether two predictive samples are equivalent, different, or too small to tell.

    **Paired** (draw s of both had the same masks). The mean of :math:`|b_{si} - a_{si}|` in
    predictive sd bounds the Wasserstein-1 distance of the two distributions from above, so its
    confidence bounds decide: *equivalent* if the upper one is within `margin`, *different* if the
    lower one is beyond it. "Different" then means that the two samplers, given the same masks, do
    not say the same; with masks that mean different things to the two, compare unpaired.

    **Unpaired.** *Equivalent* if every equivalence test rejects "at least `margin`": `tost` on
    mean, log sd and three quantiles, `kernel_equivalence` on each law and on the joint law, and
    with `y` the CRPS. An intersection of tests of one level has that level (Berger & Hsu 1996,
    doi:10.1214/ss/1032280304). Else *different* if `global_test` finds a difference at `level`. So
    equal laws are called different with probability at most `level`, exactly; and a real
    difference that is shown to be within the margin is called equivalent, and the table says that
    a difference was found.

    In both cases fewer than `fewest_draws` draws are never enough for *equivalent*.

    Parameters
    ----------
    a, b : array
        Axes (draw, observation[, output]); `a` is the reference, whose sd is the unit. Draws are
        independent; what ties the observations of one draw together is kept. The law of `a` must
        vary at every observation; that of `b` need not.
    paired : bool, optional
        By default what the labels of `sample_ann` and `sample_snn` say: the same seed, scope and
        draws. Arrays without labels are not paired.
    y : numpy.ndarray, optional
        What was observed, axes (observation[, output]): asks that the CRPS differ by less than
        `crps_margin` too.
    margin : float
        In predictive sd; 0.05 by default. Unpaired, on the book's screen and 40 observations, that
        takes 2,000 draws with scope ``row``, and 6,000 with scope ``draw``, whose observations
        move together; at 500 draws the answer is *not enough* (``python -m benchmarks.verdict``).
    crps_margin : float
        As a fraction of the CRPS of `a`.
    level : float
        Probability of error allowed, for "equivalent" and for "different" alike.
    permutations, seed : int
        Of `global_test`; the seed also of simulated quantiles.

    Raises
    ------
    InputError
        If shapes disagree, values are NaN or infinite, a sample has one draw, `a` is constant at
        an observation, or the labels forbid pairing and `paired` is True.

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
    if not (0 < margin < 1 and 0 < crps_margin < 1 and 0 < level < 0.5):
        raise InputError(
            f"margin={margin} and crps_margin={crps_margin} must be in (0, 1) and level={level} in "
            "(0, 0.5)."
        )
    x, z = both(a, b)
    if paired and len(x) != len(z):
        raise InputError(f"a has {len(x)} draws and b {len(z)}: paired samples have as many.")
    predictive_sd(x)
    crps = (
        ()
        if y is None
        else (crps_equivalence(x, z, y, margin=crps_margin, level=level, paired=paired),)
    )
    decide = _paired if paired else _unpaired
    more = {} if paired else {"permutations": permutations, "seed": seed}
    return decide(x, z, crps, margin, level, **more)


def _paired(
    x: Samples, z: Samples, crps: tuple[Equivalence, ...], margin: float, level: float
) -> Comparison:
    error = paired_error(x, z)
    low, high = mean_error_bounds(x, z, level)
    enough = len(x) >= fewest_draws(level)
    lost = [test for test in crps if test.p_value > level]
    where = f"the mean paired error is {error.mean:.3g} sd"
    if low > margin:
        verdict, reason = "different", f"{where}, at least {low:.3g}, beyond the margin."
    elif high <= margin and enough and not lost:
        verdict, reason = "equivalent", f"{where}, at most {high:.3g}, within the margin."
    elif high <= margin and not enough:
        verdict = "not enough draws to tell"
        reason = f"{where}, but it takes {fewest_draws(level)} draws to exclude a rare fault."
    elif high <= margin:
        verdict = "not enough draws to tell"
        reason = f"{where}, within the margin, but the CRPS is not shown to be."
    else:
        verdict = "not enough draws to tell"
        reason = f"{where}, between {low:.3g} and {high:.3g}: the margin lies between."
    return Comparison(
        verdict=verdict,
        reason=reason,
        paired=True,
        margin=margin,
        level=level,
        draws=(len(x), len(z)),
        observations=x.shape[1],
        smallest_effect=(high - low) / 2,
        attainable_margin=high if enough else float("inf"),
        tests=crps,
        error=error,
        bounds=(low, high),
        samples=(x, z),
    )


def _unpaired(
    x: Samples,
    z: Samples,
    crps: tuple[Equivalence, ...],
    margin: float,
    level: float,
    permutations: int,
    seed: int,
) -> Comparison:
    difference = global_test(x, z, seed=seed, permutations=permutations, level=level)
    tests = tuple(tost(x, z, margin=margin, level=level)) + tuple(
        kernel_equivalence(x, z, margin=margin, level=level, kernel=kernel, seed=seed)
        for kernel in ("each law", "joint law")
    )
    enough = min(len(x), len(z)) >= fewest_draws(level)
    open_tests = [test.name for test in tests + crps if test.p_value > level]
    found = difference.p_value <= level
    if enough and not open_tests:
        verdict = "equivalent"
        reason = "all differences are shown to be within the margin" + (
            ", although there is one." if found else ", and none is found."
        )
    elif found:
        verdict = "different"
        reason = f"the samples do not have one law (p = {difference.p_value:.2g})."
    else:
        verdict = "not enough draws to tell"
        missing = ", ".join(open_tests) or f"{fewest_draws(level)} draws"
        reason = f"no difference is found, and it is not shown to be within the margin: {missing}."
    return Comparison(
        verdict=verdict,
        reason=reason,
        paired=False,
        margin=margin,
        level=level,
        draws=(len(x), len(z)),
        observations=x.shape[1],
        smallest_effect=difference.smallest_shift,
        attainable_margin=max(test.reach for test in tests) if enough else float("inf"),
        tests=tests + crps,
        difference=difference,
        samples=(x, z),
    )
