"""The module itself: it travels to workers, hands out its names, and hides none of them."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import cloudpickle
import joblib
import pytest
from IPython.core.completer import IPCompleter

import spikedrop as sd

SOURCE = Path(sd.__file__).parent
ROOT = Path(__file__).resolve().parent.parent


def test_the_module_is_pickled_by_its_name():
    assert cloudpickle.loads(cloudpickle.dumps(sd)) is sd
    assert len(cloudpickle.dumps(sd)) < 200


def test_a_function_that_uses_it_goes_to_other_processes():
    """As from a notebook: the function is sent by value, and the module that it uses by name."""
    space = {"__name__": "__main__", "sd": sd}
    exec("def version(x): return sd.__version__, sd.InputError.__name__, x", space)
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(space["version"])(i) for i in range(2))
    assert found == [(sd.__version__, "InputError", i) for i in range(2)]


FRESH = """
import importlib
import spikedrop.comparison.verdict
import spikedrop as sd
assert callable(sd.compare) and sd.compare.__name__ == "compare"
assert importlib.reload(sd) is sd
assert callable(sd.compare)
import spikedrop.comparison
assert callable(sd.compare)
from spikedrop import compare
assert compare is sd.compare
names = {}
exec("from spikedrop import *", names)
assert set(sd.__all__) == set(names) - {"__builtins__"}
assert names["compare"] is sd.compare
"""


def test_functions_are_not_hidden_by_parts_of_their_name():
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_all_its_names_are_listed_and_completed():
    assert set(sd.__all__) <= set(dir(sd))
    completer = IPCompleter(namespace={"sd": sd}, use_jedi=False)
    found = {name.removeprefix("sd.") for name in completer.all_completions("sd.sample_")}
    found = {name.removeprefix(".") for name in found}
    assert {"sample_ann", "sample_snn", "sample_to_store"} <= found


def test_a_part_is_a_module_and_an_unknown_name_an_error():
    assert sd.scores is importlib.import_module("spikedrop.scores")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sd.nothing  # noqa: B018


# Each catches everything for a reason that stands beside it in the source.
CATCH_ALL = {
    ("network/keras_file.py", "_damage_named"),  # Keras and HDF5 raise of every kind
    ("store/layout.py", "_take"),  # lets go of a lock, and raises again
}


def catches_all(kind):
    """Whether a handler of this type, or a suppressed one, takes every exception."""
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(getattr(k, "id", "") in ("Exception", "BaseException") for k in kinds)


def handlers(file):
    """Yield the function, the line and the body of every handler that catches everything."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and catches_all(node.type):
                    yield function.name, node
    for node in ast.walk(tree):  # a name for everything, or `contextlib.suppress(Exception)`
        if isinstance(node, ast.Assign | ast.AugAssign) and isinstance(node.value, ast.Tuple):
            assert not catches_all(node.value), (file, node.lineno)
        if isinstance(node, ast.Call) and "suppress" in ast.unparse(node.func):
            assert not any(map(catches_all, node.args)), (file, node.lineno)


def test_handlers_that_catch_everything_are_named_and_justified():
    found = set()
    for file in sorted(SOURCE.rglob("*.py")):
        lines = file.read_text(encoding="utf-8").splitlines()
        for function, node in handlers(file):
            found.add((file.relative_to(SOURCE).as_posix(), function))
            assert "#" in lines[node.lineno - 1], f"{file}:{node.lineno} has no reason"
            assert isinstance(node.body[-1], ast.Raise)
            assert "damaged" not in ast.unparse(node)
    assert found == CATCH_ALL


def test_a_handler_that_catches_everything_is_found(tmp_path):
    file = tmp_path / "a.py"
    for head in ("except:", "except Exception:", "except (OSError, BaseException) as e:"):
        file.write_text(f"def f():\n    try:\n        pass\n    {head}\n        pass\n")
        assert [name for name, _ in handlers(file)] == ["f"]
    for line in ("contextlib.suppress(Exception)", "FAULTS = (OSError, Exception)"):
        file.write_text(line)
        with pytest.raises(AssertionError):
            list(handlers(file))


def imports_of(folder):
    """Top-level names that the files of a folder import."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", ["src", "book", "tests"])
def test_every_distribution_that_is_imported_is_declared(folder):
    """What the package imports is a requirement or an extra of users, not of its book or tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    private = {} if folder != "src" else {"book", "dev"}
    declared = [*project["dependencies"]]
    declared += [name for extra, names in extras.items() if extra not in private for name in names]
    known = {re.match(r"[\w.-]+", name).group().lower().replace("_", "-") for name in declared}
    homes = importlib.metadata.packages_distributions()
    own = {"spikedrop", "book", "benchmarks", "tests", *sys.stdlib_module_names}
    own |= {path.stem for path in (ROOT / "tests").glob("*.py")}
    for name in set(imports_of(ROOT / folder)) - own:
        names = {home.lower().replace("_", "-") for home in homes.get(name, [name])}
        assert names & known, f"{name}: imported by {folder}/ and not declared in pyproject.toml"
