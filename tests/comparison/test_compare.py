"""Distances between predictive samples: hand-worked, against SciPy, invariant, and refused."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, stats

from spikedrop.comparison import (
    DISTANCES,
    beyond_floor,
    distance_table,
    distances,
    noise_floor,
    paired_error,
    predictive_sd,
)
from spikedrop.errors import InputError


def normal(seed, draws=100, observations=30, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    centre, width = np.linspace(-3, 3, observations), np.geomspace(0.1, 10, observations)
    return centre + width * (shift + scale * rng.normal(size=(draws, observations)))


def test_paired_error_by_hand():
    """Predictive sd: 1 for (0, 1, 2) and 2 for (0, 2, 4)."""
    ann = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    snn = np.array([[0.3, 1.0], [1.0, 1.0], [1.4, 4.0]])
    error = paired_error(ann, snn)
    # in sd: +0.3, 0, -0.6 and +0.5, -0.5, 0
    assert error.per_observation == pytest.approx([0.3, 1 / 3])
    assert error.mean == pytest.approx((0.3 + 0.6 + 0.5 + 0.5) / 6)
    assert error.bias == pytest.approx(0.1 / np.sqrt(2))  # means -0.1 and 0
    assert error.largest == pytest.approx(0.6)
    assert error.p95 == pytest.approx(0.5 + 0.75 * 0.1)  # at 4.75 of 0 0 .3 .5 .5 .6
    sd = [np.std([0.3, 1.0, 1.4], ddof=1), np.std([1, 1, 4], ddof=1) / 2]
    assert error.sd_ratio == pytest.approx(np.mean(sd))
    told = [error.mean, error.p95, error.largest, error.bias, error.sd_ratio]
    assert list(error.row().values()) == told


def test_identical_samples_have_no_error():
    error = paired_error(normal(0), normal(0))
    assert (error.mean, error.p95, error.bias, error.sd_ratio) == (0, 0, 0, 1)


def test_paired_error_bounds_wasserstein_from_above():
    """As the docstring says; and it is attained where the pairing keeps the order."""
    ann = normal(0)
    snn = normal(1, shift=0.2, scale=0.7)
    mean = paired_error(ann, snn).per_observation
    assert (mean >= distances(ann, snn)["wasserstein"].to_numpy() - 1e-12).all()
    shifted = ann + 0.5 * predictive_sd(ann)
    assert paired_error(ann, shifted).per_observation == pytest.approx(0.5)
    assert distances(ann, shifted)["wasserstein"].to_numpy() == pytest.approx(0.5)


def test_no_unit_and_no_origin():
    """Growth as a fraction or in percent, any offset: the same numbers."""
    ann, snn = normal(0), normal(1, shift=0.3)
    offset, unit = 7.0, -100.0  # a flip of sign too
    one = paired_error(ann, snn)
    other = paired_error(offset + unit * ann, offset + unit * snn)
    assert other.per_observation == pytest.approx(one.per_observation)
    assert other.bias == pytest.approx(one.bias)
    assert (other.mean, other.p95, other.sd_ratio) == pytest.approx(
        (one.mean, one.p95, one.sd_ratio)
    )
    expected = distances(ann, snn).to_numpy()
    assert np.allclose(distances(offset + unit * ann, offset + unit * snn), expected)


def test_distances_by_hand():
    """F and G of (0, 1) and (1, 3): F - G is 1/2 on [0, 1), 1/2 on [1, 3): areas 1.5, 0.75."""
    frame = distances(np.array([[0.0], [1.0]]), np.array([[3.0], [1.0]]), sd=np.array([1.0]))
    assert frame.columns.tolist() == list(DISTANCES)
    row = frame.iloc[0]
    assert row[["ks", "wasserstein", "energy"]].tolist() == pytest.approx(
        [0.5, 1.5, np.sqrt(2 * 0.75)]
    )
    # MMD of (0, 1) and (1, 3), kernel exp(-t^2/2): pairs at distance 1; 2; and 1, 3, 0, 2
    k = [np.exp(-(t**2) / 2) for t in range(4)]
    squared = (2 + 2 * k[1]) / 4 + (2 + 2 * k[2]) / 4 - 2 * (k[1] + k[3] + k[0] + k[2]) / 4
    assert row["mmd"] == pytest.approx(np.sqrt(squared), rel=1e-4)
    # Anderson-Darling of one sample twice is its least value
    same = distances(np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]]))
    assert row["anderson_darling"] > same["anderson_darling"][0]


@pytest.mark.parametrize("draws", [(100, 100), (100, 37)])
def test_distances_equal_integrals_of_the_empirical_distributions(draws):
    a, b = normal(0, draws[0], 5), normal(1, draws[1], 5, shift=0.4)
    frame = distances(a, b)
    sd = a.std(axis=0, ddof=1)
    for i in range(5):
        p, q = np.sort(a[:, i] / sd[i]), np.sort(b[:, i] / sd[i])
        grid = np.sort(np.r_[p, q])
        difference = np.searchsorted(p, grid, "right") / len(p)
        difference -= np.searchsorted(q, grid, "right") / len(q)
        assert frame.ks[i] == pytest.approx(np.abs(difference).max())
        steps = np.diff(grid)
        assert frame.wasserstein[i] == pytest.approx((np.abs(difference[:-1]) * steps).sum())
        assert frame.energy[i] == pytest.approx(
            np.sqrt(2 * (difference[:-1] ** 2 * steps).sum()), rel=1e-6
        )
        assert frame.ks[i] == pytest.approx(stats.ks_2samp(p, q).statistic)


def test_distances_tend_to_those_of_the_distributions():
    """Two normals a sd apart: KS 2 Phi(1/2) - 1, Wasserstein 1; 20000 draws, to 4 sd of KS."""
    n = 20000
    a = np.random.default_rng(0).normal(size=(n, 1))
    b = np.random.default_rng(1).normal(1, 1, size=(n, 1))
    row = distances(a, b, sd=np.array([1.0])).iloc[0]
    tolerance = 4 * np.sqrt(0.25 * 2 / n)
    assert row.ks == pytest.approx(2 * stats.norm.cdf(0.5) - 1, abs=tolerance)
    assert row.wasserstein == pytest.approx(1, abs=4 * np.sqrt(2 / n))
    squared = integrate.quad(lambda x: (stats.norm.cdf(x) - stats.norm.cdf(x - 1)) ** 2, -9, 9)[0]
    assert row.energy == pytest.approx(np.sqrt(2 * squared), abs=4 * np.sqrt(2 / n))


def test_distances_are_symmetric_and_zero_on_themselves():
    a, b, sd = normal(0), normal(1), np.full(30, 2.0)
    assert np.allclose(distances(a, b, sd), distances(b, a, sd))
    for same in (distances(a, a), distances(a, a[::-1])):  # the order of draws does not matter
        assert np.allclose(same.drop(columns="anderson_darling"), 0)
        assert (same["anderson_darling"] < 0).all()  # its zero is what chance gives


def test_the_same_distribution_stays_within_the_floor():
    """Shares beyond a 95 % floor, of 200 observations; binomial bounds, false-alarm rate 1e-3.

    The bounds are those of 100 observations, because the floor's quantile has an error of its own:
    its five samples share a reference, so it is at worst that of 200 distances.
    """
    floor = noise_floor(
        normal(0, observations=200), [normal(s, observations=200) for s in range(1, 6)]
    )
    assert floor.index.names == ["sample", "observation"]
    assert len(floor) == 1000
    same = distances(normal(6, observations=200), normal(7, observations=200))
    low, high = stats.binom.ppf([5e-4 / 5, 1 - 5e-4 / 5], 100, 0.05) / 100
    share = beyond_floor(same, floor)
    assert share.index.tolist() == list(DISTANCES)
    assert ((share >= low) & (share <= high)).all()
    assert (share > 0).any()


@pytest.mark.parametrize("planted", [{"shift": 0.8}, {"scale": 0.3}])
def test_a_planted_difference_is_found(planted):
    """A shift of 0.8 sd and a spread of 0.3 of the sd, by every distance."""
    reference = normal(0)
    floor = noise_floor(reference, [normal(s) for s in (1, 2, 3)])
    found = distances(reference, normal(9, **planted))
    assert (beyond_floor(found, floor) > 0.8).all()
    table = distance_table({"planted": found}, floor)
    assert table.index.tolist() == ["noise floor (ANN against ANN)", "planted"]
    for d in DISTANCES:
        assert table.loc["planted", d] == pytest.approx(found[d].mean())
        assert table.iloc[0][d] == pytest.approx(floor[d].mean())
        assert table.iloc[0][f"{d} beyond floor"] == pytest.approx(0.05, abs=0.012)
        assert table.loc["planted", f"{d} beyond floor"] > 0.8


def test_beyond_floor_by_hand():
    floor = pd.DataFrame({"ks": [0.0, 1.0], "energy": [0.0, 2.0]})
    candidate = pd.DataFrame({"ks": [0.4, 0.6, 0.5, 0.9], "energy": [0.9, 0.8, 0.7, 1.1]})
    assert beyond_floor(candidate, floor, level=0.5).to_dict() == {"ks": 0.5, "energy": 0.25}
    with pytest.raises(InputError, match=r"level=1.5; give a finite number, above 0 and below 1"):
        beyond_floor(candidate, floor, level=1.5)


def test_samples_with_one_output_axis_are_the_same():
    a, b = normal(0), normal(1)
    assert np.allclose(distances(a[:, :, None], b[:, :, None]), distances(a, b))
    assert paired_error(a[:, :, None], b).mean == paired_error(a, b).mean


def labelled(values, seed=0, scope="draw", first=0):
    return xr.DataArray(
        values[:, :, None],
        dims=("draw", "observation", "output"),
        coords={"draw": np.arange(first, first + len(values))},
        attrs={"seed": seed, "scope": scope},
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 1}, "not paired: seed is 0 for one and 1"),
        ({"scope": "row"}, "not paired: scope is 'draw'"),
        ({"first": 50}, "not paired: position 0 holds draw 0 of one and draw 50"),
    ],
)
def test_samples_that_are_not_paired_are_refused(change, says):
    assert paired_error(labelled(normal(0)), labelled(normal(0))).mean == 0
    with pytest.raises(InputError, match=says):
        paired_error(labelled(normal(0)), labelled(normal(0), **change))


def constant_at(observation):
    """0.1 has no exact mean over draws: its sd comes out as 1e-17, not 0."""
    values = normal(0)
    values[:, observation] = 0.1
    return values


def nan_at(draw, observation):
    values = normal(0)
    values[draw, observation] = np.nan
    return values


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: paired_error(normal(0), normal(0)[:50]), "ann has 100 draws and snn 50: paired"),
        (lambda: paired_error(normal(0)[:1], normal(0)[:1]), "ann: 1 draws, and at least 2"),
        (
            lambda: paired_error(normal(0), nan_at(4, 7)),
            "snn: the values hold NaN.*draw 4, observation 7",
        ),
        (lambda: paired_error(constant_at(3), normal(0)), "ann: observation 3 has the same value"),
        (lambda: predictive_sd(constant_at(5)), "samples: observation 5.*is every dropout rate 0"),
        (lambda: distances(constant_at(2), normal(0)), "a: observation 2"),
        (lambda: distances(normal(0), normal(0)[:, :9]), "30 observations and b 9"),
        (lambda: distances(normal(0), normal(0)[0]), r"b: shape \(30,\)"),
        (lambda: distances(np.zeros((4, 3, 2)), normal(0)), "one output at a time"),
        (lambda: distances(normal(0), normal(1), sd=np.zeros(30)), "positive finite"),
        (lambda: distances(normal(0), normal(1), sd=np.ones(29)), r"sd has shape \(29,\)"),
        (lambda: noise_floor(normal(0), []), "at least one independent"),
        (lambda: noise_floor(constant_at(0), [normal(1)]), "reference: observation 0"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()
