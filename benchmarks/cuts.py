"""Measure what is taken for a cut: in short scenes made of photographs, and in hours of joined footage.

    python benchmarks/cuts.py STILLS_DIR
    python benchmarks/cuts.py STILLS_DIR --footage DIR --minutes 200 --write docs/scenes.md

A short scene has one cut in its middle, or none; it is right if that is what is found. With --footage, its
clips are joined at random, played to and fro, mirrored, enlarged, darker, faster, noisy, with bars or a
lower third, some joints by a fade or a dissolve, with flashes of one frame; `KNOWN` has the cuts that clips
hold. Only photographs and clips whose name's hash is odd are used (`sights.is_held_out`), or with --tuning
those with an even one, by which the detector was made.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import sights
from numpy.typing import NDArray
from PIL import Image
from tables import write_tables

from videoinr_cli.evaluation.report import markdown
from videoinr_cli.media.suffixes import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from videoinr_cli.options import DEFAULT_SCENE_THRESHOLD
from videoinr_cli.render.scenes import thumbnail, with_cuts
from videoinr_cli.training.footage import decode

KNOWN: dict[str, tuple[int, ...]] = {
    "kivy_city.mpg": (116,),
    "tears_of_steel_battle.webm": (
        52,
        122,
        158,
        221,
        309,
        715,
        788,
        872,
        901,
        987,
        1127,
        1157,
        1203,
        1234,
        1246,
        1284,
        1345,
        1378,
        1430,
        1472,
        1525,
        1571,
        1618,
        1650,
        1689,
    ),
}
"""First frames of the scenes of clips that hold several."""

SIZE = (180, 320)
FRAMES = 14
CUT = 7  # the frame with which the other scene begins
FRAME_RATE = 25
REPORT_MINUTES = 5
SHOT_FRAMES = (60, 460)
FLASH_SHARE = 1 / 400
JOINTS = ("cut", "cut", "cut", "fade", "dissolve")
JOINT_FRAMES = 12  # of a fade to black, one from black, and a dissolve

Levels = NDArray[np.float32]  # (H, W), 0 to 255


# --- short scenes ------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Props:
    """Two photographs, larger than what is seen of them, and chance."""

    first: Levels
    second: Levels
    seed: int

    def pan(self, number: int, speed_px: float = 2, *, second: bool = False) -> Levels:
        """Return what a camera sees that moves by so many pixels in a frame's time, to the right and back."""
        picture = self.second if second else self.first
        room = picture.shape[1] - SIZE[1]
        left = round(number * speed_px) % (2 * room)
        left = min(left, 2 * room - left)
        return picture[40 : 40 + SIZE[0], left : left + SIZE[1]].copy()

    def cut(self, number: int) -> Levels:
        return self.pan(number, second=number >= CUT)

    def chance(self, *numbers: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *numbers))


Change = Callable[[Levels], Levels]


def with_letterbox(picture: Levels) -> Levels:
    rows = round(SIZE[0] * (1 - 16 / 9 / 2.39) / 2)
    picture[:rows], picture[-rows:] = 0, 0
    return picture


def with_pillarbox(picture: Levels, aspect: float = 4 / 3) -> Levels:
    columns = round((SIZE[1] - SIZE[0] * aspect) / 2)
    picture[:, :columns], picture[:, -columns:] = 0, 0
    return picture


def with_lower_third(picture: Levels) -> Levels:
    picture[125:172, 12:308] = 200
    picture[132:140, 20:190] = 20
    for left in range(20, 280, 9):
        picture[150:156, left : left + 6] = 60
    return picture


def with_logo(picture: Levels) -> Levels:
    picture[10:34, 270:310] = 230
    picture[16:28, 278:302] = 40
    return picture


def darker(picture: Levels, factor: float) -> Levels:
    return np.floor(picture / factor)


def cut_with(*changes: Change) -> Callable[[Props, int], Levels]:
    def draw(props: Props, number: int) -> Levels:
        picture = props.cut(number)
        for change in changes:
            picture = change(picture)
        return picture

    return draw


def cut_on_twos(props: Props, number: int) -> Levels:
    return props.pan(number - (number - CUT) % 2, 4, second=number >= CUT)


