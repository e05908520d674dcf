"""What a screen looks like in numbers: growth, grids, replicate noise, and the bound it sets."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2

from spikedrop.checks.arguments import one_of, whole_number
from spikedrop.data.screen import Screen
from spikedrop.errors import InputError

__all__ = [
    "compare_screens",
    "describe_screen",
    "fullest_grid",
    "growth_from_readings",
    "noise_ceiling",
    "replicate_noise",
]

_CONDITION = ["cell_line", "drug_a", "drug_b"]
_DOSES = ["log10_dose_a_molar", "log10_dose_b_molar"]


def growth_from_readings(
    treated: npt.ArrayLike, control: npt.ArrayLike, time_zero: npt.ArrayLike
) -> np.ndarray:
    """Growth of treated cells as a fraction of the growth of untreated ones.

    (T - Tz) / (C - Tz) where T >= Tz, and (T - Tz) / Tz elsewhere: 1 is untreated growth, 0 is
    no change since the drug was added, -1 means that nothing is left.

    Parameters
    ----------
    treated : array
        Reading T of the treated well at the end, in the unit of the assay.
    control : array
        Reading C of an untreated well at the end, in the same unit.
    time_zero : array
        Reading Tz when the drug was added, in the same unit.

    Returns
    -------
    numpy.ndarray
        Growth fraction, of the broadcast shape; NaN where the denominator is 0.

    References
    ----------
    Holbeck et al. (2017), doi 10.1158/0008-5472.CAN-17-0489; the fields of NCI's file.

    Examples
    --------
    >>> growth_from_readings([300.0, 200.0, 100.0, 50.0], 300.0, 100.0)
    array([ 1. ,  0.5,  0. , -0.5])
    """
    treated, control, time_zero = (np.asarray(x, float) for x in (treated, control, time_zero))
    span = np.where(treated >= time_zero, control - time_zero, time_zero)
    return (treated - time_zero) / np.where(span == 0, np.nan, span)


def replicate_noise(singles: pd.DataFrame, *, bins: int = 12) -> pd.DataFrame:
    """Noise of repeated measurements by level of growth.

    Conditions measured at least twice are put into bins of equal size by their mean growth. The
    sample sd s of n readings spreads widely for small n, so two summaries are given: `pooled` is
    the root of the mean variance, weighted by n - 1, and counts every bad day; `typical` is the
    median of s / m(n), where m(n) is the median that s would have for Gaussian noise of sd 1,
    and ignores a minority of bad days.

    Parameters
    ----------
    singles : pandas.DataFrame
        Table as `Screen.singles`.
    bins : int, default 12
        Number of bins.

    Returns
    -------
    pandas.DataFrame
        One row per bin: ``growth_fraction`` (median of the bin), ``typical_sd_fraction``,
        ``pooled_sd_fraction`` and ``conditions`` (their number).

    Raises
    ------
    InputError
        If `bins` is not at least 1, or there are fewer repeated conditions.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> singles = simulate_screen(n_drugs=20, n_cell_lines=4, n_records=300, seed=0).singles
    >>> replicate_noise(singles, bins=4).shape
    (4, 4)
    """
    whole_number("bins", bins, least=1)
    repeated = singles[singles["replicates"] > 1].sort_values("growth_fraction")
    if len(repeated) < bins:
        raise InputError(
            f"{len(repeated)} conditions were measured twice or more; {bins} bins need as many. "
            "Ask for fewer bins."
        )
    free = repeated["replicates"] - 1
    sd = repeated["growth_sd_fraction"]
    bin_of = np.arange(len(repeated)) * bins // len(repeated)
    table = pd.DataFrame(
        {
            "growth_fraction": repeated["growth_fraction"],
            "typical_sd_fraction": sd / np.sqrt(chi2.ppf(0.5, free) / free),
            "squares": free * sd**2,
            "free": free,
        }
    ).groupby(bin_of)
    result = table[["growth_fraction", "typical_sd_fraction"]].median()
    result["pooled_sd_fraction"] = np.sqrt(table["squares"].sum() / table["free"].sum())
    return result.assign(conditions=table.size()).rename_axis("bin")


def noise_ceiling(screen: Screen, *, how: Literal["typical", "pooled"] = "typical") -> float:
    """Largest R2 that the noise of a single reading leaves to any model of pair growth.

    1 - mean(noise variance) / variance of growth, where the noise of a pair record is read off
    the repeated single-drug conditions with the same growth (`replicate_noise`). It takes for
    granted that pairs repeat as well as single drugs at the same level of growth.

    Parameters
    ----------
    screen : Screen
        Records.
    how : {"typical", "pooled"}, default "typical"
        Which summary of the repeats counts as noise.

    Returns
    -------
    float
        At most 1, which is for noise-free records; higher leaves more to a model.

    Raises
    ------
    InputError
        If the summary is unknown, or there are too few repeated conditions.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> 0.8 < noise_ceiling(screen) < 1
    True
    """
    one_of("how", how, ("typical", "pooled"))
    noise = replicate_noise(screen.singles)
    growth = screen.pairs["growth_fraction"]
    at = np.interp(growth, noise["growth_fraction"], noise[f"{how}_sd_fraction"] ** 2)
    at = at / screen.pairs["replicates"]
    return float(1 - at.mean() / growth.var())


def describe_screen(screen: Screen) -> pd.Series:
    """Summarise a screen in a column of numbers, to put beside that of another.

    Parameters
    ----------
    screen : Screen
        Records.

    Returns
    -------
    pandas.Series
        One number per name; growth and scores are fractions, doses log10 of molar amounts.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> describe_screen(screen)[["pair records", "drugs", "cell lines"]].tolist()
    [300.0, 12.0, 4.0]
    """
    pairs, singles = screen.pairs, screen.singles
    growth = pairs["growth_fraction"]
    score = pairs["expected_growth_fraction"] - growth
    doses = pairs[_DOSES].to_numpy().ravel()
    tried = pairs.groupby(_CONDITION, observed=True).size()
    by_pair = tried.groupby(["drug_a", "drug_b"]).size()
    repeated = singles.loc[singles["replicates"] > 1, "growth_sd_fraction"]
    return pd.Series(
        {
            "pair records": len(pairs),
            "drugs": len(np.unique(pairs[["drug_a", "drug_b"]])),
            "cell lines": pairs["cell_line"].nunique(),
            "drug pairs": len(by_pair),
            "growth, mean": growth.mean(),
            "growth, sd": growth.std(),
            "growth, lower quartile": growth.quantile(0.25),
            "growth, median": growth.median(),
            "growth, upper quartile": growth.quantile(0.75),
            "growth below 0, share": (growth < 0).mean(),
            "synergy score, mean": score.mean(),
            "synergy score, sd": score.std(),
            "log10 dose, mean": doses.mean(),
            "log10 dose, sd": doses.std(),
            "dose combinations per pair and line": tried.mean(),
            "cell lines per pair": by_pair.mean(),
            "pair conditions measured once, share": (pairs["replicates"] == 1).mean(),
            "readings per single-drug condition": singles["replicates"].mean(),
            "replicate sd, median": repeated.median(),
        }
    )


def compare_screens(screens: Mapping[str, Screen]) -> pd.DataFrame:
    """Put the descriptions of several screens side by side.

    Parameters
    ----------
    screens : mapping
        Name to `Screen`.

    Returns
    -------
    pandas.DataFrame
        One row per number of `describe_screen`, one column per screen.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> one, two = (
    ...     simulate_screen(n_drugs=12, n_cell_lines=4, n_records=n, seed=0) for n in (200, 300)
    ... )
    >>> compare_screens({"small": one, "large": two}).loc["pair records"].to_dict()
    {'small': 200.0, 'large': 300.0}
    """
    return pd.DataFrame({name: describe_screen(screen) for name, screen in screens.items()})


def fullest_grid(pairs: pd.DataFrame) -> tuple[int, int, str]:
    """Return the drug pair and cell line with the most dose combinations.

    Of several, one whose combinations inhibit growth in part (0.1 to 0.9) about as often as not,
    and of those the one whose growth varies most.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Table as `Screen.pairs`.

    Returns
    -------
    first, second : int
        NSC numbers of the two drugs.
    line : str
        The cell line.

    Examples
    --------
    >>> from spikedrop.data import simulate_screen
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> first, second, line = fullest_grid(screen.pairs)
    >>> bool(first < second), line in set(screen.pairs["cell_line"])
    (True, True)
    """
    partly = pairs["growth_fraction"].between(0.1, 0.9)
    groups = pairs.assign(partly=partly).groupby(_CONDITION, observed=True)
    size = groups.size()
    ranking = pd.DataFrame(
        {
            "size": size,
            "mixed": -(groups["partly"].sum() - size // 2).abs(),
            "sd": groups["growth_fraction"].std(),
        }
    )
    line, first, second = ranking.sort_values([*ranking]).index[-1]
    return int(first), int(second), str(line)
