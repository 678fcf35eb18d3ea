"""Leave out the frames that repeat a drawing, so that motion runs from one drawing to the next.

Whether a frame is left out depends on the few frames before it alone, and so not on where decoding began. A
drawing that is shown for longer than `LONGEST_FRAMES` is held: from then on its frames stay.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Generator, Iterable
from fractions import Fraction

import numpy as np

from videoinr_cli.media.read.repeats import LONGEST_FRAMES, Repeats, Sample, difference, sample
from videoinr_cli.render.renderer import GivenFrame


def drawings(
    frames: Iterable[GivenFrame], repeats: Repeats, frame_ticks: Fraction
) -> Generator[GivenFrame, None, None]:
    """Yield the frames that show something new, each when the next one is known.

    Args:
        frames: consecutive.
        repeats: how they are repeated.
        frame_ticks: from one frame to the next, in ticks of the source's time base.
    """
    held: GivenFrame | None = None  # the drawing on show
    shown = 0  # for so many frames
    number: int | None = None  # of drawings since the last one that was shown twice
    before: Sample | None = None
    recent: collections.deque[bool] = collections.deque(maxlen=LONGEST_FRAMES - 1)
    last: GivenFrame | None = None
    for frame in frames:
        small = sample(frame.rgb)
        is_same = before is not None and not frame.is_cut and _is_same(frame, before, small, repeats)
        is_held = len(recent) == LONGEST_FRAMES - 1 and all(recent)
        recent.append(is_same)
        before, last = small, frame
        if held is not None and is_same and not is_held:
            shown += 1
            continue
        if held is not None:
            yield _drawing(held, shown, repeats.late(shown, number) * frame_ticks)
            number = 0 if shown == 2 else None if number is None else number + 1
            if frame.is_repeat and shown > 1:  # of one that is left out
                frame = dataclasses.replace(frame, is_repeat=np.array_equal(held.rgb, frame.rgb))
        held, shown = frame, 1
    if held is not None and last is not None:
        if shown > 1 and last.duration is not None:
            held = dataclasses.replace(held, duration=last.pts + last.duration - held.pts)
        yield _drawing(held, shown, repeats.late(shown, number) * frame_ticks)


def _is_same(frame: GivenFrame, before: Sample, small: Sample, repeats: Repeats) -> bool:
    return frame.is_repeat or (frame.alpha is None and difference(before, small) < repeats.threshold)


def _drawing(frame: GivenFrame, shown: int, late: Fraction) -> GivenFrame:
    return dataclasses.replace(frame, stands_for=shown, late=late)