def cut_with_grain(props: Props, number: int) -> Levels:
    return props.cut(number) + props.chance(number).normal(0, 14, SIZE)


def noisy(picture: Levels, chance: np.random.Generator, levels: float) -> Levels:
    return np.floor((picture + chance.normal(0, levels, SIZE)).clip(0, 255)).astype(np.float32)


def cut_to_noisy_dark(props: Props, number: int, change: Change = lambda picture: picture) -> Levels:
    """To what is filmed at night."""
    picture = props.cut(number)
    return change(noisy(picture / 8, props.chance(number), 8) if number >= CUT else picture)


def cut_to_black(props: Props, number: int) -> Levels:
    return props.pan(number) if number < CUT else np.zeros(SIZE, np.float32)


def cut_from_black(props: Props, number: int) -> Levels:
    return np.zeros(SIZE, np.float32) if number < CUT else props.pan(number)


def flash(props: Props, number: int) -> Levels:
    return props.pan(number) * 0.25 + 190 if number == CUT else props.pan(number)


def white_frame(props: Props, number: int) -> Levels:
    return np.full(SIZE, 250, np.float32) if number == CUT else props.pan(number)


def inverted(props: Props, number: int) -> Levels:
    return 255 - props.pan(number) if number == CUT else props.pan(number)


def fade_out(props: Props, number: int) -> Levels:
    return np.floor(props.pan(number) * max(0.0, 1 - number / (FRAMES - 3)))


def fade_in(props: Props, number: int) -> Levels:
    return np.floor(props.pan(number) * max(0.0, number - 2) / (FRAMES - 3))


def dissolve(props: Props, number: int) -> Levels:
    share = np.float32(number / (FRAMES - 1))
    return (1 - share) * props.pan(number) + share * props.pan(number, second=True)


def dissolve_from_dark(props: Props, number: int) -> Levels:
    """From what is filmed at night, and stands still."""
    share = np.float32(max(0, number - CUT + 1) / (JOINT_FRAMES + 1))
    return noisy((1 - share) * props.pan(0) / 10 + share * props.pan(0, second=True), props.chance(number), 3)


def dissolve_to_dark(props: Props, number: int) -> Levels:
    return dissolve_from_dark(props, FRAMES - number)


def fast_pan(props: Props, number: int, speed_px: float) -> Levels:
    return props.pan(number, speed_px)


def snow(props: Props, number: int) -> Levels:
    return props.chance(number).integers(0, 256, SIZE).astype(np.float32)


def coarse_snow(props: Props, number: int) -> Levels:
    small = props.chance(number).integers(0, 256, (60, 80)).astype(np.float32)
    return small.repeat(3, axis=0).repeat(4, axis=1)


def confetti(props: Props, number: int) -> Levels:
    picture, chance = props.pan(0), props.chance()
    for _ in range(500):
        y, x = chance.uniform((0, 0), SIZE)
        down, right = chance.uniform((4, -14), (34, 14))
        top, left = int((y + down * number) % SIZE[0]), int((x + right * number) % SIZE[1])
        size = int(chance.integers(5, 18))
        picture[top : top + size, left : left + size] = chance.uniform(0, 255)
    return picture


def passing(props: Props, number: int, frames: int) -> Levels:
    """Let something as wide as the picture pass before it in so many frames."""
    picture = props.pan(number)
    left = round(SIZE[1] * (1 - 2 * (number - 2) / frames))
    shown = slice(max(0, left), max(0, min(SIZE[1], left + SIZE[1])))
    if shown.start < shown.stop:
        near = props.pan(0, second=True)
        picture[:, shown] = near[:, shown.start - left : shown.stop - left] * 0.5
    return picture


def covered(props: Props, number: int) -> Levels:
    """Something is right before the lens in three frames."""
    return props.pan(number, second=True) * 0.4 if CUT - 1 <= number <= CUT + 1 else props.pan(number)


def exposure_jump(props: Props, number: int) -> Levels:
    return props.pan(number) * (0.45 if number < CUT else 1)


def shaken(props: Props, number: int) -> Levels:
    down, right = props.chance(number).integers(-24, 25, 2)
    return props.first[40 + down : 40 + down + SIZE[0], 60 + right : 60 + right + SIZE[1]]


