"""The networks that a clip is fitted into: an instant goes in, the picture of that instant comes out.

Knows nothing of files, containers and timestamps. Instants are in [0, 1], from the clip's first frame to its
last one. Pictures are computed on a canvas of whole base cells, and cut to their size.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videoinr_cli.errors import OptionError
from videoinr_cli.fitting.options import ARCHITECTURES, Architecture
from videoinr_cli.options import MAX_SIDE_PX

STRIDES: tuple[tuple[int, ...], ...] = (
    *((2, 2), (3, 2), (2, 2, 2), (3, 2, 2), (5, 2, 2), (5, 3, 2), (5, 2, 2, 2), (5, 3, 2, 2)),
    *((5, 2, 2, 2, 2), (5, 3, 2, 2, 2)),
)
"""Enlargements from the base to the canvas. **Source**: the papers' for 720p and 1080p, fewer for less."""

BASE_ROWS = 9
"""Height of the base cells' grid that is aimed at. **Source**: NeRV's for 16:9."""

FREQUENCY_BASE, FREQUENCIES = 1.25, 80
"""Of NeRV's encoding of time. **Source**: NeRV, section 4.1."""

ENCODING_LEVELS, GRID_LEVELS = 3, 2
MIN_CHANNELS = 8
"""Of a stage: fewer cannot hold a colour picture's detail, and save no time."""

