"""Y'CbCr planes to R'G'B' pictures and back, exactly and with the chroma where the file says it is.

swscale biases full range by a third of a code value, and chroma does not survive a round trip through it.
The arithmetic here is float32 rounded once, and the two chroma filters are each other's inverse.

Chroma is enlarged by Catmull-Rom interpolation at the phase of its siting, and reduced by the short filter
that is biorthogonal to it: reducing enlarged chroma returns the same samples, and other pictures are
low-passed as they should be. For co-sited chroma this pair is the 9/7-M wavelet of Calderbank, Daubechies,
Sweldens and Yeo (1998); for chroma between two pixels the six taps were solved for the same property.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import sys
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from videoinr_cli.media.colour import Colour

FloatArray = npt.NDArray[np.float32]
Picture = npt.NDArray[Any]  # of uint8 or uint16
SampleType = type[np.uint8] | type[np.uint16]

BLOCK_ROWS = 64
"""Luma rows converted at a time, so that the float temporaries stay in the cache; even."""

LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}
"""(Kr, Kb) of each matrix. **Source**: H.273, table 4.

Constant-luminance BT.2020 and ICtCp are no matrices of R'G'B'. They are read and written with bt2020nc's, as
ffmpeg does: the network's input is then slightly wrong, but the round trip is not.
"""


@dataclasses.dataclass(frozen=True)
class _Kernel:
    """A short filter: its taps, and the offset of the first one from the computed sample."""

    offset: int
    taps: tuple[float, ...]

    def __call__(self, samples: FloatArray, start: int, step: int, count: int) -> FloatArray:
        """Filter along the first axis.

        Args:
            samples: (N, ...), with enough neighbours on both sides.
            start: index of the first output's sample.
            step: samples from one output to the next.
            count: of outputs.

        Returns:
            (count, ...).
        """
        shared: dict[float, list[FloatArray]] = {}
        for place, tap in enumerate(self.taps, start + self.offset):
            if tap:
                shared.setdefault(tap, []).append(samples[place : place + step * (count - 1) + 1 : step])
        total: FloatArray | None = None
        for tap, terms in shared.items():
            term = functools.reduce(np.add, terms) * np.float32(tap)
            total = term if total is None else total + term
        assert total is not None
        return total


_CATMULL_ROM_HALF = (-1 / 16, 9 / 16, 9 / 16, -1 / 16)
_CATMULL_ROM_QUARTER = (-9 / 128, 111 / 128, 29 / 128, -3 / 128)
_REACH = 4
"""Samples that the longest filter needs on each side of the computed ones."""


@dataclasses.dataclass(frozen=True)
class _Siting:
    """The filters along one axis for chroma of half resolution, and how planes continue past their edges.

    Past an edge, the luma grid and the chroma grid are mirrored about the same point, which keeps the two
    filters inverse there too.
    """

    even: _Kernel  # chroma at luma position 2k, over chroma samples around k
    odd: _Kernel  # chroma at luma position 2k + 1
    reduce: _Kernel  # chroma sample k, over luma positions around 2k
    chroma_edges: tuple[str, str]  # numpy's mirrors at the start and, for an even number of pixels, the end
    luma_edges: tuple[str, str]


_COSITED = _Siting(
    even=_Kernel(0, (1.0,)),
    odd=_Kernel(-1, _CATMULL_ROM_HALF),
    reduce=_Kernel(-4, tuple(tap / 64 for tap in (1, 0, -8, 16, 46, 16, -8, 0, 1))),
    chroma_edges=("reflect", "symmetric"),
    luma_edges=("reflect", "reflect"),
)
_BETWEEN = _Siting(
    even=_Kernel(-2, _CATMULL_ROM_QUARTER[::-1]),
    odd=_Kernel(-1, _CATMULL_ROM_QUARTER),
    reduce=_Kernel(-2, (0.0220, -0.1361, 0.6141, 0.6141, -0.1361, 0.0220)),
    chroma_edges=("symmetric", "symmetric"),
    luma_edges=("symmetric", "symmetric"),
)
_COSITED_ODD = _Siting(
    even=_Kernel(-2, _CATMULL_ROM_HALF),
    odd=_Kernel(0, (1.0,)),
    reduce=_Kernel(-3, _COSITED.reduce.taps),
    chroma_edges=("symmetric", "reflect"),
    luma_edges=("reflect", "reflect"),
)
_SITINGS = {
    "left": (_COSITED, _BETWEEN),  # (horizontal, vertical)
    "center": (_BETWEEN, _BETWEEN),
    "topleft": (_COSITED, _COSITED),
    "top": (_BETWEEN, _COSITED),
    "bottomleft": (_COSITED, _COSITED_ODD),
    "bottom": (_BETWEEN, _COSITED_ODD),
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """A pixel format whose samples are 8 to 16 bits each, in planes, in the machine's byte order."""

    pix_fmt: str
    bit_depth: int
    kind: str  # "yuv", "grey" or "rgb"
    shift: tuple[int, int]  # log2 of the chroma's subsampling along (width, height)
    has_alpha: bool

    @property
    def dtype(self) -> SampleType:
        """The type of one sample."""
        return np.uint8 if self.bit_depth == 8 else np.uint16


