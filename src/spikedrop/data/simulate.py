"""A drug-pair screen whose truth is known."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm

from spikedrop.checks.arguments import seed_of, whole_number
from spikedrop.data.screen import LoadReport, Screen
from spikedrop.errors import InputError

__all__ = ["expected_growth", "noise_sd", "simulate_screen"]

PANELS = (
    *("Breast Cancer", "CNS Cancer", "Colon Cancer", "Leukemia"),
    *("Non-Small Cell Lung Cancer", "Ovarian Cancer", "Prostate Cancer", "Renal Cancer"),
)
N_CLASSES = 8
N_CELL_FACTORS = 4
N_DRUG_FACTORS = 3
N_DESCRIPTORS = 24
N_GENES = 40
DOSE_LEVELS = 3
LOWEST_GROWTH = -0.95
MEAN_EXPECTED_GROWTH = 0.70


def simulate_screen(
    *,
    n_drugs: int = 60,
    n_cell_lines: int = 12,
    n_records: int = 20_000,
    seed: int,
) -> Screen:
    """Simulate a drug-pair screen with the columns of a real one and the truth beside them.

    A drug has a hidden mechanism class and hidden factors, and descriptors that carry both; a
    cell line has hidden factors, and expression-like features that carry them. Growth under one
    drug at dose c follows a Hill curve with floor E, half-effect dose EC50 and slope h,

        g(c) = E + (1 - E) / (1 + (c / EC50)^h),

    where EC50 and E depend on the drug and, through its class, on the cell line. Two drugs are
    expected to give, by the rule of the screen, min(g1, g2) where either is below 0 (the highest
    single agent) and min(g1, 1) min(g2, 1) elsewhere (Bliss independence). The truth adds an
    interaction of the two classes in that cell line, largest where both drugs act half,

        g12 = expected - 4 s sqrt(w1 w2),  w = e (1 - e),  e = clip(1 - g, 0, 1),

    and is kept within [-0.95, 1]. A reading is the truth g plus Gaussian noise of variance

        0.075^2 (1 + g) / 2 + 0.13^2 (1 - g) (1 + g)^2,

    so that partly inhibited cells, where a small slip of the dose matters, repeat worst, and
    wells with no cells left to count repeat best. Expected growth is computed from noisy single
    wells, as in the real screen.

    Each pair is measured in one or two of the nine combinations of three doses a decade apart, in
    most of the cell lines; a few pairs have whole grids, in the other cell lines. Nearly every
    pair condition is measured once, single drugs several times. The constants were chosen to
    match the distribution of growth, doses, missing conditions and replicate noise of
    NCI-ALMANAC records.

    Parameters
    ----------
    n_drugs : int, default 60
        Number of drugs, at least 4.
    n_cell_lines : int, default 12
        Number of cell lines, at least 2.
    n_records : int, default 20000
        Pair records, at least 1.
    seed : int
        Seed of everything random.

    Returns
    -------
    Screen
        With features, true growth and noise sd.

    Raises
    ------
    InputError
        If there are too few drugs or cell lines, or more records than the dose grid has.

    References
    ----------
    The rule for expected growth is that of NCI-ALMANAC, Holbeck et al. (2017),
    doi 10.1158/0008-5472.CAN-17-0489.

    Examples
    --------
    >>> screen = simulate_screen(n_drugs=12, n_cell_lines=4, n_records=300, seed=0)
    >>> len(screen.pairs), len(screen.drugs), len(screen.cells)
    (300, 12, 4)
    """
    n_drugs = whole_number("n_drugs", n_drugs, least=4)
    n_cell_lines = whole_number("n_cell_lines", n_cell_lines, least=2)
    n_records = whole_number("n_records", n_records, least=1)
    seed = seed_of(seed)
    room = n_drugs * (n_drugs - 1) // 2 * n_cell_lines * DOSE_LEVELS**2
    if n_records > room:
        raise InputError(
            f"n_records={n_records}: {n_drugs} drugs in {n_cell_lines} cell lines have "
            f"{room} pair conditions. Ask for fewer records or for more drugs."
        )
    world_rng, layout_rng, noise_rng = np.random.default_rng(seed).spawn(3)
    world = make_world(world_rng, n_drugs, n_cell_lines)
    layout = _layout(layout_rng, n_drugs, n_cell_lines, n_records)
    return measure(world, layout, noise_rng, f"simulated screen, seed {seed}")


def expected_growth(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Growth expected of two drugs from their single growths, as fractions.

    min(g1, g2) where either is below 0, min(g1, 1) min(g2, 1) elsewhere.

    Parameters
    ----------
    first, second : numpy.ndarray
        Growth fraction under each drug alone, any shapes that broadcast.

    Returns
    -------
    numpy.ndarray
        Expected growth fraction, of the broadcast shape.

    References
    ----------
    Bliss (1939), doi 10.1111/j.1744-7348.1939.tb06990.x, for independent action.

    Examples
    --------
    >>> expected_growth(np.array([0.5, 1.2, -0.5]), np.array([0.5, 0.8, 0.3]))
    array([ 0.25,  0.8 , -0.5 ])
    """
    lower = np.minimum(first, second)
    return np.where(lower < 0, lower, np.minimum(first, 1.0) * np.minimum(second, 1.0))


