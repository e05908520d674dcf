"""What all commands share: one line for what cannot be used, exit codes, JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from spikedrop.errors import InputError, StoreError

UsageError = typer.BadParameter.__mro__[2]  # ClickException, wherever this Typer keeps it
RESUMED = ("sample", "uci")  # commands that go on where they were stopped


class OneLine(TyperGroup):
    """A group of commands in which every refusal is one line and exit code 2."""

    def main(self, *args: Any, standalone_mode: bool = True, **more: Any) -> Any:
        """Run a command; what Typer says over several lines is said in one."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **more)
        try:
            code = super().main(*args, standalone_mode=False, **more)
        except UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                sys.exit(2)  # the help has been shown
            refuse(error.format_message())
        except typer.Abort:
            sys.exit(130)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: typer.Context) -> Any:
        """Run a command; turn what it raises on bad input into one line."""
        try:
            return super().invoke(ctx)
        except (InputError, StoreError) as error:
            refuse(str(error))
        except MemoryError:
            refuse("out of memory: close other programs, or use a machine with more.")
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            refuse(f"{where}{error.strerror or error}.")
        except KeyboardInterrupt:
            again = ctx.invoked_subcommand in RESUMED
            typer.echo(
                "spikedrop: interrupted; "
                + ("the same command goes on from here." if again else "nothing was written."),
                err=True,
            )
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=OneLine, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def main() -> None:
    """Uncertainty on spiking networks: permanent dropout, converted and sampled."""


def refuse(message: str) -> NoReturn:
    """Say in one line what cannot be used, and end with exit code 2."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    typer.echo(f"spikedrop: {line}", err=True)
    sys.exit(2)


def tell(as_json: bool, found: Mapping[str, Any], text: str) -> None:
    """Print a result: one JSON object for machines, or text for people."""
    typer.echo(json.dumps(plain(found), allow_nan=False) if as_json else text)


def plain(value: Any) -> Any:
    """Turn NumPy numbers, paths and NaN into what JSON knows.

    >>> import numpy as np
    >>> plain({"a": np.float32(0.5), "b": [float("nan"), "x"]})
    {'a': 0.5, 'b': [None, 'x']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | str | bool | None) else str(value)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Target = Annotated[
    str | None, typer.Option(help="Column of the table that is no input, such as the target.")
]
