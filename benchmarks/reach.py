"""How fast a picture may move until a method loses track of it: pans whose every frame is known exactly.

Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from videoinr_cli.errors import InputError
from videoinr_cli.evaluation.methods import Method
from videoinr_cli.evaluation.metrics import psnr
from videoinr_cli.evaluation.resample import reduce

SPEEDS_PX = (2, 5, 10, 15, 20)
"""By how many of its own pixels a given frame shows the picture moved from the one before."""
ENLARGEMENT = 4
GIVEN_FRAMES = 4
MARGIN_PX = 16
"""Left out at the edges, of the enlarged picture; beside what only one of the frames shows."""
MAX_SIDE_PX = 400


def measure_reach(method: Method, picture: Tensor, speeds_px: Sequence[int] = SPEEDS_PX) -> list[float]:
    """Measure the instant between two frames, and between two more, of a picture that moves sideways.

    Args:
        picture: (3, H, W) RGB in [0, 1]; its middle is used if it is larger than needed.

    Returns:
        PSNR of luma in dB for each of the speeds, of what both frames show.

    Raises:
        InputError: the picture leaves no room for the fastest pan.
    """
    return [_between(method, picture, ENLARGEMENT * speed) for speed in speeds_px]


def _between(method: Method, picture: Tensor, speed_px: int) -> float:
    height, width = picture.shape[-2:]
    way = speed_px * (GIVEN_FRAMES - 1)
    rows, columns = (min(side, MAX_SIDE_PX) // ENLARGEMENT * ENLARGEMENT for side in (height, width - way))
    cut = speed_px // 2 + MARGIN_PX
    if rows <= 2 * MARGIN_PX or columns <= 2 * cut:
        raise InputError(f"a picture of {width}x{height} is too small to be moved by {way} pixels in it")
    top, left = (height - rows) // 2, (width - way - columns) // 2

    def frame(moved_px: int) -> Tensor:
        return picture[None, :, top : top + rows, left + moved_px : left + moved_px + columns]

    given = (
        reduce(frame(speed_px * index), (rows // ENLARGEMENT, columns // ENLARGEMENT))
        for index in range(GIVEN_FRAMES)
    )
    rendered = list(method.render(given, 2, (rows, columns)))
    shown = (..., slice(MARGIN_PX, -MARGIN_PX), slice(cut, -cut))
    truth = frame(speed_px + speed_px // 2)
    return float(psnr(rendered[3].cpu().clamp(0, 1)[shown], truth[shown]))
