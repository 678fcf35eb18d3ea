"""How many processes render videos where nobody has said it.

A network's threads wait for one another at each of its layers, and processes do not: on two cores, two
processes of one thread render 1.25 to 1.4 times as many frames a second as one of two threads
(`benchmarks/workers.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from videoinr_cli.jobs.demand import room_on_cpu
from videoinr_cli.jobs.partition import SEGMENT_PIXELS, can_be_cut, output_rate
from videoinr_cli.options import JobOptions
from videoinr_cli.render.plan import Plan

MOST_PROCESSES = 4
"""Each has memory of its own, and what more of them gain on more cores was not measured."""

PROCESS_PIXELS = SEGMENT_PIXELS // 4
"""Output pixels for which a process is worth its start of some seconds: 135 pictures of 1280x720."""

TIME_SHARE = 0.8
"""What several processes take on a CPU, at the most, as a share of what one with all their threads takes."""


def with_workers(job: JobOptions, plans: Sequence[Plan]) -> JobOptions:
    """Return the options with a number of processes, chosen for these videos where it is None.

    Several of them render on a CPU, as far as videos are long and memory has room for them: see `demand`.

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
    return min(most, room_on_cpu(plan)) if most > 1 else 1
