"""Coverage of 90 % intervals on a screen: plain dropout, noise added, conformal; seen and unseen.

    SPIKEDROP_DATA=path/to/folder python -m benchmarks.conformal

A network of 3 x 256 is trained. Two kinds of rows are kept from it: random rows, whose drug pairs
it has seen at other doses or in other lines, and all rows of a fifth of the drug pairs. The unseen
pairs are divided at random, many times, into pairs that make the intervals and pairs that are
tested. All of it is repeated with other pairs kept and another training. Without `SPIKEDROP_DATA`
the screen is simulated.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

import spikedrop as sd
from benchmarks.work import RATE_HZ, SEED
from spikedrop.data import Screen, fit_design, open_screen, split
from spikedrop.scores import (
    central_interval,
    crps,
    interval_coverage,
    interval_score,
    mean_and_noise,
)
from spikedrop.scores.conformal import conformal_interval, coverage_limits, group_coverage
from spikedrop.training.keras import Noise, train

HIDDEN, EPOCHS = (256, 256, 256), 30
DRAWS, STEPS = 50, 50
LEVEL = 0.9
TESTED = 1000  # random rows to be predicted; the rest of the random rows makes the intervals
REPEATS = 200
SPLITS = 4  # choices of the unseen pairs, with a training each; the first is reported in full


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs and observations of one kind of rows, and the drug pair of each."""

    x: np.ndarray
    y: np.ndarray
    pair: np.ndarray


@dataclass(frozen=True, eq=False)
class Drawn:
    """Samples (draw, row) of one kind of rows, and the noise sd that goes with them."""

    samples: np.ndarray
    noise: np.ndarray | float
    rows: Rows

    def take(self, chosen: np.ndarray) -> Drawn:
        """Return some of the rows."""
        noise = self.noise[:, chosen] if np.ndim(self.noise) else self.noise
        rows = Rows(self.rows.x[chosen], self.rows.y[chosen], self.rows.pair[chosen])
        return Drawn(self.samples[:, chosen], noise, rows)

    def without_noise(self) -> Drawn:
        """Return the draws alone."""
        return Drawn(self.samples, 0.0, self.rows)


