"""Where scenes are cut: between two frames of which neither can be put together from parts of the other.

Two frames are compared by what has changed between them: bars, lower thirds and logos say nothing. What then
looks like a cut must also be one among the frames around it: the picture before does not come back, and no
more changes there than between the frames before or after. A decision depends on the `WINDOW` frames on
either side alone, and so not on where in a video decoding began.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

THUMBNAIL_PX = (32, 48)
"""(height, width) of the pictures compared: few enough pixels to search, enough to tell scenes apart."""

SAMPLES_PER_PIXEL = 4
"""Source pixels sampled per thumbnail pixel and axis, so that noise averages out."""

BLOCK_PX = 8
SEARCH_PX = 4
"""A block looks for its match this far around: a sixth of the frame's width in all."""

PAN_PX = (12, 20)
"""How far the whole picture may have moved, for the fastest pans: by more than a third of its sides."""

PAN_CORRELATION = 0.83
"""Correlation of what both pictures of a pan show: pans have 0.88 and more, most others 0.78 at most."""

MATCHED = 0.25
"""Share left unmatched without motion, up to which none is looked for, as with most frames: it takes time."""

HARDLY_MATCHED = 0.5
"""Share left unmatched by motion of blocks, above which it may be a pan."""

STILL_LEVELS = 1.0
"""Difference of a pixel, in 8-bit levels, up to which it has not changed; with all of its neighbours."""

TEXTURE_LEVELS = 0.75
"""Difference among a pixel and its neighbours, in 8-bit levels, above which there is something to see. A wall
has as much; bars have none."""

CHANGED_SHARE = 0.5
"""Share of the pixels with something to see that have changed at a cut, at least; with fewer, others stay."""

CHANGED_AREA = 0.04
"""Share of all pixels that have changed at a cut, at least, as between two titles."""

FLAT_LEVELS = 0.15
"""Structure of a block, in 8-bit levels, that is not expected to match: noise."""

FAINT_LEVELS = 4.0
"""Structure of what has changed, in 8-bit levels, that counts by half where the other picture has hardly any:
the dark end of a fade."""

KEPT_CONTRAST = 0.1
"""Change of level, as a share of the contrast of what has changed, up to which it is kept, noise aside."""

KEPT_BESIDE = 2.0
"""Change of level, as a multiple of the median one in the quieter of the pairs before and after, up to which
it is kept, too: four fifths of noise. Where something enters or leaves a plain picture that is noisy, 76 % of
what has changed and more is kept then. Cuts between pans of 7 % of the width a frame are still found."""

KEPT_SHARE = 0.6
"""Share of what has changed that has kept its level at a cut, at most: cuts between photographs have 34 % and
less, half of them 3 %. Where something leaves a plain picture, it is 95 % and more."""

EXPOSURE_LEVELS = 3.0
"""Change of level of the whole picture, in 8-bit levels, that counts as kept: a camera that adapts."""

WINDOW = 8
"""Frames before and after a pair that are looked at: a flash or a thing before the lens is gone by then."""

STEPS = (0, 1, 3, 7)
"""How many frames before a pair's first one, or after its second one, the same scene may be found again."""

RESTLESS = 0.75
"""Share of a pair's score that the pair before or after it may have, at most, for it to be a cut, noise
smoothed away: cuts of dark and noisy footage have 0.67 and less. Where every frame is unlike the last one, as
in confetti or in a pan too fast to follow, none is a cut."""

GRADUAL = 0.75
"""Share of a pair's change that the two frames before or after it may repeat, at most, for it to be a cut. It
is 1.6 to 2.1 in dissolves and fades of dark or noisy pictures, whose first mixed frame looks like another
scene, and 0.03 and less at cuts; it is 0.67 where a cut has a mixed frame with 40 % of the scene before."""

LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # BT.709; any weights would do here

Thumbnail = NDArray[np.float32]

ItemT = TypeVar("ItemT")


