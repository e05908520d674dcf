"""Values that belong together are matched by their labels, or refused: never by position alone."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spikedrop.comparison import compare, verdict_rates
from spikedrop.comparison.draws import fewest_draws
from spikedrop.decisions import diverse_choice, regret, thompson_choice
from spikedrop.errors import InputError
from spikedrop.scores import interval_coverage, interval_score, point_table
from spikedrop.scores.conformal import conformal_interval, divided_coverage
from spikedrop.study.cost import scale_table
from spikedrop.training.keras import build_model, load_or_train

RNG = np.random.default_rng(0)
ROWS = 40
NAMES = [f"r{i}" for i in range(ROWS)]
Y = xr.DataArray(RNG.normal(size=ROWS), dims="observation", coords={"observation": NAMES})
SAMPLES = RNG.normal(size=(20, ROWS)) + Y.to_numpy()
TURNED = RNG.permutation(ROWS)


@pytest.mark.parametrize("score", [interval_coverage, lambda *a: interval_score(*a, level=0.9)])
@pytest.mark.parametrize("which", [1, 2])
def test_intervals_and_observations_are_matched(score, which):
    parts = [Y - 1, Y + 1, Y + RNG.normal(size=ROWS)]
    expected = score(*parts)
    parts[which] = parts[which][TURNED]
    assert score(*parts) == expected
    parts[which] = parts[which].assign_coords(observation=[*NAMES[1:], "other"])
    with pytest.raises(InputError, match="other labels"):
        score(*parts)


def test_predictions_are_matched_to_observations():
    values = Y + RNG.normal(size=ROWS)
    found = point_table({"model": values[TURNED]}, Y)
    pd.testing.assert_frame_equal(found, point_table({"model": values}, Y))


def test_groups_are_matched_to_their_rows():
    groups = xr.DataArray(np.repeat(np.arange(20), 2), Y.coords)
    held = xr.DataArray(SAMPLES, dims=("draw", "observation"), coords=Y.coords)
    ends = [
        conformal_interval(held, Y, held, level=0.5, groups=g) for g in (groups, groups[TURNED])
    ]
    assert np.array_equal(*ends)
    how = {"held_out": 15, "divisions": 3, "seed": 0, "level": 0.5}
    shares = [divided_coverage(held, Y, groups=g, **how) for g in (groups, groups[TURNED])]
    assert np.array_equal(*shares)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: compare(SAMPLES, SAMPLES + 1, level="x"), "level='x'"),
        (lambda: fewest_draws(0), "level=0"),
        (lambda: verdict_rates(SAMPLES, draws=1, repeats=1, seed=0), "draws=1"),
        (lambda: verdict_rates(SAMPLES, draws=15, repeats=1, seed=0), "pools hold 20 draws"),
        (lambda: thompson_choice(SAMPLES, 2, -1), "seed=-1"),
        (lambda: diverse_choice(SAMPLES, 2, -1), "seed=-1"),
        (lambda: regret(Y, [0.0, 3.0]), "whole numbers"),
        (lambda: scale_table(1e3, predictions=[1e6], workers=[0.5], price_per_hour=1.0), "workers"),
        (lambda: compare(SAMPLES, SAMPLES, y=Y, noise_sd=[[1.0], [1.0, 2.0]]), "noise_sd"),
        (lambda: compare(SAMPLES, SAMPLES, margin=[[1.0], [1.0, 2.0]]), "margin"),
    ],
)
def test_what_cannot_be_used_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_a_model_that_cannot_be_kept_is_said_before_it_is_fitted(tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(InputError, match="nothing can be written there"):
        load_or_train(tmp_path / "a file" / "m.keras", lambda: pytest.fail("fitted"))
    (tmp_path / ".m.keras.lock").mkdir()
    with pytest.raises(InputError, match="nothing can be written there"):
        load_or_train(tmp_path / "m.keras", lambda: build_model(2, hidden=(2,), seed=0))
