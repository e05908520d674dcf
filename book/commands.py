"""The commands of the command line as a page: what `spikedrop COMMAND --help` says.

Read from the commands themselves, because their Python signatures hold objects of Typer.
"""

import re
from collections.abc import Iterator

import typer
from typer.core import TyperCommand

from spikedrop.cli import app


def commands() -> Iterator[tuple[str, TyperCommand]]:
    """Yield name and command, in the order of the help."""
    yield from typer.main.get_group(app).commands.items()


def command_functions() -> dict[str, list[str]]:
    """Names of the functions behind the commands and the program itself, by module.

    Examples
    --------
    >>> command_functions()["spikedrop.cli.sampling"]
    ['sample']
    """
    functions: dict[str, list[str]] = {}
    group = typer.main.get_group(app)
    for command in (group, *group.commands.values()):
        function = command.callback
        functions.setdefault(function.__module__, []).append(function.__name__)
    return functions


def commands_page() -> str:
    """Return a section of Markdown for each command: usage, what it does, its options."""
    group = typer.Context(typer.main.get_group(app), info_name="spikedrop")
    sections = ["`spikedrop --version` says the version, `spikedrop COMMAND --help` what follows."]
    for name, command in commands():
        context = typer.Context(command, info_name=name, parent=group)
        usage = " ".join(command.get_usage(context).removeprefix("Usage:").split())
        rows = ["| argument or option | meaning |", "|---|---|"]
        for parameter in command.get_params(context):
            words, meaning = parameter.get_help_record(context)
            if parameter.name != "help":
                rows.append(f"| `{_cell(words)}` | {_cell(meaning)} |")
        sections.append(
            f"## spikedrop {name}\n\n```text\n{usage}\n```\n\n"
            f"{_prose(command.help)}\n\n" + "\n".join(rows)
        )
    return "\n\n".join(sections)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _prose(text: str) -> str:
    """Return the help with its examples as blocks of code."""
    return re.sub(r"(?m)^Examples?: (.+(?:\n(?!\n).+)*)", r"```text\n\1\n```", text.strip())
