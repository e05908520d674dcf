"""What is exported: it stands in `__all__`, is documented in sections, and has an example."""

import ast
import json
import re
from pathlib import Path

import pytest

import spikedrop

SOURCE = Path(spikedrop.__file__).parent
ROOT = Path(__file__).resolve().parent.parent
#: Parts whose modules export through their package alone.
BY_PACKAGE = ("chip", "conversion", "energy", "engines", "masks", "network", "neurons", "nir")
BY_PACKAGE += ("sampling",)
COMMANDS = "spikedrop.cli"  # documented by `--help`, and run in tests/cli


def module_name(file):
    """Dotted name of a source file."""
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {
    module_name(file): ast.parse(file.read_text(encoding="utf-8"))
    for file in sorted(SOURCE.rglob("*.py"))
    if file.stem == "__init__" or not file.stem.startswith("_")
}


def exports(tree):
    """Names in `__all__`; None without."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if getattr(target, "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return None


def definition(module, name):
    """The function or class of that name, wherever it is defined; None for a constant."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return definition(node.module, name) if node.module in TREES else None
    return None


EXPORTED = {
    f"{module}.{name}": definition(module, name)
    for module, tree in TREES.items()
    if not module.startswith(COMMANDS)
    for name in exports(tree) or ()
}
FUNCTIONS = {k: node for k, node in EXPORTED.items() if isinstance(node, ast.FunctionDef)}
CLASSES = {k: node for k, node in EXPORTED.items() if isinstance(node, ast.ClassDef)}


def doc(node):
    return ast.get_docstring(node) or ""


def test_every_public_module_names_what_it_exports():
    own = [name for name in TREES if name.split(".")[1:2] != [] and "__main__" not in name]
    by_package = tuple(f"spikedrop.{part}" for part in BY_PACKAGE)
    for module in own:
        if not module.startswith(by_package):
            assert exports(TREES[module]) is not None, f"{module} has no __all__"


def test_what_chapters_import_is_exported():
    by_package = tuple(f"spikedrop.{part}." for part in ("conversion", *BY_PACKAGE))
    for file in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = "\n".join(
            line
            for cell in cells
            if cell["cell_type"] == "code"
            for line in "".join(cell["source"]).split("\n")
            if not line.lstrip().startswith(("%", "!"))
        )
        for node in ast.walk(ast.parse(code)):
            if not isinstance(node, ast.ImportFrom) or node.module not in TREES:
                continue
            for alias in node.names:
                if f"{node.module}.{alias.name}" in TREES or node.module.startswith(by_package):
                    continue
                listed = exports(TREES[node.module]) or ()
                assert alias.name in listed, f"{file.name}: {alias.name} of {node.module}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_exported_function_has_an_example_that_runs(name):
    assert ">>> " in doc(FUNCTIONS[name]), name
    assert "+SKIP" not in doc(FUNCTIONS[name]), name


@pytest.mark.parametrize("name", CLASSES)
def test_an_exported_class_has_an_example_or_a_function_that_makes_one(name):
    node = CLASSES[name]
    makers = (
        maker
        for tree in TREES.values()
        for maker in ast.walk(tree)
        if isinstance(maker, ast.FunctionDef) and ">>> " in doc(maker)
        if re.search(rf"\b{node.name}\b", f"{ast.unparse(maker.returns or node.bases or [])}")
        or f"{node.name}(" in doc(maker)
    )
    holders = (
        part
        for holder in CLASSES.values()
        for part in holder.body
        if isinstance(part, ast.AnnAssign)
        and re.search(rf"\b{node.name}\b", ast.unparse(part.annotation))
    )
    assert ">>> " in doc(node) or [*makers, *holders], name


def sections(node):
    """Sections of a docstring in NumPy's style: title to text."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", f"{doc(node)}\n", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def parameters_of(node):
    """Names that the section on parameters lists, each with its type: "lower, upper : array"."""
    section = sections(node).get("Parameters", "")
    heads = (line.partition(" : ") for line in section.split("\n") if re.match(r"\S", line))
    return {name.strip("* "): kind for names, _, kind in heads for name in names.split(",")}


def arguments_of(node):
    """Names of the arguments, each with its default as written; None without."""
    parts = node.args
    several = [*parts.posonlyargs, *parts.args]
    defaults = [None] * (len(several) - len(parts.defaults)) + parts.defaults
    single = [(part, None) for part in (parts.vararg, parts.kwarg) if part is not None]
    keyword = zip(parts.kwonlyargs, parts.kw_defaults, strict=True)
    given = [*zip(several, defaults, strict=True), *keyword, *single]
    return {part.arg: default and ast.unparse(default) for part, default in given}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_exported_function_has_sections(name):
    node = FUNCTIONS[name]
    listed, arguments = parameters_of(node), arguments_of(node)
    assert listed.keys() == arguments.keys() - {"self"}, name
    for argument, kind in listed.items():
        stated = re.search(r", default (.+)", kind)
        if stated:
            stated = ast.unparse(ast.parse(stated[1], mode="eval"))
            assert stated == arguments[argument], f"{name}: {argument}"
    if node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn"):
        assert sections(node).keys() & {"Returns", "Yields"}, name
    if any(isinstance(part, ast.Raise) for part in ast.walk(node)):
        assert "Raises" in sections(node), name
