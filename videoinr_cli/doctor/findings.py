"""What a machine has: libraries, devices, ffmpeg and its encoders, weights, memory."""

from __future__ import annotations

import dataclasses
import importlib
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from videoinr_cli.doctor.problems import REINSTALL, Problems, split_remedy
from videoinr_cli.errors import VideoInrError
from videoinr_cli.options import DEFAULT_WEIGHTS, PRECISIONS

if TYPE_CHECKING:
    import torch

    from videoinr_cli.jobs.cluster.nodes import Description

LIBRARIES = ("torch", "av", "numpy", "PIL", "safetensors", "huggingface_hub")
"""Modules that some command needs."""

ESSENTIAL_ENCODER = "libx264"
"""The encoder of outputs unless the user names another."""

SOFTWARE_ENCODERS = (
    ESSENTIAL_ENCODER,
    "libx265",
    "libvpx-vp9",
    "libsvtav1",
    "libaom-av1",
    "ffv1",
    "prores_ks",
)
SOUND_ENCODERS = ("aac", "ac3", "flac", "libopus")
"""Encoders of sound that an output's container cannot hold as it is."""

HARDWARE_ENCODERS = (
    *("h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_videotoolbox", "hevc_videotoolbox"),
    *("h264_qsv", "hevc_qsv", "h264_amf", "hevc_amf"),
)
"""Encoders that ffmpeg may list although the hardware is missing; each is tried on one frame."""

TRIAL_SECONDS = 20
"""Time limit of one run of ffmpeg."""


@dataclasses.dataclass(frozen=True)
class Library:
    """An installed Python package."""

    name: str
    version: str


@dataclasses.dataclass(frozen=True)
class Device:
    """A device that networks can run on."""

    name: str  # as for --device
    description: str
    precisions: tuple[str, ...]  # values of --precision that it supports
    automatic: str  # the one that --precision auto chooses
    memory_bytes: int | None  # of its own


@dataclasses.dataclass(frozen=True)
class Ffmpeg:
    """The ffmpeg in use."""

    path: str
    version: str
    encoders: tuple[str, ...]  # the working ones of those above


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """A weights file on this machine."""

    name: str
    path: str
    architecture: str
    parameters: int


@dataclasses.dataclass(frozen=True)
class ClusterNode:
    """A node of a cluster; what is not known of it is empty."""

    name: str
    processes: int  # that can render there at once
    device: str  # their kind of device
    device_name: str
    videoinr: str  # version
    torch: str  # version
    ffmpeg: str  # name and version
    problem: str | None  # why it cannot be used


def find_libraries(problems: Problems) -> tuple[Library, ...]:
    """Return the needed libraries that can be imported; each of the others is a problem."""
    modules = {
        name: problems.attempt(
            lambda name=name: importlib.import_module(name),  # type: ignore[misc]
            REINSTALL,
        )
        for name in LIBRARIES
    }
    return tuple(
        Library(name, str(getattr(module, "__version__", "unknown")))
        for name, module in modules.items()
        if module is not None
    )


