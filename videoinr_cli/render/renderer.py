"""Turn the frames of a video into pictures of its instants, computing nothing twice.

The caller advances from one pair of frames to the next, shows the frame that follows, and asks for positions
within the current pair.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from videoinr_cli.errors import MemoryLimitError, is_out_of_memory
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.model.network import PairEncoding, Place, Window
from videoinr_cli.notes import Advice, log_advised
from videoinr_cli.options import Region
from videoinr_cli.render.memory import release_memory
from videoinr_cli.render.pieces import DEFAULT_SIZES, Sizes, smaller_tiles
from videoinr_cli.render.runs import Runs
from videoinr_cli.render.tiling import Tile
from videoinr_cli.render.transfers import as_pixels, to_host

Picture = NDArray[Any]  # of uint8 or uint16

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of R'G'B' where grey is rendered, BT.709's: the network's three channels hardly differ there."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class GivenFrame:
    """A frame of the source, compared with the one before it."""

    rgb: Picture  # (H, W, 3), full range
    pts: int  # in ticks of the source's time base
    duration: int | None = None  # in the same ticks
    alpha: Picture | None = None  # (H, W), of rgb's type, the maximum opaque
    is_repeat: bool = False  # the same picture as the frame before, to the last bit
    is_cut: bool = False  # another scene than the frame before
    section: int = 0  # of the source's time, see `runs.Sections`
    is_grey: bool = False  # the whole frame has no colour
    stands_for: int = 1  # frames of the source: itself, and those after it that repeat it and are left out
    late: Fraction = Fraction(0)  # how much after its timestamp it is due for motion to be even, in ticks

    def cropped(self, piece: Region) -> GivenFrame:
        """Return a piece of the picture; it repeats the one before, and is a cut, where the whole does."""
        rows, columns = slice(piece.y, piece.y + piece.height), slice(piece.x, piece.x + piece.width)
        alpha = None if self.alpha is None else np.ascontiguousarray(self.alpha[rows, columns])
        return dataclasses.replace(self, rgb=np.ascontiguousarray(self.rgb[rows, columns]), alpha=alpha)


@dataclasses.dataclass(frozen=True)
class Rendering:
    """A picture of one instant. It is read-only: it may be returned again."""

    rgb: Picture  # (Ho, Wo, 3), full range
    alpha: Picture | None  # (Ho, Wo), of rgb's type; None where the source has none, or it is not wanted


class _Still:
    """One picture of the source, and its rendering once there is one."""

    def __init__(self, frame: GivenFrame) -> None:
        self.starts_scene = frame.is_cut
        self.section = frame.section
        self.frame = frame
        self.rendering: Rendering | None = None


class _Context(NamedTuple):
    """A pair, and the run of frames of the same scene in which it lies."""

    run: tuple[_Still, ...]
    place: int  # of the pair's first frame in the run

    @property
    def first(self) -> _Still:
        return self.run[self.place]

    @property
    def second(self) -> _Still:
        return self.run[self.place + 1]


class _Shot(NamedTuple):
    """A picture to be rendered: an instant of a pair, or a frame of the source."""

    context: _Context
    tau: Fraction
    still: _Still | None  # the frame that is shown

    @property
    def shown(self) -> tuple[_Still, ...]:
        """The frames of the source that the picture shows."""
        return (self.context.first, self.context.second) if self.still is None else (self.still,)


class Renderer:
    """Renders positions within pairs of frames, pair after pair.

    A frame is encoded once, a pair only when a position within it is asked for, and the picture of a source
    frame is rendered once, however long it is shown. Only one pair's encoding is held; if that is too much, a
    picture is rendered tile by tile. A picture depends only on its run of frames (see `runs`), not on earlier
    calls; that of a repeated frame depends on where the frame first appeared.
    """

    def __init__(
        self,
        model: AnyVideoInr,
        size: tuple[int, int],
        *,
        window: Window | None = None,
        bit_depth: int = 8,
        with_alpha: bool = False,
        sizes: Sizes = DEFAULT_SIZES,
    ) -> None:
        """Prepare for pictures of one size.

        Args:
            model: the network, on the device to be used.
            size: (width, height) of the pictures, in pixels.
            window: the part of them that is rendered; the whole by default.
            bit_depth: of the output; pictures are uint8 up to 8, else uint16.
            with_alpha: whether transparency is enlarged too.
            sizes: of the pieces in which pictures are rendered at first; halved when memory runs out.
        """
        self._model = model
        self._device = model.device
        self._size = (size[1], size[0])  # (Ho, Wo)
        self._window = window or Window(0, 0, *self._size)
        self._dtype: type[np.uint8 | np.uint16] = np.uint8 if bit_depth <= 8 else np.uint16
        self._with_alpha = with_alpha
        self._runs: Runs[_Still] = Runs(model.config.run_pairs, model.config.context_frames)
        self.sizes = sizes  # of the pieces in which pictures are rendered now
        self._tiles: list[_TileEncoder] = []  # laid out when the first picture is encoded
        self.has_shrunk = False  # whether memory ran out, which is logged once

    @property
    def lookahead(self) -> int:
        """How many frames after a pair its pictures may depend on."""
        return self._runs.lookahead

    def advance(self, first: GivenFrame, second: GivenFrame | None, *following: GivenFrame | None) -> None:
        """Go on to the next pair.

        Args:
            first: the second frame of the pair before, if there was one.
            second: the frame after it, or None after the last.
            following: the frames after that, `lookahead` of them, as far as the source has them.
        """
        given = [frame for frame in (first, second, *following) if frame is not None]
        left, known = self._runs.known[:1], self._runs.known[1:]
        shown: list[_Still] = []
        for frame in given[len(known) :]:
            before = shown[-1:] or known[-1:]
            shown.append(before[0] if frame.is_repeat and before else _Still(frame))
        self._runs.advance(shown)
        if left and left[0] is not self._runs.known[0]:
            left[0].rendering = None  # the frame stays in its run, but is not shown again

    def render(self, tau: Fraction) -> Rendering:
        """Render the instant at `tau` within the pair, 0 at its first frame and 1 at its second.

        Before a cut this is the first of the two frames, as the cut in the sound comes with the second; after
        the last frame it is that frame.

        Raises:
            MemoryLimitError: memory ran out, and pieces cannot be made smaller.
        """
        return next(self.render_all([tau]))

    def render_all(self, taus: Iterable[Fraction]) -> Iterator[Rendering]:
        """Render several instants of the pair, at positions as `render` takes them.

        Pictures that are rendered in tiles share the encoding of each tile, `Sizes.together` at a time.

        Raises:
            MemoryLimitError: as `render` does.
        """
        for _, shots in itertools.groupby(map(self._shot, taus), key=lambda shot: shot.context):
            while batch := list(itertools.islice(shots, self.sizes.together)):
                yield from self._pictures(batch)

    def _shot(self, tau: Fraction) -> _Shot:
        first, *others = self._runs.known
        second = others[0] if others else first
        is_cut = second is not first and second.starts_scene
        if second is first or tau == 0 or (is_cut and tau < 1):
            return self._shot_of(first)
        if tau == 1:
            return self._shot_of(second)
        return _Shot(_Context(self._runs.run, self._runs.place), tau, None)

    def _shot_of(self, still: _Still) -> _Shot:
        """Find a pair that holds a frame of the pair at hand, and the frame's place there.

        That is the pair which it begins in its run, else the one which it ends, else the frame with itself.
        """
        run, place = self._runs.run, self._runs.place
        following = run[place + 1 : place + 2]
        if still is run[place] and following:
            return _Shot(_Context(run, place), Fraction(0), still)
        if still in following:
            return _Shot(_Context(run, place), Fraction(1), still)
        if still is run[place] and place:
            return _Shot(_Context(run, place - 1), Fraction(1), still)
        return _Shot(_Context((still, still), 0), Fraction(0), still)

    def _pictures(self, shots: list[_Shot]) -> list[Rendering]:
        """Render those shots of one context that have not been rendered."""
        missing = [
            shot for shot in dict.fromkeys(shots) if shot.still is None or shot.still.rendering is None
        ]
        renderings = dict(zip(missing, self._drawn(missing), strict=True)) if missing else {}
        for shot in shots:
            if shot.still is None:
                continue
            if shot.still.rendering is None:
                shot.still.rendering = renderings[shot]
            renderings[shot] = shot.still.rendering
        return [renderings[shot] for shot in shots]

    def _drawn(self, shots: list[_Shot]) -> list[Rendering]:
        """Render shots of one context, in smaller pieces when memory runs out."""
        while True:
            try:
                together = self.sizes.together
                parts = [shots[start : start + together] for start in range(0, len(shots), together)]
                return [rendering for part in parts for rendering in self._attempt(part)]
            except (MemoryError, RuntimeError, SystemError) as error:
                if not is_out_of_memory(error):
                    raise
                smaller = self._smaller()
                if smaller is None:
                    raise MemoryLimitError(self._too_little()) from error
            # Outside of the except block, as the error's traceback holds most of the memory.
            self._shrink(smaller)

    def _smaller(self) -> Sizes | None:
        """Return the next smaller sizes: of chunks if memory ran out while drawing, else of tiles."""
        is_drawing = any(tile.pair is not None for tile in self._tiles)
        smaller = self.sizes.with_smaller_chunks() if is_drawing else None
        return smaller or smaller_tiles(self._model, self._lr_size, self._size, self.sizes)

    def _shrink(self, smaller: Sizes) -> None:
        self._tiles, self.sizes = [], smaller
        release_memory(self._device)
        if not self.has_shrunk:
            self.has_shrunk = True
            said = f"{self._device} ran out of memory: the same frame is rendered again in smaller pieces"
            advice = "--max-memory or --tile makes them small from the start"
            log_advised(
                log, logging.WARNING, f"{said} ({smaller})", Advice(advice, ("--max-memory", "--tile"))
            )

    def _too_little(self) -> str:
        (height, width), (rows, columns) = self._size, self._lr_size
        return (
            f"enlarging {columns}x{rows} to {width}x{height} needs more memory than {self._device} has free, "
            "even in the smallest tiles; try a smaller --scale, or end other programs"
        )

    @property
    def _lr_size(self) -> tuple[int, int]:
        rows, columns, _ = self._runs.known[0].frame.rgb.shape
        return rows, columns

    @torch.inference_mode()
    def _attempt(self, shots: list[_Shot]) -> list[Rendering]:
        context = shots[0].context
        if not self._tiles:
            self._tiles = self._laid_out()
        if len(self._tiles) == 1:
            pair = self._tiles[0].encoded(self._model, context)
            drawn = [self._rendering(self._rendered(pair, shot.tau, self._window), shot) for shot in shots]
            if not self.sizes.keeps:
                self._tiles[0].drop(keep=False)
            return drawn
        window = self._window
        shape = (1, 3, window.height, window.width)
        blends = [
            torch.empty(shape, device=self._device, memory_format=torch.channels_last).zero_() for _ in shots
        ]
        for tile in self._tiles:
            pair = tile.encoded(self._model, context)
            part = tile.window
            rows = slice(part.top - window.top, part.bottom - window.top)
            columns = slice(part.left - window.left, part.right - window.left)
            for blend, shot in zip(blends, shots, strict=True):
                blend[:, :, rows, columns].add_(self._rendered(pair, shot.tau, part).mul_(tile.shares))
            del pair
            tile.drop(keep=self.sizes.keeps)
        return [self._rendering(blend, shot) for blend, shot in zip(blends, shots, strict=True)]

    def _laid_out(self) -> list[_TileEncoder]:
        """Cut the picture into tiles, without those outside of the window."""
        sizes, lr_size = self.sizes, self._lr_size
        found = sizes.tiles(self._model, lr_size, self._size)
        encoders = [_TileEncoder(tile, lr_size, self._window, self._device) for tile in found]
        return [encoder for encoder in encoders if encoder.window.height > 0 and encoder.window.width > 0]

    def _rendered(self, pair: PairEncoding, tau: Fraction, window: Window) -> Tensor:
        return self._model.render(
            pair,
            float(tau),
            self._size,
            window=window,
            chunk_bytes=self.sizes.chunk_bytes,
            instant_bytes=self.sizes.instant_bytes,
        )

    def _rendering(self, rgb: Tensor, shot: _Shot) -> Rendering:
        if all(still.frame.is_grey for still in shot.shown):
            _decolour(rgb)
        alpha = self._alpha(shot)
        return Rendering(self._to_host(rgb), None if alpha is None else self._to_host(alpha)[..., 0])

    def _alpha(self, shot: _Shot) -> Tensor | None:
        """Enlarge a shot's transparency bicubically, (1, 1, h, w): the network renders colour only."""
        alphas = [still.frame.alpha for still in shot.shown]
        if not self._with_alpha or any(alpha is None for alpha in alphas):
            return None
        top, left, bottom, right = self._window
        enlarged = [
            F.interpolate(as_pixels(alpha[..., None], self._device), self._size, mode="bicubic")
            for alpha in alphas
            if alpha is not None
        ]
        mixed = torch.lerp(enlarged[0], enlarged[-1], float(shot.tau))
        return mixed[..., top:bottom, left:right]

    def _to_host(self, picture: Tensor) -> Picture:
        """Round (1, C, Ho, Wo) in [0, 1] to integer levels on the device and copy (Ho, Wo, C) to the host."""
        top = float(np.iinfo(self._dtype).max)
        # In place: allocating another picture would cost more than the arithmetic.
        levels = picture.mul_(top).round_().clamp_(0, top).permute(0, 2, 3, 1)[0]
        # Not every device converts to unsigned 16 bits.
        whole = to_host(levels.to(torch.uint8 if self._dtype is np.uint8 else torch.int32))
        rounded: Picture = whole.astype(self._dtype, copy=False)
        return rounded


