"""Entropies and mutual information of class probabilities: by hand, and against SciPy."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

from spikedrop.errors import InputError
from spikedrop.scores import brier_score, expected_entropy, mutual_information, predictive_entropy

MEASURES = (predictive_entropy, expected_entropy, mutual_information)


def some_draws(seed=0, draws=7, observations=5, classes=4):
    """Random probabilities, one class of one observation impossible in every draw."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.5), size=(draws, observations))
    p[:, 0, 0] = 0
    return p / p.sum(axis=-1, keepdims=True)


def test_four_cases_by_hand():
    """Sure, torn, contradicting, and three quarters to one, two draws each."""
    sure, torn = [[1, 0], [1, 0]], [[0.5, 0.5], [0.5, 0.5]]
    contradicting, mixed = [[1, 0], [0, 1]], [[1, 0], [0.5, 0.5]]
    p = np.array([sure, torn, contradicting, mixed], float).swapaxes(0, 1)
    log2, quarter = np.log(2), 2 * np.log(2) - 0.75 * np.log(3)  # of (3/4, 1/4)
    assert predictive_entropy(p) == pytest.approx([0, log2, log2, quarter])
    assert expected_entropy(p) == pytest.approx([0, log2, 0, log2 / 2])
    assert mutual_information(p) == pytest.approx([0, 0, log2, quarter - log2 / 2])


def test_entropies_are_those_of_scipy():
    p = some_draws()
    assert predictive_entropy(p) == pytest.approx(stats.entropy(p.mean(axis=0), axis=-1))
    assert expected_entropy(p) == pytest.approx(stats.entropy(p, axis=-1).mean(axis=0))


def test_information_is_the_mean_divergence_of_a_draw_from_the_mean():
    """Mutual information is also mean KL(draw || mean of the draws): another formula, by SciPy."""
    p = some_draws(1)
    divergence = stats.entropy(p, p.mean(axis=0, keepdims=True), axis=-1).mean(axis=0)
    assert mutual_information(p) == pytest.approx(divergence)


def test_information_is_that_of_the_table_of_draws_and_classes():
    """By scikit-learn, from counts: each draw equally likely, then its class."""
    counts = np.array([[3, 1, 0], [1, 1, 2], [0, 4, 0]])
    expected = mutual_info_score(None, None, contingency=counts)
    assert mutual_information(counts[:, None, :] / 4)[0] == pytest.approx(expected)


def test_bounds():
    """0 <= information <= entropy <= log K, and information <= log S."""
    p = some_draws(2, draws=3, observations=300, classes=10)
    information, entropy = mutual_information(p), predictive_entropy(p)
    assert (information >= 0).all() and (information <= entropy).all()
    assert entropy.max() <= np.log(10) and information.max() <= np.log(3)
    uniform = np.full((2, 1, 10), 0.1)
    assert predictive_entropy(uniform) == pytest.approx(np.log(10))
    apart = np.eye(10)[:4, None, :]  # four draws, each sure of another class
    assert mutual_information(apart) == pytest.approx(np.log(4))


def test_order_of_draws_and_names_of_classes_do_not_matter():
    p = some_draws(3)
    for measure in MEASURES:
        assert measure(p[::-1]) == pytest.approx(measure(p))
        assert measure(p[:, :, [2, 0, 3, 1]]) == pytest.approx(measure(p))
        assert measure(np.concatenate([p, p])) == pytest.approx(measure(p))


def test_draws_that_agree_carry_exactly_no_information():
    """A plain subtraction leaves 1e-16, which would rank such observations."""
    p = np.repeat(some_draws(4, draws=1, observations=200, classes=10), 3, axis=0)
    assert (mutual_information(p) == 0).all()
    assert (mutual_information(p[:1]) == 0).all()


def test_float32_of_a_softmax_is_taken():
    logits = np.random.default_rng(5).normal(0, 5, size=(20, 50, 10)).astype("float32")
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    assert p.dtype == np.float32
    assert predictive_entropy(p) == pytest.approx(stats.entropy(p.mean(axis=0), axis=-1), rel=1e-4)


