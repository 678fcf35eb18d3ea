"""The command line: the only code that imports click, and where errors become exit codes.

    0    done
    1    failed: one line on stderr says what failed, the value, and what to do
    2    wrong usage
    130  interrupted; as a process' own command on POSIX, the process dies of SIGINT, which shells show as 130
    129  the terminal was closed (SIGHUP)
    143  terminated (SIGTERM)

A command's module is imported when the command is called, so that ``--help`` is fast.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import difflib
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from videoinr_cli.cli.messages import Interrupted, Terminated, show_messages
from videoinr_cli.errors import OptionError, is_expected, one_line
from videoinr_cli.processors import openmp_settings
from videoinr_cli.texts import command_of
from videoinr_cli.version import __version__

COMMANDS = {
    "upscale": "upscale:upscale",
    "info": "info:info",
    "preview": "preview:preview",
    "suggest": "suggest:suggest",
    "compare": "compare:compare",
    "evaluate": "evaluate:evaluate",
    "train": "train:train",
    "fit": "fit:fit",
    "render": "render:render",
    "weights": "weights:weights",
    "download-weights": "weights:download_command",  # the same command as `weights download`
    "doctor": "doctor:doctor",
}
MOVED = {"convert-weights": "weights convert"}
"""Former commands and their new names."""
_PART, _SOUNDLESS, _SLOW = "try --start and --end", "try --audio drop", "try --speed 0.5"
_SOUND_ALONE = "the sound alone is ffmpeg's to copy: ffmpeg -i in.mp4 -vn -c copy sound.mka"
_SOUND = "sound is copied as it is, or encoded for containers that cannot hold it; --audio drop leaves it out"
_FILTERS = "let ffmpeg filter first: ffmpeg -i in.mp4 -vf ... -c:v ffv1 -c:a copy filtered.mkv"
OTHER_NAMES = {
    "-a": "try --audio drop in place of -an",
    "-b": "try -e b:v=8M",
    "-c": "try --codec h265",
    "-f": "the output's name says it: -o out.mkv",
    "-i": "name the file alone: videoinr upscale in.mp4",
    "-m": "try --model real",
    "-n": "an existing output is replaced only with -y",
    "-s": "try --size 1080p, or --start",
    "-t": _PART,
    "-v": _FILTERS,
    "-w": "try --width 1920, or --size 1080p",
    "-x": "try --scale 2",
    "--acodec": _SOUND,
    "--an": _SOUNDLESS,
    "--audio-only": _SOUND_ALONE,
    "--bitrate": "try -e b:v=8M",
    "--codec-audio": _SOUND,
    "--continue": "the same command goes on by itself, and with --skip-existing in a folder",
    "--cpu": "try --device cpu",
    "--denoise": "try --model real",
    "--duration": _PART,
    "--factor": "try --scale 2",
    "--filter": _FILTERS,
    "--force": "try -y",
    "--format": "the output's name says it: -o out.mkv",
    "--framerate": "try --fps 60",
    "--from": _PART,
    "--gpu": "try --device cuda; by default a GPU is used where there is one",
    "--interpolate": "try --fps 60, or --fps 2x",
    "--low-memory": "try --max-memory 2G",
    "--multiplier": "try --scale 2, or --fps 2x",
    "--mute": _SOUNDLESS,
    "--no-audio": _SOUNDLESS,
    "--no-sound": _SOUNDLESS,
    "--noise": "try --model real",
    "--no-video": _SOUND_ALONE,
    "--quality": "try --crf 18; smaller is better",
    "--ram": "try --max-memory 2G",
    "--resolution": "try --size 1080p, or --height 1080",
    "--slow": _SLOW,
    "--slow-motion": _SLOW,
    "--slowmo": _SLOW,
    "--sound-only": _SOUND_ALONE,
    "--ss": _PART,
    "--to": _PART,
    "--until": _PART,
    "--upscale": "try --scale 2",
    "--vcodec": "try --codec h265",
    "--vf": _FILTERS,
}
"""Options of other programs, and what serves in their place in ``upscale``."""
DEBUG_VARIABLE = "VIDEOINR_DEBUG"
HELP_COLUMNS = 100
"""Widest help: longer lines are hard to read."""
FAILED, USAGE, INTERRUPTED, SIGNALLED = 1, 2, 130, 128
ENDINGS: dict[int, str] = {signal.SIGTERM: "terminated"}
"""Signals that end the program, and what it says then."""
if sys.platform != "win32":
    ENDINGS[signal.SIGHUP] = "the terminal was closed"
_AS_PRINTABLE = "videoinr-printable"


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in MOVED:
            ctx.fail(f"{cmd_name} is now videoinr {MOVED[cmd_name]}")
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(f"videoinr_cli.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named; ``help upscale`` is ``upscale --help``."""
        name, *rest = args
        if name == "help" and not rest:
            click.echo(ctx.get_help())
            ctx.exit()
        if name == "help":
            args = [*rest, "--help"]
            name = rest[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(f"there is no command {name!r}; {_meant(name, args[1:])}")
        return super().resolve_command(ctx, args)


def _meant(name: str, rest: Sequence[str]) -> str:
    """Return advice about a word that is no command."""
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    if near:
        return f"did you mean {command_of(['videoinr', near[0], *rest])}?"
    if Path(name).exists():
        return f"did you mean {command_of(['videoinr', 'upscale', name, *rest])}?"
    return f"there are {', '.join(COMMANDS)}"


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": HELP_COLUMNS}
)
@click.version_option(__version__, "-V", "--version", prog_name="videoinr")
def cli() -> None:
    """Upscale any video to any resolution and any frame rate, with one space-time model.

    \b
    videoinr preview in.mp4                                what it would look like
    videoinr upscale in.mp4                                twice the size, as in-2x.mp4
    videoinr upscale in.mp4 --size 4k --fps 60 -o out.mp4  4K, 60 frames a second

    See videoinr COMMAND --help for each command. Every option can also be set by an environment variable:
    VIDEOINR_UPSCALE_CRF=20 is the same as upscale --crf 20.
    """  # noqa: D301 -- \b is click's mark for lines to leave alone


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its exit code.

    Args:
        arguments: the command's words; None for the process' own, whose interruption ends the process by
            SIGINT: a shell that runs a loop or a script stops only then.
    """
    if "torch" not in sys.modules:  # which reads them when it is loaded, here and in workers
        os.environ.update(openmp_settings(os.environ))
    show_messages()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_AS_PRINTABLE)
    if threading.current_thread() is threading.main_thread():
        for number in ENDINGS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, _terminate)
        if arguments is None and os.name == "posix":
            atexit.register(_die_interrupted)  # before all others, so that it runs after them
    code = FAILED
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
        _say(_usage(error, command))
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        code = INTERRUPTED
    except Interrupted as interrupted:
        _say(str(interrupted))
        code = INTERRUPTED
    except Terminated as error:
        _say(error.said)
        code = SIGNALLED + error.number
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        code = _exit_code(error)
    finally:
        if code != INTERRUPTED:
            atexit.unregister(_die_interrupted)
    sys.exit(code or 0)


def _die_interrupted() -> None:
    """End the process by SIGINT; the first process of a container lives on, and exits with its code."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none, or its reader has ended
        sys.stdout.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def _usage(error: click.ClickException, command: str) -> str:
    """Say on one line what is wrong with what was typed, and what to type instead."""
    if isinstance(error, click.NoSuchOption) and command == "videoinr upscale":
        name = error.option_name
        if name in OTHER_NAMES:
            return f"no such option {name}; {OTHER_NAMES[name]}; see {command} --help"
    said = error.format_message().rstrip(".")
    return f"{said} See {command} --help" if said.endswith("?") else f"{said}; see {command} --help"


