"""The weights that the golden data were made with: every tensor follows from its name and shape alone."""

from __future__ import annotations

import hashlib
import itertools
import math

import numpy as np
import torch
from torch import Tensor

LAST_LAYER_GAIN = {"feat_imnet": 1.0, "flow_imnet": 4.0, "encode_imnet": 0.3}


def golden_state_dict(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return a full published state_dict of normal values, the same on every machine."""
    return {name: torch.from_numpy(_golden_tensor(name, shape)) for name, shape in shapes.items()}


def golden_basicvsr() -> dict[str, Tensor]:
    """Return a full published state_dict of BasicVSR, likewise, but for two constants."""
    return {
        name: torch.from_numpy((_normal(name, shape) * _basicvsr_deviation(name, shape)).astype(np.float32))
        for name, shape in _basicvsr_shapes().items()
    }


def _basicvsr_shapes() -> dict[str, tuple[int, ...]]:
    """Return the published names of BasicVSR's tensors, and their shapes."""
    shapes: dict[str, tuple[int, ...]] = {}
    for direction in ("backward", "forward"):
        shapes[f"{direction}_trunk.main.0"] = (64, 67, 3, 3)
        for block in range(30):
            for layer in (1, 2):
                shapes[f"{direction}_trunk.main.2.{block}.conv{layer}"] = (64, 64, 3, 3)
    for level in range(6):
        widths = (8, 32, 64, 32, 16, 2)
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            shapes[f"spynet.basic_module.{level}.basic_module.{2 * layer}"] = (outputs, inputs, 7, 7)
    shapes |= {"fusion": (64, 128, 1, 1), "upconv1": (256, 64, 3, 3), "upconv2": (256, 64, 3, 3)}
    shapes |= {"conv_hr": (64, 64, 3, 3), "conv_last": (3, 64, 3, 3)}
    both = {f"{name}.weight": shape for name, shape in shapes.items()}
    return both | {f"{name}.bias": shape[:1] for name, shape in shapes.items()}


def _normal(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw normal values, seeded by a name's hash."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)


def _basicvsr_deviation(name: str, shape: tuple[int, ...]) -> float:
    if name.endswith(".bias"):
        return 0.01
    gain = 0.5 if "_trunk.main.2." in name else 0.8 if name.startswith("spynet.") else 1.0
    return gain / math.sqrt(math.prod(shape[1:]))


def _golden_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    values = _normal(name, shape) * _deviation(name, shape)
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
