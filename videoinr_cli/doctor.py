"""Examine a machine: what is there, what is missing and how to get it, and how fast the common jobs go.

Nothing here may fail for want of what it looks for: whatever needs torch, PyAV or ffmpeg is imported late,
and what goes wrong becomes a problem with its remedy. Knows nothing of terminals.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from videoinr_cli.errors import VideoInrError
from videoinr_cli.options import DEFAULT_WEIGHTS, PRECISIONS, Precision
from videoinr_cli.version import __version__

if TYPE_CHECKING:
    import torch

    from videoinr_cli.model import AnyVideoInr
    from videoinr_cli.render.renderer import GivenFrame

LIBRARIES = ("torch", "av", "numpy", "PIL", "safetensors", "huggingface_hub")
"""Modules without which some command does not work."""

ESSENTIAL_ENCODER = "libx264"
"""What outputs are encoded with unless the user asks for something else."""

SOFTWARE_ENCODERS = (
    ESSENTIAL_ENCODER,
    "libx265",
    "libvpx-vp9",
    "libsvtav1",
    "libaom-av1",
    "ffv1",
    "prores_ks",
)
HARDWARE_ENCODERS = (
    *("h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_videotoolbox", "hevc_videotoolbox"),
    *("h264_qsv", "hevc_qsv", "h264_amf", "hevc_amf"),
)
"""Encoders that ffmpeg may list although the hardware is not there: each is tried on one frame."""

TRIAL_SECONDS = 20
"""How long one run of ffmpeg may take."""

MEASURED_SECONDS = 5.0
"""For all jobs together."""

SMALLEST_SHARE = 1 / 16
"""Of a frame's pixels: what a machine too slow for more of them is measured on, and others first."""

FRAMES_WANTED = 3
"""At least so many are rendered in the time there is, the first of which is not counted."""

REINSTALL = "install videoinr again in this environment: pip install --force-reinstall . in a clone of it"

SCARCE_MEMORY_BYTES = 2 << 30
SCARCE_DISK_BYTES = 1 << 30

T = TypeVar("T")
Size = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do about it."""

    what: str
    remedy: str
    is_essential: bool = True  # whether nothing can be upscaled before it is mended


@dataclasses.dataclass(frozen=True)
class Library:
    """A Python package that is there."""

    name: str
    version: str


@dataclasses.dataclass(frozen=True)
class Device:
    """Something that networks can run on."""

    name: str  # as --device takes it
    description: str
    precisions: tuple[str, ...]  # that --precision takes on it
    automatic: str  # that --precision auto takes
    memory_bytes: int | None  # of its own


@dataclasses.dataclass(frozen=True)
class Ffmpeg:
    """The ffmpeg that is used."""

    path: str
    version: str
    encoders: tuple[str, ...]  # those of interest that work


@dataclasses.dataclass(frozen=True)
class Weights:
    """A weights file that is found."""

    name: str
    path: str
    architecture: str
    parameters: int


@dataclasses.dataclass(frozen=True)
class Job:
    """Something that people commonly ask for."""

    name: str
    source: Size  # (width, height) in pixels
    output: Size
    pictures: int  # for each frame of the source


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast a job goes: rendering alone, without encoding."""

    job: str
    frames_per_second: float  # of the output
    frames: int  # that were measured
    share: float  # of a frame's pixels that was rendered: below 1, the rate is estimated from it


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """All that was found."""

    videoinr: str
    python: str
    system: str
    cores: int
    libraries: tuple[Library, ...]
    devices: tuple[Device, ...]
    ffmpeg: Ffmpeg | None
    memory_free_bytes: int | None
    memory_total_bytes: int | None
    disk_free_bytes: int  # where the command runs
    weights: tuple[Weights, ...]
    speeds: tuple[Speed, ...]
    problems: tuple[Problem, ...]

    @property
    def is_well(self) -> bool:
        """Whether videos can be upscaled."""
        return not any(problem.is_essential for problem in self.problems)


JOBS = (
    Job("480p to 1080p", (854, 480), (1920, 1080), 1),
    Job("720p to 1440p", (1280, 720), (2560, 1440), 1),
    Job("720p at twice the rate", (1280, 720), (1280, 720), 2),
)


