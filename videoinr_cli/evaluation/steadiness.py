"""How steady a method's output is over time, on scenes whose every frame and motion is known exactly.

A picture held still under sensor noise, the same picture panned by whole pixels, a dot on a straight path:
no flow has to be estimated, so only the method itself is measured.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from videoinr_cli.errors import InputError
from videoinr_cli.evaluation.methods import Method
from videoinr_cli.evaluation.metrics import luma
from videoinr_cli.evaluation.protocols import Protocol
from videoinr_cli.evaluation.resample import reduce

GIVEN_FRAMES = 4
NOISE_LEVELS = 3.0
"""Deviation of the noise of a given frame, 8-bit levels: a phone's camera indoors."""
PAN_PX = (1, 3)
"""Rows and columns by which the panned picture moves from one output frame to the next."""
BORDER_PX = 16
"""Width of the border that is compared with the middle; other measures leave it out."""
DOT_RADIUS_PX = 8.0
DOT_PATH_PX = (0.7, 2.3)
"""Rows and columns by which the dot moves from one output frame to the next."""
TINY = 1e-9
"""Added to denominators, in squared levels: below float rounding, it only prevents division by 0."""
MAX_SIDE_PX = 384
"""Side of the part that is used of a larger picture."""


@dataclasses.dataclass(frozen=True)
class Steadiness:
    """What one method reached on one picture; lower is better throughout, except for `border_gain`."""

    method: str
    flicker_levels: float  # mean change of luma between consecutive frames of the still, noisy scene
    warping_levels: float  # RMS change of luma along the known motion of the pan
    pulsing: float  # spread of sharpness over the positions within a pair, relative to its mean
    path_px: float  # RMS distance of the dot from its path, output pixels
    border_gain: float  # PSNR of the border less that of the middle, dB, on the pan


def measure_steadiness(method: Method, picture: Tensor, protocol: Protocol) -> Steadiness:
    """Measure a method on the scenes made from one picture.

    Args:
        picture: (3, H, W) RGB in [0, 1]; of one larger than `MAX_SIDE_PX` the middle is used.

    Raises:
        InputError: the picture leaves no room for the pan.
    """
    truths = list(_pan(picture, protocol))
    panned = _render(method, truths[:: protocol.steps], protocol)
    truths = truths[: len(panned)]
    return Steadiness(
        method=method.name,
        flicker_levels=_flicker(method, truths[0], protocol),
        warping_levels=_warping_error(panned),
        pulsing=_pulsing(panned, protocol.steps),
        path_px=_path_error(method, truths[0].shape, protocol),
        border_gain=_border_gain(panned, truths),
    )


def check_picture(picture: Tensor, protocol: Protocol) -> None:
    """Raise `InputError` where `measure_steadiness` would, without measuring anything."""
    next(_pan(picture, protocol))


def _render(
    method: Method, given: Sequence[Tensor], protocol: Protocol, noise_levels: float = 0.0
) -> list[Tensor]:
    """Reduce (1, 3, H, W) frames, add noise, and return the luma of all rendered frames."""
    generator = torch.Generator().manual_seed(0)
    lr_size, size = protocol.sizes(*given[0].shape[-2:])

    def reduced() -> Iterator[Tensor]:
        for frame in given:
            lr = reduce(frame, lr_size, protocol.downsampler)
            noise = torch.randn(lr.shape, generator=generator) * (noise_levels / 255)
            yield (lr + noise).clamp(0, 1)

    return [_levels(frame.cpu()) for frame in method.render(reduced(), protocol.steps, size)]


def _levels(rgb: Tensor) -> Tensor:
    """Return (H, W) luma in 8-bit levels."""
    return luma(rgb.clamp(0, 1))[0, 0] * 255


