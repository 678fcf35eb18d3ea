"""Render one region of a video around one instant: as it is, enlarged bicubically, and by the network.

The network sees only the region and its surroundings, so that a preview takes seconds, however large the
video is.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model import AnyVideoInr
from videoinr_cli.model.network import Window
from videoinr_cli.options import Region
from videoinr_cli.render.parts import with_following
from videoinr_cli.render.renderer import GivenFrame, Picture, Renderer
from videoinr_cli.render.timeline import Timeline
from videoinr_cli.render.transfers import as_pixels

HALO_PX = 64
"""Pixels of the source around a region that the network sees as well; motion reaches about 30 px."""

ALIGNMENT_PX = 8
"""A crop begins at multiples of this, so that the networks' coarser grids lie as in the whole picture."""

CONTEXT_FRAMES = 2
"""Frames before and after a pair that the network is given too."""

HALFWAY = Fraction(1, 2)

SAMPLES = 2
"""Pairs that are measured: other programs make one slower at times."""

STRIP_TAUS = tuple(Fraction(step, 4) for step in range(5))
"""The instants of a strip, from one source frame to the next."""


@dataclasses.dataclass(frozen=True)
class View:
    """A region of the source, and the grid on which it is rendered."""

    region: Region  # the part of the source that is shown
    crop: Region  # with its halo
    scale: tuple[Fraction, Fraction]  # along x and y

    @classmethod
    def of(cls, region: Region, source_size: tuple[int, int], size: tuple[int, int]) -> View:
        """Return the view of a region.

        Args:
            region: within the source.
            source_size: (width, height) of the whole source, in pixels.
            size: of the whole output.
        """
        scale = Fraction(size[0], source_size[0]), Fraction(size[1], source_size[1])
        left, top = (max(0, start - HALO_PX) // ALIGNMENT_PX * ALIGNMENT_PX for start in (region.x, region.y))
        right = min(source_size[0], region.x + region.width + HALO_PX)
        bottom = min(source_size[1], region.y + region.height + HALO_PX)
        return cls(region, Region(left, top, right - left, bottom - top), scale)

    @property
    def rendered_size(self) -> tuple[int, int]:
        """(width, height) of the crop at the output's scale, in pixels."""
        return round(self.crop.width * self.scale[0]), round(self.crop.height * self.scale[1])

    @property
    def window(self) -> Window:
        """The region within the rendered crop."""
        region, crop, (along_x, along_y) = self.region, self.crop, self.scale
        left, top = round((region.x - crop.x) * along_x), round((region.y - crop.y) * along_y)
        width, height = self.rendered_size
        right = min(width, left + max(1, round(region.width * along_x)))
        bottom = min(height, top + max(1, round(region.height * along_y)))
        return Window(top, left, bottom, right)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the region at the output's scale, in pixels."""
        return self.window.width, self.window.height

    def cropped(self, frame: GivenFrame) -> GivenFrame:
        """Return the crop of a source frame, without transparency."""
        return dataclasses.replace(frame.cropped(self.crop), alpha=None)

    def shown(self, rendered: Picture) -> Picture:
        """Return the region's part of a rendered crop."""
        top, left, bottom, right = self.window
        return rendered[top:bottom, left:right]


@dataclasses.dataclass(frozen=True)
class Panels:
    """One instant of a region, three ways, each (h, w, 3) uint8."""

    nearest: Picture  # the pixels of the frame that is shown then
    bicubic: Picture  # enlarged; between frames, both blended
    ours: Picture


@dataclasses.dataclass(frozen=True)
class Moment:
    """A region at one frame of the source, and between that frame and the next."""

    still: Panels
    between: tuple[Panels, ...]  # at `STRIP_TAUS`; empty when the frame is the last
    pair_seconds: float  # time of the network for a pair of crops
    frame_seconds: float  # and for each picture of the region


class Magnifier:
    """Renders a crop three ways, pair after pair."""

    def __init__(self, model: AnyVideoInr, view: View) -> None:
        self._view = view
        self._renderer = Renderer(model, view.rendered_size, window=view.window)
        self._pair: tuple[GivenFrame, GivenFrame | None]

    @property
    def lookahead(self) -> int:
        """See `Renderer.lookahead`."""
        return self._renderer.lookahead

    def advance(self, frames: Sequence[GivenFrame]) -> None:
        """Go on to the next pair, as `Renderer.advance` does.

        Args:
            frames: cropped, from the pair's first one on; of those after the pair, `lookahead` are looked at.
        """
        first, *others = frames[: 2 + self.lookahead]
        second = others[0] if others else None
        self._renderer.advance(first, second, *others[1:])
        self._pair = first, second

    def ours(self, tau: Fraction) -> Picture:
        """Render an instant within the pair by the network."""
        return self._renderer.render(tau).rgb

    def panels(self, tau: Fraction) -> Panels:
        """Show an instant within the pair three ways."""
        first, second = self._pair
        on_show = first if second is None or tau < 1 else second
        blend = as_pixels(first.rgb)
        if second is not None:
            blend = torch.lerp(blend, as_pixels(second.rgb), float(tau))
        return Panels(
            nearest=self._enlarged(as_pixels(on_show.rgb), "nearest-exact"),
            bicubic=self._enlarged(blend, "bicubic"),
            ours=self.ours(tau),
        )

    def _enlarged(self, crop: Tensor, mode: str) -> Picture:
        width, height = self._view.rendered_size
        enlarged = F.interpolate(crop, size=(height, width), mode=mode).clamp_(0, 1)
        levels: Picture = (enlarged[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        return self._view.shown(levels)


def frames_around(
    frames: Iterable[GivenFrame], pts: int, context: int
) -> tuple[list[GivenFrame], Iterator[GivenFrame]]:
    """Split a video at an instant.

    Args:
        frames: consecutive, whole.
        pts: an instant, in the frames' ticks.
        context: how many frames are needed before the one on show at the instant.

    Returns:
        The frames up to the one that is shown at the instant, no more than needed, and those after it. The
        list is empty when there are no frames.
    """
    until: collections.deque[GivenFrame] = collections.deque(maxlen=context + 1)
    following = iter(frames)
    for frame in following:
        if until and frame.pts > pts:
            return list(until), itertools.chain([frame], following)
        until.append(frame)
    return list(until), iter(())


def render_moment(model: AnyVideoInr, view: View, frames: Sequence[GivenFrame], index: int) -> Moment:
    """Render the frame at `index`, and the instants from it to the next one if there is one.

    Args:
        model: the network, on the device to be used.
        view: what is shown.
        frames: consecutive, cropped to the view.
        index: of the frame that is shown.
    """
    magnifier = Magnifier(model, view)
    for place in range(index):
        magnifier.advance(frames[place:])
    if index:  # so that the pair shown follows one that is encoded, as pairs of a video do
        magnifier.ours(HALFWAY)
    magnifier.advance(frames[index:])
    first = _timed(magnifier, Fraction(0))
    still = magnifier.panels(Fraction(0))
    between = () if index + 1 == len(frames) else tuple(map(magnifier.panels, STRIP_TAUS))
    times = [first] if index and _moves(frames, index) else []
    for place in range(index + 1, len(frames) - 1):
        if len(times) < SAMPLES:
            magnifier.advance(frames[place:])
            times += [_timed(magnifier, HALFWAY)] if _moves(frames, place) else []
    firsts, others = zip(*times or [first], strict=True)
    return Moment(
        still=still,
        between=between,
        pair_seconds=max(0.0, fmean(firsts) - fmean(others)),
        frame_seconds=fmean(others),
    )


def _moves(frames: Sequence[GivenFrame], place: int) -> bool:
    """Whether there are pictures between a frame and the next one."""
    return place + 1 < len(frames) and not (frames[place + 1].is_cut or frames[place + 1].is_repeat)


def _timed(magnifier: Magnifier, tau: Fraction) -> tuple[float, float]:
    """Return how many seconds the first picture of a pair takes, for which it is encoded, and another one."""
    started = time.perf_counter()
    magnifier.ours(tau)
    encoded = time.perf_counter()
    magnifier.ours(HALFWAY)
    return encoded - started, time.perf_counter() - encoded


def play(
    model: AnyVideoInr, view: View, frames: Iterable[GivenFrame], time_base: Fraction, rate: Fraction
) -> Iterator[Panels]:
    """Yield what the view shows at a constant rate, from the first frame to the end of the last.

    Args:
        model: the network.
        view: what is shown.
        frames: consecutive, cropped to the view, with at least one.
        time_base: seconds per tick of their timestamps.
        rate: pictures per second.
    """
    magnifier = Magnifier(model, view)
    following = iter(frames)
    first = next(following)
    timeline = Timeline(time_base, rate, first.pts)
    spans = timeline.spans(itertools.chain([first], following), source_rate=rate)
    for span, later in with_following(spans, magnifier.lookahead):
        seconds = (one.second for one in (span, *later))
        magnifier.advance([span.first, *(frame for frame in seconds if frame is not None)])
        for instant in span.instants:
            yield magnifier.panels(instant.tau)
