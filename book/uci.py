"""The recorded run of the UCI protocol, as values for its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy.stats import t

from book.values import Value
from spikedrop.study.uci import SOURCES, Recorded, read_recorded, table_cells

WORDS = {"rmse": "RMSE", "log_likelihood": "log likelihood"}
SCORES = tuple(WORDS)
#: Columns of the printed table that the page shows.
SHOWN = ("set", "network", "layers", "RMSE", "log likelihood")


def uci_values(recorded: Recorded | None = None) -> dict[str, Value]:
    """Return the placeholders ``uci_...``: the table, its sources, and what it says.

    Examples
    --------
    >>> values = uci_values()
    >>> values["uci_table"].splitlines()[0]
    '| set | network | layers | RMSE | log likelihood |'
    """
    recorded = recorded or read_recorded()
    head, *cells = table_cells(recorded.rows)
    keep = [head.index(column) for column in SHOWN]
    lines = ["| " + " | ".join(row[i] for i in keep) + " |" for row in (head, *cells)]
    lines.insert(1, "|---|---|---|---|---|")
    spiking = [row for row in recorded.rows if row["network"] == "snn"]
    far, name, layers, key, splits = max(
        (abs(in_errors(row, key)), row["set"], row["layers"], key, row["splits"])
        for row in spiking
        for key in SCORES
    )
    needed = float(t.ppf(0.975, splits - 1))
    return {
        "uci_table": "\n".join(lines),
        "uci_sources": "\n".join(f"- *{s.label}*: {s.reference}." for s in SOURCES.values()),
        "uci_date": recorded.date,
        "uci_commit": recorded.commit[:10] + recorded.commit[40:],
        "uci_machine": recorded.machine,
        "uci_command": recorded.command,
        "uci_runs": "; ".join(
            f"{row['set']}, {depth(row['layers'])}: {row['splits']} of the 20 splits"
            for row in spiking
        ),
        "uci_largest": far,
        "uci_largest_where": f"{WORDS[key]} of {name}, {depth(layers)}",
        "uci_largest_splits": splits,
        "uci_needed": needed,
        "uci_largest_word": "above" if far > needed else "below",
        "uci_differences": len(spiking) * len(SCORES),
    }


def in_errors(row: Mapping[str, Any], key: str) -> float:
    """Return the difference SNN - ANN in standard errors of the paired difference.

    >>> in_errors({"rmse_difference": 0.2, "rmse_difference_se": 0.1}, "rmse")
    2.0
    """
    error = row[f"{key}_difference_se"]
    return row[f"{key}_difference"] / error if error else 0.0


def depth(layers: int) -> str:
    """Return a number of hidden layers in words.

    >>> depth(1), depth(2)
    ('1 hidden layer', '2 hidden layers')
    """
    return f"{layers} hidden layer" + ("s" if layers > 1 else "")
