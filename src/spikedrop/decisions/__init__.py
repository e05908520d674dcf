"""Use the predictive distribution: which candidates to measure next, and was it a good choice.

Higher is better throughout, as for the synergy score; where low values are wanted, as for growth,
negate samples and truth. Choices take predictive samples with axes (draw, candidate). The draws
should be functions, that is sampled with mask scope ``draw``: candidates are compared within a
draw, and a candidate's value may be a mean over several observations (`group_means`), whose spread
depends on how they move together.
"""

from spikedrop.decisions.choices import (
    POLICIES,
    TRIPLES,
    Policy,
    choose,
    diverse_choice,
    greedy_choice,
    group_means,
    optimistic_choice,
    thompson_choice,
)
from spikedrop.decisions.judgement import agreement, agreement_table, regret

__all__ = [
    "POLICIES",
    "TRIPLES",
    "Policy",
    "agreement",
    "agreement_table",
    "choose",
    "diverse_choice",
    "greedy_choice",
    "group_means",
    "optimistic_choice",
    "regret",
    "thompson_choice",
]
