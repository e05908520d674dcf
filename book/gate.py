"""Start a real Jupyter kernel and import the whole stack in it.

`pip check` reads metadata only: it passes an environment whose kernel dies on the
first import. This gate costs half a minute and fails before any chapter is run.
"""

import os
import sys

from jupyter_client.manager import start_new_kernel

STACK = f"""
import sys
assert sys.prefix == {sys.prefix!r}, "the kernel runs in " + sys.prefix
import spikedrop, spikedrop.network.quiet
spikedrop.network.quiet.import_tensorflow()
import keras, tensorflow, tf_keras, nengo, numpy, papermill, jupyter_book, seaborn
from spikedrop.engines.nengo_dl_door import import_nengo_dl
nengo_dl = import_nengo_dl()
assert keras.__version__.startswith("3."), keras.__version__
assert nengo_dl.__version__ == "3.6.0", nengo_dl.__version__
print("kernel imports: keras", keras.__version__, "tensorflow", tensorflow.__version__,
      "nengo", nengo.__version__, "nengo-dl", nengo_dl.__version__, "numpy", numpy.__version__)
"""


def main() -> int:
    """Run the imports; 0 if the kernel lives and every import worked."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # not a kernel of this name in the user's home
    manager, client = start_new_kernel(
        kernel_name="python3", startup_timeout=120, extra_arguments=["--log-level=ERROR"]
    )
    try:
        errors: list[str] = []

        def show(message: dict) -> None:
            content = message["content"]
            if message["header"]["msg_type"] == "error":
                errors.append("\n".join(content["traceback"]))
            elif content.get("name") == "stdout":
                print(content["text"], end="")

        reply = client.execute_interactive(STACK, timeout=300, output_hook=show)
    except (RuntimeError, TimeoutError) as error:
        print(f"the kernel died or hung while importing the stack: {error}", file=sys.stderr)
        return 1
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    if reply["content"]["status"] != "ok":
        print("\n".join(errors), file=sys.stderr)
        print(f"the kernel could not import the stack; delete {sys.prefix} and try again.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