def find_devices() -> tuple[Device, ...]:
    """Return the devices that torch can use, first the one that ``auto`` chooses."""
    import torch

    from videoinr_cli.model.devices import choose_device, choose_dtype, mps_serves

    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    names += ["mps"] if mps_serves() else []
    devices = []
    for name in (*names, "cpu"):
        device = choose_device(name)
        automatic = str(choose_dtype("auto", device)).removeprefix("torch.")
        properties = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
        devices.append(
            Device(
                name=name,
                description=properties.name if properties else _processor_name(),
                precisions=tuple(_supported_precisions(device)),
                automatic={"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}[automatic],
                memory_bytes=properties.total_memory if properties else None,
            )
        )
    return tuple(devices)


def _supported_precisions(device: torch.device) -> Iterator[str]:
    from videoinr_cli.model.devices import choose_dtype

    for precision in PRECISIONS[1:]:
        try:
            choose_dtype(precision, device)
        except VideoInrError:
            continue
        yield precision


def _processor_name() -> str:
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        match = None
    return match[1] if match else platform.processor() or platform.machine()


def find_working_ffmpeg(problems: Problems) -> Ffmpeg:
    """Return the ffmpeg in use and its working encoders; what the one found first lacks is a problem.

    Raises:
        FfmpegError: there is none.
    """
    from videoinr_cli.media.ffmpeg import (
        OLDEST,
        Needs,
        describe,
        find_ffmpeg,
        found_on_path,
        lacks,
        passed_over,
    )

    path = find_ffmpeg(Needs(encoders=(ESSENTIAL_ENCODER,)))
    if (other := passed_over()) is not None:
        problems.add(
            f"ffmpeg at {other} is older than {OLDEST} or cannot be run; {path} is used",
            "install a newer ffmpeg if you want its encoders",
            is_essential=False,
        )
    else:
        first = found_on_path() or path
        useful = (*SOFTWARE_ENCODERS[1:], *SOUND_ENCODERS) if first == path else SOFTWARE_ENCODERS
        if missing := lacks(first, Needs(encoders=useful, hdr10=True)):
            problems.add(
                f"ffmpeg at {first} lacks {', '.join(missing)}",
                "point FFMPEG_PATH at one that has it" if first == path else f"{path} is used instead",
                is_essential=False,
            )
    build = describe(path)
    working = [name for name in SOFTWARE_ENCODERS if name in build.encoders]
    working += [name for name in HARDWARE_ENCODERS if name in build.encoders and encodes(path, name)]
    if ESSENTIAL_ENCODER not in working:
        problems.add(
            f"ffmpeg at {path} has no working {ESSENTIAL_ENCODER}",
            "point FFMPEG_PATH at a complete ffmpeg, unset it to use the bundled one, or name another "
            "encoder with --codec",
        )
    return Ffmpeg(path, build.version, tuple(working))


def encodes(ffmpeg: str, encoder: str) -> bool:
    """Whether an ffmpeg can encode one frame with an encoder."""
    picture = ("-f", "lavfi", "-i", "color=size=256x256", "-frames:v", "1")
    command = [ffmpeg, "-hide_banner", "-loglevel", "quiet", *picture, "-c:v", encoder, "-f", "null", "-"]
    try:
        return subprocess.run(command, capture_output=True, timeout=TRIAL_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):  # a driver may hang
        return False


def find_weights_files(problems: Problems) -> tuple[WeightsFile, ...]:
    """Return the sound weights on this machine; each of the others is a problem."""
    from videoinr_cli.weights import all_weights, embedded_weights, inspect_weights

    try:
        entries = all_weights()
    except VideoInrError as error:  # a damaged record of downloaded weights, which nothing else needs
        problems.add_error(error, "delete it", is_essential=False)
        entries = embedded_weights()
    here = {entry.name: entry for entry in entries if entry.path is not None}
    if DEFAULT_WEIGHTS not in here:
        problems.add(f"the weights {DEFAULT_WEIGHTS!r} are missing", REINSTALL)
    found = []
    for name, entry in here.items():
        assert entry.path is not None
        try:
            info = inspect_weights(entry.path)
        except VideoInrError as error:
            what, _ = split_remedy(error)
            remedy = REINSTALL if entry.record is None else entry.remedy
            problems.add(what, remedy, is_essential=name == DEFAULT_WEIGHTS)
        else:
            found.append(WeightsFile(name, str(entry.path), info.config.architecture, info.parameters))
    return tuple(found)


def find_cluster_nodes(
    cluster: str, weights: str, device: str, problems: Problems
) -> tuple[ClusterNode, ...]:
    """Return the nodes of a cluster; each that cannot be used is a problem.

    Raises:
        VideoInrError: there is no such cluster; Ray is not installed.
    """
    from videoinr_cli.jobs.cluster import find_nodes
    from videoinr_cli.options import JobOptions, UpscaleOptions

    options = UpscaleOptions(weights=weights, device=device)
    nodes = []
    for found in find_nodes(options, JobOptions(cluster=cluster)):
        facts = found.description
        problem = found.problem or (
            "it has not answered, perhaps as it is busy" if found.processes and facts is None else None
        )
        if problem is not None:
            what, _, remedy = problem.partition("; ")
            remedy = remedy or "mend it, or leave it out"
            problems.add(f"node {found.name} cannot be used: {what}", remedy, is_essential=False)
        nodes.append(
            ClusterNode(
                found.name,
                found.processes,
                *(("", "", "", "", "") if facts is None else _facts_of(facts)),
                problem=problem,
            )
        )
    if not any(node.processes and node.problem is None for node in nodes):
        problems.add(f"no node of cluster {cluster!r} can be used", "see what is wrong with each")
    return tuple(nodes)


def _facts_of(node: Description) -> tuple[str, str, str, str, str]:
    return node.device, node.device_name, node.videoinr, node.torch, node.ffmpeg


def find_memory() -> tuple[int, int]:
    """Return the free and the total bytes of memory."""
    import psutil

    from videoinr_cli.render.memory import free_ram_bytes

    return free_ram_bytes(), psutil.virtual_memory().total