def zoomed(props: Props, number: int) -> Levels:
    factor = 1.12**number
    height, width = round(SIZE[0] / factor * 1.3), round(SIZE[1] / factor * 1.3)
    top, left = (props.first.shape[0] - height) // 2, (props.first.shape[1] - width) // 2
    return _resized(props.first[top : top + height, left : left + width])


def enters(props: Props, number: int) -> Levels:
    """Something comes quickly into an empty picture, filmed with noise."""
    picture = np.full(SIZE, 100, np.float32)
    rows = max(0, min(60, 20 * (number - CUT + 1)))
    if rows:
        picture[:rows, 200:260] = props.second[100 - rows : 100, 100:160] * 0.6 + 100
    return noisy(picture, props.chance(number), 6)


def leaves(props: Props, number: int, lighter: float = 1.5, noise: float = 0) -> Levels:
    """Something leaves a road, and the camera adapts to what is left."""
    road = np.linspace(55, 75, SIZE[1], dtype=np.float32) + np.float32(lighter * number)
    picture = np.tile(road, (SIZE[0], 1))
    rows = max(0, min(60, 14 * (CUT - number)))
    if rows:
        picture[:rows, 130:200] = props.second[100 - rows : 100, 100:170] * 0.5 + 100
    return noisy(picture, props.chance(number), noise)


def enters_at_dusk(props: Props, number: int) -> Levels:
    return noisy(leaves(props, FRAMES - 1 - number, lighter=0) / 5, props.chance(number), 3)


def static_camera(props: Props, number: int) -> Levels:
    """Somebody moves before a background that stands still."""
    picture = props.pan(0)
    left = 60 + 9 * number
    picture[50:, left : left + 110] = props.second[50 : SIZE[0], 100:210]
    return picture


def subtitle(props: Props, number: int) -> Levels:
    return with_lower_third(props.pan(0)) if number >= CUT else props.pan(0)


def _resized(picture: Levels) -> Levels:
    return np.asarray(Image.fromarray(picture).resize(SIZE[::-1], Image.Resampling.BILINEAR))


Draw = Callable[[Props, int], Levels]

CUTS: dict[str, Draw] = {
    "cut": cut_with(),
    "with a letterbox of 2.39:1": cut_with(with_letterbox),
    "in a pillarbox": cut_with(with_pillarbox),
    "upright, with bars": cut_with(functools.partial(with_pillarbox, aspect=9 / 16)),
    "over a lower third": cut_with(with_lower_third),
    "under a logo": cut_with(with_logo),
    "at a fifth of the brightness": cut_with(functools.partial(darker, factor=5)),
    "at a twelfth": cut_with(functools.partial(darker, factor=12)),
    "at a fifth, with a letterbox": cut_with(functools.partial(darker, factor=5), with_letterbox),
    "with grain": cut_with_grain,
    "to the dark, with noise": cut_to_noisy_dark,
    "to the dark, with noise and a letterbox": functools.partial(cut_to_noisy_dark, change=with_letterbox),
    "of animation on twos": cut_on_twos,
    "to black": cut_to_black,
    "from black": cut_from_black,
}
NO_CUTS: dict[str, Draw] = {
    "pan, 3 % of the width a frame": functools.partial(fast_pan, speed_px=10),
    "pan, 15 %": functools.partial(fast_pan, speed_px=48),
    "pan, 33 %": functools.partial(fast_pan, speed_px=106),
    "shaken by 7 %": shaken,
    "zoom, 12 % a frame": zoomed,
    "fade out": fade_out,
    "fade in": fade_in,
    "dissolve": dissolve,
    "dissolve from the dark, with noise": dissolve_from_dark,
    "dissolve to the dark, with noise": dissolve_to_dark,
    "flash": flash,
    "white frame": white_frame,
    "inverted frame": inverted,
    "exposure jumps": exposure_jump,
    "snow": snow,
    "coarse snow": coarse_snow,
    "confetti": confetti,
    "passes in 4 frames": functools.partial(passing, frames=4),
    "passes in 8 frames": functools.partial(passing, frames=8),
    "covers the lens": covered,
    "enters an empty picture": enters,
    "leaves a plain picture": leaves,
    "leaves one with noise, which lights up": functools.partial(leaves, lighter=5, noise=8),
    "enters a plain picture at dusk": enters_at_dusk,
    "static camera": static_camera,
    "lower third appears": subtitle,
}


