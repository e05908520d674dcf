"""What all commands share: one line for what cannot be used, exit codes, JSON."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import math
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from spikedrop import errors
from spikedrop.errors import InputError, StoreError

__all__: list[str] = []

UsageError: Any = typer.BadParameter.__mro__[2]  # ClickException, wherever this Typer keeps it
RESUMED = ("sample", "uci")  # commands that go on where they were stopped
MOST = 10**9  # draws, steps, rows: what is counted
PACKAGE = Path(__file__).resolve().parent.parent
OURS = tuple(
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Warning)
)
WARNED: ContextVar[list[str]] = ContextVar("warned")


@contextlib.contextmanager
def warnings_kept() -> Iterator[None]:
    """Keep the package's own warnings for `show_warnings`; others go their usual way."""
    kept: list[str] = []  # filled from any thread
    token = WARNED.set(kept)
    with warnings.catch_warnings():
        usual = warnings.showwarning
        for kind in OURS:
            warnings.simplefilter("always", kind)
        warnings.filterwarnings("always", category=UserWarning, module=r"spikedrop\b")

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            inside = where and PACKAGE in Path(where[0]).parents
            if category not in OURS and not (inside and issubclass(category, UserWarning)):
                usual(message, category, *where, **more)
            elif (line := one_line(str(message))) not in kept:
                kept.append(line)

        warnings.showwarning = show
        try:
            yield
        finally:
            WARNED.reset(token)


def show_warnings() -> list[str]:
    """Print the warnings that were kept, one line each on standard error; return them."""
    kept = WARNED.get([])
    for line in kept:
        typer.echo(f"spikedrop: warning: {line}", err=True)
    shown = [*kept]
    kept.clear()
    return shown


class OneLine(TyperGroup):
    """A group of commands in which every refusal is one line and exit code 2."""

    def main(self, *args: Any, standalone_mode: bool = True, **more: Any) -> Any:
        """Run a command; what Typer says over several lines is said in one."""
        run: Any = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **more)
        try:
            code = run(*args, standalone_mode=False, **more)
        except UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                sys.exit(2)  # the help has been shown
            refuse(error.format_message())
        except typer.Abort:
            sys.exit(130)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; turn what it raises on bad input into one line."""
        with warnings_kept():
            return self._invoke(ctx)

    def _invoke(self, ctx: typer.Context) -> Any:
        try:
            result = super().invoke(ctx)
            show_warnings()
            return result
        except (InputError, StoreError) as error:
            refuse(str(error))
        except MemoryError:
            refuse(
                "out of memory; give fewer rows or draws at a time (or a smaller --memory, where "
                "the command has one), or use a larger machine."
            )
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            refuse(f"{where}{error.strerror or error}.")
        except KeyboardInterrupt:
            again = ctx.invoked_subcommand in RESUMED
            typer.echo(
                "spikedrop: interrupted; "
                + ("the same command resumes from here." if again else "nothing was written."),
                err=True,
            )
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=OneLine, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spikedrop {importlib.metadata.version('spikedrop')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Uncertainty on spiking networks: permanent dropout, converted and sampled."""


def refuse(message: str) -> NoReturn:
    """Say in one line what cannot be used, and end with exit code 2."""
    typer.echo(f"spikedrop: {one_line(message)}", err=True)
    sys.exit(2)


def one_line(text: str) -> str:
    """Return a text in one line of printable characters.

    >>> one_line("a\\n  b\\0")
    'a b?'
    """
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def report(as_json: bool, result: Mapping[str, Any], text: str) -> None:
    """Print a result: one JSON object for machines, or text for people.

    Warnings go to standard error first, and into the object under ``warnings``.
    """
    result = {**result, "warnings": show_warnings()}
    typer.echo(json.dumps(plain(result), allow_nan=False) if as_json else text)


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
Seed = Annotated[int, typer.Option(min=0, max=2**62, help="Seed of everything random.")]
Target = Annotated[
    str | None, typer.Option(help="Column of the table that is not an input, such as the target.")
]
