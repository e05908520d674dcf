"""Every public function that takes samples finds axes by name, and refuses what it cannot use.

The functions are listed once with arguments that work; a function that takes samples and is not in
the list fails a test. Each is then tried with the same samples in other orders of axes, under other
names, of other lengths and of other types.
"""

import inspect
import re
from dataclasses import astuple, dataclass, is_dataclass, replace
from importlib import import_module

import dask.array
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spikedrop import compare, decisions, scores
from spikedrop.checks.samples import as_samples
from spikedrop.comparison import noise_floor, power_table, verdict_rates
from spikedrop.errors import InputError
from spikedrop.plots import distributions
from spikedrop.scores import conformal
from spikedrop.study import unfamiliar
from spikedrop.study.figures import decisions as decision_plots
from spikedrop.study.figures import digits, dropout

compared = import_module("spikedrop.comparison")  # `spikedrop.comparison` is a function, too
DRAWS = OBSERVATIONS = 8  # square, so that no shape tells which axis is which
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, DRAWS, OBSERVATIONS)) + np.arange(OBSERVATIONS)
Y = RNG.normal(size=OBSERVATIONS) + np.arange(OBSERVATIONS)
P = RNG.dirichlet(np.ones(8), size=(DRAWS, OBSERVATIONS))
LABELS = RNG.integers(0, 8, size=OBSERVATIONS)
GROUPS = np.arange(OBSERVATIONS) % 3
AXES = ("draw", "observation", "output")
QUICK = {"permutations": 19}


@dataclass(frozen=True)
class Taker:
    """A call of a public function with samples, and how the samples of a test reach it."""

    call: object
    samples: tuple
    axes: tuple = AXES
    y: np.ndarray | None = None
    least: int = 1


def one(function, y=None, least=1, **settings):
    return Taker(lambda a, *y: function(a, *y, **settings), (A,), y=y, least=least)


def two(function, y=None, least=2, **settings):
    return Taker(lambda a, b, *y: function(a, b, *y, **settings), (A, B), y=y, least=least)


def classes(function, y=None, **settings):
    return Taker(lambda p, *y: function(p, *y, **settings), (P,), y=y)


