"""From whatever a person calls weights to a network, and to what a file says about itself."""

from __future__ import annotations

import os

import torch

from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import DEFAULT_WEIGHTS
from videoinr_cli.weights.catalogue import find_weights
from videoinr_cli.weights.files import WeightsInfo, inspect_file, read_model


def load_model(
    name_or_path: str | os.PathLike[str] = DEFAULT_WEIGHTS,
    *,
    device: str | torch.device = "auto",
    precision: str = "auto",
) -> AnyVideoInr:
    """Build the network that a weights file describes, ready for inference.

    Args:
        name_or_path: a known name, a path, or ``hf:owner/repository/file[@revision]``.
        device: ``auto`` or torch's name of a device.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``: the type convolutions run in.

    Raises:
        WeightsError: no such weights, not a file of ours, or its tensors do not fit its configuration.
        OptionError: no such device or precision.
    """
    return read_model(find_weights(name_or_path), device=device, precision=precision)


def inspect_weights(name_or_path: str | os.PathLike[str]) -> WeightsInfo:
    """Read what a weights file says about itself, without loading its tensors.

    Raises:
        WeightsError: no such weights, not a file of ours, or its tensors do not fit its configuration.
    """
    return inspect_file(find_weights(name_or_path))