class _TileEncoder:
    """Encodes one tile of each pair, and keeps what the next pair can reuse."""

    def __init__(self, tile: Tile, lr_size: tuple[int, int], window: Window, device: torch.device) -> None:
        rows, columns = tile.rows, tile.columns
        self.window = Window(
            max(window.top, rows.first),
            max(window.left, columns.first),
            min(window.bottom, rows.last),
            min(window.right, columns.last),
        )
        self.pair: PairEncoding | None = None
        self._context: _Context | None = None  # of `pair`
        self._frames: dict[_Still, Any] = {}
        self._carry: Any = None
        self._tile = tile
        is_all = (rows.stop - rows.start, columns.stop - columns.start) == lr_size
        self._place = None if is_all else Place(rows.start, columns.start, *lr_size)
        self._device = device

    @property
    def shares(self) -> Tensor:
        """The tile's weight in each pixel of its window, (1, 1, h, w) float32."""
        rows, columns = (
            torch.from_numpy(span.weights[first - span.first : last - span.first]).to(self._device)
            for span, first, last in (
                (self._tile.rows, self.window.top, self.window.bottom),
                (self._tile.columns, self.window.left, self.window.right),
            )
        )
        return (rows[:, None] * columns)[None, None]

    def encoded(self, model: AnyVideoInr, context: _Context) -> PairEncoding:
        """Return the encoding of a pair; the previous one is dropped first."""
        if self.pair is None or self._context != context:
            self.pair, self._context = None, context
            frames = {}
            for still in context.run:
                if still not in frames:
                    known = self._frames.pop(still, None)
                    frames[still] = known or model.encode_frame(self._pixels(still))
            self._frames = frames
            carry, self._carry = self._carry, None
            run = [frames[still] for still in context.run]
            pair = model.encode_pair_of(run, context.place, carry=carry)
            self._carry = pair.carry
            self.pair = dataclasses.replace(pair, place=self._place)
        return self.pair

    def drop(self, *, keep: bool) -> None:
        """Drop the pair's encoding, and what the next pair could reuse unless `keep` is set."""
        self.pair = None
        if not keep:
            self._frames, self._carry = {}, None

    def _pixels(self, still: _Still) -> Tensor:
        rows, columns = self._tile.rows, self._tile.columns
        return as_pixels(still.frame.rgb[rows.start : rows.stop, columns.start : columns.stop], self._device)


def _decolour(rgb: Tensor) -> None:
    """Replace the colours of (1, 3, H, W) by their luma: what networks make of grey is not quite grey."""
    red, green, blue = rgb.split(1, dim=1)
    rgb.copy_((red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]))
