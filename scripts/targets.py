"""Turn a teacher's pictures into what is to be learnt: its edges, the source's colours, the true structure.

Knows nothing of files or teachers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.evaluation.resample import reduce

COLOUR_PX = 4.0
"""Deviation of the Gaussian, LR pixels, beyond which colours are those of the source."""
STRUCTURE_PX = 2.0
"""Deviation, HR pixels: what is finer is texture, which may be invented; what is coarser is structure."""
AROUND_PX = 8.0
"""Deviation, HR pixels, of what structure stands out from."""
POOL_PX = 4.0
"""Deviation, HR pixels, of the area that is judged as one."""
NOISE = 4 / 255
"""Contrast below which a difference says nothing."""
DOUBTED, REFUSED = 0.25, 1.0
"""Squared error of structure, as a share of its own square, from which the true picture is mixed in, and from
which it alone is left. A teacher that shows nothing of it is at 1, one that shows something else at 2."""


def target(lr: Tensor, taught: Tensor, true: Tensor | None) -> Tensor:
    """Return what a network is to make of LR frames.

    A teacher shifts brightness and colours a little, and what it cannot read it invents: other letters,
    another face. Crispness is in its fine edges and texture, which are kept where the structure is right.

    Args:
        lr: (T, 3, h, w) in [0, 1], what the teacher was given.
        taught: (T, 3, H, W), what it made of it.
        true: (T, 3, H, W), what was there, where that is known.

    Returns:
        (T, 3, H, W) in [0, 1].
    """
    drift = smooth(lr - reduce(taught, (lr.shape[2], lr.shape[3])), COLOUR_PX)
    result = taught + F.interpolate(drift, size=taught.shape[-2:], mode="bilinear")
    if true is not None:
        result = torch.lerp(result, true, doubt(result, true))
    return result.clamp(0, 1)


def doubt(taught: Tensor, true: Tensor) -> Tensor:
    """Return (T, 1, H, W) in [0, 1]: how wrong the structure is around each point."""
    structure = smooth(true, STRUCTURE_PX)
    wrong = _power(smooth(taught, STRUCTURE_PX) - structure)
    contrast = _power(structure - smooth(true, AROUND_PX))
    return ((wrong / (contrast + NOISE**2) - DOUBTED) / (REFUSED - DOUBTED)).clamp(0, 1)


def _power(difference: Tensor) -> Tensor:
    return smooth(difference.square().mean(1, keepdim=True), POOL_PX)


def smooth(pictures: Tensor, deviation_px: float) -> Tensor:
    """Convolve (T, C, H, W) by a Gaussian, repeating the border."""
    reach = int(3 * deviation_px)
    axis = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (axis / deviation_px).square())
    channels = pictures.shape[1]
    kernel = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    padded = F.pad(pictures, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=channels), kernel.transpose(2, 3), groups=channels)