def diagnose(
    weights: str = DEFAULT_WEIGHTS, *, device: str = "auto", precision: Precision = "auto"
) -> Diagnosis:
    """Examine this machine.

    Args:
        weights: those whose speed is measured.
        device: on which it is.
        precision: in which it is.
    """
    problems: list[Problem] = []
    libraries = tuple(_libraries(problems))
    devices = _tried(_devices, problems, REINSTALL) or ()
    ffmpeg = _tried(lambda: _ffmpeg(problems), problems, "install ffmpeg, or point FFMPEG_PATH at one")
    if ffmpeg is not None and ESSENTIAL_ENCODER not in ffmpeg.encoders:
        problems.append(
            Problem(
                f"ffmpeg at {ffmpeg.path} has no working {ESSENTIAL_ENCODER}",
                "point FFMPEG_PATH at a complete ffmpeg, or unset it to use the one that comes along; or "
                "name another encoder by --codec",
            )
        )
    found = _tried(lambda: tuple(_weights(problems)), problems, REINSTALL) or ()
    free, total = _tried(_memory, problems, REINSTALL) or (None, None)
    disk = shutil.disk_usage(Path.cwd()).free
    for what, left, enough, remedy in (
        ("memory", free, SCARCE_MEMORY_BYTES, "close other programs, or render to a smaller size"),
        ("disk", disk, SCARCE_DISK_BYTES, "make room, or write to another disk"),
    ):
        if left is not None and left < enough:
            scarce = f"only {left / 2**30:.1f} GiB of {what} are free"
            problems.append(Problem(scarce, remedy, is_essential=False))
    speeds = _tried(
        lambda: _speeds(weights, device, precision), problems, "try other --weights, --device or --precision"
    )
    return Diagnosis(
        videoinr=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        libraries=libraries,
        devices=devices,
        ffmpeg=ffmpeg,
        memory_free_bytes=free,
        memory_total_bytes=total,
        disk_free_bytes=disk,
        weights=found,
        speeds=speeds or (),
        problems=tuple(problems),
    )


def _tried(look: Callable[[], T], problems: list[Problem], remedy: str) -> T | None:
    """Return what is found, or make a problem of what goes wrong, once."""
    try:
        return look()
    except (VideoInrError, ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        problem = _problem(error, remedy)
        if not any(known.what == problem.what and known.is_essential for known in problems):
            problems[:] = [known for known in problems if known.what != problem.what]
            problems.append(problem)
        return None


def _problem(error: Exception, remedy: str, *, is_essential: bool = True) -> Problem:
    """Make a problem of an error, with the remedy that its own message ends with, if it has one."""
    what = " ".join(str(error).split()) or type(error).__name__
    own = ""
    if isinstance(error, VideoInrError):
        what, _, own = what.partition("; ")
    return Problem(what, own or remedy, is_essential)


def _libraries(problems: list[Problem]) -> Iterator[Library]:
    for name in LIBRARIES:
        module = _tried(
            lambda name=name: importlib.import_module(name),  # type: ignore[misc]
            problems,
            REINSTALL,
        )
        if module is not None:
            yield Library(name, str(getattr(module, "__version__", "unknown")))


def _devices() -> tuple[Device, ...]:
    """Return the devices that torch can use, the one that ``auto`` takes first."""
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
                description=properties.name if properties else _processor(),
                precisions=tuple(_precisions(device)),
                automatic={"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}[automatic],
                memory_bytes=properties.total_memory if properties else None,
            )
        )
    return tuple(devices)


def _precisions(device: torch.device) -> Iterator[str]:
    from videoinr_cli.model.devices import choose_dtype

    for precision in PRECISIONS[1:]:
        try:
            choose_dtype(precision, device)
        except VideoInrError:
            continue
        yield precision


def _processor() -> str:
    """Return the processor's name."""
    try:
        named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        named = None
    return named[1] if named else platform.processor() or platform.machine()


def _ffmpeg(problems: list[Problem]) -> Ffmpeg:
    """Return the ffmpeg that is used, and the encoders in it that work; one that is not used is a problem.

    Raises:
        FfmpegError: there is none.
    """
    from videoinr_cli.media.ffmpeg import OLDEST, find_ffmpeg, passed_over

    path = find_ffmpeg()
    if (other := passed_over()) is not None:
        what = f"ffmpeg at {other} is older than {OLDEST} or cannot be run; {path} is used"
        problems.append(
            Problem(what, "install a newer ffmpeg if its encoders are wanted", is_essential=False)
        )
    version = re.match(r"ffmpeg version (\S+)", _told(path, "-version"))
    listed = set(re.findall(r"^ V\S* (\S+)", _told(path, "-hide_banner", "-encoders"), re.MULTILINE))
    working = [name for name in SOFTWARE_ENCODERS if name in listed]
    working += [name for name in HARDWARE_ENCODERS if name in listed and _encodes(path, name)]
    return Ffmpeg(path, version[1] if version else "unknown", tuple(working))


