"""What a process needs of a device's memory to render videos, and how many of them have room there.

It asks no GPU of a cluster: how much memory one has is for its node to say.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterable

import torch

from videoinr_cli.errors import MemoryLimitError, one_line
from videoinr_cli.model import AnyVideoInr, FastConfig, build
from videoinr_cli.model.devices import choose_device, choose_dtype
from videoinr_cli.options import NetworkOptions, UpscaleOptions
from videoinr_cli.render.memory import FREE_SHARE, free_bytes
from videoinr_cli.render.pieces import Sizes, device_bytes, needed_bytes
from videoinr_cli.render.pipeline import Engine
from videoinr_cli.render.plan import Plan
from videoinr_cli.weights import inspect_weights, load_network

log = logging.getLogger(__name__)

PROCESS_BYTES = 300 << 20
"""What a process on a CPU holds before its first frame: 263 MiB were measured with the small network."""

CONTEXT_BYTES = 1 << 30
"""What a process holds of a GPU besides tensors: CUDA's context, compiled kernels, cuDNN's scratch memory.
An allowance, not measured: nothing here has run on a GPU. What the tensors need is measured on a CPU, see
`VideoInr.footprint`."""

MEMORY_SHARE = 0.5
"""Of the memory that a single process may use: nobody has asked for more than that one needs."""


def room_on_cpu(plan: Plan) -> int:
    """Return how many processes on this machine's CPU have memory for the pieces that one would render.

    One where networks run elsewhere, and for all but the small one: the others were not measured.
    """
    options = plan.options
    device = choose_device(options.device)
    if device.type != "cpu" or not isinstance(inspect_weights(options.weights).config, FastConfig):
        return 1
    network, limit = outline(options.network, device), options.max_memory_bytes
    try:
        sizes = Engine(network).choose_sizes(plan)
    except MemoryLimitError:  # told where it is rendered
        return 1
    each = needed_bytes(network, *plan.shapes, sizes) + PROCESS_BYTES
    return max(1, (int(MEMORY_SHARE * free_bytes(device)) if limit is None else limit) // each)


class Demand:
    """What a process needs of a GPU's memory for videos. That is computed when it is first asked for."""

    def __init__(self, options: UpscaleOptions, plans: Iterable[Plan]) -> None:
        """Take note of the sizes.

        Args:
            options: of the videos.
            plans: of all that processes will render, whose largest decides; none where they are not known.
        """
        self._options = options
        self._shapes = {plan.shapes for plan in plans}

    @functools.cached_property
    def process_bytes(self) -> int | None:
        """What a process needs for whole pictures, or for the tiles that are asked for; None: not known."""
        if not self._shapes:
            return None
        try:
            network = outline(self._options.network, torch.device("cuda"))
            most = max(
                device_bytes(network, lr_size, size, Sizes.of_tile(self._options.tile, lr_size))
                for lr_size, size in self._shapes
            )
        except Exception as error:  # any: the nodes may have what this machine lacks to try a model of others
            log.warning(f"what a process needs of a GPU's memory is not known: {one_line(error)}")
            return None
        tensors = network.state_dict().values()
        weights_bytes: int = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return CONTEXT_BYTES + weights_bytes + most

    def fitting(self, gpu_bytes: int | None) -> int | None:
        """Return how many processes a GPU has room for, one at least; None: not known.

        Args:
            gpu_bytes: its memory, of which as large a share is used as rendering would use by itself, or what
                the options allow.
        """
        needed = self.process_bytes
        if gpu_bytes is None or needed is None:
            return None
        room = int(FREE_SHARE * gpu_bytes)
        if self._options.max_memory_bytes is not None:
            room = min(room, self._options.max_memory_bytes)
        return max(1, room // needed)


def outline(options: NetworkOptions, device: torch.device) -> AnyVideoInr:
    """Return the network of some options as it computes on a device, to ask it what it needs.

    Its weights are random, or elsewhere than on a CPU without values. A single-image model has its own, as a
    trial measures it: on the CPU, in float32, which needs no less.

    Raises:
        WeightsError: the weights cannot be used.
        OptionError: there is no such precision.
    """
    if options.spatial is not None:
        return load_network(dataclasses.replace(options, device="cpu", precision="fp32"))
    with torch.device("cpu" if device.type == "cpu" else "meta"):
        network = build(inspect_weights(options.weights).config)
    network.compute_dtype = choose_dtype(options.precision, device)
    return network