TAKERS = {
    **{
        name: one(getattr(scores, name), Y)
        for name in ("crps", "crps_values", "fit_noise_sd", "kendall_tau", "pit", "r2", "rmse")
    },
    **{
        name: one(getattr(scores, name), Y, least=2)
        for name in (
            "calibration_curve",
            "calibration_error",
            "coverage",
            "error_correlation",
            "gaussian_log_densities",
            "gaussian_log_likelihood",
            "risk_coverage",
            "risk_coverage_area",
        )
    },
    **{
        name: one(getattr(scores, name), Y, noise_sd=0.3)
        for name in ("fit_noise_factor", "log_densities", "log_likelihood")
    },
    **{
        name: one(getattr(scores, name), least=2)
        for name in ("central_interval", "predictive_moments", "sharpness", "width")
    },
    **{
        name: classes(getattr(scores, name), LABELS)
        for name in (
            "accuracy_of_kept",
            "brier_score",
            "class_accuracy",
            "class_log_likelihood",
            "expected_calibration_error",
            "reliability",
        )
    },
    **{
        name: classes(getattr(scores, name))
        for name in ("expected_entropy", "mutual_information", "predictive_entropy")
    },
    "refusal_table": one(scores.refusal_table, Y, least=2, seed=0, resamples=5),
    "uncertainties": Taker(lambda p: scores.uncertainties({"ANN": p}), (P,)),
    "ranking_agreement": two(scores.ranking_agreement, by="sd"),
    "method_table": Taker(
        lambda a, y: scores.method_table({"ANN": (a, 0.3)}, y), (A,), y=Y, least=2
    ),
    "mean_and_noise": Taker(scores.mean_and_noise, (P[..., :2],)),
    "score_table": two(scores.score_table, Y, noise_sd=0.3, seed=0, resamples=5),
    "certificate": two(compared.certificate),
    "classifier_test": two(compared.classifier_test, seed=0, least=4),
    "compare": two(compare, paired=False, **QUICK),
    "compare, paired": two(compare, paired=True),
    "compare with y": Taker(
        lambda a, b, y: compare(a, b, y=y, paired=False, **QUICK), (A, B), y=Y, least=2
    ),
    "crps_equivalence": two(compared.crps_equivalence, Y),
    "distances": two(compared.distances),
    "exchanged_floor": two(compared.exchanged_floor, seed=0, repeats=1),
    "global_test": two(compared.global_test, seed=0, permutations=19),
    "kernel_equivalence": two(compared.kernel_equivalence),
    "mean_error": two(compared.mean_error),
    "moment_equivalence": two(compared.moment_equivalence),
    "noise_floor": Taker(lambda a, b: noise_floor(a, [b]), (A, B), least=2),
    "paired_error": two(compared.paired_error),
    "pointwise_p_values": two(compared.pointwise_p_values),
    "power_table": Taker(
        lambda a: power_table(a, draws=[2], shifts=[1], repeats=1, seed=0, **QUICK), (A,), least=4
    ),
    "predictive_sd": one(compared.predictive_sd, least=2),
    "rare_draws": two(compared.rare_draws),
    "verdict_rates": Taker(
        lambda a, b: verdict_rates(a, b, draws=4, repeats=1, seed=0, **QUICK), (A, B), least=4
    ),
    "conformal_interval": Taker(
        lambda a, b, y: conformal.conformal_interval(a, y, b, level=0.5), (A, B), y=Y, least=2
    ),
    "divided_coverage": one(
        conformal.divided_coverage, Y, least=2, held_out=4, divisions=2, seed=0, level=0.5
    ),
    "group_means": one(decisions.group_means, GROUPS),
    "greedy_choice": one(decisions.greedy_choice, batch=3),
    "optimistic_choice": one(decisions.optimistic_choice, batch=3),
    "thompson_choice": one(decisions.thompson_choice, batch=3, seed=0),
    "diverse_choice": one(decisions.diverse_choice, least=3, batch=3, seed=0),
    "choose": Taker(lambda a: decisions.choose("greedy", a, 3, seed=0), (A,)),
    "agreement_table": Taker(
        lambda a, b: decisions.agreement_table(a, {"SNN": [b]}, 3, seed=0, repeats=2),
        (A, B),
        least=3,
    ),
    "unfamiliarity_auc": two(unfamiliar.unfamiliarity_auc),
    "draw_by_draw": two(distributions.draw_by_draw, least=1),
    "densities": Taker(lambda a: distributions.densities({"ANN": a}, [1, 2]), (A,)),
    "choice_map": Taker(
        lambda a: decision_plots.choice_map(a, {"greedy": np.array([1])}), (A,), least=2
    ),
    "spread_of_unfamiliar": two(decision_plots.spread_of_unfamiliar),
    "accuracy_kept": Taker(lambda p, y: digits.accuracy_kept({"ANN": p}, y), (P,), y=LABELS),
    "reliability_curves": Taker(
        lambda p, y: digits.reliability_curves({"ANN": p}, y), (P,), y=LABELS
    ),
    "digits_and_draws": Taker(
        lambda p: digits.digits_and_draws(np.zeros((8, 2, 2)), {"ANN": p}, ["0", "1"]), (P,)
    ),
    "draws_as_functions": Taker(lambda a: dropout.draws_as_functions(np.arange(8.0), a), (A,)),
}
MODULES = (
    scores,
    compared,
    conformal,
    decisions,
    unfamiliar,
    decision_plots,
    digits,
    distributions,
    dropout,
)
RARE = {  # samples that are the public function's own affair, or that another listed one takes
    "unfamiliar_row",
}


def labelled(values, axes=AXES):
    return xr.DataArray(
        values,
        dims=axes[: values.ndim],
        coords={
            axis: np.arange(size) + 10 for axis, size in zip(axes[:2], values.shape, strict=False)
        },
    )


def seen(result):
    """Return what a function gave, as plain numbers and words."""
    if isinstance(result, compared.Comparison):
        return [result.verdict, seen(result.table())]
    if isinstance(result, plt.Axes | plt.Figure):
        return drawn(result if isinstance(result, plt.Figure) else result.figure)
    if isinstance(result, pd.DataFrame | pd.Series):
        return [list(result.index), seen(result.to_numpy().tolist())]
    if isinstance(result, np.ndarray):
        return seen(result.tolist())
    if is_dataclass(result):
        return seen(astuple(result))
    if isinstance(result, list | tuple):
        return [seen(part) for part in result]
    if isinstance(result, dict):
        return {name: seen(part) for name, part in result.items()}
    return "nan" if isinstance(result, float) and np.isnan(result) else result


def drawn(figure):
    """Return the numbers that a figure shows."""
    parts = []
    for ax in figure.axes:
        parts += [line.get_xydata() for line in ax.lines]
        parts += [patch.get_path().vertices for patch in ax.patches]
        for marks in ax.collections:
            parts += [marks.get_offsets(), *(path.vertices for path in marks.get_paths())]
    return [np.asarray(part).tolist() for part in parts]


def run(taker, samples, *y):
    given = y or (() if taker.y is None else (taker.y,))
    try:
        return seen(taker.call(*samples, *given))
    finally:
        plt.close("all")