def noise_sd(growth: np.ndarray) -> np.ndarray:
    """Sd of one simulated reading, a growth fraction, around a true growth fraction.

    Parameters
    ----------
    growth : numpy.ndarray
        True growth fraction, any shape, from -1 to 1.

    Returns
    -------
    numpy.ndarray
        In growth fractions, of the same shape.

    Examples
    --------
    >>> noise_sd(np.array([-1.0, 0.0, 1.0])).round(3)
    array([0.   , 0.14 , 0.075])
    """
    alive = 1.0 + growth
    return np.sqrt(0.075**2 * alive / 2 + 0.13**2 * (1.0 - growth) * alive**2)


@dataclass(frozen=True)
class World:
    """What is true of D drugs and C cell lines, each drug with R = 2 ranges of L doses."""

    drugs: pd.DataFrame
    cells: pd.DataFrame
    log10_doses: np.ndarray  # (D, R, L), log10 molar, rising
    growth: np.ndarray  # (D, C, R, L), true growth fraction under one drug
    synergy: np.ndarray  # (D, D, C), growth fraction lost where both drugs act half


def measure(
    world: World, at: dict[str, np.ndarray], rng: np.random.Generator, source: str
) -> Screen:
    """Measure single drugs, and pairs at the conditions `at`, see `_layout`."""
    singles = _singles(world, rng)
    pairs = _pairs(world, at, rng)
    in_pairs, in_singles = (int(frame["replicates"].sum()) for frame in (pairs, singles))
    wells = in_pairs + in_singles
    report = LoadReport(
        source, wells, (), in_pairs, in_singles, len(pairs), len(singles), wells, 0, in_pairs, 0
    )
    return Screen(pairs, singles, world.drugs, world.cells, report, source)


