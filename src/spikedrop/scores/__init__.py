"""Scores of predictive samples against what was observed.

All take samples with axes (draw, observation[, 1]) and observations (observation,). Where a score
takes `noise_sd`, it is the observation noise in the unit of the observations: one number, one for
each observation, or one for each draw and observation.
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
from spikedrop.scores.density import (
    gaussian_log_densities,
    gaussian_log_likelihood,
    log_densities,
    log_likelihood,
)
from spikedrop.scores.noise import fit_noise_sd, mean_and_noise
from spikedrop.scores.proper import crps, crps_values, interval_score, interval_scores
from spikedrop.scores.refusal import error_correlation, risk_coverage, risk_coverage_area
from spikedrop.scores.table import method_table, rate_table, score_table

__all__ = [
    "calibration_curve",
    "calibration_error",
    "central_interval",
    "coverage",
    "crps",
    "crps_values",
    "error_correlation",
    "fit_noise_sd",
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
    "paired_bootstrap",
    "pit",
    "predictive_moments",
    "r2",
    "ranking_agreement",
    "rate_table",
    "risk_coverage",
    "risk_coverage_area",
    "rmse",
    "score_table",
    "sharpness",
    "width",
]
