"""Upscale frames that are in memory, for programs with a decoder of their own."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.media.read.reader import SourceFrame
from videoinr_cli.media.read.repeats import REPEAT_LEVELS, Repeats
from videoinr_cli.media.read.timing import FALLBACK_RATE
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.model.devices import on_threads
from videoinr_cli.options import TargetRate, UpscaleOptions
from videoinr_cli.render.drawings import drawings
from videoinr_cli.render.framing import Framing
from videoinr_cli.render.parts import Part, Tally
from videoinr_cli.render.pictures import compared, output_frames
from videoinr_cli.render.pieces import choose_sizes
from videoinr_cli.render.renderer import GivenFrame, Picture, Renderer
from videoinr_cli.render.timeline import Timeline
from videoinr_cli.weights import load_network

FLICK_SECONDS = Fraction(1, 705_600_000)
"""The tick that times are rounded to unless they have one. Frames at the rates in use, 24000/1001 to 120 per
second, last a whole number of it, and so do the ticks of 1, 48 and 90 kHz (Facebook, 2018)."""

LEVELS = 65535
"""Floating-point frames are rounded to these."""

Frame = NDArray[Any] | Tensor
"""R'G'B', full range: an (H, W, 3) array or a (3, H, W) tensor, uint8, uint16 or floating point in [0, 1]."""


@dataclasses.dataclass(frozen=True)
class UpscaledFrame:
    """One frame of the output."""

    picture: Frame  # of the kind, type and device of the frames that were given; the caller's own
    seconds: Fraction  # when it is shown, on the clock of the times that were given


def upscale_frames(
    frames: Iterable[Frame],
    options: UpscaleOptions | None = None,
    *,
    times: Iterable[Fraction | float] | None = None,
    time_base: Fraction | None = None,
    input_fps: Fraction | float | str | None = None,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    height: int | None = None,
    fps: TargetRate | Fraction | float | str | None = None,
    model: AnyVideoInr | str | os.PathLike[str] | None = None,
) -> Iterator[UpscaledFrame]:
    """Render frames at another size and frame rate, as `upscale_video` renders those of a file.

    A frame is taken from `frames` when it is needed: some thirteen of them and one of the output are held at
    any time, besides what the network holds. Frames are copied, so a decoder may write into them again.

    Args:
        frames: consecutive, (H, W, 3) arrays or (3, H, W) tensors of uint8, uint16 or floating point in
            [0, 1], all of one kind. Floating point is rounded to 16 bits.
        options: all that the arguments below do not say: speed, model, device, memory, scene cuts. What is
            said there of files is not looked at; repeated drawings are left out if `dedupe` is "on", since
            "auto" would need to look ahead.
        times: seconds at which the frames are shown, as many or more; in steps of 1/`input_fps` when None.
        time_base: above 0; seconds per tick of the clock that `times` were rounded to, such as PyAV's
            ``stream.time_base``; `FLICK_SECONDS` when None.
        input_fps: average frames per second of the source. With `times` it is needed only by what goes by it:
            `fps` such as ``"2x"``, and a speed. 25 without either.
        scale: enlargement.
        size: (width, height) of the output, pixels, instead of `scale`.
        height: of the output, pixels, instead of `scale`.
        fps: frame rate of the output: a number, or text such as ``"2x"`` or ``"60000/1001"``. None: every
            frame keeps its own time.
        model: the network, or name or path of its weights.

    Returns:
        An iterator of the output's frames, in their order, which raises what is wrong with the frames. It may
        be left or closed at any time.

    Raises:
        OptionError: the options make no sense, or do not fit the frames.
        InputError: there is no frame, one has another shape or type than the first, or times do not increase.
        WeightsError: the weights cannot be used.
        MemoryLimitError: a frame does not fit in memory.
    """
    given = {"scale": scale, "size": size, "height": height, "fps": None if fps is None else _target(fps)}
    options = dataclasses.replace(
        options or UpscaleOptions(),
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    source_rate = options.read.rate if input_fps is None else _source_rate(input_fps)
    ticks: Iterator[int]
    if times is None:
        source_rate = source_rate or FALLBACK_RATE
        tick_seconds, ticks = 1 / source_rate, itertools.count()
    else:
        tick_seconds = time_base or FLICK_SECONDS
        ticks = _ticks(times, tick_seconds)
    rate = _output_rate(options, source_rate)
    if model is None or isinstance(model, (str, os.PathLike)):
        weights = os.fspath(model or options.weights)
        model = load_network(dataclasses.replace(options.network, weights=weights))
    timeline = Timeline(tick_seconds, rate, speed=options.speed)
    return _upscaled(iter(frames), ticks, timeline, options, source_rate, model)


def _target(fps: TargetRate | Fraction | float | str) -> TargetRate:
    if isinstance(fps, TargetRate):
        return fps
    return TargetRate(fps) if isinstance(fps, Fraction) else TargetRate.parse(str(fps))


def _source_rate(fps: Fraction | float | str) -> Fraction:
    rate = _target(fps)
    if rate.relative:
        raise OptionError(f"input_fps {fps!r} is a multiple of nothing; give frames per second, such as 25")
    return rate.value


def _ticks(times: Iterable[Fraction | float], tick_seconds: Fraction) -> Iterator[int]:
    """Yield times in ticks.

    Raises:
        InputError: one of them is not a number.
    """
    for seconds in times:
        try:
            yield round(Fraction(seconds) / tick_seconds)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"the time {seconds!r} is not a number of seconds") from error


