"""Make clips to learn from: what a network is given, and what another network, the teacher, makes of it.

    python scripts/make_pairs.py --teacher realesrgan-x4plus.param --data footage/ -o pairs/ --count 300
    videoinr train --pairs pairs/ --init videoinr-real -o mine.safetensors

Each clip is a few small frames of footage: as it is, or reduced and spoilt as cameras and encoders do. The
teacher enlarges the middle ones. Clip N is the same whenever it is made and clips that are there stay, so
folders can be added to, and several processes can fill one (--first).
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import av
import numpy as np
import torch
from targets import target
from teachers import Teacher, load_teacher
from torch import Tensor

from videoinr_cli.errors import InputError, VideoInrError
from videoinr_cli.evaluation.resample import reduce
from videoinr_cli.training.crops import Places, cut, in_floats, pixels_of, to_tensor
from videoinr_cli.training.degradations import degrade
from videoinr_cli.training.footage import Shot, load_shots
from videoinr_cli.training.samples import STILL_MARGIN_PX
from videoinr_cli.training.synthetic import AffineMotion, moving

FRAMES = 7
"""Of a clip: a pair of every second one, a frame between, and a frame beside the pair on either side."""
TAUGHT_FRAMES = 3
"""The pair and what lies between: the middle frames, which a teacher enlarges."""
MARGIN_PX = 4
"""What a teacher sees around a clip, LR pixels: at a picture's border it sees less."""
SCALE = 4
"""Of clips without a teacher."""
CANDIDATES = 4
"""Places drawn for each clip; one is taken, by how much detail it has."""


@dataclasses.dataclass(frozen=True)
class Window:
    """Frames that a clip is made of, with a margin of `MARGIN_PX` LR pixels all around."""

    source: str
    lr: Tensor  # (T, 3, h, w) in [0, 1]
    true: Tensor | None  # (T, 3, H, W), of the teacher's size, where it is known


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        help="ncnn .param, or a file for spandrel; without one, what is true is learnt",
    )
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of footage")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of pairs")
    parser.add_argument("--count", type=int, default=300, help="number of clips")
    parser.add_argument("--first", type=int, default=0, help="number of the first clip")
    parser.add_argument("--side", type=int, default=80, help="of a clip, LR pixels")
    parser.add_argument(
        "--taught", type=int, default=TAUGHT_FRAMES, choices=range(1, FRAMES + 1, 2), help="frames of a clip"
    )
    parser.add_argument("--hold-out", action="append", default=[], help="file names to leave out")
    parser.add_argument("--as-is", type=float, default=0.4, help="share of clips not spoilt")
    parser.add_argument("--cache", type=Path, help="folder for decoded frames")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        make(arguments)
    except VideoInrError as error:
        sys.exit(f"error: {error}")


def make(arguments: argparse.Namespace) -> None:
    teacher = None if arguments.teacher is None else load_teacher(arguments.teacher)
    cache = arguments.cache or arguments.output / "frames"
    shots = [
        shot
        for shot in load_shots(arguments.data, cache, report=_say)
        if not any(fnmatch(shot.source, pattern) for pattern in arguments.hold_out)
    ]
    scale = SCALE if teacher is None else teacher(torch.zeros(1, 3, 16, 16)).shape[-1] // 16
    as_is = 0.0 if teacher is None else arguments.as_is
    started = time.monotonic()
    numbers = range(arguments.first, arguments.first + arguments.count)
    for done, number in enumerate(numbers, 1):
        if any((arguments.output / "hr").glob(f"{number:06d}-*")):
            continue
        rng = np.random.default_rng((arguments.seed, number))
        window = draw(shots, rng, arguments.side + 2 * MARGIN_PX, scale, as_is)
        name = f"{number:06d}-{Path(window.source).stem}"
        write_pair(arguments.output, name, window, teacher, arguments.taught)
        _say(f"{done} of {len(numbers)}, {(time.monotonic() - started) / done:.1f} s each: {window.source}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def draw(shots: Sequence[Shot], rng: np.random.Generator, side: int, scale: int, as_is: float) -> Window:
    """Draw a window of `side` LR pixels: of a video as it is, or of a video or photograph spoilt.

    Raises:
        InputError: there is none large and long enough.
    """
    clips = [shot for shot in shots if len(shot.frames) >= FRAMES and min(shot.frames.shape[1:3]) >= side]
    size = side * scale
    roomy = [shot for shot in clips if min(shot.frames.shape[1:3]) >= size]
    stills = [shot for shot in shots if shot.is_still]
    chance = rng.random(2)
    if clips and chance[0] < as_is:
        source, frames = _from_clip(clips, rng, side)
        return Window(source, frames, None)
    if not roomy and not stills:
        raise InputError(
            f"no video of {FRAMES} frames of {size}x{size} pixels, and no photograph; try a smaller --side"
        )
    still = stills and (not roomy or chance[1] < 0.5)
    source, true = _from_still(stills, rng, size) if still else _from_clip(roomy, rng, size)
    return Window(source, degrade(reduce(true, (side, side)), rng), true)


def _from_clip(shots: Sequence[Shot], rng: np.random.Generator, size: int) -> tuple[str, Tensor]:
    """Return consecutive frames, (T, 3, size, size); long shots are likelier, but not in proportion."""
    odds = np.sqrt([len(shot.frames) for shot in shots])
    places = Places(shots, candidates=CANDIDATES, odds=odds / odds.sum())
    shot, start, top, left = places.draw(rng, size, spare_frames=FRAMES - 1)
    frames = shot.frames[start : start + FRAMES, top : top + size, left : left + size]
    return shot.source, to_tensor(frames)


def _from_still(shots: Sequence[Shot], rng: np.random.Generator, size: int) -> tuple[str, Tensor]:
    """Return a photograph in motion, (T, 3, size, size)."""
    extent = size + 2 * STILL_MARGIN_PX
    shot, frame, top, left = Places(shots, candidates=CANDIDATES).draw(rng, extent)
    still = in_floats(cut(pixels_of(shot.frames, torch.device("cpu")), [frame], top, left, extent))
    motion = AffineMotion.draw(rng, np.linspace(-1, 2, FRAMES))
    return shot.source, moving(still, [motion], size)[0]


def write_pair(output: Path, name: str, window: Window, teacher: Teacher | None, frames: int) -> None:
    """Write a clip's LR frames and what to make of the middle ones: without a teacher, what is true."""
    margin = (len(window.lr) - frames) // 2
    taught_ones = slice(margin, margin + frames)
    given = window.lr[taught_ones]
    true = None if window.true is None else window.true[taught_ones]
    if teacher is not None:
        taught = torch.cat([teacher(frame) for frame in given.split(1)])
        learnt = target(given, taught, true)
    elif true is not None:
        learnt = true
    else:
        raise InputError(f"{window.source}: what it shows is not known; name a --teacher")
    margin = MARGIN_PX * learnt.shape[-1] // given.shape[-1]
    write_clip(output / "lr" / f"{name}.mkv", _inner(window.lr, MARGIN_PX))
    write_clip(output / "hr" / f"{name}.mkv", _inner(learnt, margin))


def _inner(frames: Tensor, margin: int) -> Tensor:
    return frames[..., margin:-margin, margin:-margin]


def write_clip(path: Path, frames: Tensor) -> None:
    """Write (T, 3, h, w) RGB in [0, 1] without loss, rounded to 8 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    with av.open(str(partial), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = frames.shape[2], frames.shape[3], "bgr0"
        for levels in (frames * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy():
            frame = av.VideoFrame.from_ndarray(levels, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode(None))
    partial.replace(path)


if __name__ == "__main__":
    main()