MAX_PARAMETERS = 100_000_000
MAX_CHANNELS, MAX_GRID_STEPS = 2048, 100_000
MAX_STRIDE = math.prod(STRIDES[-1])
ENLARGEMENTS = ("bilinear", "shuffle")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu}


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """What a network is built by; it is stored in the file, which may say anything.

    Raises:
        ValueError: a value is not one that any fit has.
    """

    architecture: Architecture
    width: int  # of the pictures, in pixels
    height: int
    channels: int  # of the first stage; halved from stage to stage
    strides: tuple[int, ...]  # of the stages
    grid_steps: int = 2  # hinerv: instants at which its grids have values of their own
    grid_channels: int = 2  # hinerv: of the base grid's finest level
    enlargement: str = "bilinear"  # "bilinear", or "shuffle": a 3x3 convolution and a pixel shuffle
    encoding: bool = True  # of time in nerv, of positions within a stage's cells in hinerv
    activation: str = "gelu"
    window: int = 3  # of hinerv's convolutions within a stage, in pixels; 1: an MLP of each pixel

    def __post_init__(self) -> None:
        numbers = (self.width, self.height, self.channels, self.grid_steps, self.grid_channels, *self.strides)
        limits = (MAX_SIDE_PX, MAX_SIDE_PX, MAX_CHANNELS, MAX_GRID_STEPS, MAX_CHANNELS, *[8] * 6)
        known = (
            self.architecture in ARCHITECTURES
            and self.enlargement in ENLARGEMENTS
            and self.activation in ACTIVATIONS
            and isinstance(self.encoding, bool)
            and self.window in (1, 3)
            and all(type(number) is int for number in numbers)
            and 1 <= len(self.strides) <= 6
            and math.prod(self.strides) <= MAX_STRIDE
        )
        if not known or any(not 1 <= number <= most for number, most in zip(numbers, limits, strict=False)):
            raise ValueError(f"no network is described by {dataclasses.asdict(self)}")

    @classmethod
    def of(cls, values: dict[str, Any]) -> NetworkConfig:
        """Return the configuration of a file's header.

        Raises:
            ValueError: it is none.
        """
        try:
            return cls(**{**values, "strides": tuple(values["strides"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"no network is described by {str(values)[:80]}") from error

    @property
    def base(self) -> tuple[int, int]:
        """(rows, columns) of the base cells."""
        stride = math.prod(self.strides)
        return -(-self.height // stride), -(-self.width // stride)

    def stage_channels(self, stage: int) -> int:
        """Return a stage's channels; stage -1 is what comes before the first one."""
        return max(MIN_CHANNELS, self.channels >> max(0, stage))


def build(config: NetworkConfig) -> FittedNetwork:
    """Return a network with random parameters.

    Raises:
        ValueError: it would have more than `MAX_PARAMETERS`.
    """
    if (count := _count(config)) > MAX_PARAMETERS:
        raise ValueError(f"a network of {count} parameters; at most {MAX_PARAMETERS} are")
    return _made(config)


def _made(config: NetworkConfig) -> FittedNetwork:
    return Nerv(config) if config.architecture == "nerv" else Hinerv(config)


def _count(config: NetworkConfig) -> int:
    """Return how many parameters a network has, without allocating any."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in _made(config).parameters())


def sized(
    architecture: Architecture, size: tuple[int, int], frames: int, parameters: float, **settings: Any
) -> NetworkConfig:
    """Return the widest network of at most so many parameters.

    Args:
        architecture: of the network.
        size: (width, height) of the pictures, in pixels.
        frames: of the clip.
        parameters: how many there may be.
        settings: other fields of `NetworkConfig`.

    Raises:
        OptionError: the smallest one has more.
    """
    width, height = size
    distances = {strides: abs(math.log(height / math.prod(strides) / BASE_ROWS)) for strides in STRIDES}
    config = NetworkConfig(
        architecture,
        width,
        height,
        channels=MIN_CHANNELS,
        strides=min(distances, key=lambda strides: distances[strides]),
        grid_steps=max(2, frames // 4),
        **{"enlargement": "shuffle" if architecture == "nerv" else "bilinear", **settings},
    )
    found: NetworkConfig | None = None
    for channels in range(MIN_CHANNELS, MAX_CHANNELS + 1, 4):
        wider = dataclasses.replace(config, channels=channels, grid_channels=max(2, channels // 32))
        count = _count(wider)
        if count > parameters:
            break
        found = wider
    if found is None:
        raise OptionError(
            f"the smallest {architecture} for {frames} frames of {width}x{height} has {count} parameters, "
            f"more than the {parameters:.0f} of this size; try a higher --bits-per-pixel or --size-kb"
        )
    return found


class FittedNetwork(nn.Module):
    """A clip as a function of time."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, instants: Tensor) -> Tensor:
        """Return the pictures of (B,) float64 instants in [0, 1]: (B, 3, height, width) in [0, 1]."""
        logits = self.canvas(instants)[..., : self.config.height, : self.config.width]
        return torch.sigmoid(logits).float()

    def canvas(self, instants: Tensor) -> Tensor:
        """Return the whole canvas before the sigmoid, (B, 3, rows, columns)."""
        raise NotImplementedError

    def activate(self, x: Tensor) -> Tensor:
        """Apply the activation function of the configuration."""
        return ACTIVATIONS[self.config.activation](x)


class Nerv(FittedNetwork):
    """Time is encoded, an MLP makes a small map of it, and convolutions with pixel shuffles enlarge the map.

    **Source**: NeRV, Chen et al., NeurIPS 2021, section 3, with fewer channels.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        hidden, (rows, columns) = 4 * config.channels, config.base
        self.hidden = nn.Linear(2 * FREQUENCIES if config.encoding else 1, hidden)
        self.map = nn.Linear(hidden, config.stage_channels(-1) * rows * columns)
        self.stages = nn.ModuleList(
            Enlargement(config.stage_channels(stage - 1), config.stage_channels(stage), stride, config)
            for stage, stride in enumerate(config.strides)
        )
        self.head = nn.Conv2d(config.stage_channels(len(config.strides) - 1), 3, 3, padding=1)

    def canvas(self, instants: Tensor) -> Tensor:
        """See `FittedNetwork.canvas`."""
        x = self.activate(self.hidden(self._encoded(instants)))
        x = self.activate(self.map(x)).unflatten(1, (-1, *self.config.base))  # (B, C, rows, columns)
        for stage in self.stages:
            x = self.activate(stage(x))
        logits: Tensor = self.head(x)
        return logits

    def _encoded(self, instants: Tensor) -> Tensor:
        """Return (B, 2 l) sines and cosines; the highest frequencies need float64."""
        if not self.config.encoding:
            return instants[:, None].float()
        powers = torch.arange(FREQUENCIES, device=instants.device, dtype=instants.dtype)
        angles = instants[:, None] * (FREQUENCY_BASE**powers * math.pi)
        return torch.cat([angles.sin(), angles.cos()], dim=1).float()


class Hinerv(FittedNetwork):
    """A grid that is linear in time is enlarged in stages, each told where in its cells a pixel lies.

    **Source**: HiNeRV, Kwan et al., NeurIPS 2023, section 3, with one block a stage and fewer channels;
    fitted by whole frames.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        levels = [config.grid_channels * 2**level for level in range(GRID_LEVELS)]
        self.grids = nn.ParameterList(
            time_grid(channels, config.grid_steps, level, config.base)
            for level, channels in enumerate(levels)
        )
        self.stem = nn.Conv2d(sum(levels), config.stage_channels(0), 3, padding=1)
        last = len(config.strides) - 1
        self.stages = nn.ModuleList(
            Stage(config, stage, expansion=1 if stage == last else 4) for stage in range(last + 1)
        )
        self.head = nn.Conv2d(config.stage_channels(last), 3, 1)

    def canvas(self, instants: Tensor) -> Tensor:
        """See `FittedNetwork.canvas`."""
        x = torch.cat([at(grid, instants) for grid in self.grids], dim=1)
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        for stage in self.stages:
            x = stage(x, instants)
        logits: Tensor = self.head(x)
        return logits


class Stage(nn.Module):
    """Normalise, enlarge, add the encoding of the place within a cell, and compute: a ConvNeXt block."""

    def __init__(self, config: NetworkConfig, number: int, *, expansion: int) -> None:
        super().__init__()
        self.stride = config.strides[number]
        channels, out = config.stage_channels(number - 1), config.stage_channels(number)
        self.enlarge = (
            None if config.enlargement == "bilinear" else Enlargement(channels, channels, self.stride, config)
        )
        first = max(1, 2 * config.grid_channels // 2**number)
        levels = [first * 2**level for level in range(ENCODING_LEVELS if config.encoding else 0)]
        self.grids = nn.ParameterList(
            time_grid(count, config.grid_steps, level, (self.stride, self.stride))
            for level, count in enumerate(levels)
        )
        self.place = nn.Conv2d(sum(levels), channels, 1) if levels else None
        self.depthwise = nn.Conv2d(
            channels, channels, config.window, padding=config.window // 2, groups=channels, bias=False
        )
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, expansion * out)
        self.narrow = nn.Linear(expansion * out, out)
        self.activate = ACTIVATIONS[config.activation]

    def forward(self, x: Tensor, instants: Tensor) -> Tensor:
        """Return (B, C', s H, s W) of (B, C, H, W)."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2)
        if self.enlarge is None:
            x = F.interpolate(x, scale_factor=self.stride, mode="bilinear", align_corners=False)
        else:
            x = self.enlarge(x)
        if self.place is not None:
            places = self.place(torch.cat([at(grid, instants) for grid in self.grids], dim=1))
            rows, columns = x.shape[-2] // self.stride, x.shape[-1] // self.stride
            x = x + places.repeat(1, 1, rows, columns)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.narrow(self.activate(self.widen(y))).permute(0, 3, 1, 2)
        result: Tensor = x + y if y.shape == x.shape else y
        return result


class Enlargement(nn.Module):
    """NeRV's: a 3x3 convolution and a pixel shuffle, or bilinear enlargement and the convolution."""

    def __init__(self, channels: int, out: int, stride: int, config: NetworkConfig) -> None:
        super().__init__()
        self.stride, self.shuffles = stride, config.enlargement == "shuffle"
        self.convolution = nn.Conv2d(channels, out * stride**2 if self.shuffles else out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C', s H, s W) of (B, C, H, W)."""
        if self.shuffles:
            return F.pixel_shuffle(self.convolution(x), self.stride)
        x = F.interpolate(x, scale_factor=self.stride, mode="bilinear", align_corners=False)
        filtered: Tensor = self.convolution(x)
        return filtered


def time_grid(channels: int, steps: int, level: int, cells: tuple[int, int]) -> nn.Parameter:
    """Return a grid of values at some instants, (C, T, rows, columns): half as many a level.

    **Source**: HiNeRV starts its grids from values within ±1e-3.
    """
    grid = torch.empty(channels, max(1, steps // 2**level), *cells)
    return nn.Parameter(nn.init.uniform_(grid, -1e-3, 1e-3))


def at(grid: Tensor, instants: Tensor) -> Tensor:
    """Return a grid's values at (B,) instants, linear in time: (B, C, rows, columns)."""
    place = instants.clamp(0, 1) * (grid.shape[1] - 1)
    before = place.floor().long()
    after = (before + 1).clamp(max=grid.shape[1] - 1)
    share = (place - before).float()[None, :, None, None]
    return torch.lerp(grid[:, before], grid[:, after], share).transpose(0, 1)
