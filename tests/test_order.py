"""The parts of the package: few, and each imports only those above it."""

import ast
from pathlib import Path

import pytest

import spikedrop
from book.api import PARTS

SOURCE = Path(spikedrop.__file__).parent
ORDER = list(PARTS)


def parts():
    """Modules and folders at the top of the package, without files of Python's own."""
    names = (p.stem for p in SOURCE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists())
    return {name for name in names if not name.startswith("__")}


def run_time(tree):
    """Walk a tree, leaving out what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from run_time(node)


def imported(tree):
    """Yield the line and the part of every import of the package's own, late ones included."""
    for node in run_time(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "spikedrop":
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spikedrop."):
            yield node.lineno, node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("spikedrop."):
                    yield node.lineno, alias.name.split(".")[1]


def upward(part, tree):
    """Imports that break the order."""
    allowed = ORDER[: ORDER.index(part) + 1]
    return [(line, name) for line, name in imported(tree) if name not in allowed]


def test_there_are_few_parts_and_each_has_its_place():
    assert parts() == set(ORDER)
    assert len(ORDER) <= 22


@pytest.mark.parametrize("part", ORDER)
def test_a_part_imports_only_parts_above_it(part):
    files = [
        p for p in SOURCE.rglob("*.py") if p.relative_to(SOURCE).parts[0].split(".")[0] == part
    ]
    assert files
    for file in files:
        wrong = upward(part, ast.parse(file.read_text(encoding="utf-8")))
        assert not wrong, f"{file.relative_to(SOURCE)} imports a part below its own: {wrong}"


@pytest.mark.parametrize(
    "line",
    [
        "from spikedrop.sampling.ann import sample_ann",
        "import spikedrop.sampling",
        "from spikedrop import sampling",
        "def f():\n    from spikedrop.sampling import snn",
    ],
)
def test_an_import_against_the_order_is_found(line):
    assert [name for _, name in upward("masks", ast.parse(line))] == ["sampling"]
    assert not upward("store", ast.parse(line))
    assert not upward("masks", ast.parse(f"if TYPE_CHECKING:\n    {line.splitlines()[-1].strip()}"))


def test_masks_are_stacked_in_one_loop():
    """Whoever draws goes through `Sampler`: nobody else makes the masks of a job."""
    callers = {
        file.relative_to(SOURCE).as_posix()
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "stacked_masks"
    }
    assert callers == {"masks.py", "sampling/sampler.py"}
