"""The scikit-learn interface: scikit-learn's own checks, units, pairing, MAPIE."""

import pickle

import numpy as np
import pandas as pd
import pytest
from mapie.classification import SplitConformalClassifier
from mapie.regression import SplitConformalRegressor
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, make_blobs, make_friedman1
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.estimator_checks import parametrize_with_checks

from spikedrop import (
    InputError,
    SpikingDropoutClassifier,
    SpikingDropoutRegressor,
    estimators,
    sample_ann,
)
from spikedrop.scores import interval_coverage
from spikedrop.scores.conformal import coverage_limits

SMALL = {"hidden": (8,), "epochs": 40, "learning_rate": 0.03, "draws": 8, "steps": 40}
X, Y = make_friedman1(300, n_features=6, noise=0.5, random_state=0)
CLASSES, LABELS = make_blobs(120, centers=3, n_features=4, random_state=0)


@pytest.fixture(scope="module")
def deep():
    return SpikingDropoutRegressor((32, 32), epochs=40, learning_rate=0.01, draws=20).fit(X, Y)


@pytest.fixture(scope="module")
def classifier():
    return SpikingDropoutClassifier(**SMALL).fit(CLASSES, np.array(["c", "a", "b"])[LABELS])


@parametrize_with_checks([SpikingDropoutRegressor(**SMALL), SpikingDropoutClassifier(**SMALL)])
def test_scikit_learns_own_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # without it one check is skipped
    check(estimator)


def test_same_random_state_same_bits(deep):
    again = clone(deep).fit(X, Y)
    assert (again.predict(X) == deep.predict(X)).all()
    assert (again.sample(X[:9]) == deep.sample(X[:9])).all()
    small = SpikingDropoutRegressor(**SMALL)
    drawn = [small.set_params(random_state=s).fit(X, Y).predict(X[:9]) for s in (0, 1)]
    assert (drawn[0] != drawn[1]).all()
    generator = np.random.RandomState(3)
    handed = [small.set_params(random_state=generator).fit(X, Y).predict(X[:9]) for _ in range(2)]
    assert (handed[0] != handed[1]).any()  # the generator has moved on
    small.set_params(random_state=np.random.RandomState(3)).fit(X, Y)
    assert (small.predict(X[:9]) == handed[0]).all()


def test_predictions_are_moments_of_the_draws(deep, classifier, monkeypatch):
    """And they do not depend on how many rows are worked on at a time."""
    mean, std = deep.predict(X, return_std=True)
    samples = deep.sample(X)
    assert samples.dims == ("draw", "observation", "output") and samples.shape == (20, 300, 1)
    assert mean == pytest.approx(samples.mean("draw").to_numpy()[:, 0], rel=1e-9)
    assert std == pytest.approx(samples.std("draw", ddof=1).to_numpy()[:, 0], rel=1e-6)
    p = classifier.predict_proba(CLASSES)
    samples = classifier.sample(CLASSES)
    assert samples.output.to_numpy().tolist() == ["a", "b", "c"]
    assert samples.sum("output").to_numpy() == pytest.approx(np.ones((8, 120)), abs=1e-5)
    assert p == pytest.approx(samples.mean("draw").to_numpy(), abs=1e-6)
    assert (classifier.predict(CLASSES) == samples.mean("draw").idxmax("output").to_numpy()).all()
    monkeypatch.setattr(estimators, "BLOCK", 7)
    assert (deep.predict(X) == mean).all()
    assert (classifier.predict_proba(CLASSES) == p).all()


def test_draws_are_functions_and_can_be_many(deep):
    """More draws begin with the same ones; rows keep their values in any order and company."""
    samples = deep.sample(X[:50], draws=30)
    assert (samples[:20].to_numpy() == deep.sample(X[:50]).to_numpy()).all()
    order = np.random.default_rng(0).permutation(300)
    assert (deep.predict(X[order]) == deep.predict(X)[order]).all()
    assert (deep.predict(X[17:18]) == deep.predict(X)[17:18]).all()