def thumbnail(rgb: NDArray[Any]) -> Thumbnail:
    """Return a small luma picture of a frame.

    Args:
        rgb: (H, W, 3) uint8 or uint16, full range; any size.

    Returns:
        `THUMBNAIL_PX` float32 in 8-bit levels, 0 to 255.
    """
    rows, columns = (
        ((np.arange(side * SAMPLES_PER_PIXEL) + 0.5) * (length / (side * SAMPLES_PER_PIXEL))).astype(np.intp)
        for side, length in zip(THUMBNAIL_PX, rgb.shape[:2], strict=True)
    )
    samples = rgb[rows[:, None], columns].astype(np.float32) @ LUMA
    height, width = THUMBNAIL_PX
    cells = samples.reshape(height, SAMPLES_PER_PIXEL, width, SAMPLES_PER_PIXEL)
    levels: Thumbnail = cells.mean(axis=(1, 3)) * np.float32(255 / np.iinfo(rgb.dtype).max)
    return levels


def with_cuts(
    frames: Iterable[ItemT], threshold: float, small: Callable[[ItemT], Thumbnail]
) -> Iterator[tuple[ItemT, bool]]:
    """Yield each frame, and whether a scene begins with it, when `WINDOW` further ones are known.

    Args:
        frames: consecutive.
        threshold: what `cut_score` exceeds at a cut; with 1, there is none.
        small: returns the thumbnail of a frame.
    """
    waiting: collections.deque[ItemT] = collections.deque()
    pairs: list[_Pair] = []  # that the waiting frames end, after those of up to `WINDOW` + 1 earlier ones
    for frame in frames:
        picture = small(frame)
        waiting.append(frame)
        pairs.append(_Pair(pairs[-1].second if pairs else picture, picture))
        if len(waiting) > WINDOW:
            place = len(pairs) - len(waiting)
            yield waiting.popleft(), _is_cut(pairs, place, threshold)
            del pairs[: max(0, place - WINDOW)]
    while waiting:
        place = len(pairs) - len(waiting)
        yield (
            waiting.popleft(),
            _is_cut(pairs[max(0, place - WINDOW - 1) :], min(place, WINDOW + 1), threshold),
        )


class _Pair:
    """A pair of frames, and how unlike they are."""

    def __init__(self, first: Thumbnail, second: Thumbnail) -> None:
        self.first, self.second = first, second
        self.score = cut_score(first, second)

    def is_kept(self, around: Iterable[_Pair]) -> bool:
        """Whether most of what has changed is noise or the exposure, or changes as much around the pair."""
        changed = ~_is_still(self.first, self.second)
        mask = changed.astype(np.float32)

        def change_of(pair: _Pair) -> NDArray[np.float32]:
            return _smoothed(pair.second - pair.first, mask)[changed]

        contrast = max(_smoothed(picture, mask)[changed].std() for picture in (self.first, self.second))
        usual = min(np.median(np.abs(change_of(pair))) for pair in around)
        reach = max(KEPT_CONTRAST * contrast, KEPT_BESIDE * usual)
        change = change_of(self)
        change -= np.clip(np.median(change), -EXPOSURE_LEVELS, EXPOSURE_LEVELS)
        return float((np.abs(change) <= reach).mean()) > KEPT_SHARE

    @functools.cached_property
    def smooth_score(self) -> float:
        """The score without noise, which few pairs need."""
        return cut_score(self.first, self.second, smooth=True)


def _is_cut(pairs: Sequence[_Pair], place: int, threshold: float) -> bool:
    """Whether there is a cut in a pair, with up to `WINDOW` + 1 ones before and `WINDOW` ones after it."""
    pair = pairs[place]
    if pair.score <= threshold:
        return False
    if _goes_on(pairs, place) or pair.is_kept(pairs[max(0, place - 1) : place + 2]):
        return False
    # Pairs that score 0 show the same twice, as in animation; then the next one tells.
    for side in (reversed(pairs[:place]), pairs[place + 1 :]):
        nearest = next((other for other in side if other.score > 0), None)
        if nearest is not None and nearest.smooth_score > RESTLESS * pair.smooth_score:
            return False
    earlier = [pairs[place - 1 - step].second for step in STEPS if step < place]
    later = [pairs[place + step].second for step in STEPS if place + step < len(pairs)]
    return all(cut_score(a, b) > threshold for a in earlier for b in later)


