"""Copies of pictures between the host and the network's device.

On CUDA they go through pinned memory, which torch keeps for the next ones: from other memory the driver
copies twice, and the host waits for all that the GPU still has to do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HOST = torch.device("cpu")


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def as_pixels(picture: NDArray[Any], device: torch.device = HOST) -> Tensor:
    """Copy (H, W, C) of integer levels to a device as (1, C, H, W) float32 in [0, 1], channels_last."""
    # Bytes are copied as they are; not every device has unsigned 16-bit numbers.
    portable = picture if picture.dtype == np.uint8 else picture.astype(np.float32)
    levels = to_device(portable, device).permute(2, 0, 1)[None]
    return levels.float() / float(np.iinfo(picture.dtype).max)


def to_host(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor as an array, once all that it is made of has been computed."""
    if not tensor.is_cuda:
        return tensor.cpu().numpy()
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    pinned.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return pinned.numpy()
