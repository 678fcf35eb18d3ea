"""Man pages, generated from the commands.

The wheel contains them where ``man`` looks (see hatch_build.py); ``python scripts/manual.py DIR`` writes them
to a folder.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from videoinr_cli.cli.sections import help_sections

PROGRAM = "videoinr"

EXIT_STATUS = {
    "0": "Done.",
    "1": "Failed; one line on standard error says what failed, the value, and what to do.",
    "2": "Wrong usage: an unknown option, or a value that makes no sense.",
    "130": "Interrupted by Ctrl-C.",
    "143": "Terminated by SIGTERM.",
}


def manual(root: click.Group, version: str) -> dict[str, str]:
    """Return the text of every file below a share/ folder, by its path there."""
    files = {}
    for context in contexts(root):
        name = context.command_path.replace(" ", "-")
        files[f"man/man1/{name}.1"] = man_page(context, version)
    return files


def contexts(
    command: click.Command, name: str = PROGRAM, parent: click.Context | None = None
) -> Iterator[click.Context]:
    """Yield a context for a command and for each one below it."""
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield context
    for each, below in _commands(context).items():
        yield from contexts(below, each, context)


def man_page(context: click.Context, version: str) -> str:
    """Return a command's manual in the roff of man(7)."""
    name = context.command_path.replace(" ", "-")
    lines = [f'.TH "{name.upper()}" "1" "" "videoinr {version}" "User commands"', ".nh", ".ad l"]
    lines += [".SH NAME", f"{_escape(name)} \\- {_escape(_summary(context.command))}"]
    lines += [".SH SYNOPSIS", rf"\fB{_escape(context.command_path)}\fP {_escape(_usage(context))}"]
    lines += [".SH DESCRIPTION", *_description(context.command)]
    lines += list(_options(context))
    commands = {f"{name}-{each}(1)": _summary(below) for each, below in _commands(context).items()}
    lines += list(_section("COMMANDS", commands))
    lines += list(_section("ENVIRONMENT", _environment(context)))
    lines += list(_section("EXIT STATUS", EXIT_STATUS))
    if context.parent is not None:
        parent = context.parent.command_path.replace(" ", "-")
        lines += [".SH SEE ALSO", rf"\fB{_escape(parent)}\fP(1)"]
    return "\n".join(lines) + "\n"


def _commands(context: click.Context) -> dict[str, click.Command]:
    """Return the commands of a group by the names they have in it."""
    if not isinstance(context.command, click.Group):
        return {}
    group = context.command
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: each for name, each in found.items() if each is not None and not each.hidden}


def _summary(command: click.Command) -> str:
    return command.get_short_help_str(limit=200).rstrip(".")


def _usage(context: click.Context) -> str:
    return " ".join(context.command.collect_usage_pieces(context))


def _description(command: click.Command) -> Iterator[str]:
    """Yield a docstring's paragraphs; those that click does not rewrap are examples."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield from (".PP", ".RS 4", ".nf")
            yield from map(_escape, paragraph.splitlines()[1:])
            yield from (".fi", ".RE")
        else:
            yield ".PP"
            yield from map(_escape, textwrap.wrap(paragraph, 100))


def _options(context: click.Context) -> Iterator[str]:
    """Yield the options in the sections of ``--help``."""
    sections = help_sections(context)
    for title, options in sections.items():
        heading = f".SS {title}" if len(sections) > 1 else f".SH {title.upper()}"
        yield from (heading, *_entries(options))


def _environment(context: click.Context) -> dict[str, str]:
    """Return the environment variables of options; of those that click derives, one as an example."""
    options = [
        each for each in context.command.params if isinstance(each, click.Option) and not each.is_eager
    ]
    named = {str(each.envvar): f"Same as {max(each.opts, key=len)}." for each in options if each.envvar}
    derived = next((each for each in options if not each.envvar and not each.is_flag), None)
    if derived is None:
        return named
    prefix = context.command_path.replace(" ", "_").replace("-", "_").upper()
    text = f"Same as {max(derived.opts, key=len)}; every option has a variable of this form."
    return {f"{prefix}_{(derived.name or '').upper()}": text, **named}


def _section(title: str, entries: dict[str, str]) -> Iterator[str]:
    if entries:
        yield from (f".SH {title}", *_entries(entries))


def _entries(entries: dict[str, str]) -> Iterator[str]:
    for term, text in entries.items():
        yield ".TP"
        yield rf"\fB{_escape(term)}\fP"
        yield _escape(" ".join(text.split()))


def _escape(text: str) -> str:
    """Escape a text for roff: backslashes, hyphens, and requests at the start of a line."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main() -> None:
    """Write the manual to the folder named on the command line."""
    from videoinr_cli import __version__
    from videoinr_cli.cli import cli

    for path, text in manual(cli, __version__).items():
        file = Path(sys.argv[1]) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
