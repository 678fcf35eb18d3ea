"""A diagnosis: all that was found on a machine, and all that is wrong with it."""

from __future__ import annotations

import dataclasses
import platform
import shutil
from pathlib import Path

from videoinr_cli.doctor.findings import (
    ClusterNode,
    Device,
    Ffmpeg,
    Library,
    WeightsFile,
    find_cluster_nodes,
    find_devices,
    find_libraries,
    find_memory,
    find_weights_files,
    find_working_ffmpeg,
)
from videoinr_cli.doctor.problems import REINSTALL, Problem, Problems
from videoinr_cli.doctor.speed import WorkloadSpeed, measure_speeds
from videoinr_cli.options import DEFAULT_WEIGHTS, Precision
from videoinr_cli.processors import usable_cores
from videoinr_cli.version import __version__

SCARCE_MEMORY_BYTES = 2 << 30
SCARCE_DISK_BYTES = 1 << 30


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What a machine has, how fast it is, and what is wrong with it."""

    videoinr: str
    python: str
    system: str
    cores: int  # that this process may use
    libraries: tuple[Library, ...]
    devices: tuple[Device, ...]
    ffmpeg: Ffmpeg | None
    memory_free_bytes: int | None  # None if torch cannot be imported
    memory_total_bytes: int | None  # likewise
    disk_free_bytes: int  # in the working directory
    weights: tuple[WeightsFile, ...]
    speeds: tuple[WorkloadSpeed, ...]
    problems: tuple[Problem, ...]
    cluster: tuple[ClusterNode, ...] | None = None  # None: none was named

    @property
    def is_well(self) -> bool:
        """Whether videos can be upscaled."""
        return not any(problem.is_essential for problem in self.problems)


def diagnose(
    weights: str = DEFAULT_WEIGHTS,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    cluster: str | None = None,
) -> Diagnosis:
    """Examine this machine.

    Args:
        weights: the weights to measure the speed of.
        device: where to measure it.
        precision: of the network.
        cluster: of Ray, to examine too; as for `JobOptions`.
    """
    problems = Problems()
    libraries = find_libraries(problems)
    devices = problems.attempt(find_devices, REINSTALL) or ()
    ffmpeg = problems.attempt(
        lambda: find_working_ffmpeg(problems), "install ffmpeg, or point FFMPEG_PATH at one"
    )
    found = problems.attempt(lambda: find_weights_files(problems), REINSTALL) or ()
    free, total = problems.attempt(find_memory, REINSTALL) or (None, None)
    disk = shutil.disk_usage(Path.cwd()).free
    for what, left, enough, remedy in (
        ("memory", free, SCARCE_MEMORY_BYTES, "close other programs, or render to a smaller size"),
        ("disk", disk, SCARCE_DISK_BYTES, "free some space, or write to another disk"),
    ):
        if left is not None and left < enough:
            problems.add(f"only {left / 2**30:.1f} GiB of {what} are free", remedy, is_essential=False)
    speeds = problems.attempt(
        lambda: measure_speeds(weights, device, precision), "try other --weights, --device or --precision"
    )
    nodes = None
    if cluster is not None:
        nodes = problems.attempt(
            lambda: find_cluster_nodes(cluster, weights, device, problems), "start one: ray start --head"
        )
    return Diagnosis(
        videoinr=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=usable_cores(),
        libraries=libraries,
        devices=devices,
        ffmpeg=ffmpeg,
        memory_free_bytes=free,
        memory_total_bytes=total,
        disk_free_bytes=disk,
        weights=found,
        speeds=speeds or (),
        problems=problems.all(),
        cluster=nodes,
    )