_SUBSAMPLING = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440"}


@functools.lru_cache(maxsize=64)
def layout_of(pix_fmt: str) -> Layout:
    """Return the planar layout that holds everything the pixel format holds.

    ``nv12`` has yuv420p's, ``bgra`` gbrap's, ``p010le`` yuv420p10le's: swscale moves samples between the two
    without changing them. Chroma of quarter resolution (``yuv411p``, ``yuv410p``) gets half resolution.

    Args:
        pix_fmt: ffmpeg's name of any software pixel format.

    Raises:
        ValueError: there is no such pixel format.
    """
    described = av.VideoFormat(pix_fmt, 64, 64)
    parts = described.components
    depth = max((part.bits for part in parts), default=8)
    alpha = described.has_palette or any(part.is_alpha for part in parts)
    if pix_fmt.startswith(("mono", "gray")):
        return Layout(*_planar("gray", depth), "grey", (0, 0), has_alpha=False)
    if len(parts) < 3 or described.is_rgb or described.is_bayer or pix_fmt.startswith("xyz"):
        # Palettes and grey with alpha come here too, having no planar format of their own.
        return Layout(*_planar("gbrap" if alpha else "gbrp", depth), "rgb", (0, 0), alpha)
    # PyAV gives sizes, not shifts; anything coarser than half becomes half.
    shift = (int(described.chroma_width(64) < 64), int(described.chroma_height(64) < 64))
    family = f"yuv{'a' if alpha else ''}{_SUBSAMPLING[shift]}p"
    return Layout(*_planar(family, depth), "yuv", shift, alpha)


def _planar(family: str, depth: int) -> tuple[str, int]:
    """Return the format of a family with the fewest bits that hold `depth`, and how many those are."""
    if depth <= 8:
        return family, 8
    for bits in (9, 10, 12, 14, 16):
        name = f"{family}{bits}{sys.byteorder[0]}e"
        if bits >= min(depth, 16) and _exists(name):
            return name, bits
    raise ValueError(f"no format like {family} has {depth} bits")


def _exists(pix_fmt: str) -> bool:
    try:
        av.VideoFormat(pix_fmt)
    except ValueError:
        return False
    return True


def size_multiple(pix_fmt: str) -> tuple[int, int]:
    """Return what (width, height) must be multiples of, so that every chroma sample has all its pixels."""
    shift = layout_of(pix_fmt).shift
    return 1 << shift[0], 1 << shift[1]


def to_rgb(frame: av.VideoFrame, colour: Colour) -> tuple[Picture, Picture | None]:
    """Convert a decoded frame of any pixel format to full-range R'G'B'.

    Args:
        frame: (H, W), of any software pixel format.
        colour: resolved: matrix, range and chroma location are not None.

    Returns:
        (H, W, 3) of uint8 for sources of 8 bits, else of uint16 with 65535 the brightest; and the
        transparency, (H, W) of the same type with the maximum opaque, or None when the format has none.
        Values outside the R'G'B' cube (super-white, illegal chroma) are clipped.
    """
    layout = layout_of(frame.format.name)
    if frame.format.name not in (layout.pix_fmt, layout.pix_fmt.replace("yuv", "yuvj")):
        frame = _shuffled(frame, layout.pix_fmt)
    planes = _views(frame, layout)
    rgb = np.empty((frame.height, frame.width, 3), layout.dtype)
    if layout.kind == "yuv":
        _decode_blocks(planes, rgb, layout, colour)
    elif layout.kind == "grey":
        codes = _Quantiser.of(layout.bit_depth, limited=colour.range != "full")
        rgb[:] = _rescaled(planes[0], codes.luma_offset, codes.luma_gain, layout.dtype)[..., None]
    else:
        for plane, channel in zip(planes, (1, 2, 0), strict=False):  # G, B, R
            rgb[..., channel] = _rescaled(plane, 0, 2**layout.bit_depth - 1, layout.dtype)
    if not layout.has_alpha:
        return rgb, None
    return rgb, _rescaled(planes[3], 0, 2**layout.bit_depth - 1, layout.dtype)