def found_in(pictures: Iterator[Levels]) -> list[int]:
    """Return the frames with which scenes are taken to begin."""
    marked = with_cuts(map(_rgb, pictures), DEFAULT_SCENE_THRESHOLD, thumbnail)
    return [number for number, (_, is_cut) in enumerate(marked) if is_cut]


def _rgb(picture: Levels) -> NDArray[np.uint8]:
    return picture.clip(0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def measure_scenes(photographs: Sequence[Levels]) -> list[tuple[str, int, int]]:
    """Return for each short scene how many of how many are right."""
    rows = []
    for kinds, right in ((CUTS, [CUT]), (NO_CUTS, [])):
        for name, draw in kinds.items():
            all_props = [
                Props(first, second, seed)
                for seed, (first, second) in enumerate(zip(photographs, np.roll(photographs, 1, axis=0)))  # noqa: B905
            ]
            found = (
                found_in(draw(props, number) for number in range(FRAMES)) == right for props in all_props
            )
            rows.append((name, sum(found), len(all_props)))
    return rows


def photograph(path: Path) -> Levels:
    """Return a photograph's luma, large enough for the camera to move."""
    with Image.open(path) as image:
        image.draft("L", (640, 360))
        grey = image.convert("L")
    height, width = 260, 560
    factor = max(height / grey.height, width / grey.width)
    grey = grey.resize((round(grey.width * factor + 0.5), round(grey.height * factor + 0.5)))
    top, left = (grey.height - height) // 2, (grey.width - width) // 2
    return np.asarray(grey.crop((left, top, left + width, top + height)), np.float32)


# --- joined footage ----------------------------------------------------------------------------------------


def shots_of(paths: Sequence[Path]) -> list[Levels]:
    """Return the scenes of clips, (N, H, W) luma of `SIZE`."""
    shots = []
    for path in paths:
        frames = np.stack([_luma(frame) for frame in decode(path, longest_side_px=2 * SIZE[1])])
        shots += np.split(frames, KNOWN.get(path.name, ()))
    return [shot for shot in shots if len(shot) >= 12]


def _luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(rgb).convert("L").resize(SIZE[::-1], Image.Resampling.BOX))


@dataclasses.dataclass(frozen=True)
class Shot:
    """A clip as it is shown: to and fro, faster, darker, mirrored, as a part of it, noisy, in a frame."""

    frames: NDArray[np.uint8]
    length: int
    chance: np.random.Generator

    def pictures(self) -> Iterator[Levels]:
        chance, count = self.chance, len(self.frames)
        speed = int(chance.choice([1, 1, 1, 2, 3])) if count > 60 else 1
        place = int(chance.integers(0, count))
        zoom = chance.uniform(1, 1.5)
        height, width = round(SIZE[0] / zoom), round(SIZE[1] / zoom)
        top, left = (int(chance.integers(0, room + 1)) for room in (SIZE[0] - height, SIZE[1] - width))
        step = int(chance.choice([1, -1]))
        light = float(chance.choice([1, 1, 1, 0.5, 0.2, 0.1]))
        noise = float(chance.choice([0, 0, 0, 3, 8]))
        framed = FRAMINGS[int(chance.integers(0, len(FRAMINGS)))]
        for number in range(self.length):
            place += speed
            part = self.frames[_folded(place, count), top : top + height, left : left + width][:, ::step]
            picture = _resized(part.astype(np.float32)) * light
            if chance.random() < FLASH_SHARE and 4 < number < self.length - 4:
                picture = picture * 0.4 + chance.uniform(60, 150)
            picture = picture + (chance.normal(0, noise, SIZE) if noise else 0)
            yield framed(np.floor(picture.clip(0, 255)).astype(np.float32))


FRAMINGS: tuple[Change, ...] = (
    lambda picture: picture,
    lambda picture: picture,
    with_letterbox,
    with_pillarbox,
    with_lower_third,
    with_logo,
)


