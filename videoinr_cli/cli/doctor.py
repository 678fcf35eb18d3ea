"""``videoinr doctor``: print a diagnosis of this machine."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from videoinr_cli.cli.parameters import model_options
from videoinr_cli.options import Precision
from videoinr_cli.quantities import counted

if TYPE_CHECKING:
    from videoinr_cli.doctor.diagnosis import Diagnosis

LABEL_COLUMNS = 24


@click.command("doctor", short_help="Check this machine: what works, what is missing, how fast.")
@model_options
@click.option("--cluster", metavar="ADDRESS", help="Check the nodes of a Ray cluster too, as for upscale.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def doctor(
    context: click.Context,
    weights: str,
    device: str,
    precision: Precision,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Check that everything needed is installed, and measure how fast common jobs run on this machine.

    Exits with 1 if something essential is missing, and prints what to do about it.
    """
    from videoinr_cli.doctor.diagnosis import diagnose

    if sys.stderr.isatty():
        click.echo("checking this machine for about ten seconds ...", err=True)
    found = diagnose(weights, device=device, precision=precision, cluster=cluster)
    if as_json:
        click.echo(json.dumps({"is_well": found.is_well, **dataclasses.asdict(found)}, indent=2))
    else:
        for label, text in _lines(found):
            click.echo(f"{label:<{LABEL_COLUMNS}}{text}".rstrip())
        for problem in found.problems:
            mark = "error" if problem.is_essential else "warning"
            click.echo(f"{mark}: {problem.what}; {problem.remedy}", err=True)
    context.exit(0 if found.is_well else 1)


def _lines(found: Diagnosis) -> Iterator[tuple[str, str]]:
    yield "videoinr", f"{found.videoinr}, Python {found.python}, {found.system}, {found.cores} cores"
    yield "libraries", ", ".join(f"{library.name} {library.version}" for library in found.libraries)
    for device in found.devices:
        memory = "" if device.memory_bytes is None else f", {_gib(device.memory_bytes)}"
        others = ", ".join(name for name in device.precisions if name != device.automatic)
        precisions = f"{device.automatic} by default" + (f", {others} on request" if others else "")
        yield f"device {device.name}", f"{device.description}{memory}; {precisions}"
    if found.ffmpeg is not None:
        yield "ffmpeg", f"{found.ffmpeg.version}, {found.ffmpeg.path}"
        yield "encoders", " ".join(found.ffmpeg.encoders) or "none"
    if found.memory_free_bytes is not None and found.memory_total_bytes is not None:
        yield "memory", f"{_gib(found.memory_free_bytes)} free of {_gib(found.memory_total_bytes)}"
    yield "disk", f"{_gib(found.disk_free_bytes)} free in this folder"
    for weights in found.weights:
        size = f"{weights.parameters / 1e6:.1f} M parameters"
        yield "weights", f"{weights.name} ({weights.architecture}, {size}) {weights.path}"
    for node in found.cluster or ():
        versions = f"videoinr {node.videoinr}, torch {node.torch}, ffmpeg {node.ffmpeg}"
        known = f"{node.device} ({node.device_name}), {versions}"
        state = "offers no processor" if not node.processes else known if node.videoinr else "no answer"
        yield f"node {node.name}", f"left out: {node.problem}" if node.problem else state
    for speed in found.speeds:
        kind = "measured on" if speed.share == 1 else "estimated from"
        part = "" if speed.share == 1 else f" of {speed.share:.0%} of the size"
        yield (
            speed.job,
            f"{speed.frames_per_second:.3g} frames/s, {kind} {counted(speed.frames, 'frame')}{part}",
        )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"
