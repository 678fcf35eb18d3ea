"""How many processes render videos where nobody has said it.

A network's threads wait for one another at each of its layers, and processes do not: on two cores, two
processes of one thread render 1.25 to 1.4 times as many frames a second as one of two threads
(`benchmarks/workers.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from videoinr_cli.errors import MemoryLimitError
from videoinr_cli.jobs.partition import SEGMENT_PIXELS, can_be_cut, output_rate
from videoinr_cli.model import FastConfig, build
from videoinr_cli.model.devices import choose_device, choose_dtype
from videoinr_cli.options import JobOptions
from videoinr_cli.render.memory import free_bytes
from videoinr_cli.render.pieces import choose_sizes, needed_bytes
from videoinr_cli.render.plan import Plan
from videoinr_cli.weights import inspect_weights

MOST_PROCESSES = 4
"""Each has memory of its own, and what more of them gain on more cores was not measured."""

PROCESS_PIXELS = SEGMENT_PIXELS // 4
"""Output pixels for which a process is worth its start of some seconds: 135 pictures of 1280x720."""

PROCESS_BYTES = 300 << 20
"""What a process holds before its first frame: 263 MiB were measured with the small network."""

MEMORY_SHARE = 0.5
"""Of the memory that a single process may use: nobody has asked for more than that one needs."""

TIME_SHARE = 0.8
"""What several processes take on a CPU, at the most, as a share of what one with all their threads takes."""


def with_workers(job: JobOptions, plans: Sequence[Plan]) -> JobOptions:
    """Return the options with a number of processes, chosen for these videos where it is None.

    Several of them render on a CPU, as far as videos are long and each process has memory for whole frames
    if a single one has. The network is the small one: the others were not measured.

    Args:
        job: as given.
        plans: of the videos, whose options are the same but for the model.
    """
    if job.workers is not None:
        return job
    is_asked = job.cluster is None and job.segment_seconds != 0
    long = [plan for plan in plans if _shares(plan) > 1] if is_asked else []
    # many videos of a folder are alike, and what memory holds is not computed for each of them
    kinds = {(plan.lr_size, plan.framing.picture, plan.instants, plan.options.network): plan for plan in long}
    counts = [*map(_shares, long), *map(_most, kinds.values())]
    return dataclasses.replace(job, workers=min(counts, default=1))


def _shares(plan: Plan) -> int:
    """Return for how many processes a video is long enough."""
    duration = plan.source.duration
    if duration is None or not can_be_cut(plan):
        return 1
    return int(duration * output_rate(plan) * plan.size[0] * plan.size[1] / PROCESS_PIXELS)


def _most(plan: Plan) -> int:
    """Return the most processes that serve a long video, however long."""
    options = plan.options
    if "," in options.device or options.spatial is not None:
        return 1
    most = min(MOST_PROCESSES, options.threads or torch.get_num_threads())
    return min(most, _room(plan)) if most > 1 else 1


def _room(plan: Plan) -> int:
    """Return how many processes have memory for the pieces that a single one would render."""
    options = plan.options
    device, config = choose_device(options.device), inspect_weights(options.weights).config
    if device.type != "cpu" or not isinstance(config, FastConfig):
        return 1
    model = build(config)
    model.compute_dtype = choose_dtype(options.precision, device)
    size, limit = plan.framing.picture[::-1], options.max_memory_bytes
    try:
        sizes = choose_sizes(
            model, plan.lr_size, size, tile=options.tile, limit_bytes=limit, instants=plan.instants
        )
    except MemoryLimitError:  # told where it is rendered
        return 1
    each = needed_bytes(model, plan.lr_size, size, sizes) + PROCESS_BYTES
    return max(1, (int(MEMORY_SHARE * free_bytes(device)) if limit is None else limit) // each)