def _output_rate(options: UpscaleOptions, source_rate: Fraction | None) -> Fraction | None:
    """Return the output's frames per second; None: every frame keeps its own time.

    Raises:
        OptionError: it goes by the source's rate, which is not known.
    """
    if source_rate is not None:
        return options.rate_of(source_rate)
    if options.speed != 1 if options.fps is None else options.fps.relative:
        raise OptionError(
            "a multiple of the source's frame rate, and another speed, need that rate: give input_fps"
        )
    return None if options.fps is None else options.fps.value


def _upscaled(
    frames: Iterator[Frame],
    ticks: Iterator[int],
    timeline: Timeline,
    options: UpscaleOptions,
    source_rate: Fraction | None,
    model: AnyVideoInr,
) -> Iterator[UpscaledFrame]:
    opening = next(frames, None)
    if opening is None:
        raise InputError("there are no frames to upscale")
    kind = _Kind.of(opening, number=1)
    source = _source_frames(itertools.chain([opening], frames), ticks, timeline.source_time_base, kind)
    del opening
    first = next(source)
    height, width, _ = first.rgb.shape
    size = options.output_size(width, height)
    framing = Framing.of(options, (width, height), size)
    sizes = choose_sizes(
        model,
        (height, width),
        framing.picture[::-1],
        tile=options.tile,
        limit_bytes=options.max_memory_bytes,
        instants=_instants(timeline, source_rate),
    )
    timeline = dataclasses.replace(timeline, start=first.pts)
    outputs = output_frames(
        Renderer(model, framing.picture, window=framing.window, bit_depth=kind.bit_depth, sizes=sizes),
        timeline,
        _given(itertools.chain([first], source), options, timeline, source_rate),
        source_rate=source_rate,
        part=Part(),
        tally=Tally(),
    )
    for output in on_threads(options.threads, outputs):
        picture = framing.framed(output.picture)
        yield UpscaledFrame(kind.of_levels(picture.rgb), output.pts * timeline.time_base)


def _given(
    source: Iterable[SourceFrame], options: UpscaleOptions, timeline: Timeline, source_rate: Fraction | None
) -> Iterator[GivenFrame]:
    frames = compared(source, options.scene_threshold)
    if options.dedupe != "on" or timeline.rate is None:
        return frames
    rate = source_rate or timeline.rate / timeline.speed
    return drawings(frames, Repeats(REPEAT_LEVELS), 1 / (rate * timeline.source_time_base))