@pytest.fixture(params=TAKERS)
def taker(request):
    return TAKERS[request.param]


def test_every_public_function_that_takes_samples_is_listed():
    names = set()
    for module in MODULES:
        for name, value in vars(module).items():
            own = getattr(value, "__module__", "").startswith(module.__name__)
            if inspect.isfunction(value) and own and not name.startswith("_"):
                for parameter in inspect.signature(value).parameters.values():
                    if re.search("SamplesLike|DataArray", str(parameter.annotation)):
                        names.add(name)
    assert len(names) > 50
    assert names - RARE <= set(TAKERS)


def test_axes_are_found_by_their_names(taker):
    rng = np.random.default_rng(1)
    expected = run(taker, taker.samples)
    assert run(taker, [labelled(values) for values in taker.samples]) == expected
    turned = [labelled(values) for values in taker.samples]
    turned = [values.transpose(*rng.permutation(values.dims)) for values in turned]
    assert run(taker, turned) == expected
    flipped = [labelled(values).transpose(..., "draw") for values in taker.samples]
    assert run(taker, flipped) == expected
    lazy = [values.chunk({"observation": 3}) for values in flipped]
    assert run(taker, lazy) == expected
    bare = [dask.array.from_array(values, chunks=5) for values in taker.samples]
    assert run(taker, bare) == expected


def test_unknown_and_missing_names_are_refused(taker):
    for wrong in ("sample", "dim_0", "time"):
        for place in range(2):
            samples = list(taker.samples)
            axes = [*AXES[:place], wrong, *AXES[place + 1 :]]
            samples[0] = labelled(samples[0], tuple(axes))
            with pytest.raises(InputError, match=f"axes.*{wrong}.*expected draw, observation"):
                run(taker, samples)


def wrong_types(values):
    masked = np.ma.masked_array(values, mask=False)
    masked[0, 0] = np.ma.masked
    spoiled = values.copy()
    spoiled[1, 1] = np.nan
    return {
        "words": values.astype(str),
        "objects": values.astype(object),
        "complex": values + 0j,
        "dates": values.astype("datetime64[s]"),
        "masked": masked,
        "NaN": spoiled,
        "frame": pd.DataFrame(values[:, :, 0] if values.ndim == 3 else values),
        "nothing": None,
        "a word": "samples",
        "ragged": [[1.0, 2.0], [3.0]],
        "empty": values[:0],
        "no observation": values[:, :0],
        "one axis": values[0, 0] if values.ndim == 3 else values[0],
        "too many axes": values[None, None],
    }


def test_what_is_not_samples_is_refused(taker):
    for place in range(len(taker.samples)):
        for name, wrong in wrong_types(taker.samples[place]).items():
            if wrong is None and taker is TAKERS["verdict_rates"] and place:
                continue  # then both samples are taken from the first
            samples = list(taker.samples)
            samples[place] = wrong
            with pytest.raises(InputError):
                run(taker, samples)
                pytest.fail(f"{name} was taken")


def test_too_few_draws_are_refused(taker):
    for draws in range(1, taker.least):
        with pytest.raises(InputError):
            run(taker, [values[:draws] for values in taker.samples])


PAIRS = [name for name, taker in TAKERS.items() if len(taker.samples) == 2]
OTHERS = ("conformal_interval", "unfamiliarity_auc", "spread_of_unfamiliar")


@pytest.mark.parametrize("name", [name for name in PAIRS if name not in OTHERS])
def test_two_samples_are_of_the_same_observations(name):
    """In another order they are put into the same; other labels and lengths are refused."""
    taker = TAKERS[name]
    a, b = map(labelled, taker.samples)
    order = np.random.default_rng(2).permutation(OBSERVATIONS)
    assert run(taker, (a, b[:, order])) == run(taker, taker.samples)
    with pytest.raises(InputError, match=r"other labels.*bare values"):
        run(taker, (a, b.assign_coords(observation=b["observation"] + 1)))
    with pytest.raises(InputError):
        run(taker, (a, b[:, 1:]))


@pytest.mark.parametrize("name", [name for name, taker in TAKERS.items() if taker.y is not None])
def test_what_was_observed_is_matched_by_its_labels(name):
    taker = TAKERS[name]
    expected = run(taker, taker.samples)
    samples = [labelled(values) for values in taker.samples]
    order = np.random.default_rng(3).permutation(OBSERVATIONS)
    y = xr.DataArray(taker.y, dims="observation", coords={"observation": np.arange(8) + 10})
    series = pd.Series(taker.y, index=pd.RangeIndex(10, 18))
    for told in (y, y[order], series, series.rename_axis("observation").iloc[order]):
        assert run(taker, samples, told) == expected
    other = y.rename(observation="row")
    for refused in (series.iloc[order], series.reset_index(drop=True), other):
        with pytest.raises(InputError, match=r"y|labels|truth|groups"):
            run(taker, samples, refused)
    assert run(taker, taker.samples, list(taker.y)) == expected  # nothing to match


