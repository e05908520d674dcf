"""Scores of predictive samples against what was observed.

All take samples with axes (draw, observation[, 1]) and observations (observation,). Where a score
takes `noise_sd`, it is the sd of an observation about its draw, in the unit of the observations:
one number, one for each observation, or one for each draw and observation. Those of classifiers
take probabilities, axes (draw, observation, class).
"""

from spikedrop.scores.accuracy import kendall_tau, r2, ranking_agreement, rmse
from spikedrop.scores.bootstrap import paired_bootstrap
from spikedrop.scores.calibration import (
    calibration_curve,
    calibration_error,
    central_interval,
    coverage,
    interval_coverage,
    pit,
    predictive_moments,
    sharpness,
    width,
)
from spikedrop.scores.classification import (
    accuracy_of_kept,
    brier_score,
    class_accuracy,
    class_log_likelihood,
    expected_calibration_error,
    reliability,
)
from spikedrop.scores.density import (
    gaussian_log_densities,
    gaussian_log_likelihood,
    log_densities,
    log_likelihood,
)
from spikedrop.scores.detection import detection_auc, detection_table, uncertainties
from spikedrop.scores.information import expected_entropy, mutual_information, predictive_entropy
from spikedrop.scores.noise import fit_noise_factor, fit_noise_sd, mean_and_noise
from spikedrop.scores.points import point_samples, point_table, synergy_score, synergy_table
from spikedrop.scores.proper import crps, crps_values, interval_score, interval_scores
from spikedrop.scores.refusal import (
    error_correlation,
    refusal_table,
    risk_coverage,
    risk_coverage_area,
)
from spikedrop.scores.table import fitted_point, method_table, score_table

__all__ = [
    "accuracy_of_kept",
    "brier_score",
    "calibration_curve",
    "calibration_error",
    "central_interval",
    "class_accuracy",
    "class_log_likelihood",
    "coverage",
    "crps",
    "crps_values",
    "detection_auc",
    "detection_table",
    "error_correlation",
    "expected_calibration_error",
    "expected_entropy",
    "fit_noise_factor",
    "fit_noise_sd",
    "fitted_point",
    "gaussian_log_densities",
    "gaussian_log_likelihood",
    "interval_coverage",
    "interval_score",
    "interval_scores",
    "kendall_tau",
    "log_densities",
    "log_likelihood",
    "mean_and_noise",
    "method_table",
    "mutual_information",
    "paired_bootstrap",
    "pit",
    "point_samples",
    "point_table",
    "predictive_entropy",
    "predictive_moments",
    "r2",
    "ranking_agreement",
    "refusal_table",
    "reliability",
    "risk_coverage",
    "risk_coverage_area",
    "rmse",
    "score_table",
    "sharpness",
    "synergy_score",
    "synergy_table",
    "uncertainties",
    "width",
]
