"""Spend a budget of joules, seconds or operations: steps, firing rate and number of draws."""

from spikedrop.energy.planning.measured import measured_errors
from spikedrop.energy.planning.pilot import Pilot, run_pilot
from spikedrop.energy.planning.plan import Plan, plan_budget, plan_from
from spikedrop.energy.planning.tradeoff import Tradeoff, trade_off

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
