"""The command line: the only code that imports click, and where an error becomes an exit code.

    0    done
    1    failed: one line on stderr says what, which value, and what to do
    2    wrong usage
    130  interrupted
    143  told to end (SIGTERM)

Commands are imported when they are called, so that ``--help`` waits for nothing heavy.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.errors import OptionError, is_expected, one_line
from videoinr_cli.version import __version__

COMMANDS = {
    "upscale": "upscale:upscale",
    "info": "info:info",
    "preview": "preview:preview",
    "compare": "compare:compare",
    "evaluate": "evaluate:evaluate",
    "train": "train:train",
    "weights": "weights:weights",
    "download-weights": "download_weights:download_weights",
    "doctor": "doctor:doctor",
    "convert-weights": "convert_weights:convert_weights",
}
DEBUG_VARIABLE = "VIDEOINR_DEBUG"
FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(f"videoinr_cli.cli.{module}"), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="videoinr")
def cli() -> None:
    """Upscale any video to any resolution and any frame rate, with one space-time model.

    \b
    videoinr preview in.mp4                                 what it would look like
    videoinr upscale in.mp4 --scale 2 -o out.mp4            twice the size
    videoinr upscale in.mp4 --scale 2 --fps 60 -o out.mp4   and 60 frames a second

    videoinr COMMAND --help says more of each. Every option can also be set by a variable:
    VIDEOINR_UPSCALE_CRF=20 stands for upscale --crf 20.
    """  # noqa: D301 -- \b is click's mark for lines to leave alone


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code."""
    show_messages()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files are printed byte for byte
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
    try:
        code = cli.main(
            list(arguments) if arguments is not None else None,
            prog_name="videoinr",
            standalone_mode=False,
            auto_envvar_prefix="VIDEOINR",
        )
    except NoArgsIsHelpError as error:
        error.show()
        code = USAGE
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        command = context.command_path if context is not None else "videoinr"
        _say(f"{error.format_message().rstrip('.')}; see {command} --help")
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        code = INTERRUPTED
    except _ToldToEnd:
        _say("told to end")
        code = TERMINATED
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        code = _report(error)
    sys.exit(code or 0)


class _ToldToEnd(BaseException):
    """Unwinds everything, so that nothing unfinished is left."""


def _end(number: int, frame: FrameType | None) -> None:
    """Answer SIGTERM, which the first process of a container would not even feel otherwise."""
    raise _ToldToEnd


def _report(error: Exception) -> int:
    hint = "" if is_expected(error) else f"; set {DEBUG_VARIABLE}=1 to see where, and report it"
    _say(one_line(error) + hint)
    return USAGE if isinstance(error, OptionError) else FAILED


def _say(message: str) -> None:
    from videoinr_cli.progress import error_line

    error_line(message)
