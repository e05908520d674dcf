"""A simulated screen of every drug pair at fixed doses: the candidates of a search."""

from itertools import combinations

import numpy as np

from spikedrop.checks.arguments import real_number, seed_of, whole_number
from spikedrop.data.screen import Screen
from spikedrop.data.simulate import DOSE_LEVELS, make_world, measure

__all__ = ["simulate_candidates"]


def simulate_candidates(
    *,
    n_drugs: int = 40,
    n_cell_lines: int = 12,
    level: int = DOSE_LEVELS - 1,
    class_synergy: float = 0.1,
    pair_synergy: float = 0.35,
    seed: int,
) -> Screen:
    """Simulate every pair of drugs in every cell line, at one dose of each drug.

    The candidates of a search for synergy: because every pair is in the same cell lines at the
    same doses, pairs do not differ by where they happened to be measured. Drugs, cell lines,
    rules and noise are those of `simulate_screen`.

    The interaction s of `simulate_screen` has two parts that can be set. What the classes of two
    drugs contribute can be learnt from other pairs of these classes; what a pair has of its own, a
    Student t variable with 4 degrees of freedom, cannot be learnt before the pair is measured. A
    third part, of sd 0.1 for each pair and cell line, and the mean of -0.03 stay as they are.

    Parameters
    ----------
    n_drugs : int, default 40
        Number of drugs, at least 4.
    n_cell_lines : int, default 12
        Number of cell lines, at least 2.
    level : int
        Dose level of both drugs, 0 (lowest) to 2 (highest, the default).
    class_synergy : float, default 0.1
        Sd of the part of two classes, in growth fractions, at least 0.
    pair_synergy : float
        Scale of the part of a pair, in growth fractions, at least 0. The defaults of both are those
        of `simulate_screen`.
    seed : int
        Seed of everything random.

    Returns
    -------
    Screen
        ``n_drugs * (n_drugs - 1) / 2 * n_cell_lines`` pair records, with features, true growth and
        noise sd.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> screen = simulate_candidates(n_drugs=6, n_cell_lines=2, seed=0)
    >>> len(screen.pairs), len(screen.pairs[["drug_a", "log10_dose_a_molar"]].drop_duplicates())
    (30, 5)
    """
    n_drugs = whole_number("n_drugs", n_drugs, least=4)
    n_cell_lines = whole_number("n_cell_lines", n_cell_lines, least=2)
    whole_number("level", level, below=DOSE_LEVELS)
    real_number("class_synergy", class_synergy, least=0)
    real_number("pair_synergy", pair_synergy, least=0)
    world_rng, noise_rng = np.random.default_rng(seed_of(seed)).spawn(2)
    world = make_world(world_rng, n_drugs, n_cell_lines, class_synergy, pair_synergy)
    both = np.array(list(combinations(range(n_drugs), 2)))
    at = {"cell": np.tile(np.arange(n_cell_lines), len(both))}
    for name, drug in zip("ab", both.T, strict=True):
        at[name] = np.repeat(drug, n_cell_lines)
        at[f"range_{name}"] = np.zeros(len(at["cell"]), dtype=int)
        at[f"level_{name}"] = np.full(len(at["cell"]), level)
    return measure(world, at, noise_rng, f"simulated candidates, seed {seed}")