def test_few_draws_give_too_little_information():
    """The bias is as stated: sum of var(p_k) / (2 S mean p_k); 4,000 sets of S = 20 draws.

    The mean over the sets has a standard error below 1 % of the bias, the next term of the
    expansion is a few per cent of it.
    """
    rng, weights, draws = np.random.default_rng(6), np.array([4.0, 3.0, 3.0]), 20
    p = rng.dirichlet(weights, size=(draws, 200_000))
    many = p.reshape(-1, 1, 3)
    mean, var = many.mean(axis=0)[0], many.var(axis=0)[0]
    bias = float(mutual_information(many)[0] - mutual_information(p).mean())
    assert bias == pytest.approx(float((var / (2 * draws * mean)).sum()), rel=0.08)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("p", "words"),
    [
        (np.full((3, 2), 0.5), r"shape \(3, 2\).*\(draw, observation, class\)"),
        (np.full((3, 2, 1), 1.0), r"\(3, 2, 1\).*sigmoid"),
        (np.full((0, 2, 2), 0.5), "shape"),
        (np.array([[[0.5, 0.5]], [[0.7, 0.5]]]), "draw 1, observation 0 sum to 1.2"),
        (np.array([[[0.5, 0.5], [1.5, -0.5]]]), "-0.5 in draw 0, observation 1, class 1"),
        (np.array([[[np.nan, 0.5]]]), "hold NaN or infinity, the first in draw 0, observation 0"),
    ],
)
def test_what_is_no_probability_is_refused(measure, p, words):
    with pytest.raises(InputError, match=words):
        measure(p)


def softmax16(draws=30, observations=40, classes=10, dtype=np.float16):
    """Softmax outputs rounded to a short type."""
    logits = 3 * np.random.default_rng(0).normal(size=(draws, observations, classes))
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (p / p.sum(axis=-1, keepdims=True)).astype(dtype)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_softmax_in_half_precision_is_divided_by_its_sum(kind):
    """As float16, and as float32 that holds only half precision; other sums are refused."""
    short = softmax16()
    if kind == "bfloat16":  # the upper half of a float32, rounded
        bits = softmax16(dtype=np.float32).view(np.uint32)
        short = ((bits + 0x8000) & 0xFFFF0000).view(np.float32)
    total = short.astype(np.float64).sum(axis=-1, keepdims=True)
    assert np.abs(total - 1).max() > 1e-4  # else nothing is tried
    exact = np.where(np.abs(total - 1) > 1e-4, short / total, short.astype(np.float64))
    labels = np.random.default_rng(1).integers(0, 10, 40)
    for values in (short, short.astype(np.float32), short.astype(np.float64)):
        for score in (predictive_entropy, expected_entropy, mutual_information):
            assert score(values) == pytest.approx(score(exact), rel=1e-12, abs=1e-15)
        assert brier_score(values, labels) == pytest.approx(brier_score(exact, labels))
    spoiled = short.astype(np.float32)
    spoiled[3, 5] *= 1 + 2.0**-9  # still half precision, or not; too far from 1
    spoiled[3, 5, 0] += np.float32(0.05)
    with pytest.raises(InputError, match="draw 3, observation 5 sum to 1"):
        predictive_entropy(spoiled)


def test_a_sum_that_rounding_does_not_explain_is_refused():
    """0.9995 in float32 with full precision is an error, in half precision it is rounding."""
    p = np.array([[[0.3, 0.6995]]])
    with pytest.raises(InputError, match=r"sum to 0\.9995"):
        predictive_entropy(p.astype(np.float32))
    with pytest.raises(InputError, match=r"sum to 0\.98"):
        predictive_entropy(np.array([[[0.3, 0.68]]], dtype=np.float16))
    found = predictive_entropy(p.astype(np.float16))
    assert found == pytest.approx(predictive_entropy(p / p.sum()), abs=1e-3)
