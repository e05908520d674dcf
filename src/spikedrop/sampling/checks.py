"""Checks of settings that every sampler shares."""

from __future__ import annotations

from spikedrop.checks.arguments import (
    one_of,
    real_number,
    seed_of,
    whole_number,
    yes_or_no,
)
from spikedrop.errors import InputError
from spikedrop.network.graph import Network
from spikedrop.network.inputs import check_network

SCOPES = ("draw", "row")
MOST_DRAWS = 2**63  # whose numbers the masks' generator takes


def check_job(
    network: Network,
    *,
    draws: int,
    seed: int,
    scope: str,
    first_draw: int = 0,
    memory_gb: float = 1.0,
    progress: bool | None = None,
) -> tuple[int, range]:
    """Refuse settings of a sampler that cannot be used; return the seed and the draws' numbers."""
    check_network(network)
    check_draws(network, draws, scope)
    seed = seed_of(seed)
    first = whole_number("first_draw", first_draw, below=MOST_DRAWS)
    real_number("memory_gb", memory_gb, above=0)
    if progress is not None:
        yes_or_no("progress", progress)
    return seed, range(first, first + int(draws))


def check_draws(network: Network, draws: int, scope: str) -> None:
    """Refuse a number of draws or a scope that cannot be used."""
    whole_number("draws", draws, least=1)
    one_of("scope", scope, SCOPES)
    for layer in network.layers:
        if scope == "row" and layer.dropout and layer.family == "weights":
            raise InputError(
                f"layer {layer.name!r} drops single weights, and scope='row' would need a weight "
                "matrix for every row: use scope='draw'."
            )