def _folded(place: int, count: int) -> int:
    """Return where playing to and fro gets in a clip of so many frames."""
    place %= max(1, 2 * count - 2)
    return min(place, 2 * count - 2 - place)


@dataclasses.dataclass(frozen=True)
class Joined:
    """What was found in joined footage."""

    minutes: float
    cuts: int
    found: int
    false: int
    wrong: tuple[str, ...]  # where


def measure_footage(shots: Sequence[NDArray[np.uint8]], minutes: float, seed: int) -> Joined:
    """Join clips until they last so long."""
    cuts: list[int] = []
    frames = round(minutes * 60 * FRAME_RATE)

    def pictures() -> Iterator[Levels]:
        for number, (picture, is_cut) in enumerate(itertools.islice(joined(shots, seed), frames)):
            cuts.extend([number] if is_cut else [])
            if number and number % (REPORT_MINUTES * 60 * FRAME_RATE) == 0:
                sys.stderr.write(f"{number // (60 * FRAME_RATE)} of {minutes:.0f} minutes\n")
            yield picture

    found = found_in(pictures())
    hits = set(found) & set(cuts)
    missed = [f"missed {cut}" for cut in sorted(set(cuts) - hits)]
    wrong = missed + [f"false {cut}" for cut in sorted(set(found) - hits)]
    return Joined(minutes, len(cuts), len(hits), len(found) - len(hits), tuple(wrong))


def joined(shots: Sequence[NDArray[np.uint8]], seed: int) -> Iterator[tuple[Levels, bool]]:
    """Yield pictures without end, and whether a shot begins with them by a cut.

    Fades pass through black, so that nothing is cut there.
    """
    chance = np.random.default_rng(seed)
    number, joint = -1, "start"
    ending: Iterator[Levels] = iter(())  # what dissolves
    while True:
        number = int(chance.choice([other for other in range(len(shots)) if other != number]))
        frames = int(chance.integers(*SHOT_FRAMES))
        before, joint = joint, str(chance.choice(JOINTS))
        beginning = Shot(shots[number], frames, chance.spawn(1)[0]).pictures()
        for place in range(frames if joint != "dissolve" else frames - JOINT_FRAMES):
            picture = next(beginning)
            if before == "fade":
                picture = picture * min(1, place / JOINT_FRAMES)
            if joint == "fade":
                picture = picture * min(1, (frames - 1 - place) / JOINT_FRAMES)
            if before == "dissolve" and place < JOINT_FRAMES:
                share = (place + 1) / (JOINT_FRAMES + 1)
                picture = share * picture + (1 - share) * next(ending)
            yield np.floor(picture).astype(np.float32), before == "cut" and place == 0
        ending = beginning


# --- tables ------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stills", type=Path, help="folder of photographs")
    parser.add_argument("--footage", type=Path, help="folder of clips")
    parser.add_argument("--minutes", type=float, default=200, help="of joined footage")
    parser.add_argument("--seed", type=int, default=0, help="of the joined footage")
    parser.add_argument("--tuning", action="store_true", help="use the other half of photographs and clips")
    parser.add_argument("--write", type=Path, nargs="*", default=[], help="Markdown files to update")
    arguments = parser.parse_args()

    photographs = [photograph(path) for path in chosen(arguments.stills, PICTURE_SUFFIXES, arguments.tuning)]
    rows = measure_scenes(photographs)
    table = [["scene", "right"], *([name, f"{right} of {count}"] for name, right, count in rows)]
    if arguments.footage:
        shots = shots_of(chosen(arguments.footage, VIDEO_SUFFIXES, arguments.tuning))
        joined = measure_footage(shots, arguments.minutes, arguments.seed)
        table.append(
            [
                f"{joined.minutes:.0f} minutes of joined footage",
                f"{joined.found} of {joined.cuts} cuts found, {joined.false} false",
            ]
        )
        print(*joined.wrong, sep="\n")
    print(markdown(table))
    for path in arguments.write:
        write_tables(path, {"cuts": markdown(table)})


def chosen(folder: Path, suffixes: frozenset[str], tuning: bool) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and sights.is_held_out(path) != tuning
    )


if __name__ == "__main__":
    main()