def _terminate(number: int, frame: FrameType | None) -> None:
    """Handle a signal, which the first process of a container would ignore by default."""
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:  # a terminal that is closed takes no last words; they must not end in another error
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    raise Terminated(number, ENDINGS[number])


def _as_printable(error: UnicodeError) -> tuple[bytes | str, int]:
    """Print file names byte for byte, and letters that the output's encoding lacks as numbers."""
    if not isinstance(error, UnicodeEncodeError):  # whoever embeds the command may read the stream back
        return codecs.replace_errors(error)
    printed = b""
    for letter in error.object[error.start : error.end]:
        try:
            printed += letter.encode("ascii", "surrogateescape")
        except UnicodeEncodeError:
            printed += letter.encode("ascii", "backslashreplace")
    return printed, error.end


codecs.register_error(_AS_PRINTABLE, _as_printable)


def _exit_code(error: Exception) -> int:
    """Print an error and return its exit code."""
    hint = (
        "" if is_expected(error) else f"; please report it, with the traceback that {DEBUG_VARIABLE}=1 shows"
    )
    _say(one_line(error) + hint)
    return USAGE if isinstance(error, OptionError) else FAILED


def _say(message: str) -> None:
    try:
        from videoinr_cli.progress import error_line

        error_line(message)
    except MemoryError:  # not even for an import: nor would there be any for Python's own way to end
        os.write(2, f"error: {message}\n".encode(errors="replace"))
        os._exit(FAILED)
