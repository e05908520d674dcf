"""Scores of class probabilities: by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from spikedrop.errors import InputError
from spikedrop.scores import (
    accuracy_of_kept,
    brier_score,
    class_accuracy,
    class_log_likelihood,
    expected_calibration_error,
    mutual_information,
    predictive_entropy,
    reliability,
)


@pytest.fixture(scope="module")
def drawn():
    """Probabilities (draw, observation, class), and classes drawn from other ones."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.4, 0.5, 0.6, 0.5], size=(6, 400))
    return p, rng.integers(0, 4, 400)


def test_scores_are_those_of_scikit_learn(drawn):
    p, y = drawn
    mean = p.mean(axis=0)
    assert class_accuracy(p, y) == metrics.accuracy_score(y, mean.argmax(axis=1))
    assert class_log_likelihood(p, y) == pytest.approx(-metrics.log_loss(y, mean))
    one_hot = [metrics.brier_score_loss(y == k, mean[:, k]) for k in range(4)]
    assert brier_score(p, y) == pytest.approx(sum(one_hot))


def test_an_impossible_class_that_came_has_infinite_cost():
    p = np.array([[[1.0, 0.0], [1.0, 0.0]]])
    assert class_log_likelihood(p, np.array([0, 1])) == -np.inf


def test_reliability_by_hand():
    """Confidences 0.6, 0.55, 0.9, 1.0; the second and the third are wrong."""
    p = np.array([[[0.6, 0.4], [0.45, 0.55], [0.9, 0.1], [0.0, 1.0]]])
    table = reliability(p, np.array([0, 0, 1, 1]), bins=10)
    assert table.index.tolist() == pytest.approx([0.6, 0.9, 1.0])
    assert table["count"].tolist() == [2, 1, 1]
    assert table["confidence"].tolist() == pytest.approx([0.575, 0.9, 1.0])
    assert table["accuracy"].tolist() == [0.5, 0.0, 1.0]
    error = (2 * 0.075 + 0.9 + 0) / 4
    assert expected_calibration_error(p, np.array([0, 0, 1, 1])) == pytest.approx(error)


def test_a_bin_holds_its_upper_end_in_single_precision_too():
    for kind in ("float32", "float64"):
        p = np.array([[[k / 10, 1 - k / 10] for k in range(6, 10)]], kind)
        assert reliability(p, np.zeros(4, int))["count"].tolist() == [1, 1, 1, 1]


def test_one_bin_compares_mean_confidence_with_accuracy(drawn):
    p, y = drawn
    gap = abs(p.mean(axis=0).max(axis=1).mean() - class_accuracy(p, y))
    assert expected_calibration_error(p, y, bins=1) == pytest.approx(gap)


def test_classes_drawn_from_the_probabilities_are_calibrated():
    """20,000 classes from their own probabilities: below 0.02, and 0.1 and more if sharpened.

    By chance each of ten bins is off by at most 0.5 / sqrt(n), together below 0.02 but in one of
    a million runs.
    """
    rng = np.random.default_rng(1)
    p = rng.dirichlet([1.0, 1.0, 1.0], size=20_000)
    y = (p.cumsum(axis=1) < rng.uniform(size=(len(p), 1))).sum(axis=1)
    assert expected_calibration_error(p[None], y) < 0.02
    sharp = p**4 / (p**4).sum(axis=1, keepdims=True)
    assert expected_calibration_error(sharp[None], y) > 0.1


def test_kept_by_hand():
    """Certain to uncertain: right, wrong, right, right."""
    p = np.array([[[0.99, 0.01], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]])
    kept, right = accuracy_of_kept(p, np.array([0, 1, 1, 0]))
    assert kept.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert right == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4])
    by_hand = accuracy_of_kept(p, np.array([0, 1, 1, 0]), np.array([1.0, 4.0, 2.0, 3.0]))[1]
    assert by_hand == pytest.approx([1, 1, 1, 3 / 4])


def test_kept_ends_at_the_accuracy_and_a_blind_order_is_flat(drawn):
    p, y = drawn
    for uncertainty in (None, mutual_information(p), predictive_entropy(p)):
        assert accuracy_of_kept(p, y, uncertainty)[1][-1] == pytest.approx(class_accuracy(p, y))
    flat = accuracy_of_kept(p, y, np.zeros(len(y)))[1]
    assert flat == pytest.approx(np.full(len(y), class_accuracy(p, y)))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, 1, 1]), r"shape \(3,\)"),
        (np.array([[1, 0], [0, 1]]), r"labels has shape \(2, 2\)"),
        (np.array([0.0, 1.0]), "float64"),
        (np.array([0, 2]), "observation 1 has class 2"),
        (np.array([-1, 0]), "observation 0 has class -1"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, words):
    p = np.full((2, 2, 2), 0.5)
    for score in (class_accuracy, class_log_likelihood, brier_score, accuracy_of_kept, reliability):
        with pytest.raises(InputError, match=words):
            score(p, labels)


def test_other_input_is_refused():
    p, y = np.full((2, 2, 2), 0.5), np.array([0, 1])
    with pytest.raises(InputError, match="bins=0"):
        reliability(p, y, bins=0)
    with pytest.raises(InputError, match="sum to 2"):
        class_accuracy(2 * p, y)
    with pytest.raises(InputError, match=r"uncertainty has shape \(3,\)"):
        accuracy_of_kept(p, y, np.zeros(3))
    with pytest.raises(InputError, match="uncertainty: the values hold NaN"):
        accuracy_of_kept(p, y, np.array([0.0, np.nan]))
