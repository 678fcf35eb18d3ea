"""``--help`` in sections: options are made by one of the functions below, and name their section by it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

RUNNING = "Running"


class SectionedOption(click.Option):
    """An option that names its section of ``--help``."""

    def __init__(self, *declarations: Any, section: str, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.section = section


class SectionedCommand(click.Command):
    """A command with so many options that ``--help`` shows them in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section, in the order of their first options."""
        for title, options in help_sections(ctx).items():
            with formatter.section(title):
                formatter.write_dl(list(options.items()))


def help_sections(context: click.Context) -> dict[str, dict[str, str]]:
    """Return the help text of every option, by its section and by how it is written.

    Options without one, such as --help, are in the last, or in "Options" where a command has no sections.
    """
    has_sections = isinstance(context.command, SectionedCommand)
    sections: dict[str, dict[str, str]] = {}
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            title = parameter.section if isinstance(parameter, SectionedOption) else RUNNING
            sections.setdefault(title if has_sections else "Options", {})[record[0]] = record[1]
    if RUNNING in sections:
        sections[RUNNING] = sections.pop(RUNNING)
    return sections


def in_section(title: str) -> Callable[..., Callable[[Any], Any]]:
    """Return a ``click.option`` whose options are in a section of ``--help``."""
    return functools.partial(click.option, cls=SectionedOption, section=title)


files_option = in_section("Files")
picture_option = in_section("Picture")
time_option = in_section("Time")
stream_option = in_section("Colour and streams")
encoding_option = in_section("Encoding")
running_option = in_section(RUNNING)