def _pan(picture: Tensor, protocol: Protocol) -> Iterator[Tensor]:
    """Yield (1, 3, H, W) crops of a picture, each `PAN_PX` further, of a size that can be rendered."""
    height, width = picture.shape[-2:]
    count = (GIVEN_FRAMES - 1) * protocol.steps + 1
    room = [side - step * (count - 1) for side, step in zip((height, width), PAN_PX, strict=True)]
    _, (rows, columns) = protocol.sizes(*(max(0, min(side, MAX_SIDE_PX)) for side in room))
    if min(rows, columns) < 4 * BORDER_PX:
        raise InputError(
            f"a picture of {width}x{height} is too small to pan in it; steadiness needs a larger one"
        )
    top, left = (room[0] - rows) // 2, (room[1] - columns) // 2
    for index in range(count):
        y, x = top + PAN_PX[0] * index, left + PAN_PX[1] * index
        yield picture[None, :, y : y + rows, x : x + columns]


def _flicker(method: Method, still: Tensor, protocol: Protocol) -> float:
    frames = _render(method, [still] * GIVEN_FRAMES, protocol, NOISE_LEVELS)
    return _mean([(b - a).abs().mean().item() for a, b in pairwise(frames)])


def _warping_error(frames: Sequence[Tensor]) -> float:
    """Return the RMS change along the pan, without the border where anything enters or leaves."""
    dy, dx = PAN_PX
    changes = [
        (b[:-dy, :-dx] - a[dy:, dx:])[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] for a, b in pairwise(frames)
    ]
    return math.sqrt(_mean([change.square().mean().item() for change in changes]))


def _pulsing(frames: Sequence[Tensor], steps: int) -> float:
    """Return the spread of sharpness, the mean magnitude of the gradient, over positions within a pair."""
    sharpness = [(frame.diff(dim=0).abs().mean() + frame.diff(dim=1).abs().mean()).item() for frame in frames]
    by_step = [_mean(sharpness[step::steps]) for step in range(steps)]
    return (max(by_step) - min(by_step)) / max(_mean(by_step), TINY)


def _path_error(method: Method, shape: torch.Size, protocol: Protocol) -> float:
    """Return the RMS distance of a dot's centroid from its straight path."""
    count = (GIVEN_FRAMES - 1) * protocol.steps + 1
    middle = [side / 2 - step * (count - 1) / 2 for side, step in zip(shape[-2:], DOT_PATH_PX, strict=True)]
    path = [(middle[0] + DOT_PATH_PX[0] * n, middle[1] + DOT_PATH_PX[1] * n) for n in range(count)]
    dots = [_dot(position, shape) for position in path[:: protocol.steps]]
    rendered = _render(method, dots, protocol)
    background = _levels(_dot((-1e4, -1e4), shape))[0, 0]
    return math.sqrt(
        _mean([math.dist(_centroid(f - background), p) ** 2 for f, p in zip(rendered, path, strict=False)])
    )


def _dot(position: tuple[float, float], shape: torch.Size) -> Tensor:
    """Return a (1, 3, H, W) picture of a bright round blob on dark grey."""
    y = torch.arange(shape[-2]) + 0.5 - position[0]
    x = torch.arange(shape[-1]) + 0.5 - position[1]
    blob = torch.exp(-(y[:, None].square() + x.square()) / (2 * (DOT_RADIUS_PX / 2) ** 2))
    return (0.2 + 0.6 * blob).expand(1, 3, -1, -1)


def _centroid(frame: Tensor) -> tuple[float, float]:
    """Return (row, column) of the centroid of everything brighter than a tenth of the peak."""
    weight = (frame - 0.1 * frame.max()).clamp(min=0)
    total = weight.sum()
    y = torch.arange(frame.shape[0]) + 0.5
    x = torch.arange(frame.shape[1]) + 0.5
    return ((weight.sum(dim=1) * y).sum() / total).item(), ((weight.sum(dim=0) * x).sum() / total).item()


def _border_gain(frames: Sequence[Tensor], truths: Sequence[Tensor]) -> float:
    """Return PSNR within `BORDER_PX` of the picture's edge less that inside, in dB."""
    errors = torch.stack(
        [(frame - _levels(truth)).square() for frame, truth in zip(frames, truths, strict=True)]
    )
    border = torch.ones(errors.shape[-2:], dtype=torch.bool)
    border[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = False
    return 10 * math.log10(
        (errors[:, ~border].mean().item() + TINY) / (errors[:, border].mean().item() + TINY)
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