def make_world(
    rng: np.random.Generator,
    n_drugs: int,
    n_cells: int,
    class_synergy: float = 0.1,
    pair_synergy: float = 0.35,
) -> World:
    """Draw drugs and cell lines, and what is true of them; see `simulate_screen`."""
    kind = rng.permutation(np.arange(n_drugs) % N_CLASSES)
    factors = rng.normal(size=(n_drugs, N_DRUG_FACTORS))
    hidden = np.hstack([1.2 * rng.normal(size=(N_CLASSES, 5))[kind], factors])
    hidden = hidden @ rng.normal(size=(hidden.shape[1], N_DESCRIPTORS)) / np.sqrt(hidden.shape[1])
    descriptors = np.tanh(hidden) + 0.3 * hidden + 0.05 * rng.normal(size=hidden.shape)

    panel = np.arange(n_cells) % len(PANELS)
    leukemia = (panel == PANELS.index("Leukemia")).astype(float)
    cell_factors = 0.7 * rng.normal(size=(len(PANELS), N_CELL_FACTORS))[panel]
    cell_factors += 0.7 * rng.normal(size=cell_factors.shape)
    cell_factors[:, 0] += 2.0 * leukemia
    expression = cell_factors @ rng.normal(size=(N_CELL_FACTORS, N_GENES))
    expression += 0.3 * rng.normal(size=expression.shape)

    log10_doses, growth = _dose_responses(rng, kind, factors, cell_factors, leukemia)
    numbers = np.arange(1, n_drugs + 1) * 1000 + 7  # whole numbers, as NSC numbers are
    drugs = pd.DataFrame(
        descriptors,
        index=pd.Index(numbers, name="drug", dtype="int64"),
        columns=[f"descriptor_{number:02d}" for number in range(1, N_DESCRIPTORS + 1)],
    )
    drugs.insert(0, "name", [f"drug {number}" for number in numbers])
    cells = pd.DataFrame(
        expression,
        index=pd.Index(
            [f"LINE-{number:02d}" for number in range(1, n_cells + 1)], name="cell_line"
        ),
        columns=[f"expr.gene_{number:02d}" for number in range(1, N_GENES + 1)],
    )
    cells.insert(0, "panel", [PANELS[number] for number in panel])
    synergy = _synergy(rng, kind, cell_factors, class_synergy, pair_synergy)
    return World(drugs, cells, log10_doses, growth, synergy)