def _instants(timeline: Timeline, source_rate: Fraction | None) -> float:
    """Return how many instants are rendered for each pair of frames, as far as that is known."""
    if timeline.rate is None or source_rate is None:
        return 1.0
    return float(timeline.rate / timeline.speed / source_rate)


def _source_frames(
    frames: Iterator[Frame], ticks: Iterator[int], tick_seconds: Fraction, kind: _Kind
) -> Iterator[SourceFrame]:
    """Yield frames with their times, as those of a file are read.

    Raises:
        InputError: see `upscale_frames`.
    """
    before: int | None = None
    for number, frame in enumerate(frames, start=1):
        pts = next(ticks, None)
        if pts is None:
            raise InputError(f"frame {number} has no time: times are fewer than the frames")
        if before is not None and pts <= before:
            now, then = (float(time * tick_seconds) for time in (pts, before))
            raise InputError(f"frame {number}, at {now:g} s, does not come after the one at {then:g} s")
        yield SourceFrame(kind.to_levels(frame, number), pts)
        before = pts


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What all frames of a source have in common."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | torch.dtype
    device: torch.device | None  # of tensors

    @classmethod
    def of(cls, frame: Frame, number: int) -> _Kind:
        """Return the kind of a frame.

        Raises:
            InputError: it is no picture.
        """
        if not isinstance(frame, (np.ndarray, Tensor)):
            raise InputError(f"frame {number} is a {type(frame).__name__}, not a numpy array or a tensor")
        kind = cls(tuple(frame.shape), frame.dtype, frame.device if isinstance(frame, Tensor) else None)
        channels = frame.shape[-1 if kind.device is None else 0] if frame.ndim == 3 else 0
        if channels != 3 or 0 in frame.shape:
            raise InputError(
                f"frame {number} has the shape {kind.shape}; give (H, W, 3) arrays or (3, H, W) tensors"
            )
        if not kind._is_floating and kind._name not in ("uint8", "uint16"):
            raise InputError(
                f"frame {number} is of {kind._name}; give uint8, uint16, or floating point in [0, 1]"
            )
        return kind

    @property
    def _name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    @property
    def _is_floating(self) -> bool:
        dtype = self.dtype
        return dtype.is_floating_point if isinstance(dtype, torch.dtype) else dtype.kind == "f"

    @property
    def bit_depth(self) -> int:
        """Bits of the levels that frames are rendered in."""
        return 8 if self._name == "uint8" else 16

    def to_levels(self, frame: Frame, number: int) -> Picture:
        """Copy a frame as (H, W, 3) levels of uint8 or uint16.

        Raises:
            InputError: it is of another kind.
        """
        kind = _Kind.of(frame, number)
        if kind != self:
            raise InputError(
                f"frame {number} is {kind._name} of {kind.shape}, but the first is {self._name} of "
                f"{self.shape}; the frames of a video have one size and type"
            )
        if isinstance(frame, Tensor):
            frame = frame.detach().permute(1, 2, 0).cpu()
            frame = (frame.double() if self._is_floating else frame).numpy()
        if not self._is_floating:
            return np.array(frame, order="C")
        values = np.asarray(frame, np.float64)  # half precision has no 65535
        if not np.isfinite(values).all():
            raise InputError(f"frame {number} holds values that are not finite; give values in [0, 1]")
        return np.ascontiguousarray(np.rint(values.clip(0, 1) * LEVELS), np.uint16)

    def of_levels(self, levels: Picture) -> Frame:
        """Return rendered levels as a frame of this kind, which shares no memory with them."""
        picture: Picture = levels.astype(np.float64) / LEVELS if self._is_floating else levels.copy()
        if isinstance(self.dtype, torch.dtype):
            return torch.from_numpy(picture).permute(2, 0, 1).contiguous().to(self.device, self.dtype)
        own: Picture = picture.astype(self.dtype, copy=False)
        return own
