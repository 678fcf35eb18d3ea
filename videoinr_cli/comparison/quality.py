"""How similar two pictures are, also of different sizes."""

from __future__ import annotations

import dataclasses

import torch

from videoinr_cli.evaluation.metrics import SSIM_WINDOW_PX, psnr, ssim
from videoinr_cli.evaluation.resample import enlarge, reduce
from videoinr_cli.render.renderer import Picture
from videoinr_cli.render.transfers import as_pixels


@dataclasses.dataclass(frozen=True)
class Likeness:
    """PSNR and SSIM of luma."""

    psnr: float  # dB; infinite for equal pictures
    ssim: float | None  # None for pictures smaller than its window


@torch.inference_mode()
def likeness(picture: Picture, reference: Picture) -> Likeness:
    """Compare a picture with a reference, resized bicubically to the reference's size.

    Args:
        picture: (h, w, 3) uint8 or uint16.
        reference: (H, W, 3) uint8 or uint16.
    """
    height, width = reference.shape[:2]
    ours, theirs = as_pixels(picture), as_pixels(reference)
    if ours.shape != theirs.shape:  # may be smaller along one axis and larger along the other
        ours = reduce(ours, (min(picture.shape[0], height), min(picture.shape[1], width)))
        ours = enlarge(ours, (height, width), "bicubic")
    fits = min(height, width) >= SSIM_WINDOW_PX
    return Likeness(float(psnr(ours, theirs)), float(ssim(ours, theirs)) if fits else None)
