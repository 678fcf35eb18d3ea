"""Turn the frames of a video into pictures of its instants, computing nothing twice.

Knows nothing of files or timestamps: it is led from one pair of frames to the next, shown the frame that
follows, and asked for positions within the pair at hand.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from videoinr_cli.model import AnyVideoInr
from videoinr_cli.model.network import PairEncoding, Window

Picture = NDArray[Any]  # of uint8 or uint16


@dataclasses.dataclass(frozen=True)
class GivenFrame:
    """A frame of the source, and how it relates to the one before it."""

    rgb: Picture  # (H, W, 3), full range
    pts: int  # in ticks of the source's time base
    duration: int | None = None  # in the same ticks
    alpha: Picture | None = None  # (H, W), of rgb's type, the maximum opaque
    is_repeat: bool = False  # the same picture as the frame before, to the last bit
    is_cut: bool = False  # another scene than the frame before


@dataclasses.dataclass(frozen=True)
class Rendering:
    """A picture of one instant, not to be written into: it may be handed out again."""

    rgb: Picture  # (Ho, Wo, 3), full range
    alpha: Picture | None  # (Ho, Wo), of rgb's type; None where the source has none, or it is not wanted


class _Still:
    """One picture of the source on the device, with all that was computed from it alone."""

    def __init__(self, frame: GivenFrame, device: torch.device) -> None:
        self.starts_scene = frame.is_cut
        self.rgb: Tensor | None = _to_device(frame.rgb, device)  # (1, 3, H, W); None once it is encoded
        self.alpha = None if frame.alpha is None else _to_device(frame.alpha[..., None], device)
        self.encoding: Any = None
        self.rendering: Rendering | None = None


class _Context(NamedTuple):
    """A pair, and the frames beside it as far as they show the same scene."""

    before: _Still | None
    first: _Still
    second: _Still
    after: _Still | None


class Renderer:
    """Renders positions within one pair of frames after the other.

    A frame is encoded once, a pair only when a position within it is asked for, and the picture of a given
    frame is rendered once, however long it lasts. No more than one pair's encoding is held. A picture depends
    on its pair and the two frames beside that, whatever was asked for earlier; one of a frame that repeats
    depends on where it first appeared.
    """

    def __init__(
        self,
        model: AnyVideoInr,
        size: tuple[int, int],
        *,
        window: Window | None = None,
        bit_depth: int = 8,
        with_alpha: bool = False,
    ) -> None:
        """Prepare for pictures of one size.

        Args:
            model: the network, on the device to be used.
            size: (width, height) of the pictures, in pixels.
            window: the part of them that is rendered; the whole by default.
            bit_depth: of the output; pictures are uint8 up to 8, else uint16.
            with_alpha: whether transparency is enlarged too.
        """
        self._model = model
        self._device = next(model.parameters()).device
        self._size = (size[1], size[0])  # (Ho, Wo)
        self._window = window or Window(0, 0, *self._size)
        self._dtype: type[np.uint8 | np.uint16] = np.uint8 if bit_depth <= 8 else np.uint16
        self._with_alpha = with_alpha
        self._before: _Still | None = None
        self._first: _Still | None = None
        self._second: _Still | None = None
        self._after: _Still | None = None
        self._context: _Context | None = None  # of the encoding at hand
        self._encoding: PairEncoding | None = None

    def advance(self, first: GivenFrame, second: GivenFrame | None, after: GivenFrame | None = None) -> None:
        """Go on to the next pair.

        Args:
            first: the second frame of the pair before, if there was one.
            second: the frame after it, or None after the last.
            after: the frame after that, or None; the second one of the next pair.
        """
        self._before, self._first = self._first, self._second or _Still(first, self._device)
        self._second = self._after or self._still(second, self._first)
        self._after = None if self._second is None else self._still(after, self._second)

    def _still(self, frame: GivenFrame | None, before: _Still) -> _Still | None:
        if frame is None:
            return None
        return before if frame.is_repeat else _Still(frame, self._device)

    @property
    def _is_cut(self) -> bool:
        return self._second is not self._first and self._second is not None and self._second.starts_scene

    @torch.inference_mode()
    def render(self, tau: Fraction) -> Rendering:
        """Render the instant at `tau` within the pair, 0 at its first frame and 1 at its second.

        Up to a cut this is the first of the two frames, since the cut is where its sound is; after the last
        frame, that frame.
        """
        first, second = self._first, self._second
        assert first is not None, "advance comes first"
        if second is None or second is first or tau == 0 or (self._is_cut and tau < 1):
            return self._given(first)
        if tau == 1:
            return self._given(second)
        alpha = None
        if self._with_alpha and first.alpha is not None and second.alpha is not None:
            alpha = torch.lerp(self._enlarged(first.alpha), self._enlarged(second.alpha), float(tau))
        return self._rendering(self._rendered(self._pair_at_hand(), float(tau)), alpha)

    def _given(self, still: _Still) -> Rendering:
        """Render one of the given frames, unless that has been done."""
        if still.rendering is None:
            alpha = self._enlarged(still.alpha) if self._with_alpha and still.alpha is not None else None
            still.rendering = self._rendering(self._rendered(*self._around(still)), alpha)
        return still.rendering

    def _around(self, still: _Still) -> tuple[_Context, float]:
        """Return a pair that holds the frame, and its place there.

        That is the pair at hand, so long as it is of one scene, else the pair before, else the frame with
        itself.
        """
        pair = self._pair_at_hand()
        if pair.second is not pair.first and not self._is_cut:
            return pair, 0.0 if still is pair.first else 1.0
        if still is pair.first and pair.before is not None:
            return _Context(None, pair.before, still, None), 1.0
        return _Context(None, still, still, None), 0.0

    def _pair_at_hand(self) -> _Context:
        first, second = self._first, self._second
        assert first is not None
        second = second or first
        before = None if self._before is first or first.starts_scene else self._before
        after = self._after
        if after is second or (after is not None and after.starts_scene):
            after = None
        return _Context(before, first, second, after)

    def _encoded(self, context: _Context) -> PairEncoding:
        """Return the encoding of a pair, after letting go of the one before."""
        if self._encoding is None or self._context != context:
            carry = None if self._encoding is None else self._encoding.carry
            self._encoding = None
            for still in context:
                if still is not None and still.rgb is not None:
                    still.encoding = self._model.encode_frame(still.rgb)
                    still.rgb = None
            before, first, second, after = (None if still is None else still.encoding for still in context)
            self._context = context
            self._encoding = self._model.encode_pair(first, second, before=before, after=after, carry=carry)
        return self._encoding

    def _rendered(self, context: _Context, tau: float) -> Tensor:
        return self._model.render(self._encoded(context), tau, self._size, window=self._window)

    def _enlarged(self, alpha: Tensor) -> Tensor:
        """Enlarge transparency, (1, 1, H, W), bicubically: the network knows colour only."""
        top, left, bottom, right = self._window
        return F.interpolate(alpha, self._size, mode="bicubic")[..., top:bottom, left:right]

    def _rendering(self, rgb: Tensor, alpha: Tensor | None) -> Rendering:
        return Rendering(self._to_host(rgb), None if alpha is None else self._to_host(alpha)[..., 0])

    def _to_host(self, picture: Tensor) -> Picture:
        """Round (1, C, Ho, Wo) in [0, 1] to whole levels on the device and copy (Ho, Wo, C) to the host."""
        top = float(np.iinfo(self._dtype).max)
        # In place: `picture` is the renderer's own, and a fresh one would cost more than the arithmetic.
        levels = picture.mul_(top).round_().clamp_(0, top).permute(0, 2, 3, 1)[0]
        # Not every device converts to 16 bits without sign.
        whole = levels.to(torch.uint8 if self._dtype is np.uint8 else torch.int32).cpu().numpy()
        rounded: Picture = whole.astype(self._dtype, copy=False)
        return rounded


def _to_device(picture: Picture, device: torch.device) -> Tensor:
    """Copy (H, W, C) of whole levels to the device as (1, C, H, W) float32 in [0, 1], channels_last."""
    # Bytes travel as they are; not every device has 16-bit numbers without sign.
    portable = picture if picture.dtype == np.uint8 else picture.astype(np.float32)
    levels = torch.from_numpy(portable).to(device).permute(2, 0, 1)[None]
    return levels.float() / float(np.iinfo(picture.dtype).max)