def intervals(
    held_out: Drawn, tested: Drawn, *, by_pair: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Make conformal intervals for `tested`; by pair, for rows of pairs that nobody measured."""
    return conformal_interval(
        held_out.samples,
        held_out.rows.y,
        tested.samples,
        level=LEVEL,
        noise_sd=tested.noise,
        held_out_noise_sd=held_out.noise,
        groups=held_out.rows.pair if by_pair else None,
    )


def line(name: str, lower: np.ndarray, upper: np.ndarray, y: np.ndarray) -> None:
    """Print coverage, limits of chance, mean width and interval score."""
    low, high = coverage_limits(len(y), level=LEVEL)
    covered = interval_coverage(lower, upper, y)
    verdict = "inside" if low <= covered <= high else "OUTSIDE"
    print(
        f"  {name:<46} {covered:.4f}  [{low:.3f}, {high:.3f}] {verdict:<7} "
        f"{np.mean(upper - lower):.3f}  {interval_score(lower, upper, y, LEVEL):.3f}",
        flush=True,
    )


def repeated(seen: Drawn, seed: int) -> None:
    """Print how often coverage stays within chance when the random rows are divided again."""
    held = len(seen.rows.y) - TESTED
    binomial = coverage_limits(TESTED, level=LEVEL)
    exact = coverage_limits(TESTED, level=LEVEL, held_out=held)
    rng = np.random.default_rng(seed)
    shares = []
    for _ in range(REPEATS):
        order = rng.permutation(len(seen.rows.y))
        tested = seen.take(order[:TESTED])
        shares.append(
            interval_coverage(*intervals(seen.take(order[TESTED:]), tested), tested.rows.y)
        )
    shares = np.array(shares)
    for name, (low, high) in (("binomial", binomial), ("beta-binomial", exact)):
        within = np.mean((low <= shares) & (shares <= high))
        print(
            f"  {REPEATS} divisions: mean coverage {shares.mean():.4f}, within the 95 % {name} "
            f"interval [{low:.3f}, {high:.3f}] in {100 * within:.1f} %"
        )


def divided(seen: Drawn, unseen: Drawn, seed: int) -> None:
    """Print coverage of unseen pairs over many divisions of them into held-out and tested pairs."""
    pairs = np.unique(unseen.rows.pair)
    rng, found = np.random.default_rng(seed), {}
    for _ in range(REPEATS):
        half = np.isin(unseen.rows.pair, rng.permutation(pairs)[::2])
        other, new = unseen.take(np.flatnonzero(half)), unseen.take(np.flatnonzero(~half))
        made = {
            "plain, masks and noise": central_interval(new.samples, new.noise, LEVEL),
            "conformal, random rows of seen pairs": intervals(seen, new),
            "conformal, rows of other unseen pairs": intervals(other, new),
            "conformal, other unseen pairs": intervals(other, new, by_pair=True),
        }
        y = new.rows.y
        for name, (low, high) in made.items():
            per_pair = group_coverage(low, high, y, new.rows.pair)
            per_row = interval_coverage(low, high, y)
            found.setdefault(name, []).append((per_pair, per_row, np.mean(high - low)))
    print(
        f"  {len(pairs)} unseen pairs, half held out and half tested, {REPEATS} divisions:\n"
        f"  {'':<40} per pair  se      least   most    per row  width"
    )
    for name, shares in found.items():
        per_pair, per_row, width = np.transpose(shares)
        se = per_pair.std(ddof=1) / np.sqrt(REPEATS)
        print(
            f"  {name:<40} {per_pair.mean():.4f}    {se:.4f}  {per_pair.min():.4f}  "
            f"{per_pair.max():.4f}  {per_row.mean():.4f}   {width.mean():.3f}",
            flush=True,
        )


def report(name: str, seen: Drawn, unseen: Drawn) -> None:
    """Print one network's intervals on both kinds of rows."""
    order = np.random.default_rng(SEED).permutation(len(seen.rows.y))
    tested, held_out = seen.take(order[:TESTED]), seen.take(order[TESTED:])
    kinds = {"masks alone": Drawn.without_noise, "masks and noise": lambda drawn: drawn}
    print(f"{name}\n  random rows: {TESTED} tested, {len(held_out.rows.y)} held out")
    for kind, of in kinds.items():
        one = of(tested)
        line(f"plain, {kind}", *central_interval(one.samples, one.noise, LEVEL), one.rows.y)
    for kind, of in kinds.items():
        line(f"conformal, {kind}", *intervals(of(held_out), of(tested)), tested.rows.y)
    repeated(seen, SEED)
    divided(held_out, unseen, SEED)


def one_split(screen: Screen, seed: int, noises: tuple[Noise, ...], who: tuple[str, ...]) -> None:
    """Keep rows and pairs by `seed`, train, sample, and print."""
    parts = split(screen.pairs, "pairs", seed=seed, validation=0.06)
    kept = np.random.default_rng(seed).permutation(parts.train)
    aside, shown = np.sort(kept[: len(kept) // 5]), np.sort(kept[len(kept) // 5 :])
    choose = np.random.default_rng(seed + 1).permutation(shown)
    validation, shown = choose[: len(shown) // 15], choose[len(shown) // 15 :]
    design = fit_design(screen, shown)
    x, y = design.matrix(screen.pairs), screen.pairs["growth_fraction"].to_numpy(float)
    drugs = np.sort(screen.pairs[["drug_a", "drug_b"]].to_numpy(), axis=1)
    pair = np.unique(drugs, axis=0, return_inverse=True)[1].ravel()
    rows = {"validation": validation, "seen": aside, "unseen": parts.test}
    together = np.concatenate(list(rows.values()))
    cuts = np.cumsum([len(part) for part in rows.values()])[:-1]
    model = None
    for kind in noises:
        model = train(
            x[shown],
            y[shown],
            (x[validation], y[validation]),
            seed=seed,
            hidden=HIDDEN,
            epochs=EPOCHS,
            swap=design.swap,
            noise=kind,
            mean=model,
        )
        network = sd.Network.from_keras(model)
        common = {"draws": DRAWS, "seed": seed, "progress": False}
        samples = {"ANN": sd.sample_ann(network, x[together], **common)}
        if "SNN" in who:
            conversion = sd.calibrate(network, x[shown][:4000], rate_hz=RATE_HZ)
            samples["SNN"] = sd.sample_snn(network, conversion, x[together], steps=STEPS, **common)
        for name, drawn in samples.items():
            if kind == "heteroscedastic":
                means, noise_sd = mean_and_noise(drawn)
            else:
                means, noise_sd = np.asarray(drawn)[:, :, 0], None
            parted = dict(zip(rows, np.split(means, cuts, axis=1), strict=True))
            if noise_sd is None:
                fitted = sd.fit_noise_sd(parted["validation"], y[validation])
                noise = dict.fromkeys(rows, fitted)
                title = f"{name}, noise sd {fitted:.3f} chosen on {len(validation)} validation rows"
            else:
                noise = dict(zip(rows, np.split(noise_sd, cuts, axis=1), strict=True))
                title = f"{name}, heteroscedastic head, noise sd {noise_sd.mean():.3f} on average"
            seen, unseen = (
                Drawn(parted[k], noise[k], Rows(x[rows[k]], y[rows[k]], pair[rows[k]]))
                for k in ("seen", "unseen")
            )
            log = sd.log_likelihood(seen.samples, seen.rows.y, seen.noise)
            print(
                f"\nseed {seed}: R2 {sd.r2(seen.samples, seen.rows.y):.3f} on random rows and "
                f"{sd.r2(unseen.samples, unseen.rows.y):.3f} on unseen pairs; CRPS "
                f"{crps(seen.samples, seen.rows.y, seen.noise):.4f}, log likelihood {log:.3f}"
            )
            if seed == SEED:
                report(title, seen, unseen)
            else:
                print(title)
                divided(seen, unseen, seed)


def main() -> None:
    """Report the first split in full, and the coverage of unseen pairs in the others."""
    screen = open_screen(os.environ.get("SPIKEDROP_DATA", ""), seed=SEED)
    print(f"{screen.source}: {len(screen.pairs)} records; level {LEVEL}, {DRAWS} draws")
    one_split(screen, SEED, ("constant", "heteroscedastic"), ("ANN", "SNN"))
    for seed in range(SEED + 1, SEED + SPLITS):
        one_split(screen, seed, ("constant",), ("ANN",))


if __name__ == "__main__":
    main()