def from_rgb(rgb: Picture, pix_fmt: str, colour: Colour, *, alpha: Picture | None = None) -> av.VideoFrame:
    """Convert a full-range R'G'B' picture to a frame of a planar pixel format.

    Args:
        rgb: (H, W, 3), uint8 or uint16.
        pix_fmt: one that `layout_of` returns.
        colour: resolved: matrix, range and chroma location are not None.
        alpha: (H, W), of rgb's type; opaque when None and the format has transparency.

    Returns:
        A frame of (H, W).
    """
    layout = layout_of(pix_fmt)
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], layout.pix_fmt)
    planes = _views(frame, layout)
    codes = _Quantiser.of(layout.bit_depth, limited=False)
    if layout.kind == "rgb":
        for plane, channel in zip(planes, (1, 2, 0), strict=False):  # G, B, R
            plane[:] = _rescaled_to(rgb[..., channel], codes.luma_gain, layout.dtype)
    else:
        _encode_blocks(rgb, planes, layout, colour)
    if layout.has_alpha:
        planes[3][:] = (
            codes.luma_gain if alpha is None else _rescaled_to(alpha, codes.luma_gain, layout.dtype)
        )
    return frame


def eight_bits(picture: Picture) -> npt.NDArray[np.uint8]:
    """Return a full-range picture of any depth in 8 bits."""
    narrow: npt.NDArray[np.uint8] = picture if picture.dtype == np.uint8 else (picture >> 8).astype(np.uint8)
    return narrow


