"""Coverage of 90 % intervals on a screen: plain dropout, noise added, conformal; seen and unseen.

    SPIKEDROP_DATA=path/to/folder python -m benchmarks.conformal

One network of 3 x 256 is trained. Two kinds of rows are kept from it: random rows, whose drug pairs
it has seen at other doses or in other lines, and all rows of a fifth of the drug pairs. Without
`SPIKEDROP_DATA` the screen is simulated.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import spikedrop as sd
from benchmarks.work import FOLDER, RATE_HZ, SEED
from spikedrop.conformal import conformal_interval, coverage_limits
from spikedrop.data import fit_design, open_screen, split
from spikedrop.scores import central_interval, interval_coverage, interval_score, mean_and_noise
from spikedrop.training import Noise, train

HIDDEN, EPOCHS = (256, 256, 256), 30
DRAWS, STEPS = 50, 50
LEVEL = 0.9
TESTED = 1000  # random rows to be predicted; the rest of the random rows makes the intervals
REPEATS = 200


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


def intervals(held_out: Drawn, tested: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Make conformal intervals for `tested`."""
    return conformal_interval(
        held_out.samples,
        held_out.rows.y,
        tested.samples,
        level=LEVEL,
        noise_sd=tested.noise,
        held_out_noise_sd=held_out.noise,
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
    pairs = np.unique(unseen.rows.pair)
    half = np.isin(unseen.rows.pair, np.random.default_rng(SEED).permutation(pairs)[::2])
    other, new = unseen.take(np.flatnonzero(half)), unseen.take(np.flatnonzero(~half))
    print(f"  unseen pairs: {len(new.rows.y)} rows tested, of {len(pairs) - len(pairs) // 2} pairs")
    line("plain, masks and noise", *central_interval(new.samples, new.noise, LEVEL), new.rows.y)
    line("conformal, held out: random rows of seen pairs", *intervals(held_out, new), new.rows.y)
    line("conformal, held out: other unseen pairs", *intervals(other, new), new.rows.y)


def main() -> None:
    """Train, sample, and print."""
    data = os.environ.get("SPIKEDROP_DATA", "")
    screen = open_screen(data, seed=SEED)
    print(f"{screen.source}: {len(screen.pairs)} records; level {LEVEL}, {DRAWS} draws")
    parts = split(screen.pairs, "pairs", seed=SEED, validation=0.06)
    kept = np.random.default_rng(SEED).permutation(parts.train)
    aside, shown = np.sort(kept[: len(kept) // 5]), np.sort(kept[len(kept) // 5 :])
    choose = np.random.default_rng(SEED + 1).permutation(shown)
    validation, shown = choose[: len(shown) // 15], choose[len(shown) // 15 :]
    design = fit_design(screen, shown)
    x, y = design.matrix(screen.pairs), screen.pairs["growth_fraction"].to_numpy(float)
    drugs = np.sort(screen.pairs[["drug_a", "drug_b"]].to_numpy(), axis=1)
    pair = np.unique(drugs, axis=0, return_inverse=True)[1].ravel()

    for noise in ("constant", "heteroscedastic"):
        kind: Noise = noise
        model = train(
            x[shown],
            y[shown],
            (x[validation], y[validation]),
            seed=SEED,
            hidden=HIDDEN,
            epochs=EPOCHS,
            swap=design.swap,
            noise=kind,
            file=Path(FOLDER)
            / "bench"
            / f"conformal-{kind}-{'real' if data else 'simulated'}.keras",
        )
        network = sd.Network.from_keras(model)
        conversion = sd.calibrate(network, x[shown][:4000], rate_hz=RATE_HZ)
        rows = {"validation": validation, "seen": aside, "unseen": parts.test}
        together = np.concatenate(list(rows.values()))
        cuts = np.cumsum([len(some) for some in rows.values()])[:-1]
        common = {"draws": DRAWS, "seed": SEED, "progress": False}
        samples = {
            "ANN": sd.sample_ann(network, x[together], **common),
            "SNN": sd.sample_snn(network, conversion, x[together], steps=STEPS, **common),
        }
        for who, drawn in samples.items():
            if kind == "heteroscedastic":
                means, noise_sd = mean_and_noise(drawn)
            else:
                means, noise_sd = np.asarray(drawn)[:, :, 0], None
            parted = dict(zip(rows, np.split(means, cuts, axis=1), strict=True))
            if noise_sd is None:
                fitted = sd.fit_noise_sd(parted["validation"], y[validation])
                noises = dict.fromkeys(rows, fitted)
                title = f"{who}, noise sd {fitted:.3f} chosen on {len(validation)} validation rows"
            else:
                noises = dict(zip(rows, np.split(noise_sd, cuts, axis=1), strict=True))
                title = f"{who}, heteroscedastic head, noise sd {noise_sd.mean():.3f} on average"
            seen, unseen = (
                Drawn(parted[k], noises[k], Rows(x[rows[k]], y[rows[k]], pair[rows[k]]))
                for k in ("seen", "unseen")
            )
            log = sd.log_likelihood(seen.samples, seen.rows.y, seen.noise)
            print(
                f"\nR2 {sd.r2(seen.samples, seen.rows.y):.3f} on random rows and "
                f"{sd.r2(unseen.samples, unseen.rows.y):.3f} on unseen pairs; log likelihood "
                f"{log:.3f}"
            )
            report(title, seen, unseen)


if __name__ == "__main__":
    main()