def test_without_dropout_there_is_no_spread():
    model = SpikingDropoutRegressor(**SMALL | {"dropout": 0.0}).fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    assert std.max() < 1e-12 * Y.std() < mean.std()


def test_spread_grows_with_dropout():
    few, some, many = (
        SpikingDropoutRegressor(**SMALL | {"hidden": (32,), "dropout": p, "draws": 50})
        .fit(X, Y)
        .predict(X, return_std=True)[1]
        .mean()
        for p in (0.01, 0.1, 0.4)
    )
    assert 0 < few < some / 2 and some < many / 1.2


def test_spiking_draws_are_those_of_the_classical_network(deep):
    """Same masks: within 5 % of the predictive sd at 200 steps, four times nearer at 1600.

    Eight times the steps are an eighth of the distance in the limit; half of that is asked for.
    """
    inside = deep.x_scaler_.transform(X)
    ann = sample_ann(deep.network_, inside, draws=20, seed=deep.seed_).to_numpy()
    ann = deep.y_scaler_.inverse_transform(ann[..., 0])
    apart = []
    for steps in (200, 1600):
        longer = pickle.loads(pickle.dumps(deep)).set_params(steps=steps)
        snn = longer.sample(X).to_numpy()[..., 0]
        apart.append(np.abs(snn - ann).mean() / ann.std(axis=0).mean())
    assert 0 < apart[0] < 0.05
    assert apart[1] < apart[0] / 4


def test_units_do_not_matter(deep):
    """Rescaled and shifted X and y: the same predictions, rescaled and shifted, up to rounding.

    X far from zero too, where float32 alone would lose it.
    """
    other = clone(deep).fit(1e-4 * X + 1e3, 1e5 * Y - 1e6)
    mean, std = deep.predict(X, return_std=True)
    other_mean, other_std = other.predict(1e-4 * X + 1e3, return_std=True)
    assert np.abs((other_mean + 1e6) / 1e5 - mean).max() < 0.02 * Y.std()
    assert other_std.mean() / 1e5 == pytest.approx(std.mean(), rel=0.02)


def test_several_targets():
    both = np.column_stack([Y, -100 * Y])
    model = SpikingDropoutRegressor(**SMALL | {"hidden": (16,)}).fit(X, both)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == (300, 2) and model.sample(X).shape == (8, 300, 2)
    assert np.corrcoef(mean.T)[0, 1] < -0.95
    assert 80 < std[:, 1].mean() / std[:, 0].mean() < 125
    assert model.score(X, both) > 0.6


def test_real_tables():
    """Five folds of diabetes, R2 above 0.35 (a linear model has 0.49); digits, above 95 %."""
    folds = KFold(5, shuffle=True, random_state=0)
    model = SpikingDropoutRegressor((50, 50), draws=30, steps=100)
    assert cross_val_score(model, *load_diabetes(return_X_y=True), cv=folds).mean() > 0.35
    a, b, c, d = train_test_split(*load_digits(return_X_y=True), random_state=0)
    model = SpikingDropoutClassifier((64, 64), draws=30, steps=100, epochs=30).fit(a, c)
    assert model.score(b, d) > 0.95
    top, wrong = model.predict_proba(b).max(axis=1), model.predict(b) != d
    assert top[wrong].mean() < top[~wrong].mean() - 0.1


def test_pipelines_and_searches():
    pipeline = make_pipeline(PolynomialFeatures(2), SpikingDropoutRegressor(**SMALL))
    assert pipeline.fit(X, Y).predict(X, return_std=True)[1].shape == (300,)
    search = GridSearchCV(
        SpikingDropoutRegressor(**SMALL), {"hidden": [(1,), (16,)], "dropout": [0.05, 0.8]}, cv=2
    ).fit(X, Y)
    assert search.best_params_ == {"hidden": (16,), "dropout": 0.05}
    assert search.best_estimator_.network_.dropout_rates == {"hidden_1": 0.05}
    scores = cross_val_score(SpikingDropoutClassifier(**SMALL), CLASSES, LABELS, cv=3)
    assert scores.min() > 0.8


