"""What the chapters recorded with `glue`, and how it gets onto the other pages.

A page writes `{{ name }}` or, with a format of Python's mini-language, `{{ name:.3f }}`.
A recorded figure becomes the path of its PNG, to be used as the argument of a figure
directive. A name that no chapter recorded is an error, so a page cannot show a stale number.
"""

import ast
import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nbformat import NotebookNode
from scipy.stats import binomtest

from book.tree import BookError

#: What myst_nb.glue(display=False) puts before a MIME type.
_PREFIX = "application/papermill.record/"
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z]\w*)\s*(?::([^}]*?))?\s*\}\}")


@dataclass(frozen=True)
class Figure:
    """A recorded figure: the bytes of a PNG."""

    png: bytes


Value = int | float | str | bool | Figure


def glued_values(notebook: NotebookNode, chapter: str) -> dict[str, Value]:
    """Every value that an executed notebook recorded: numbers, texts and figures by name."""
    values: dict[str, Value] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name is not None:
                data = {mime.removeprefix(_PREFIX): item for mime, item in output["data"].items()}
                values[name] = _value(data, name, chapter)
    return values


def _value(data: Mapping[str, str], name: str, chapter: str) -> Value:
    if "image/png" in data:
        return Figure(base64.b64decode(data["image/png"]))
    text = "".join(data.get("text/plain", ""))
    if re.match(r"(np|numpy)\.\w+\(", text):
        # MyST-NB reads the text back and cannot format this form (MyST-NB issue 610).
        raise BookError(
            f"{chapter}: glue({name!r}) recorded {text}. "
            "Record a plain Python number: float(...) or int(...)."
        )
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = math.nan if text == "nan" else text
    return value if isinstance(value, int | float | str) else text


def merge(values: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    """One mapping from those of all chapters; a name with two values is an error."""
    merged: dict[str, Value] = {}
    owner: dict[str, str] = {}
    for chapter, recorded in values.items():
        for name, value in recorded.items():
            if name in merged and merged[name] != value:
                raise BookError(
                    f"{name!r} is recorded by {owner[name]} and, with another value, by {chapter}. "
                    "Give the two different names."
                )
            merged[name] = value
            owner[name] = chapter
    return merged


def names_shown(text: str) -> set[str]:
    """Return the names that a page asks for.

    Examples
    --------
    >>> sorted(names_shown("R2 is {{ r2:.2f }} on {{ source }}."))
    ['r2', 'source']
    """
    return {match.group(1) for match in _PLACEHOLDER.finditer(text)}


def fill(text: str, values: Mapping[str, Value], page: str) -> str:
    """Put recorded values into a page.

    Examples
    --------
    >>> fill("R2 is {{ r2:.2f }}.", {"r2": 0.8312}, "index.md")
    'R2 is 0.83.'
    """

    def replace(match: re.Match[str]) -> str:
        name, spec = match.group(1), match.group(2)
        if name not in values:
            raise BookError(
                f"{page}: nothing is recorded under {name!r}. The chapters record: "
                f"{', '.join(sorted(values)) or 'nothing'}."
            )
        value = values[name]
        if isinstance(value, Figure):
            return f"figures/{name}.png"
        try:
            return format(value, spec or "")
        except (TypeError, ValueError) as error:
            raise BookError(f"{page}: {match.group(0)}: {value!r} does not fit: {error}") from error

    return _PLACEHOLDER.sub(replace, text)


def derived(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return what the pages say beyond the recorded values: the interval of a share.

    ``ks_beyond_...``: the 95 % interval (Clopper & Pearson) of the share of inputs whose distance
    is beyond the noise floor, in per cent, and whether the 5 % of chance lie inside. It takes the
    inputs as independent.

    Examples
    --------
    >>> found = derived({"ks_beyond_floor": 12.5, "n_observations": 40})
    >>> round(found["ks_beyond_low"]), round(found["ks_beyond_high"]), found["ks_beyond_side"]
    (4, 27, 'inside')
    """
    if not {"ks_beyond_floor", "n_observations"} <= set(values):
        return {}
    inputs = int(values["n_observations"])
    beyond = round(float(values["ks_beyond_floor"]) / 100 * inputs)
    interval = binomtest(beyond, inputs).proportion_ci(0.95)
    low, high = 100 * float(interval.low), 100 * float(interval.high)
    side = "inside" if low <= 5 <= high else "outside"
    return {"ks_beyond_low": low, "ks_beyond_high": high, "ks_beyond_side": side}


def table_of_values(values: Mapping[str, Value]) -> str:
    """The recorded numbers and texts as lines for the terminal; tables keep their lines."""
    lines = []
    for name, value in values.items():
        if isinstance(value, float):
            lines.append(f"    {name} = {value:.6g}")
        elif isinstance(value, str) and "\n" in value:
            lines.append(f"    {name}\n" + "\n".join("      " + row for row in value.splitlines()))
        elif not isinstance(value, Figure):
            lines.append(f"    {name} = {value}")
    return "\n".join(lines)
