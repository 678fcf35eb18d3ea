"""The frames that a clip is fitted to: read by our decoder, reduced, in memory, with their true times."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import logging
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.errors import InputError, MemoryLimitError, OptionError
from videoinr_cli.fitting.file import Clip
from videoinr_cli.fitting.options import FitOptions
from videoinr_cli.fitting.streams import clock_of
from videoinr_cli.media.planes import Picture, eight_bits
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.render.memory import free_ram_bytes

log = logging.getLogger(__name__)

MEMORY_SHARE = 0.5
"""Of what is free, for the frames of a clip."""


@dataclasses.dataclass(frozen=True)
class Frames:
    """The frames of a clip in memory."""

    clip: Clip
    pictures: Tensor  # (N, 3, H, W) uint8
    counted: Tensor | None  # (N or 1, 1, H, W) bool: pixels that the loss sees; None: all

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pictures.shape[-1], self.pictures.shape[-2]

    def target(self, index: Tensor, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Return frames, (B, 3, H, W) in [0, 1], and which of their pixels count, (B, 1, H, W)."""
        counted = self.counted
        if counted is not None:
            counted = (counted if len(counted) == 1 else counted[index]).to(device)
        return self.pictures[index].to(device).float() / 255, counted

    def filled_target(self, index: Tensor, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Return what `target` does, but what counts in no frame is filled from around it, and counts.

        Nothing else says what to show there; what another frame shows is left to the network.
        """
        target, counted = self.target(index, device)
        if counted is None or self._never_counted is None:
            return target, counted
        counted = counted.expand(len(target), -1, -1, -1)
        never = self._never_counted.to(device) & counted.any(dim=(1, 2, 3), keepdim=True)
        return torch.where(never, filled(target, counted), target), counted | never

    @functools.cached_property
    def _never_counted(self) -> Tensor | None:
        if self.counted is None:
            return None
        never = ~self.counted.any(0, keepdim=True)
        return never if bool(never.any()) else None

    @functools.cached_property
    def digest(self) -> str:
        """A hash of what is fitted, by which a resumed run knows it again."""
        told = hashlib.sha256(repr(self.clip).encode())
        for tensor in (self.pictures, self.counted):
            if tensor is not None:
                told.update(tensor.numpy().data)
        return told.hexdigest()


def filled(pictures: Tensor, known: Tensor) -> Tensor:
    """Fill in the pixels of (B, C, H, W) pictures that are not known, (B, 1, H, W), from those around them.

    **Source**: push-pull, Gortler et al., "The Lumigraph", 1996, section 3.4.3: means of what is known, ever
    coarser, until all is.
    """
    if max(known.shape[2:]) == 1 or bool(known.all()):
        return pictures
    weight = F.avg_pool2d(known.float(), 2, ceil_mode=True)
    means = F.avg_pool2d(pictures * known, 2, ceil_mode=True) / weight.clamp_min(1e-6)
    coarse = filled(means, weight > 0)
    enlarged = F.interpolate(coarse, pictures.shape[2:], mode="bilinear", align_corners=False)
    return torch.where(known, pictures, enlarged)


def load_frames(source: VideoInfo, options: FitOptions) -> Frames:
    """Read the frames of a source.

    Raises:
        InputError: the source or the mask cannot be read.
        OptionError: a region lies outside of the picture, or nothing is left to fit.
        MemoryLimitError: there are more frames than fit in memory.
    """
    size = options.fitted_size(source.width, source.height)
    pictures: list[Tensor] = []
    pts: list[int] = []
    last_duration: int | None = None
    # They lie in memory twice while they are put together, and so do the mask's.
    most = MEMORY_SHARE * free_ram_bytes() / (2 * (3 + (options.mask is not None)) * math.prod(size))
    for frame in read_frames(source):
        if len(pts) >= most:
            raise MemoryLimitError(
                f"more than {len(pts)} frames of {size[0]}x{size[1]} do not fit in memory; "
                "fit a part with --start and --end, or a lower --max-height"
            )
        pictures.append(_reduced(frame.rgb, size))
        pts.append(frame.pts)
        last_duration = frame.duration
    if not pts:
        raise InputError(f"{str(source.path)!r} holds no frame that can be decoded; is it complete?")
    if source.has_alpha:
        log.info(f"a fit holds no transparency: that of {str(source.path)!r} is left out")
    if source.bit_depth > 8:
        log.info(f"a fit holds 8 bits: the {source.bit_depth} of {str(source.path)!r} are rounded to them")
    clock = clock_of(source)
    ticks = tuple(map(clock.ticks, pts))
    step = last_duration or round(1 / (source.frame_rate * source.time_base))
    clip = Clip(
        name=source.path.name,
        size=(source.width, source.height),
        pts=ticks,
        end=max(ticks[-1] + 1, clock.ticks(pts[-1] + max(1, step))),
        time_base=clock.tick,
        frame_rate=source.frame_rate,
        steady_rate=source.steady_rate,
        usual_seconds=source.usual_seconds,
        pixel_aspect=_aspect(source, size),
        # rendered as Y'CbCr, whatever the source's samples are
        colour=dataclasses.replace(source.resolved_colour, range="limited"),
        mastering_display=source.mastering_display,
        content_light=source.content_light,
    )
    return Frames(clip, torch.stack(pictures), _counted(source, options, size, len(pts)))


def _reduced(rgb: Picture, size: tuple[int, int]) -> Tensor:
    """Return a picture in 8 bits and of a (width, height) up to its own: (3, H, W) uint8."""
    picture = torch.from_numpy(np.ascontiguousarray(eight_bits(rgb))).permute(2, 0, 1)
    if picture.shape[1:] == size[::-1]:
        return picture.contiguous()
    reduced = F.interpolate(picture[None].float(), size[::-1], mode="bicubic", antialias=True)
    return reduced[0].round().clamp(0, 255).to(torch.uint8)


def _aspect(source: VideoInfo, size: tuple[int, int]) -> Fraction:
    shape = Fraction(source.width * size[1], source.height * size[0])
    is_rounded = abs(shape - 1) < Fraction(2, min(size))
    return source.sample_aspect_ratio * (1 if is_rounded else shape.limit_denominator(1000))


def _counted(source: VideoInfo, options: FitOptions, size: tuple[int, int], frames: int) -> Tensor | None:
    if not options.ignore and options.mask is None:
        return None
    ignored = torch.zeros(1, 1, source.height, source.width, dtype=torch.bool)
    for region in options.ignore:
        if region.x + region.width > source.width or region.y + region.height > source.height:
            raise OptionError(
                f"region {region} reaches beyond the source's {source.width}x{source.height} pixels"
            )
        ignored[..., region.y : region.y + region.height, region.x : region.x + region.width] = True
    ignored = _reduced_mask(ignored, size)
    if options.mask is not None:
        masks = [_reduced_mask(mask, size) for mask in itertools.islice(_masks(options, source), frames + 1)]
        if len(masks) != frames:
            number = f"{len(masks)}" if len(masks) < frames else f"more than {frames}"
            raise OptionError(
                f"the mask {str(options.mask)!r} has {number} frames where the clip has {frames}; "
                "give it one for each"
            )
        ignored = torch.cat(masks).logical_or_(ignored)
    if bool(ignored.all()):
        raise OptionError("every pixel is ignored: nothing is left to fit")
    return ignored.logical_not_()


def _reduced_mask(ignored: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a mask, (1, 1, H, W) bool, for pictures of a (width, height).

    A reduced pixel is ignored if any that it is made of is.
    """
    if ignored.shape[2:] == size[::-1]:
        return ignored
    reach = 2 * math.ceil(ignored.shape[2] / size[1]) + 1
    ignored = F.max_pool2d(ignored.float(), reach, stride=1, padding=reach // 2)
    return F.interpolate(ignored, size[::-1], mode="nearest-exact") > 0


def _masks(options: FitOptions, source: VideoInfo) -> Iterator[Tensor]:
    """Yield what is white in the mask's frames, (1, 1, H, W) bool."""
    assert options.mask is not None
    info = prepare(options.mask, options.read)
    if (info.width, info.height) != (source.width, source.height):
        raise OptionError(
            f"the mask {str(options.mask)!r} is {info.width}x{info.height} and the clip "
            f"{source.width}x{source.height}; give it the clip's size"
        )
    for frame in read_frames(info):
        yield torch.from_numpy(eight_bits(frame.rgb).max(axis=2) >= 128)[None, None]
