"""``--preset-file``: options in TOML, below the command line and the environment."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

import click

from videoinr_cli.errors import OptionError
from videoinr_cli.texts import decoded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_preset_file(path: Path, command: click.Command) -> dict[str, Any]:
    """Return a command's values from a file, in which options have their long names: ``height = 1080``.

    Raises:
        OptionError: the file cannot be read, is not TOML, names an option that the command does not have, or
            gives one a value of the wrong type.
    """
    try:
        content = tomllib.loads(decoded(path.read_bytes()))
    except OSError as error:
        raise OptionError(f"preset file {str(path)!r} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"preset file {str(path)!r} is not TOML: {error}") from error
    options = _options_by_name(command)
    values = {}
    for key, value in content.items():
        name = key.replace("_", "-")
        if name not in options:
            near = difflib.get_close_matches(name, options, n=1)
            advice = f"did you mean {near[0]}?" if near else f"see {command.name} --help"
            raise OptionError(f"preset file {str(path)!r}: no option {key!r}; {advice}")
        option = options[name]
        if not _suits(value, option):
            raise OptionError(f"preset file {str(path)!r}: {key} = {value!r} is not a value for --{name}")
        assert option.name is not None
        values[option.name] = value
    return values


def _options_by_name(command: click.Command) -> dict[str, click.Option]:
    """Return the options that a file may set, by their long names without dashes."""
    return {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option) and option.expose_value
        for name in option.opts
        if name.startswith("--")
    }


def _suits(value: object, option: click.Option) -> bool:
    """Whether a value has a type that the option accepts; the option itself checks the rest."""
    if option.is_flag:
        return isinstance(value, bool)
    if option.multiple:
        return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _use(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        values = read_preset_file(path, context.command)
        context.default_map = {**(context.default_map or {}), **values}


preset_file_option = click.option(
    "--preset-file",
    type=click.Path(path_type=Path),
    is_eager=True,  # it provides the other options' defaults
    expose_value=False,
    callback=_use,
    help="TOML file of options, such as height = 1080; the command line and VIDEOINR_UPSCALE_* override it.",
)