def _goes_on(pairs: Sequence[_Pair], place: int) -> bool:
    """Whether a pair changes as the two frames before or after it do: in a dissolve or a fade."""
    pair = pairs[place]
    change = pair.second - pair.first
    before = pair.first - pairs[max(0, place - 2)].first
    after = pairs[min(place + 2, len(pairs) - 1)].second - pair.second
    return bool(max(np.vdot(change, before), np.vdot(change, after)) > GRADUAL * np.vdot(change, change))


def cut_score(first: Thumbnail, second: Thumbnail, *, smooth: bool = False) -> float:
    """Return how much of either picture's structure cannot be found in the other, from 0 to 1.

    Each block of what has changed in one picture looks for its best match in the other, both taken at equal
    brightness and contrast: pans, moving things, flashes and fades find most of their structure, another
    scene does not. The test is x264's (cost of inter against intra prediction), on thumbnails, in both
    directions, so that a cut to a plain picture counts as well.

    Args:
        first: earlier frame.
        second: later frame.
        smooth: smooth the pictures, so that noise counts less; fine detail does, too.
    """
    changed = ~_is_still(first, second)
    area = float(changed.mean())
    share = area / max(area, float((changed | _has_texture(second)).mean()), 1e-9)
    certainty = min(1.0, share / CHANGED_SHARE, area / CHANGED_AREA)
    if certainty < MATCHED:
        return 0.0
    mask = changed.astype(np.float32)
    if smooth:
        first, second = _smoothed(first, mask), _smoothed(second, mask)
    contrasts = [float(picture[changed].std()) for picture in (first, second)]
    a, b = (
        picture / np.float32(max(contrast, FLAT_LEVELS))
        for picture, contrast in zip((first, second), contrasts, strict=True)
    )
    flats = [FLAT_LEVELS / max(contrast, FLAT_LEVELS) for contrast in contrasts]
    sides = [_Side(b, a, mask, flats[1]), _Side(a, b, mask, flats[0])]
    score = _score(sides, contrasts)
    if score > MATCHED:
        for side in sides:
            side.search(0, 0)
        score = _score(sides, contrasts)
    if score > HARDLY_MATCHED and (shift := _pan(a, b)) is not None:
        sides[0].search(*shift)
        sides[1].search(-shift[0], -shift[1])
        score = _score(sides, contrasts)
    return score * certainty


def _score(sides: list[_Side], contrasts: list[float]) -> float:
    """Return the greater share of the two sides that is unmatched; faint structure that goes counts less."""
    found = []
    for side, contrast, other in zip(sides, reversed(contrasts), contrasts, strict=True):
        faint = FAINT_LEVELS * max(0.0, 1 - other / STILL_LEVELS)
        found.append(side.unmatched * contrast / (contrast + faint + FLAT_LEVELS))
    return max(found)


def _is_still(first: Thumbnail, second: Thumbnail) -> NDArray[np.bool_]:
    """Return which pixels belong to an area that has not changed; single pixels agree by chance."""
    same = np.pad(np.abs(first - second) <= STILL_LEVELS, 1, mode="edge")
    inner = np.pad(sliding_window_view(same, (3, 3)).all(axis=(2, 3)), 1)
    still: NDArray[np.bool_] = np.asarray(sliding_window_view(inner, (3, 3)).any(axis=(2, 3)))
    return still


def _has_texture(picture: Thumbnail) -> NDArray[np.bool_]:
    """Return which pixels differ from a neighbour, as those of bars do not."""
    around = sliding_window_view(np.pad(picture, 1, mode="edge"), (3, 3))
    textured: NDArray[np.bool_] = np.ptp(around, axis=(2, 3)) > TEXTURE_LEVELS
    return textured