def _told(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TRIAL_SECONDS)
    return done.stdout


def _encodes(path: str, encoder: str) -> bool:
    picture = ("-f", "lavfi", "-i", "color=size=256x256", "-frames:v", "1")
    command = [path, "-hide_banner", "-loglevel", "quiet", *picture, "-c:v", encoder, "-f", "null", "-"]
    try:
        return subprocess.run(command, capture_output=True, timeout=TRIAL_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):  # a driver may hang
        return False


def _weights(problems: list[Problem]) -> Iterator[Weights]:
    """Yield the weights that are on this machine; those that come with the package are essential."""
    from videoinr_cli.weights import all_weights, embedded_weights, inspect_weights

    try:
        entries = all_weights()
    except VideoInrError as error:  # a record of fetched weights, which nothing else depends on
        problems.append(_problem(error, "delete it", is_essential=False))
        entries = embedded_weights()
    here = {entry.name: entry for entry in entries if entry.path is not None}
    if DEFAULT_WEIGHTS not in here:
        problems.append(Problem(f"the weights {DEFAULT_WEIGHTS!r} are missing", REINSTALL))
    for name, entry in here.items():
        assert entry.path is not None
        try:
            info = inspect_weights(entry.path)
        except VideoInrError as error:
            what = _problem(error, "").what
            remedy = REINSTALL if entry.record is None else entry.remedy
            problems.append(Problem(what, remedy, is_essential=name == DEFAULT_WEIGHTS))
        else:
            yield Weights(name, str(entry.path), info.config.architecture, info.parameters)


def _memory() -> tuple[int | None, int | None]:
    """Return the bytes of memory that are free and in all, as far as the system tells."""
    from videoinr_cli.render.memory import free_ram_bytes, total_ram_bytes

    return free_ram_bytes(), total_ram_bytes()


def _speeds(weights: str, device: str, precision: Precision) -> tuple[Speed, ...]:
    from videoinr_cli.weights import load_model

    model = load_model(weights, device=device, precision=precision)
    return tuple(measure(model, job, MEASURED_SECONDS / len(JOBS)) for job in JOBS)


def measure(model: AnyVideoInr, job: Job, seconds: float) -> Speed:
    """Render a job's frames for some time; of a part of their size where whole ones take too long.

    What a frame takes is taken to go with its pixels.

    Args:
        model: the network, on the device to be measured.
        job: what is rendered.
        seconds: about how long; two frames of the smallest size are always rendered.
    """
    begun = time.perf_counter()
    share, frames, frame_seconds = _timed(model, job, SMALLEST_SHARE, 0.0)
    left = begun + seconds - time.perf_counter()
    affordable = share * left / (FRAMES_WANTED * frame_seconds)
    if affordable > share:
        share, frames, frame_seconds = _timed(model, job, min(1.0, affordable), left)
    return Speed(job.name, job.pictures * share / frame_seconds, job.pictures * frames, share)


def _timed(model: AnyVideoInr, job: Job, share: float, seconds: float) -> tuple[float, int, float]:
    """Return the share of a frame's pixels that was rendered, of how many frames, and the seconds for each.

    The first frame comes with what has to be done once, and is not counted; the second always is.
    """
    from fractions import Fraction

    from videoinr_cli.render.renderer import Renderer

    def shrunk(size: Size) -> Size:
        return max(1, round(size[0] * share**0.5)), max(1, round(size[1] * share**0.5))

    source = shrunk(job.source)
    frames = _made_up(source)
    renderer = Renderer(model, shrunk(job.output))
    deadline = time.perf_counter() + seconds
    count = -1
    while count < 1 or time.perf_counter() < deadline:
        if count == 0:
            begun = time.perf_counter()
        first, second, after = (frames[(count + 1 + place) % len(frames)] for place in range(3))
        renderer.advance(first, second, after)
        for picture in range(job.pictures):
            renderer.render(Fraction(picture, job.pictures))
        count += 1
    elapsed = time.perf_counter() - begun
    return source[0] * source[1] / (job.source[0] * job.source[1]), count, elapsed / count


def _made_up(size: Size) -> list[GivenFrame]:
    """Return a few frames of coarse noise, none like the one before."""
    import numpy as np

    from videoinr_cli.render.renderer import GivenFrame

    width, height = size
    cells = np.random.default_rng(0).integers(0, 256, (4, -(-height // 8), -(-width // 8), 3), np.uint8)
    pictures = cells.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    return [GivenFrame(np.ascontiguousarray(rgb), pts) for pts, rgb in enumerate(pictures)]