def test_what_was_observed_has_one_axis_and_as_many_numbers():
    """(n, 1) against (draw, n) would broadcast to n x n."""
    for name, taker in TAKERS.items():
        if taker.y is None:
            continue
        y = taker.y
        two_axes = {"compare with y", "crps_equivalence"}  # axes (observation, output)
        wrong = [y[None], y[1:], np.append(y, y), y[0], y[:0], y.astype(str), y + 0j, None]
        wrong += [y.astype(object), np.ma.masked_array(y, mask=y == y[2])]
        if name != "compare with y":  # without y it asks for less
            wrong.append(None)
        wrong = [bad for bad in wrong if bad is not None]
        wrong += [] if name in two_axes else [y[:, None]]
        for bad in wrong:
            with pytest.raises(InputError):
                run(taker, taker.samples, bad)
                pytest.fail(f"{name} took y of shape {np.shape(bad)}")
        if y.dtype.kind == "f":
            with pytest.raises(InputError):
                run(taker, taker.samples, np.where(y == y[3], np.nan, y))


WITH_NOISE = [
    scores.crps,
    scores.crps_values,
    scores.pit,
    scores.log_likelihood,
    scores.log_densities,
    scores.gaussian_log_likelihood,
    scores.coverage,
    scores.calibration_error,
    scores.risk_coverage,
]


@pytest.mark.parametrize("score", WITH_NOISE, ids=lambda f: f.__name__)
def test_noise_never_broadcasts(score):
    """One number, (observation,) or (draw, observation), by name where it has names."""
    noise = 0.2 + RNG.random(A.shape)
    expected = seen(score(A, Y, noise))
    assert seen(score(labelled(A), Y, labelled(noise).T)) == expected
    assert seen(score(A, Y, noise[:, :, None])) == expected
    each = xr.DataArray(noise[0], dims="observation", coords={"observation": np.arange(8) + 10})
    order = np.random.default_rng(4).permutation(OBSERVATIONS)
    assert seen(score(labelled(A), Y, each[order])) == seen(score(A, Y, noise[0]))
    for bad in (noise[:, :1], noise[:1], noise[:3], noise[0, :3], noise[0, :1], "0.1", None):
        with pytest.raises(InputError, match="noise_sd"):
            score(A, Y, bad)
    for bad in (np.where(noise == noise[2, 3], -1, noise), np.where(noise > 0.5, np.nan, noise)):
        with pytest.raises(InputError, match="noise_sd"):
            score(A, Y, bad)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "uint64", "bool"])
def test_all_types_of_numbers_are_scored_in_float64(taker, dtype):
    """As the same numbers in float64: a mean in float16 overflows at 65,504, in int8 at 127."""
    samples = taker.samples
    if samples[0] is P:
        if dtype in ("int8", "uint64", "bool"):
            samples = [np.eye(8)[P.argmax(axis=-1)]]
    elif dtype == "float16":
        samples = [values * 6000 for values in samples]
    elif dtype not in ("float32", "bool"):
        samples = [np.round(40 + 8 * values) for values in samples]
    if dtype == "bool" and taker.samples[0] is not P:
        samples = [values > values.mean(axis=0) for values in samples]
    samples = [np.asarray(values).astype(dtype) for values in samples]
    exact = [values.astype(np.float64) for values in samples]
    try:
        expected = run(taker, exact)
    except InputError as refusal:
        with pytest.raises(InputError) as error:
            run(taker, samples)
        assert str(error.value) == str(refusal)
    else:
        assert run(taker, samples) == expected


def test_paired_samples_have_the_same_draws_in_the_same_order():
    a, b = (labelled(values).assign_attrs(seed=0, scope="row") for values in (A, B))
    assert compare(a, b).paired
    swapped = b[[1, 0, *range(2, DRAWS)]]
    with pytest.raises(InputError, match="position 0 holds draw 10 of one and draw 11"):
        compared.paired_error(a, swapped)
    with pytest.raises(InputError, match="not paired"):
        compare(a, swapped, paired=True)
    assert not compare(a, swapped, **QUICK).paired


def test_samples_are_taken_once():
    taken = as_samples(A)
    assert as_samples(taken) is taken
    assert replace(taken).all().tolist() == A.tolist()