def _dose_responses(
    rng: np.random.Generator,
    kind: np.ndarray,
    factors: np.ndarray,
    cell_factors: np.ndarray,
    leukemia: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the doses of each drug (D, R, L) and its true growth at them (D, C, R, L)."""
    n_drugs, n_cells = len(kind), len(cell_factors)
    # Equal steps of the normal distribution, shuffled: every seed has strong and weak classes.
    steps = norm.ppf((np.arange(N_CLASSES) + 0.5) / N_CLASSES)
    class_potency, class_depth = 0.8 * rng.permutation(steps), 1.2 * rng.permutation(steps)
    need = rng.normal(size=(N_CLASSES, N_CELL_FACTORS)) / np.sqrt(N_CELL_FACTORS)
    response = need[kind] @ cell_factors.T  # (D, C): a class needs something of a cell line
    reach = -5.4 + class_potency[kind] + 0.6 * factors[:, 0]
    log10_ec50 = (reach + 0.6 * factors[:, 1] + 0.8 * rng.normal(size=n_drugs))[:, None]
    log10_ec50 = log10_ec50 - 0.45 * response - 0.3 * leukemia
    log10_ec50 += 0.7 * rng.normal(size=log10_ec50.shape)
    depth = -0.8 + class_depth[kind] + 0.7 * factors[:, 2] + 0.8 * rng.normal(size=n_drugs)
    depth = depth[:, None] + 0.6 * response + leukemia + 0.5 * rng.normal(size=response.shape)
    floor = (LOWEST_GROWTH + (0.85 - LOWEST_GROWTH) / (1 + np.exp(depth)))[..., None, None]
    slope = np.exp(0.45 + 0.35 * np.tanh(factors @ rng.normal(size=N_DRUG_FACTORS)))

    mantissa = np.log10(rng.choice([1.0, 2.0, 3.0, 5.0, 7.5], size=n_drugs))
    top = np.clip(np.floor(reach - mantissa + 0.5) + mantissa, -8.5, -3.0)
    shift = np.log10(rng.choice([1.0, 0.5, 0.3, 0.2], size=n_drugs))
    ranges = np.stack([top, top + shift], axis=1)
    doses = ranges[:, :, None] + np.arange(1 - DOSE_LEVELS, 1)

    def growth(offset: float) -> np.ndarray:
        distance = doses[:, None] - offset - log10_ec50[..., None, None]
        hill = 1 / (1 + np.exp(np.log(10) * slope[:, None, None, None] * distance))
        return floor + (1 - floor) * hill

    # One offset of all half-effect doses sets the mean over pairs, whatever the other draws.
    two, level = rng.integers(n_drugs, size=(2, 4000)), rng.integers(DOSE_LEVELS, size=(2, 4000))
    line = rng.integers(n_cells, size=4000)

    def surplus(offset: float) -> float:
        first, second = growth(offset)[two, line, 0, level]
        return float(expected_growth(first, second).mean()) - MEAN_EXPECTED_GROWTH

    # Drugs that are all weak cannot reach the mean; the lowest offset comes closest.
    offset = brentq(surplus, -12.0, 12.0) if surplus(-12.0) < 0 else -12.0
    return doses, growth(offset)


def _synergy(
    rng: np.random.Generator,
    kind: np.ndarray,
    cell_factors: np.ndarray,
    class_synergy: float,
    pair_synergy: float,
) -> np.ndarray:
    """Draw the synergy of each drug pair in each cell line, shape (D, D, C), symmetric."""
    n_drugs, n_cells = len(kind), len(cell_factors)
    classes = rng.normal(0.0, class_synergy, size=(N_CLASSES, N_CLASSES, 1 + N_CELL_FACTORS))
    tilt = np.hstack([np.ones((n_cells, 1)), 0.4 * cell_factors])
    # Heavy tails: a few pairs interact strongly.
    own = pair_synergy * rng.standard_t(4, size=(n_drugs, n_drugs, 1))
    own = own + 0.1 * rng.normal(size=(n_drugs, n_drugs, n_cells))
    both = (classes @ tilt.T)[kind[:, None], kind[None, :]] + own
    return (both + both.transpose(1, 0, 2)) / np.sqrt(2) - 0.03


def _layout(
    rng: np.random.Generator, n_drugs: int, n_cells: int, n_records: int
) -> dict[str, np.ndarray]:
    """Choose which conditions are measured; each array has shape (record,).

    Conditions are ranked by how soon a screen would measure them, and the first are taken.
    """
    n_pairs = n_drugs * (n_drugs - 1) // 2
    n_main = max(1, round(0.8 * n_cells))
    combos = rng.permuted(np.tile(np.arange(DOSE_LEVELS**2), (n_pairs, 1)), axis=1)
    planned = rng.choice([1, 2], size=n_pairs, p=[0.8, 0.2])
    rank = rng.permutation(n_pairs) / n_pairs
    place = np.arange(DOSE_LEVELS**2)
    visit = np.where(place < planned[:, None], 0.0, 1.0 + place)  # (pair, place)
    missed = rng.random((n_pairs, n_cells)) < 0.02
    late = np.where(np.arange(n_cells) < n_main, 0.0, 100.0) + 50.0 * missed  # (pair, line)
    order = rank[:, None, None] + visit[:, None, :] + late[:, :, None]
    if n_main < n_cells:  # whole grids, in the lines that have little else
        n_grids = round(0.04 * n_records / DOSE_LEVELS**2 / (n_cells - n_main))
        order[rng.permutation(n_pairs)[:n_grids], n_main:] = -1.0
    first = np.sort(np.argsort(order, axis=None, kind="stable")[:n_records])
    pair, cell, position = np.unravel_index(first, order.shape)
    both = np.array(list(combinations(range(n_drugs), 2)))
    combo = combos[pair, position]
    ranges = (rng.random((n_pairs, 2)) < 0.35).astype(int)
    return {
        "a": both[pair, 0],
        "b": both[pair, 1],
        "cell": cell,
        "range_a": ranges[pair, 0],
        "range_b": ranges[pair, 1],
        "level_a": combo // DOSE_LEVELS,
        "level_b": combo % DOSE_LEVELS,
    }


def _pairs(world: World, at: dict[str, np.ndarray], rng: np.random.Generator) -> pd.DataFrame:
    spots = [(at[d], at["cell"], at[f"range_{d}"], at[f"level_{d}"]) for d in "ab"]
    alone = [world.growth[spot] for spot in spots]
    partly = [np.clip(1 - growth, 0, 1) for growth in alone]
    weight = np.prod([effect * (1 - effect) for effect in partly], axis=0)
    synergy = world.synergy[at["a"], at["b"], at["cell"]]
    truth = expected_growth(*alone) - 4 * synergy * np.sqrt(weight)
    truth = np.clip(truth, LOWEST_GROWTH, 1.0)
    replicates = 1 + (rng.random(len(truth)) < 0.001)
    frame = _records(world, at["cell"], truth, replicates, rng)
    # Single wells share their plate with the pair, and with it most of the noise of that day.
    shared = ((frame["growth_fraction"] - truth) / frame["noise_sd_fraction"]).to_numpy()
    wells = [
        growth + noise_sd(growth) * (0.6 * shared + 0.5 * rng.normal(size=len(truth)))
        for growth in alone
    ]
    return frame.assign(
        drug_a=world.drugs.index.to_numpy()[at["a"]],
        drug_b=world.drugs.index.to_numpy()[at["b"]],
        log10_dose_a_molar=world.log10_doses[spots[0][0], *spots[0][2:]],
        log10_dose_b_molar=world.log10_doses[spots[1][0], *spots[1][2:]],
        expected_growth_fraction=expected_growth(*wells),
        true_expected_growth_fraction=expected_growth(*alone),
    )[_order("drug_a", "drug_b")]


def _singles(world: World, rng: np.random.Generator) -> pd.DataFrame:
    measured = rng.random(world.growth.shape) < 0.9
    # A drug with one dose range has it twice; the second copy is the same condition.
    measured[:, :, 1] &= (world.log10_doses[:, 1] != world.log10_doses[:, 0])[:, None]
    drug, cell, dose_range, level = np.nonzero(measured)
    replicates = np.minimum(1 + np.floor(rng.lognormal(0.3, 1.3, len(drug))), 79).astype(int)
    truth = world.growth[measured]
    frame = _records(world, cell, truth, replicates, rng)
    return frame.assign(
        drug=world.drugs.index.to_numpy()[drug],
        log10_dose_molar=world.log10_doses[drug, dose_range, level],
    )[_order("drug")]


def _records(
    world: World,
    cell: np.ndarray,
    truth: np.ndarray,
    replicates: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Measure each truth `replicates` times; keep the mean and the sample sd."""
    one, free = noise_sd(truth), replicates - 1
    noise = one / np.sqrt(replicates)
    # The sample variance of n Gaussian readings is a scaled chi-square of n - 1 degrees.
    spread = one * np.sqrt(rng.chisquare(np.maximum(free, 1)) / np.maximum(free, 1))
    lines = pd.Categorical.from_codes(cell, [*world.cells.index])
    panels = pd.Categorical(world.cells["panel"].to_numpy()[cell])
    return pd.DataFrame(
        {
            "cell_line": lines,
            "panel": panels,
            "lab": pd.Categorical(["simulated"] * len(cell)),
            "growth_fraction": truth + noise * rng.normal(size=len(truth)),
            "replicates": replicates.astype("int64"),
            "growth_sd_fraction": np.where(free > 0, spread, np.nan),
            "true_growth_fraction": truth,
            "noise_sd_fraction": noise,
        }
    )


def _order(*drugs: str) -> list[str]:
    """Columns in the order of `load_almanac`, truth last."""
    doses = [f"log10_dose{name.removeprefix('drug')}_molar" for name in drugs]
    expected = ["expected_growth_fraction"] * (len(drugs) == 2)
    measured = ["growth_fraction", *expected, "replicates", "growth_sd_fraction"]
    both = ["true_expected_growth_fraction"] * (len(drugs) == 2)
    truth = ["true_growth_fraction", *both, "noise_sd_fraction"]
    return ["cell_line", "panel", "lab", *drugs, *doses, *measured, *truth]