def _shuffled(frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """Move samples to another arrangement by swscale, keeping their values."""
    return VideoReformatter().reformat(
        frame,
        format=pix_fmt,
        src_color_range=frame.color_range,
        dst_color_range=frame.color_range,
        interpolation="BICUBIC",  # of quarter chroma; samples that only move are not touched
    )


def _views(frame: av.VideoFrame, layout: Layout) -> list[npt.NDArray[Any]]:
    """Return the frame's planes as arrays (h, w) that share its memory."""
    views = []
    for plane in frame.planes:
        if plane.line_size < 0:
            views.append(_upended(plane, layout))
            continue
        samples = np.frombuffer(memoryview(plane), dtype=np.dtype(layout.dtype))
        stride = plane.line_size // samples.itemsize
        views.append(samples[: stride * plane.height].reshape(plane.height, stride)[:, : plane.width])
    return views


def _upended(plane: VideoPlane, layout: Layout) -> npt.NDArray[Any]:
    """Return a copy of a plane whose last row comes first in memory, as of AMV's decoder.

    PyAV's buffer begins with its first row, and ends outside of it.
    """
    length = -plane.line_size
    last = plane.buffer_ptr - length * (plane.height - 1)
    rows = np.frombuffer(ctypes.string_at(last, length * plane.height), dtype=np.dtype(layout.dtype))
    return rows.reshape(plane.height, -1)[::-1, : plane.width]


def _rescaled(samples: npt.NDArray[Any], black: float, gain: float, dtype: SampleType) -> npt.NDArray[Any]:
    """Return code values from `black` to `black` + `gain` as full-range values of the type."""
    maximum = np.iinfo(dtype).max
    if black == 0 and gain == maximum:
        return samples
    scale = np.float32(maximum / gain)
    return _rounded(samples * scale + np.float32(0.5 - black * scale), dtype)


def _rescaled_to(values: npt.NDArray[Any], gain: float, dtype: SampleType) -> npt.NDArray[Any]:
    """Return full-range values as code values from 0 to `gain`."""
    if gain == np.iinfo(values.dtype).max:
        return values
    return _rounded(values * np.float32(gain / np.iinfo(values.dtype).max) + np.float32(0.5), dtype)


def _rounded(values: FloatArray, dtype: SampleType) -> npt.NDArray[Any]:
    """Truncate values, already increased by a half, to the type's range; `values` is overwritten."""
    np.clip(values, 0, np.iinfo(dtype).max, out=values)
    return values.astype(dtype)


@dataclasses.dataclass(frozen=True)
class _Quantiser:
    """The code values of black, full luma and neutral chroma for a depth and range."""

    luma_offset: float
    luma_gain: float  # code values from black to white
    chroma_offset: float
    chroma_gain: float  # code values from chroma -1/2 to 1/2

    @classmethod
    def of(cls, bit_depth: int, *, limited: bool) -> _Quantiser:
        """Build from H.273's equations 20 to 25."""
        step, top, neutral = 2.0 ** (bit_depth - 8), 2.0**bit_depth - 1, 2.0 ** (bit_depth - 1)
        return cls(16 * step, 219 * step, neutral, 224 * step) if limited else cls(0, top, neutral, top)

    @property
    def offsets(self) -> npt.NDArray[np.float64]:
        """Code values of black: (3,)."""
        return np.array([self.luma_offset, self.chroma_offset, self.chroma_offset])

    @property
    def gains(self) -> npt.NDArray[np.float64]:
        """Code values of the whole swing: (3,)."""
        return np.array([self.luma_gain, self.chroma_gain, self.chroma_gain])


@functools.lru_cache(maxsize=16)
def _matrix(name: str | None) -> npt.NDArray[np.float64]:
    """Return a named (3, 3) matrix: from R'G'B' in 0..1 to Y' in 0..1 and two chromas in -1/2..1/2."""
    if name == "ycgco":
        return np.array([[1, 2, 1], [-1, 2, -1], [2, 0, -2]]) / 4
    if name == "gbr":
        return np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]])
    red, blue = LUMA_WEIGHTS.get(name or "bt709", LUMA_WEIGHTS["bt2020nc"])
    luma = np.array([red, 1 - red - blue, blue])
    first = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    second = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    return np.stack([luma, first, second])


def _decode_blocks(planes: list[npt.NDArray[Any]], rgb: Picture, layout: Layout, colour: Colour) -> None:
    """Fill a picture from luma and chroma planes, some rows at a time."""
    height = rgb.shape[0]
    codes = _Quantiser.of(layout.bit_depth, limited=colour.range != "full")
    weights = np.linalg.inv(_matrix(colour.matrix)) / codes.gains * np.iinfo(rgb.dtype).max
    biases = 0.5 - weights @ codes.offsets
    for first in range(0, height, BLOCK_ROWS):
        rows = slice(first, min(first + BLOCK_ROWS, height))
        parts = [planes[0][rows].astype(np.float32)]
        for plane in planes[1:3]:
            parts.append(_enlarged(plane, rows, rgb.shape[:2], layout.shift, colour.chroma_location))
        for channel in range(3):
            rgb[rows, :, channel] = _rounded(_mixed(weights[channel], parts, biases[channel]), layout.dtype)


def _encode_blocks(rgb: Picture, planes: list[npt.NDArray[Any]], layout: Layout, colour: Colour) -> None:
    """Fill a frame's luma and chroma planes from a picture, some rows at a time."""
    height = rgb.shape[0]
    codes = _Quantiser.of(layout.bit_depth, limited=colour.range != "full")
    weights = _matrix(colour.matrix) * codes.gains[:, None] / np.iinfo(rgb.dtype).max
    biases = codes.offsets + 0.5
    reach = _REACH if layout.shift[1] else 0  # rows that the vertical filter needs on each side
    mirrored = _mirrored(height, _sitings(colour.chroma_location)[1].luma_edges)
    for first in range(0, height, BLOCK_ROWS):
        rows = slice(first, min(first + BLOCK_ROWS, height))
        block = rgb[mirrored[_REACH - reach + first : _REACH + reach + rows.stop]]
        own = slice(reach, block.shape[0] - reach)
        channels = [block[..., channel].astype(np.float32) for channel in range(3)]
        luma = _mixed(weights[0], [channel[own] for channel in channels], biases[0])
        planes[0][rows] = _rounded(luma, layout.dtype)
        if layout.kind == "grey":
            continue
        coarse = slice(rows.start >> layout.shift[1], -(-rows.stop >> layout.shift[1]))
        for index in (1, 2):
            chroma = _mixed(weights[index], channels, biases[index])
            chroma = _reduced(chroma, own, layout.shift, colour.chroma_location)
            planes[index][coarse] = _rounded(chroma, layout.dtype)