def test_a_pickle_holds_numpy_alone(deep, classifier):
    for model, x in ((deep, X), (classifier, CLASSES)):
        packed = pickle.dumps(model)
        assert b"keras" not in packed and b"tensorflow" not in packed
        assert (pickle.loads(packed).predict(x) == model.predict(x)).all()


def test_mapie_intervals_cover():
    """Split-conformal intervals on the regressor, fitted by MAPIE: 90 % of new rows.

    Within the beta-binomial limits of chance at a confidence of 0.999: the false-alarm rate is
    1e-3, and the seed is fixed. The draws alone cover far less.
    """
    x, y = make_friedman1(1100, n_features=6, noise=2.0, random_state=1)
    model = SpikingDropoutRegressor(**SMALL)
    conformal = SplitConformalRegressor(model, confidence_level=0.9, prefit=False)
    conformal.fit(x[:200], y[:200]).conformalize(x[200:600], y[200:600])
    mean, interval = conformal.predict_interval(x[600:])
    low, high = coverage_limits(500, held_out=400, confidence=0.999)
    assert low <= interval_coverage(interval[:, 0, 0], interval[:, 1, 0], y[600:]) <= high
    std = model.fit(x[:200], y[:200]).predict(x[600:], return_std=True)[1]
    assert interval_coverage(mean - 1.645 * std, mean + 1.645 * std, y[600:]) < low


def test_mapie_sets_of_labels_cover():
    x, labels = make_blobs(1000, centers=3, n_features=2, cluster_std=3.0, random_state=0)
    conformal = SplitConformalClassifier(
        SpikingDropoutClassifier(**SMALL), confidence_level=0.9, prefit=False
    )
    conformal.fit(x[:200], labels[:200]).conformalize(x[200:600], labels[200:600])
    _, sets = conformal.predict_set(x[600:])
    low, high = coverage_limits(400, held_out=400, confidence=0.999)
    assert low <= sets[np.arange(400), labels[600:], 0].mean() <= high


def test_the_readout_changes_how_spikes_are_read_and_not_the_network():
    mean, parabola = (
        SpikingDropoutRegressor(**SMALL, readout=readout).fit(X, Y)
        for readout in ("mean", "parabola")
    )
    assert parabola.conversion_.readout == "parabola"
    assert parabola.conversion_.scales_hz == mean.conversion_.scales_hz
    assert (parabola.predict(X) != mean.predict(X)).any()


def test_names_of_columns_are_kept_and_checked():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = SpikingDropoutRegressor(**SMALL).fit(frame, pd.Series(Y))
    assert model.feature_names_in_.tolist() == list("abcdef") and model.n_features_in_ == 6
    assert (model.predict(frame) == SpikingDropoutRegressor(**SMALL).fit(X, Y).predict(X)).all()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("fedcba")])


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"hidden": ()}, r"hidden=\(\)"),
        ({"hidden": 8}, "hidden=8"),
        ({"hidden": (8, 0)}, r"hidden\[1\]=0; give a whole number"),
        ({"hidden": (8.5,)}, r"hidden\[0\]=8.5; give a whole number"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"learning_rate": 1e30}, "diverged"),
        ({"weight_decay": -1}, "weight_decay=-1"),
        ({"draws": 1}, "draws=1"),
        ({"steps": 0}, "steps=0"),
        ({"rate_hz": 0}, "rate_hz=0"),
        ({"readout": "median"}, "readout='median'; use 'mean', 'parabola'"),
    ],
)
def test_bad_parameters_are_named(parameters, says):
    with pytest.raises(InputError, match=says):
        SpikingDropoutRegressor(**SMALL | parameters).fit(X, Y)


def test_bad_rows_are_named():
    model = SpikingDropoutRegressor(**SMALL)
    with pytest.raises(InputError, match="all rows alike"):
        model.fit(np.ones((5, 2)), np.arange(5.0))
    with pytest.raises(InputError, match="one class"):
        SpikingDropoutClassifier(**SMALL).fit(X, np.zeros(300))
    with pytest.raises(NotFittedError):
        model.sample(X)
    with pytest.raises(InputError, match="draws=0"):
        model.fit(X, Y).sample(X, draws=0)
