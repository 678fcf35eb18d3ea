"""Load or inspect weights by name, path or hub address."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

import torch

from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import DEFAULT_WEIGHTS
from videoinr_cli.weights.catalogue import find_weights
from videoinr_cli.weights.files import WeightsInfo, inspect_file, read_model

_ORIGINS: weakref.WeakKeyDictionary[AnyVideoInr, Path] = weakref.WeakKeyDictionary()


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
    path = find_weights(name_or_path)
    model = read_model(path, device=device, precision=precision)
    _ORIGINS[model] = path
    return model


def origin_of(model: AnyVideoInr) -> Path | None:
    """Return the file that a network was loaded from; None: it was not loaded by `load_model`."""
    return _ORIGINS.get(model)


def weights_of(model: AnyVideoInr | None, named: str) -> str:
    """Return which weights are used: those of a network that is loaded already, else the ones named.

    Raises:
        WeightsError: there are no weights of that name.
    """
    origin = None if model is None else origin_of(model)
    return named if origin is None or origin == find_weights(named) else str(origin)


def inspect_weights(name_or_path: str | os.PathLike[str]) -> WeightsInfo:
    """Read the configuration and metadata of weights, without loading their tensors.

    Raises:
        WeightsError: no such weights; not a weights file; or its tensors do not fit its configuration.
    """
    return inspect_file(find_weights(name_or_path))
