"""The weights that the golden data were made with: every tensor follows from its name and shape alone."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

LAST_LAYER_GAIN = {"feat_imnet": 1.0, "flow_imnet": 4.0, "encode_imnet": 0.3}


def golden_state_dict(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return a full published state_dict of normal values, the same on every machine."""
    return {name: torch.from_numpy(_golden_tensor(name, shape)) for name, shape in shapes.items()}


def _golden_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw the tensor `name`, seeded by its name's hash."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape) * _deviation(name, shape)
    if name == "encode_imnet.net.4.bias":
        values += 0.4  # a picture of middle grey
    if name.endswith("imnet.net.0.linear.weight"):
        values[:, -1] *= 8.0  # so that time, the last input, shows
    return values.astype(np.float32)


def _deviation(name: str, shape: tuple[int, ...]) -> float:
    """Return the standard deviation that keeps activations moderate and flows a few pixels long."""
    if name.endswith(".bias"):
        return 0.01
    fan_in = math.prod(shape[1:])
    if name.endswith("net.0.linear.weight"):
        return 1.5 / (30.0 * math.sqrt(fan_in))
    if name.endswith(".linear.weight"):
        return math.sqrt(2.0 / fan_in) / 30.0
    if "imnet" in name:
        return LAST_LAYER_GAIN[name.split(".")[0]] / math.sqrt(fan_in)
    if "conv_offset_mask" in name:
        return 1.5 / math.sqrt(fan_in)
    if name.startswith(("recon_trunk.", "feature_extraction.")):
        return 0.5 / math.sqrt(fan_in)
    return 1.4 / math.sqrt(fan_in)
