"""Spend a budget of joules, seconds or operations: steps, firing rate and number of draws."""

from spikedrop.budget.measured import measured_errors
from spikedrop.budget.pilot import Pilot, run_pilot
from spikedrop.budget.plan import Plan, plan_budget, plan_from
from spikedrop.budget.tradeoff import Tradeoff, trade_off

__all__ = [
    "Pilot",
    "Plan",
    "Tradeoff",
    "measured_errors",
    "plan_budget",
    "plan_from",
    "run_pilot",
    "trade_off",
]
