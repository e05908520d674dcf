"""Start a real Jupyter kernel and import the whole stack in it.

`pip check` reads metadata only: it passes an environment whose kernel dies on the
first import. This gate costs half a minute and fails before any chapter is run.
"""

import os
import sys

from nbclient import execute
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

STACK = f"""
import sys
assert sys.prefix == {sys.prefix!r}, "the kernel runs in " + sys.prefix
import spikedrop, spikedrop.network.keras_import
spikedrop.network.keras_import.import_tensorflow()
import keras, tensorflow, tf_keras, nengo, numpy, papermill, jupyter_book, seaborn
from spikedrop.engines.nengo_dl_import import import_nengo_dl
nengo_dl = import_nengo_dl()
assert keras.__version__.startswith("3."), keras.__version__
assert nengo_dl.__version__ == "3.6.0", nengo_dl.__version__
print("kernel imports: keras", keras.__version__, "tensorflow", tensorflow.__version__,
      "nengo", nengo.__version__, "nengo-dl", nengo_dl.__version__, "numpy", numpy.__version__)
"""


def main() -> int:
    """Run the imports; 0 if the kernel lives and every import worked."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # not a kernel of this name in the user's home
    notebook = new_notebook(cells=[new_code_cell(STACK)])
    try:
        how = {"kernel_name": "python3", "startup_timeout": 120, "timeout": 300}
        execute(notebook, **how, extra_arguments=["--log-level=ERROR"])
    except (CellExecutionError, TimeoutError, RuntimeError) as error:  # a dead kernel is the last
        print(f"{error}\nthe kernel could not import the stack", file=sys.stderr)
        print(f"delete {sys.prefix} and try again", file=sys.stderr)
        return 1
    print("".join(output.get("text", "") for output in notebook.cells[0].outputs), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
