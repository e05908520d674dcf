"""`compare`: equivalent, different, or not enough draws to tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import xarray as xr

from spikedrop.compare.difference import (
    POWER,
    GlobalTest,
    classifier_test,
    global_test,
    pointwise_p_values,
)
from spikedrop.compare.distances import beyond_floor, distances, exchanged_floor, noise_floor
from spikedrop.compare.draws import (
    as_draws,
    pairing_fault,
    predictive_sd,
    said_to_be_paired,
    same_observations,
)
from spikedrop.compare.equivalence import Equivalence, crps_equivalence, kernel_equivalence, tost
from spikedrop.compare.paired import PairedError, mean_error_bounds, paired_error
from spikedrop.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Verdict = Literal["equivalent", "different", "not enough draws to tell"]
RARE = 0.05  # share of draws that a fault must strike to be worth excluding


def fewest_draws(level: float = 0.05) -> int:
    """Draws below which nothing is called equivalent, however close it looks.

    A fault that strikes one draw in twenty is absent from n draws with probability 0.95**n; it
    takes 59 to make that at most 5 %.

    >>> fewest_draws(0.05)
    59
    """
    return math.ceil(math.log(level) / math.log(1 - RARE))


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found; printed, it is a table.

    Attributes
    ----------
    verdict : {"equivalent", "different", "not enough draws to tell"}
    reason : str
        Why, in a sentence.
    paired : bool
        Whether draws were compared one by one.
    margin, level : float
        Of the claim: predictive sd, and the probability of error allowed.
    draws : tuple of int
        Of a and of b.
    observations : int
    smallest_effect : float
        The smallest effect it could have seen, in predictive sd. Unpaired: the shift of every
        observation that the difference test finds with probability 0.8. Paired: half the width of
        the confidence interval of the mean paired error.
    attainable_margin : float
        The smallest margin that would have been affirmed with these draws.
    tests : tuple of Equivalence
        The equivalence tests; all must reject.
    difference : GlobalTest or None
        Unpaired alone.
    error : PairedError or None
        Paired alone.
    bounds : tuple of float or None
        Paired alone: confidence bounds of the mean paired error.
    a, b : numpy.ndarray
        The draws, axes (draw, observation).
    """

    verdict: Verdict
    reason: str
    paired: bool
    margin: float
    level: float
    draws: tuple[int, int]
    observations: int
    smallest_effect: float
    attainable_margin: float
    tests: tuple[Equivalence, ...]
    difference: GlobalTest | None = None
    error: PairedError | None = None
    bounds: tuple[float, float] | None = None
    a: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    b: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    def table(self) -> pd.DataFrame:
        """One row a test: what it asks, estimate, margin, p-value and answer."""
        rows = []
        if self.error is not None:
            low, high = self.bounds
            rows.append(
                {
                    "test": "mean paired error",
                    "null hypothesis": "",
                    "estimate": self.error.mean,
                    "unit": f"sd, {low:.3g} to {high:.3g}",
                    "margin": self.margin,
                    "answer": _answer(high <= self.margin, low > self.margin),
                }
            )
        if self.difference is not None:
            found = self.difference.p_value <= self.level
            rows.append(
                {
                    "test": "all observations, exact",
                    "null hypothesis": "same law",
                    "p": self.difference.p_value,
                    "answer": "a difference is found" if found else "no difference is found",
                }
            )
            rows += [
                {"test": f"  {name} alone", "null hypothesis": "same law", "p": p}
                for name, p in self.difference.alone.items()
            ]
        rows += [
            {
                "test": test.name,
                "null hypothesis": "beyond margin",
                "estimate": test.estimate,
                "unit": test.unit,
                "margin": test.margin,
                "p": test.p_value,
                "answer": _answer(test.p_value <= self.level, False),
            }
            for test in self.tests
        ]
        columns = ["test", "null hypothesis", "estimate", "unit", "margin", "p", "answer"]
        return pd.DataFrame(rows, columns=columns).set_index("test")

    def __str__(self) -> str:
        """Verdict, reason, what could have been seen, and the table."""
        how = "paired" if self.paired else "unpaired"
        text = self.table().to_string(na_rep="", float_format="{:.3g}".format)
        return (
            f"{self.verdict.upper()}: {self.reason}\n"
            f"{self.draws[0]} and {self.draws[1]} draws of {self.observations} observations, "
            f"{how}; margin {self.margin:g} predictive sd, level {self.level:g}.\n"
            f"{self._sight()}\n{text}"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = self.table().to_html(na_rep="", float_format="{:.3g}".format)
        return f"<p><b>{self.verdict}</b>: {self.reason} {self._sight()}</p>{table}"

    def _sight(self) -> str:
        margin = f"Smallest margin these draws could affirm: {self.attainable_margin:.3g} sd."
        if self.paired:
            return f"Mean paired error known to within {self.smallest_effect:.2g} sd. {margin}"
        return (
            f"Smallest effect seen with probability {POWER:g}: a shift of "
            f"{self.smallest_effect:.2g} sd, or an sd larger by "
            f"{self.difference.smallest_spread:.2g}. {margin}"
        )

    def distances(
        self,
        floor: Sequence[xr.DataArray | np.ndarray] | pd.DataFrame | None = None,
        *,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Distances of the two samples, each beside what chance gives.

        Parameters
        ----------
        floor : sequence of samples, or a frame of `noise_floor`, optional
            Independent samples of the law of `a`, as many draws as `b`; without, draws of both
            samples are exchanged (`exchanged_floor`).
        seed : int
            Of the exchanges and of the classifier's halves.

        Returns
        -------
        pandas.DataFrame
            One row a distance: ``mean`` over observations; of the noise floor ``floor`` (mean) and
            ``floor 95 %``; ``beyond floor``, the share of observations beyond that quantile;
            ``found (Holm)`` and ``found (B-H)``, the number of observations where SciPy's test
            rejects after correction. Last row: the classifier's area under the ROC curve.
        """
        if floor is None:
            floor = exchanged_floor(self.a, self.b, seed=seed)
        elif not isinstance(floor, pd.DataFrame):
            floor = noise_floor(self.a, floor)
        found = distances(self.a, self.b, predictive_sd(self.a))
        table = pd.DataFrame(
            {
                "mean": found.mean(),
                "floor": floor.mean(),
                "floor 95 %": floor.quantile(0.95),
                "beyond floor": beyond_floor(found, floor),
            }
        )
        for name in ("ks", "anderson_darling"):
            p = pointwise_p_values(self.a, self.b, name)
            for column, how in (("found (Holm)", "holm"), ("found (B-H)", "benjamini_hochberg")):
                table.loc[name, column] = int((p[how] <= self.level).sum())
        classifier = classifier_test(self.a, self.b, seed=seed)
        table.loc["classifier (AUC)", ["mean", "floor", "floor 95 %"]] = [
            classifier.auc,
            0.5,
            classifier.floor,
        ]
        return table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the verdict: see `spikedrop.plots.verdict.verdict`."""
        from spikedrop.plots.verdict import verdict

        return verdict(self, ax)


def _answer(yes: bool, no: bool) -> str:
    return "within the margin" if yes else "beyond the margin" if no else "cannot say"


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
    x, z = as_draws(a, "a", outputs=True), as_draws(b, "b", outputs=True)
    same_observations(x, z)
    predictive_sd(x, "a")
    crps = (
        ()
        if y is None
        else (crps_equivalence(x, z, y, margin=crps_margin, level=level, paired=paired),)
    )
    decide = _paired if paired else _unpaired
    more = {} if paired else {"permutations": permutations, "seed": seed}
    return decide(x, z, crps, margin, level, **more)


def _paired(
    x: np.ndarray, z: np.ndarray, crps: tuple[Equivalence, ...], margin: float, level: float
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
        a=x,
        b=z,
    )


def _unpaired(
    x: np.ndarray,
    z: np.ndarray,
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
        a=x,
        b=z,
    )
