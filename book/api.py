"""Pages of the programming interface, one for each part of the package.

They are written from the source files each time the site is built, so no module can be
forgotten; the docstrings themselves are read by Sphinx.
"""

import ast
from pathlib import Path

from book.commands import command_functions, commands_page
from book.tree import BookError

#: The parts in the order data flows, each with what it does.
PARTS = {
    "data": "real screen records, the simulated screen, splits, features",
    "network": "a small graph of layers with NumPy weights",
    "layers": "what one layer of the graph computes",
    "keras_model": "a Keras model read as a graph of layers",
    "keras_layers": "each kind of Keras layer, read",
    "keras_guard": "whether a Keras model computes what was read of it",
    "masks": "which units are silent in a draw",
    "linear_gaussian": "a case whose Bayesian answer is known exactly",
    "convertible": "names of the Keras layers that can be converted, and what to do about others",
    "files": "untrusted files, read with every check before memory is taken",
    "training": "fit a Keras network with dropout",
    "noise_head": "a second output for a trained network: how noisy each record is",
    "fitting": "fit a small dense network with dropout, in plain NumPy",
    "engine": "both samplers, compiled: many draws of many inputs at once",
    "compiled": "the TensorFlow programs the engine runs",
    "events": "the engine's loop over time on a CPU: only spikes are added up",
    "ann": "samples of the artificial network",
    "spiking": "neurons, conversion, and the spiking samples",
    "backends": "the same network on Nengo and NengoDL",
    "chip": "the same network in the integers of neuromorphic hardware",
    "folding": "one draw as a network of its own",
    "members": "how many stored masks are enough",
    "samples": "labelled, resumable sample sets",
    "store": "samples on disk: resumed after a stop, spread over a cluster, read lazily",
    "compare": "how far apart two sample sets are",
    "fidelity": "how faithful a conversion is, setting by setting",
    "cost": "what a draw costs in time, beside the products alone and other simulators",
    "controls": "samplers that are wrong on purpose",
    "estimators": "the spiking network as a scikit-learn estimator",
    "scores": "how good a predictive distribution is",
    "conformal": "intervals that keep their promise",
    "variance": "where the variance of one spiking prediction comes from",
    "decisions": "choose what to measure next, and count regret and agreement",
    "pairs": "drug pairs as candidates, and a network that predicts their synergy",
    "search": "choose, measure and train again, round by round",
    "repetitions": "means and paired differences over repetitions, with standard errors",
    "real_run": "what chapters found on real records, recorded once",
    "unfamiliar": "the spread on drugs and cell lines that were not seen",
    "uci": "regression sets with published splits, scored beside published figures",
    "energy": "operations and joules of a predictive distribution",
    "budget": "spend joules, seconds or operations on steps, rate and draws",
    "plots": "every figure of the chapters",
    "example": "the running example of the book",
    "screen_tables": "who predicts growth and synergy, and the truth of a simulated screen",
    "shipped": "two models on data that ship with scikit-learn",
    "cli": "the command line",
    "errors": "the errors a user can do something about",
    "quiet": "TensorFlow and Keras without start-up lines, and their settings",
}

#: Methods that scikit-learn writes into its estimators; their text refers to its own pages.
FROM_SCIKIT_LEARN = "set_fit_request, set_predict_request, set_score_request"


def modules(source: Path) -> dict[str, str]:
    """First sentence of the docstring of every public module of `source/spikedrop`."""
    found = {}
    for path in sorted((source / "spikedrop").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if any(part.startswith("_") for part in parts):
            continue
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if not docstring:
            raise BookError(f"{path}: the module has no docstring, so its page has nothing to say.")
        found[".".join(parts)] = " ".join(docstring.split("\n\n")[0].split())
    return found


def write_api_pages(source: Path, target: Path) -> dict[str, str]:
    """Write a page for each part into `target`; return the table for the page before them."""
    target.mkdir(parents=True)
    by_part: dict[str, list[str]] = {}
    lines = modules(source)
    functions = command_functions()  # described as commands, not as functions of Python
    for name in lines:
        if name != "spikedrop":
            by_part.setdefault(name.split(".")[1], []).append(name)
    order = [part for part in PARTS if part in by_part]
    order += sorted(part for part in by_part if part not in PARTS)
    table = ["| module | what it holds |", "|---|---|"]
    for number, part in enumerate(order):
        names = by_part[part]
        page = target / f"{number:02d}_{part}.md"
        sections = [f"# `{part}`"]
        if part in PARTS:
            sections.append(PARTS[part][0].upper() + PARTS[part][1:] + ".")
        if part == "cli":
            sections.append(commands_page())
        for name in names:
            left_out = ", ".join([FROM_SCIKIT_LEARN, *functions.get(name, [])])
            sections.append(
                f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n"
                f"   :ignore-module-all:\n   :exclude-members: {left_out}\n```"
            )
            table.append(f"| [`{name}`](api/{page.name}) | {lines[name]} |")
        page.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return {"api_modules": "\n".join(table)}