def _mixed(weights: npt.NDArray[np.float64], parts: list[FloatArray], bias: float) -> FloatArray:
    """Return the weighted sum of the parts, plus the bias."""
    total: FloatArray = parts[0] * np.float32(weights[0])
    total += np.float32(bias)
    for weight, part in zip(weights[1:], parts[1:], strict=True):
        if weight:
            total += part * np.float32(weight)
    return total


def _sitings(chroma_location: str | None) -> tuple[_Siting, _Siting]:
    """Return the filters along the (horizontal, vertical) axis."""
    return _SITINGS.get(chroma_location or "left", _SITINGS["left"])


@functools.lru_cache(maxsize=64)
def _mirrored(length: int, edges: tuple[str, str]) -> npt.NDArray[np.intp]:
    """Return the indices of an axis of `length` with `_REACH` more at each end, mirrored."""
    modes: dict[str, Any] = {"reflect": "reflect", "symmetric": "symmetric"}
    start = np.pad(np.arange(length), (_REACH, 0), mode=modes[edges[0]])
    return np.pad(start, (0, _REACH), mode=modes[edges[1]])


def _enlarged(
    plane: npt.NDArray[Any], rows: slice, size: tuple[int, ...], shift: tuple[int, int], location: str | None
) -> FloatArray:
    """Return rows of a chroma plane at the resolution of luma.

    Args:
        plane: (h, w), code values.
        rows: of luma; the first is even.
        size: (H, W) of luma.
        shift: log2 of the subsampling along (width, height), each 0 or 1.
        location: of a chroma sample among its pixels.

    Returns:
        (rows, W).
    """
    horizontal, vertical = _sitings(location)
    if shift[1]:
        first, count = rows.start >> 1, (rows.stop - rows.start + 1) >> 1
        reached = _mirrored(plane.shape[0], _chroma_edges(vertical, size[0]))
        part = plane[reached[first : first + count + 2 * _REACH]]
    else:
        part = plane[rows]
    if shift[0]:
        columns = _mirrored(plane.shape[1], _chroma_edges(horizontal, size[1]))
        samples = part[:, columns].astype(np.float32)
        wide = _doubled(samples.T, horizontal, plane.shape[1]).T[:, : size[1]]
    else:
        wide = part.astype(np.float32)
    return _doubled(wide, vertical, count)[: rows.stop - rows.start] if shift[1] else wide


def _chroma_edges(siting: _Siting, luma_length: int) -> tuple[str, str]:
    start, end = siting.chroma_edges
    return (start, start) if luma_length % 2 else (start, end)


def _doubled(samples: FloatArray, siting: _Siting, count: int) -> FloatArray:
    """Enlarge (count + 2 * _REACH, N) to (2 * count, N), in the samples' memory order."""
    doubled = np.empty_like(samples, shape=(2 * count, samples.shape[1]))
    doubled[0::2] = siting.even(samples, _REACH, 1, count)
    doubled[1::2] = siting.odd(samples, _REACH, 1, count)
    return doubled


def _reduced(chroma: FloatArray, own: slice, shift: tuple[int, int], location: str | None) -> FloatArray:
    """Return chroma at the resolution of its plane.

    Args:
        chroma: (rows with those that the filter needs around them, W), at the resolution of luma.
        own: which of the rows are reduced; the first is an even row of the picture.
        shift: log2 of the subsampling along (width, height), each 0 or 1.
        location: of a chroma sample among its pixels.

    Returns:
        (rows of the plane, w).
    """
    horizontal, vertical = _sitings(location)
    if shift[1]:
        chroma = vertical.reduce(chroma, own.start, 2, (own.stop - own.start + 1) >> 1)
    if shift[0]:
        width = chroma.shape[1]
        columns = _mirrored(width, horizontal.luma_edges)
        chroma = horizontal.reduce(chroma[:, columns].T, _REACH, 2, (width + 1) >> 1).T
    return chroma
