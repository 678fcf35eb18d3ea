"""Load or inspect weights by name, path or hub address."""

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
    """Load weights and return their network, ready for inference.

    Args:
        name_or_path: a known name, a path, or ``hf:owner/repository/file[@revision]``.
        device: ``auto`` or torch's name of a device.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``: the type convolutions run in.

    Raises:
        WeightsError: no such weights; not a weights file; or its tensors do not fit its configuration.
        OptionError: there is no such device or precision.
    """
    return read_model(find_weights(name_or_path), device=device, precision=precision)


def inspect_weights(name_or_path: str | os.PathLike[str]) -> WeightsInfo:
    """Read the configuration and metadata of weights, without loading their tensors.

    Raises:
        WeightsError: no such weights; not a weights file; or its tensors do not fit its configuration.
    """
    return inspect_file(find_weights(name_or_path))