def _smoothed(picture: Thumbnail, mask: Thumbnail) -> Thumbnail:
    """Return the mean of what is masked of the 3x3 pixels around each one: bars stay out."""
    sums, counts = (
        sliding_window_view(np.pad(part, 1), (3, 3)).sum(axis=(2, 3)) for part in (picture * mask, mask)
    )
    smooth: Thumbnail = sums / np.maximum(counts, 1)
    return smooth


class _Side:
    """A picture, and how well what has changed in it is found in another one."""

    def __init__(self, picture: Thumbnail, reference: Thumbnail, mask: Thumbnail, flat: float) -> None:
        self._mask = _blocks(mask)
        self._sizes = np.maximum(self._mask.sum(axis=(-2, -1)), 1)
        self._structure = self._centred(_blocks(picture))
        self._reference = reference
        self._intra = np.abs(self._structure).sum(axis=(-2, -1))
        self._flat = flat * float(mask.sum())
        unmoved = np.abs(self._centred(_blocks(reference)) - self._structure).sum(axis=(-2, -1))
        self._best = np.minimum(self._intra, unmoved)

    @property
    def unmatched(self) -> float:
        """Share of the structure that is found nowhere in the other picture."""
        return float(self._best.sum() / (self._intra.sum() + self._flat))

    def search(self, down: int, right: int) -> None:
        """Look for each block around the place that is so far from its own."""
        height, width = THUMBNAIL_PX
        reach = SEARCH_PX + max(abs(down), abs(right))
        padded = np.pad(self._reference, reach, mode="edge")
        left = reach + right - SEARCH_PX
        for top in range(reach + down - SEARCH_PX, reach + down + SEARCH_PX + 1):
            row = padded[top : top + height, left : left + width + 2 * SEARCH_PX]
            windows = sliding_window_view(row, width, axis=1).swapaxes(0, 1)  # (shifts, H, W)
            missed = np.abs(self._centred(_blocks(windows)) - self._structure).sum(axis=(-2, -1))
            self._best = np.minimum(self._best, missed.min(axis=0))

    def _centred(self, blocks: Thumbnail) -> Thumbnail:
        """Return blocks less their means, and 0 where nothing has changed."""
        means = (blocks * self._mask).sum(axis=(-2, -1)) / self._sizes
        centred: Thumbnail = (blocks - means[..., None, None]) * self._mask
        return centred


def _blocks(pictures: Thumbnail) -> Thumbnail:
    """Cut (..., H, W) into blocks (..., H/8, W/8, 8, 8)."""
    *lead, height, width = pictures.shape
    shape = (*lead, height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    blocks: Thumbnail = pictures.reshape(shape).swapaxes(-3, -2)
    return blocks


def _pan(first: Thumbnail, second: Thumbnail) -> tuple[int, int] | None:
    """Return how far (down, right) what the second picture shows lies in the first; None: it is no pan.

    By the greatest correlation of the parts that both show, for all shifts at once by Fourier transforms.
    """
    height, width = THUMBNAIL_PX
    size = (2 * height, 2 * width)
    ones = np.ones(THUMBNAIL_PX, np.float32)
    a, b = first - first.mean(), second - second.mean()
    a1, a2, b1, b2, one = (np.fft.rfft2(part, size) for part in (a, a * a, b, b * b, ones))

    def summed(moved: Any, fixed: Any) -> NDArray[Any]:
        return np.fft.irfft2(moved * np.conj(fixed), size)

    count = np.maximum(summed(one, one), 1)
    sums = summed(a1, one), summed(one, b1)
    squares = summed(a2, one) - sums[0] ** 2 / count, summed(one, b2) - sums[1] ** 2 / count
    shared = summed(a1, b1) - sums[0] * sums[1] / count
    correlation = shared / np.sqrt(np.maximum(squares[0], 1e-3) * np.maximum(squares[1], 1e-3))
    down, right = (np.r_[-reach : reach + 1] for reach in PAN_PX)
    nearby = correlation[np.ix_(down % size[0], right % size[1])]
    row, column = divmod(int(nearby.argmax()), len(right))
    if nearby[row, column] < PAN_CORRELATION:
        return None
    return int(down[row]), int(right[column])
