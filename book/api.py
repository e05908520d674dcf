"""Pages of the programming interface, one for each part of the package.

They are written from the source files each time the site is built, so no module can be
forgotten; the docstrings themselves are read by Sphinx.
"""

import ast
from pathlib import Path

from book.commands import command_functions, commands_page

#: The parts in the order data flows, each with what it holds. A part imports only parts above it.
PARTS = {
    "errors": "the errors that a user can do something about",
    "checks": "arguments, columns and samples that are handed in, checked before any work",
    "files": "untrusted files read with every check before memory is taken; files written whole",
    "data": "real screen records, the simulated screen, splits, features",
    "scores": "how good a predictive distribution is, and intervals that keep their promise",
    "plots": "figures of your own samples",
    "network": "layers, their graph, the plain forward pass; Keras models read with care",
    "masks": "which units are silent in a draw",
    "neurons": "how a spiking neuron takes its charge in, and when it fires",
    "conversion": "from a trained network to firing-rate scales",
    "engines": "programs that run the spiking network, and what each can run",
    "sampling": "draws of both networks, labelled",
    "training": "fit a network with dropout, or load it if it was fitted before",
    "chip": "the same network in the integers of neuromorphic hardware",
    "nir": "exchange with other simulators",
    "store": "samples on disk: resumed after a stop, spread over a cluster, read lazily",
    "comparison": "how far apart two sample sets are, and whether that is small enough",
    "energy": "operations, prices and joules; a budget planned",
    "decisions": "what to measure next, with regret and agreement counted",
    "estimators": "the spiking network as a scikit-learn estimator",
    "study": "what only the chapters compute and draw",
    "cli": "the command line",
}

#: Methods that scikit-learn writes into its estimators; their text refers to its own pages.
FROM_SCIKIT_LEARN = "set_fit_request, set_predict_request, set_score_request"


def write_api_pages(source: Path, target: Path) -> dict[str, str]:
    """Write a page for each part into `target`; return the table for the page before them."""
    target.mkdir(parents=True)
    by_part: dict[str, dict[str, str]] = {part: {} for part in PARTS}
    for path in sorted((source / "spikedrop").rglob("*.py")):
        name = ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        if "." in name and "._" not in name:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            by_part[name.split(".")[1]][name] = " ".join(text.split("\n\n")[0].split())
    functions = command_functions()  # described as commands, not as functions of Python
    table = ["| module | what it holds |", "|---|---|"]
    for number, (part, names) in enumerate(by_part.items()):
        page = target / f"{number:02d}_{part}.md"
        sections = [f"# `{part}`", PARTS[part][0].upper() + PARTS[part][1:] + "."]
        if part == "cli":
            sections.append(commands_page())
        for name, line in names.items():
            left_out = ", ".join([FROM_SCIKIT_LEARN, *functions.get(name, [])])
            sections.append(
                f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n"
                f"   :ignore-module-all:\n   :exclude-members: {left_out}\n```"
            )
            table.append(f"| [`{name}`](api/{page.name}) | {line} |")
        page.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return {"api_modules": "\n".join(table)}
