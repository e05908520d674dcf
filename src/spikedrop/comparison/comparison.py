"""What `compare` returns: the verdict, its table, its distances and its figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from spikedrop.checks.accepted import SamplesLike
from spikedrop.checks.samples import Samples
from spikedrop.comparison.criteria import Criterion
from spikedrop.comparison.difference import (
    POWER,
    GlobalTest,
    classifier_test,
    pointwise_p_values,
)
from spikedrop.comparison.distances import beyond_floor, distances, exchanged_floor, noise_floor
from spikedrop.comparison.draws import predictive_sd
from spikedrop.comparison.paired import PairedError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison"]

Verdict = Literal["equivalent", "different", "detected", "not enough draws to tell"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found; printed, it is a table.

    Attributes
    ----------
    verdict : {"equivalent", "different", "detected", "not enough draws to tell"}
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
        observation that the difference test finds with probability 0.8. Paired: how far the upper
        bound of the mean error lies above its estimate.
    attainable_margin : float
        The smallest margin that would have been affirmed with these draws.
    criteria : tuple of Criterion
        All must be within their margins.
    difference : GlobalTest or None
        Only unpaired.
    error : PairedError or None
        Only paired.
    samples : tuple of Samples
        What was compared, as it was handed in.
    a, b : numpy.ndarray
        Its draws, axes (draw, observation), read when they are used.
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
    criteria: tuple[Criterion, ...]
    difference: GlobalTest | None = None
    error: PairedError | None = None
    samples: tuple[Samples, ...] = ()

    @property
    def a(self) -> np.ndarray:
        """Draws of the reference, float64, axes (draw, observation)."""
        return self.samples[0].all()

    @property
    def b(self) -> np.ndarray:
        """Draws of the other sample, float64, axes (draw, observation)."""
        return self.samples[1].all()

    def table(self) -> pd.DataFrame:
        """One row per criterion: estimate, bounds, margin and answer; unpaired, the global test."""
        rows = [{**vars(c), "criterion": c.name, "answer": c.answer} for c in self.criteria]
        columns = ["criterion", "estimate", "low", "high", "margin", "unit", "answer"]
        if self.difference is not None:
            p, alone = self.difference.p_value, self.difference.alone
            answer = f"{'a' if p <= self.level else 'no'} difference is found"
            rows.append({"criterion": "same law, exact test", "p": p, "answer": answer})
            rows += [{"criterion": f"  {name} alone", "p": p} for name, p in alone.items()]
            columns.insert(-1, "p")
        return pd.DataFrame(rows, columns=columns).set_index("criterion")

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
            joint = self.criteria[0].high
            return (
                f"By the pairing, the joint laws are at most {joint:.3g} sd apart on average over "
                f"observations. {margin}"
            )
        assert self.difference is not None  # as where draws are not paired
        return (
            f"Smallest effect seen with probability {POWER:g}: a shift of "
            f"{self.smallest_effect:.2g} sd, or an sd larger by "
            f"{self.difference.smallest_spread:.2g}. {margin}"
        )

    def distances(
        self,
        floor: Sequence[SamplesLike] | pd.DataFrame | None = None,
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
            One row per distance: ``mean`` over observations; ``floor`` (mean) and ``floor 95 %`` of
            the noise floor; ``beyond floor``, the share of observations beyond that quantile;
            ``found (Holm)`` and ``found (B-H)``, the number of observations where SciPy's test
            rejects after correction. Last row: the classifier's area under the ROC curve.
        """
        a, b = self.samples
        measured: Any = floor
        if floor is None:
            measured = exchanged_floor(a, b, seed=seed)
        elif not isinstance(floor, pd.DataFrame):
            measured = noise_floor(a, floor)
        apart = distances(a, b, predictive_sd(a))
        columns = {"mean": apart.mean(), "floor": measured.mean()}
        columns["floor 95 %"] = measured.quantile(0.95)
        table = pd.DataFrame({**columns, "beyond floor": beyond_floor(apart, measured)})
        for name in ("ks", "anderson_darling"):
            p = pointwise_p_values(a, b, name)
            for column, method in (("(Holm)", "holm"), ("(B-H)", "benjamini_hochberg")):
                table.loc[name, f"found {column}"] = int((p[method] <= self.level).sum())
        classifier = classifier_test(a, b, seed=seed)
        table.loc["classifier (AUC)", [*columns]] = [classifier.auc, 0.5, classifier.floor]
        return table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the verdict: see `spikedrop.plots.verdict.verdict`."""
        from spikedrop.plots.verdict import verdict

        return verdict(self, ax)
