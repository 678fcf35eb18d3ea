"""Measure frames between on scenes whose every instant is known, beside blending and ffmpeg's minterpolate.

    python benchmarks/scenes.py STILLS_DIR
    python benchmarks/scenes.py STILLS_DIR --weights videoinr-fast mine.safetensors --only subtitle
    python benchmarks/scenes.py STILLS_DIR --pictures DIR --write docs/scenes.md

Scenes are made of the photographs below STILLS_DIR and of text: what stands still before something that
moves, what repeats, what is thin, what changes its brightness. Only photographs and fonts whose name's
hash is odd are used (`sights.is_held_out`); those with an even one are for training. Each frame is
320x180 pixels; the rate is doubled, and the size too unless the scene's name ends in "x1". PSNR of luma
compares the frames between with the truth, in the region that the scene is about / elsewhere; of brightness
that flashes, structure alone is compared. Beside it: by how many levels still pixels differ between frames
given and between, on average / of the worst thousandth; how much fine detail frames between have
of that of given ones, relative to the truth; and steps without the motion that they should show.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import numpy as np
import sights
import torch
import torch.nn.functional as F
from models import models_of
from sights import box, ellipse, over, seen, text, written
from tables import write_tables
from torch import Tensor

from videoinr_cli import UpscaleOptions, upscale_frames
from videoinr_cli.evaluation.baselines import make_baseline
from videoinr_cli.evaluation.clips import save_picture, to_levels
from videoinr_cli.evaluation.metrics import luma
from videoinr_cli.evaluation.report import markdown
from videoinr_cli.model import AnyVideoInr

SIZE = (360, 640)
"""(H, W) at which scenes are drawn; frames that are given are half as large."""
FRAMES = 5
MARGIN_PX = 4
"""Left out around the picture: what enters it there is shown by one frame only."""
STILL_SHARE = 0.15
"""A step that changes less than this share of what it should is a standstill."""
STILL_PIXELS = 2000
"""Pixels that never change for which flicker is measured, at least."""
FONT_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)


@dataclasses.dataclass(frozen=True)
class Props:
    """What a scene is made of."""

    photographs: Sequence[Tensor]
    font: Path
    seed: int

    def pan(self, t: float, speed_px: float, number: int = 0) -> Tensor:
        """Return a photograph seen by a camera that moves by so many source pixels in a frame's time."""
        return seen(self.photographs[number], SIZE, right=2 * speed_px * (t - (FRAMES - 1) / 2))


@dataclasses.dataclass(frozen=True)
class Sight:
    """What is to be seen at an instant."""

    picture: Tensor  # (3, H, W)
    region: Tensor | None = None  # (H, W), what the scene is about where it is 1; None: everything


Draw = Callable[[Props, float], Sight]
"""Draws an instant, in frame times from the first frame on."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """Something to be seen, and how it is given."""

    draw: Draw
    also: Draw | None = None  # what may be seen instead, as where something appears between two frames
    scale: int = 2
    hold: int = 1  # how many frames show the same drawing
    rate: Fraction = Fraction(2)  # output frames for each frame
    frames: int = FRAMES
    between: tuple[int, ...] = (1, 2)  # pairs that are measured
    is_fitted: bool = False  # brightness and contrast are not compared
    margin_px: int = MARGIN_PX

    def given(self, props: Props, number: int) -> Sight:
        return self.draw(props, number - number % self.hold)


# --- what is to be seen ------------------------------------------------------------------------------------


def subtitle(props: Props, t: float, speed_px: float = 12, opacity: float = 1.0) -> Sight:
    masks = _subtitle(props.font)
    picture = props.pan(t, speed_px)
    return Sight(written(picture, masks, opacity) if opacity else picture, masks[1])


@functools.lru_cache
def _subtitle(font: Path) -> tuple[Tensor, Tensor]:
    return text(SIZE, font, "Nobody told me that\nthe bridge is closed.", 32, (0.86, 0.5), outline_px=2)


def appearing(props: Props, t: float, *, since: float) -> Sight:
    return subtitle(props, t, 4, opacity=float(t >= since))


def fading(props: Props, t: float) -> Sight:
    return subtitle(props, t, 4, opacity=1 - t / (FRAMES - 1))


def logo(props: Props, t: float, speed_px: float = 8, opacity: float = 1.0) -> Sight:
    mask = ellipse(SIZE, (-110, 230), (34, 52))
    letters, _ = text(SIZE, props.font, "TV 9", 34, (0.195, 0.86))
    picture = over(props.pan(t, speed_px), (0.75, 0.1, 0.15), mask * opacity)
    return Sight(over(picture, (1, 1, 1), letters * opacity), mask)


def toolbar(props: Props, t: float, speed_px: float = 6) -> Sight:
    page = _page(props.font)
    moved = seen(page, SIZE, down=2 * speed_px * t - page.shape[1] / 2 + SIZE[0])
    bar = box(SIZE, 0, 0, 0.17, 1)
    buttons, _ = text(SIZE, props.font, "File   Edit   View   History   Help", 24, (0.085, 0.4))
    return Sight(over(over(moved, (0.86, 0.87, 0.9), bar), (0.15, 0.15, 0.2), buttons), bar)


def scrolled(props: Props, t: float, speed_px: float = 3) -> Sight:
    page = 1 - _page(props.font)
    return Sight(seen(page, SIZE, down=2 * speed_px * t - page.shape[1] / 2 + SIZE[0]))


@functools.lru_cache
def _page(font: Path) -> Tensor:
    words = ["lamp", "above", "a", "quiet", "harbour", "turns", "slowly", "while", "ships", "come", "home"]
    generator = np.random.default_rng(5)
    lines = "\n".join(" ".join(generator.choice(words, 8)) for _ in range(36))
    letters, _ = text((1400, SIZE[1]), font, lines, 24, (0.5, 0.5))
    return over(torch.full((3, 1400, SIZE[1]), 0.98), (0.1, 0.1, 0.12), letters)


def ticker(props: Props, t: float, speed_px: float = 5) -> Sight:
    band = box(SIZE, 0.84, 0, 0.96, 1)
    letters = _ticker(props.font)
    left = round(2 * speed_px * t) + 40
    moving = torch.zeros(SIZE)
    moving[302:346] = letters[:, left : left + SIZE[1]]
    return Sight(over(over(props.pan(t, 0), (0.7, 0.05, 0.08), band), (1, 1, 1), moving), band)


@functools.lru_cache
def _ticker(font: Path) -> Tensor:
    line = "Trains are late in the north +++ Rain until Friday +++ The museum is open again"
    return text((44, 1400), font, line, 28, (0.5, 0.5))[0]


def fence(props: Props, t: float, speed_px: float = 6) -> Sight:
    bars = sights.stripes(SIZE, 44, 7, 0)
    return Sight(over(props.pan(t, speed_px), (0.3, 0.26, 0.22), bars), bars)


def mesh(props: Props, t: float, speed_px: float = 4) -> Sight:
    wires = torch.maximum(sights.stripes(SIZE, 40, 3, 45), sights.stripes(SIZE, 40, 3, -45))
    return Sight(over(props.pan(t, speed_px), (0.55, 0.57, 0.6), wires), wires)


def moving_fence(props: Props, t: float, speed_px: float = 4) -> Sight:
    bars = sights.stripes(SIZE, 64, 9, 0, shift_px=2 * speed_px * t)
    return Sight(over(props.pan(t, 0), (0.3, 0.26, 0.22), bars), bars)


def wires(props: Props, t: float) -> Sight:
    lines = torch.maximum(
        sights.stripes(SIZE, 90, 2, 80, shift_px=8 * t), sights.stripes(SIZE, 130, 2, 96, shift_px=8 * t)
    )
    return Sight(over(props.pan(t, 1), (0.08, 0.08, 0.1), lines), lines)


def bricks(props: Props, t: float, speed_px: float = 8) -> Sight:
    return Sight(seen(_wall(props.seed), SIZE, right=2 * speed_px * (t - 2)))


@functools.lru_cache(maxsize=2)
def _wall(seed: int) -> Tensor:
    return sights.bricks((SIZE[0] + 40, SIZE[1] + 320), seed)


def blinds(props: Props, t: float, speed_px: float = 5) -> Sight:
    slats = sights.stripes(SIZE, 36, 18, 90, shift_px=2 * speed_px * t)
    shade = torch.full((3, *SIZE), 0.35) + 0.15 * props.pan(t, 0)
    return Sight(over(shade, (0.85, 0.82, 0.75), slats))


def film(props: Props, t: float) -> Sight:
    return Sight(sights.grained(props.pan(t, 2), 9, seed=round(10 * t), coarseness_px=2))


def sensor(props: Props, t: float) -> Sight:
    return Sight(sights.grained(props.pan(t, 0) * 0.5, 7, seed=round(10 * t), coarseness_px=2))


def beside(props: Props, t: float, speed_px: float = 8) -> Sight:
    ball = ellipse(SIZE, (20, 2 * speed_px * (t - 2)), (46, 46))
    surface = seen(props.photographs[1], SIZE, right=-2 * speed_px * (t - 2))
    return Sight(over(props.pan(t, 0), surface, ball), ball)


def black(_: Props, __: float) -> Sight:
    return Sight(torch.zeros(3, *SIZE), 1 - box(SIZE, 0.01, 0.01, 0.99, 0.99))


def drawn(props: Props, t: float, speed_px: float = 1.2) -> Sight:
    """A flat drawing that walks before a painted background."""
    right = 2 * speed_px * (t - 4)
    bob = 3 * math.sin(t * 0.9)
    picture = props.pan(t, 0)
    body = ellipse(SIZE, (50 + bob, right), (80, 46))
    head = ellipse(SIZE, (-58 + bob, right), (44, 40))
    for mask, colour in ((body, (0.2, 0.45, 0.8)), (head, (0.98, 0.8, 0.62))):
        picture = over(picture, colour, mask)
    for side in (-14, 14):
        picture = over(picture, (0.1, 0.1, 0.1), ellipse(SIZE, (-64 + bob, right + side), (7, 5)))
    return Sight(picture, torch.maximum(body, head))


def flash(props: Props, t: float) -> Sight:
    strength = max(0.0, 1 - abs(t - 2)) * 0.55
    return Sight(over(props.pan(t, 3), (1, 1, 1), torch.full(SIZE, strength)))


def exposure(props: Props, t: float) -> Sight:
    return Sight(props.pan(t, 3) * (1 - 0.12 * t))


def fade(props: Props, t: float) -> Sight:
    return Sight(props.pan(t, 1) * (1 - t / FRAMES))


def dissolve(props: Props, t: float) -> Sight:
    return Sight(torch.lerp(props.pan(t, 0), props.pan(t, 0, 1), t / (FRAMES - 1)))


def display(props: Props, t: float, *, since: float = math.inf) -> Sight:
    panel = box(SIZE, 0.06, 0.04, 0.2, 0.4)
    score = "HOME 2 : 1 AWAY" if t >= since else "HOME 1 : 1 AWAY"
    letters, _ = text(SIZE, props.font, score, 24, (0.13, 0.22))
    return Sight(over(over(props.pan(t, 10), (0.05, 0.08, 0.2), panel), (1, 1, 0.9), letters), panel)


def talking(props: Props, t: float) -> Sight:
    sway = 4 * math.sin(t * 0.8)
    face = seen(props.photographs[1], SIZE, right=-sway)
    head = ellipse(SIZE, (0, sway), (120, 90))
    mouth = ellipse(SIZE, (60, sway), (6 + 5 * math.sin(t * 1.4), 24))
    picture = over(over(props.pan(t, 0), face, head), (0.25, 0.05, 0.07), mouth)
    return Sight(picture, head)


def letterbox(props: Props, t: float, speed_px: float = 6) -> Sight:
    bars = torch.maximum(box(SIZE, 0, 0, 0.13, 1), box(SIZE, 0.87, 0, 1, 1))
    return Sight(over(props.pan(t, speed_px), (0, 0, 0), bars), bars)


def window(props: Props, t: float, speed_px: float = 10) -> Sight:
    inside = box(SIZE, 0.2, 0.2, 0.8, 0.8)
    border = (F.max_pool2d(inside[None], 13, 1, 6)[0] - inside).clamp(0, 1)
    picture = over(props.pan(t, 0), props.pan(t, speed_px, 1), inside)
    return Sight(over(picture, (0.95, 0.95, 0.95), border), border)


def split(props: Props, t: float, speed_px: float = 6) -> Sight:
    right = box(SIZE, 0, 0.5, 1, 1)
    return Sight(over(props.pan(t, speed_px), props.pan(-t, speed_px, 1), right), box(SIZE, 0, 0.45, 1, 0.55))


def occlusion(props: Props, t: float, speed_px: float = 6) -> Sight:
    near = ellipse(SIZE, (10, 2 * speed_px * (t - 2)), (130, 90))
    surface = seen(props.photographs[1], SIZE, right=-2 * speed_px * (t - 2))
    around = (F.max_pool2d(near[None], 41, 1, 20)[0] - near).clamp(0, 1)
    return Sight(over(props.pan(t, speed_px), surface, near), around)


def turning_wheel(props: Props, t: float, degrees: float = 7) -> Sight:
    mask = sights.wheel(SIZE, 130, 10, degrees * t)
    return Sight(over(props.pan(t, 0), (0.12, 0.12, 0.14), mask), ellipse(SIZE, (0, 0), (136, 136)))


def rotation(props: Props, t: float) -> Sight:
    return Sight(seen(props.photographs[0], SIZE, degrees=4 * (t - 2)))


def zoom(props: Props, t: float) -> Sight:
    return Sight(seen(props.photographs[0], SIZE, zoom=1.05**t))


def fast(props: Props, t: float, speed_px: float = 36) -> Sight:
    return Sight(props.pan(t, speed_px))


def confetti(props: Props, t: float) -> Sight:
    generator = np.random.default_rng(props.seed)
    picture, pieces = props.pan(t, 0), torch.zeros(SIZE)
    for _ in range(90):
        y, x = generator.uniform((-200, -320), (200, 320))
        down, right = generator.uniform((2, -4), (16, 4))
        radii = tuple(generator.uniform(3, 8, 2))
        piece = ellipse(SIZE, (y + down * (t - 2), x + right * (t - 2)), radii)
        picture = over(picture, tuple(generator.uniform(0.2, 1, 3)), piece)
        pieces = torch.maximum(pieces, piece)
    return Sight(picture, pieces)


def of(draw: Callable[..., Sight], **arguments: float) -> Draw:
    return functools.partial(draw, **arguments)


SPEEDS_PX = (0, 3, 4, 8, 12, 24)
ON_TWOS = {"rate": Fraction(5, 2), "frames": 9, "between": tuple(range(2, 6))}
SCENES: dict[str, Scene] = {
    **{f"subtitle, pan {px} px": Scene(of(subtitle, speed_px=px)) for px in SPEEDS_PX},
    **{f"subtitle, pan {px} px, x1": Scene(of(subtitle, speed_px=px), scale=1) for px in SPEEDS_PX},
    "subtitle appears": Scene(of(appearing, since=1.25), of(appearing, since=1.75), between=(1,)),
    "subtitle fades": Scene(fading),
    "logo": Scene(logo),
    "logo, x1": Scene(logo, scale=1),
    "logo, half transparent": Scene(of(logo, opacity=0.5)),
    "toolbar, page 6 px": Scene(toolbar),
    "toolbar, page 20 px": Scene(of(toolbar, speed_px=20)),
    "scrolled text": Scene(scrolled),
    "ticker": Scene(ticker),
    "display": Scene(display),
    "display changes": Scene(of(display, since=1.25), of(display, since=1.75), between=(1,)),
    "fence, background 6 px": Scene(fence),
    "mesh, background 4 px": Scene(mesh),
    "fence passes": Scene(moving_fence),
    "wires": Scene(wires),
    **{f"bricks, {px} px": Scene(of(bricks, speed_px=px)) for px in (3, 8, 14)},
    "blinds": Scene(blinds),
    "film grain": Scene(film),
    "sensor noise": Scene(sensor),
    "beside a moving thing": Scene(beside),
    "beside a moving thing, x1": Scene(beside, scale=1),
    "black, its borders": Scene(black, margin_px=0),
    "animation on twos, to 60": Scene(drawn, hold=2, **ON_TWOS),
    "animation on threes, to 60": Scene(drawn, hold=3, **ON_TWOS),
    "flash over a pan": Scene(flash, is_fitted=True),
    "exposure changes over a pan": Scene(exposure),
    "fade to black": Scene(fade),
    "dissolve": Scene(dissolve),
    "talking head": Scene(talking),
    "letterboxed pan": Scene(letterbox),
    "picture in picture": Scene(window),
    "split screen": Scene(split),
    "occlusion": Scene(occlusion),
    "wheel": Scene(turning_wheel),
    "rotation": Scene(rotation),
    "zoom": Scene(zoom),
    "pan 36 px": Scene(fast),
    "confetti": Scene(confetti),
    "bricks, 8 px, x1": Scene(of(bricks, speed_px=8), scale=1),
}


# --- what is made of it ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to make more frames."""

    name: str
    render: Callable[[Sequence[Tensor], Scene], list[Tensor]]  # (3, h, w) frames to (3, H, W) ones


def by_model(name: str, model: AnyVideoInr) -> Method:
    def render(given: Sequence[Tensor], scene: Scene) -> list[Tensor]:
        options = UpscaleOptions(dedupe="on" if scene.hold > 1 else "auto")
        outputs = upscale_frames(
            map(to_levels, given), options, scale=scene.scale, fps=f"{float(scene.rate)}x", model=model
        )
        return [
            torch.from_numpy(np.asarray(output.picture)).permute(2, 0, 1).float() / 255 for output in outputs
        ]

    return Method(name, render)


def by_baseline(name: str, known_as: str) -> Method:
    baseline = make_baseline(name)  # type: ignore[arg-type]

    def render(given: Sequence[Tensor], scene: Scene) -> list[Tensor]:
        size = (given[0].shape[1] * scene.scale, given[0].shape[2] * scene.scale)
        frames = baseline.render((frame[None] for frame in given), scene.rate.numerator, size)
        return [frame[0] for frame in frames][:: scene.rate.denominator]

    return Method(known_as, render)


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a method made of a scene; NaN is what it does not have."""

    region: float  # PSNR of luma, dB
    elsewhere: float
    flicker: float = math.nan  # mean of still pixels, 8-bit levels
    worst_flicker: float = math.nan  # of the worst thousandth
    detail: float = math.nan  # share of given frames' fine detail, relative to the truth's share
    standstills: float = math.nan  # share of the steps


def measure(scene: Scene, props: Props, methods: Sequence[Method], pictures: Path | None) -> list[Measured]:
    given = [_reduced(scene.given(props, number).picture, 2) for number in range(scene.frames)]
    given = [torch.from_numpy(to_levels(frame)).permute(2, 0, 1).float() / 255 for frame in given]
    at = lambda draw, number: _shown(draw(props, float(number / scene.rate)), scene)  # noqa: E731
    numbers = [
        number
        for pair in scene.between
        for number in range(math.ceil(pair * scene.rate), math.ceil((pair + 1) * scene.rate))
    ]
    truths = {
        number: [at(draw, number) for draw in (scene.draw, scene.also) if draw is not None]
        for number in (*numbers, numbers[-1] + 1)
    }
    found = []
    for method in methods:
        rendered = method.render(given, scene)
        found.append(_compared(scene, rendered, truths, numbers))
        if pictures is not None:
            middle = next(number for number in numbers if number % scene.rate)
            save_picture(rendered[middle], pictures / f"{method.name}.png")
    return found


def _reduced(picture: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(picture[None], factor)[0]


def _shown(sight: Sight, scene: Scene) -> Sight:
    """Return a sight at the output's size."""
    if scene.scale == 2:
        return sight
    region = None if sight.region is None else _reduced(sight.region[None], 2)[0]
    return Sight(_reduced(sight.picture, 2), region)


def _compared(
    scene: Scene, rendered: list[Tensor], truths: dict[int, list[Sight]], numbers: Sequence[int]
) -> Measured:
    between = [number for number in numbers if number % scene.rate]
    inside, outside = (
        fmean(
            max(_psnr(rendered[number], sight, scene, inside=inside) for sight in truths[number])
            for number in between
        )
        for inside in (True, False)
    )
    if scene.rate != 2:
        still = fmean(_stands(rendered, truths, number) for number in numbers)
        return Measured(inside, outside, standstills=still)
    steady = [number for number in between if len(truths[number]) == 1 and number - 1 in truths]
    if not steady:
        return Measured(inside, outside)
    flickers = torch.cat([_flicker(rendered, truths, number) for number in steady])
    detail = fmean(_detail(rendered, truths, number) for number in steady)
    if len(flickers) < STILL_PIXELS * len(steady):
        return Measured(inside, outside, detail=detail)
    worst = float(flickers.sort().values[int(len(flickers) * 0.999) - 1])
    return Measured(inside, outside, float(flickers.mean()), worst, detail)


def _psnr(picture: Tensor, sight: Sight, scene: Scene, *, inside: bool) -> float:
    a, b = (_luma(frame) for frame in (picture.clamp(0, 1), sight.picture))
    mask = torch.ones_like(a) if sight.region is None else (sight.region > 0.5).float()
    rows, columns = (slice(scene.margin_px, side - scene.margin_px) for side in mask.shape)
    chosen_ones = (mask if inside else 1 - mask)[rows, columns] > 0
    if not chosen_ones.any():
        return math.nan
    chosen = a[rows, columns][chosen_ones], b[rows, columns][chosen_ones]
    error = chosen[0] - chosen[1]
    if scene.is_fitted:
        error = error - _fit(chosen[0], chosen[1])
    return float(-10 * error.double().square().mean().clamp(min=1e-10).log10())


def _fit(values: Tensor, truth: Tensor) -> Tensor:
    """Return how far values are from truth by brightness and contrast alone."""
    centred = values - values.mean()
    gain = (centred * (truth - truth.mean())).sum() / centred.square().sum().clamp(min=1e-9)
    return values - (gain * centred + truth.mean())


def _flicker(rendered: list[Tensor], truths: dict[int, list[Sight]], number: int) -> Tensor:
    """Return by how many levels pixels that never change differ from those of the frame before."""
    frames = torch.stack([truths[near][0].picture for near in (number - 1, number, number + 1)])
    still = (frames.amax(dim=0) - frames.amin(dim=0)).amax(dim=0) == 0
    changes = _luma(rendered[number].clamp(0, 1)) - _luma(rendered[number - 1].clamp(0, 1))
    return changes[still].abs() * 255


def _detail(rendered: list[Tensor], truths: dict[int, list[Sight]], number: int) -> float:
    def fine(picture: Tensor) -> float:
        levels = _luma(picture.clamp(0, 1))[None, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
        return float((levels - F.avg_pool2d(levels, 3, 1, 1)).std()) + 1e-6

    ours, true = (
        2 * fine(frames(number)) / (fine(frames(number - 1)) + fine(frames(number + 1)))
        for frames in (lambda at: rendered[at], lambda at: truths[at][0].picture)
    )
    return ours / true


def _stands(rendered: list[Tensor], truths: dict[int, list[Sight]], number: int) -> bool:
    """Whether a step shows hardly any of the motion that it should."""
    mask = truths[number][0].region
    assert mask is not None
    near = F.max_pool2d(mask[None], 9, 1, 4)[0] > 0.5

    def step(a: Tensor, b: Tensor) -> float:
        return float((_luma(a) - _luma(b))[near].abs().mean())

    due = step(truths[number + 1][0].picture, truths[number][0].picture)
    return step(rendered[number + 1], rendered[number]) < STILL_SHARE * due


def _luma(picture: Tensor) -> Tensor:
    return luma(picture[None])[0, 0]


# --- tables ------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stills", type=Path, help="folder of photographs")
    parser.add_argument("--fonts", type=Path, nargs="+", default=FONT_FOLDERS, help="folders of fonts")
    parser.add_argument("--weights", nargs="+", default=["videoinr-fast"], help="names or files")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of scenes to measure")
    parser.add_argument("--times", type=int, default=1, help="with how many photographs each")
    parser.add_argument("--pictures", type=Path, help="folder for one frame between of each scene")
    parser.add_argument("--write", type=Path, nargs="*", default=[], help="Markdown files to update")
    arguments = parser.parse_args()

    photographs = sights.photographs_in(arguments.stills)
    fonts = sights.fonts_in(folder for folder in arguments.fonts if folder.is_dir())
    if not photographs or not fonts:
        parser.error("there are no photographs, or no fonts, among those that are held out")
    models, described = models_of(arguments.weights)
    methods = [
        *(by_model(model.name, model.model) for model in models),
        by_baseline("bicubic+blend", "blend"),
        by_baseline("minterpolate+bicubic", "minterpolate"),
    ]
    rows = []
    for name, scene in SCENES.items():
        if any(part in name for part in arguments.only):
            pictures = None if arguments.pictures is None else arguments.pictures / name
            all_props = props_of(name, photographs, fonts, arguments.times)
            found = [measure(scene, props, methods, pictures) for props in all_props]
            rows.append((name, [_mean(results) for results in zip(*found, strict=True)]))
            print(f"{name}:", *map(_decibels, rows[-1][1]), sep="   ", file=sys.stderr)
    table = f"{described}:\n\n{table_of(rows, [method.name for method in methods])}"
    print(table)
    for path in arguments.write:
        write_tables(path, {"scenes": table})


def props_of(name: str, photographs: Sequence[Path], fonts: Sequence[Path], times: int) -> Iterator[Props]:
    """Choose what a scene is made of: the same whichever other scenes are measured."""
    place = list(SCENES).index(name)
    for time in range(times):
        first = (place + 7 * time) * 2
        chosen = [photographs[number % len(photographs)] for number in (first, first + 1)]
        yield Props(
            tuple(sights.photograph(path) for path in chosen), fonts[(place + time) % len(fonts)], place
        )


def _mean(results: Sequence[Measured]) -> Measured:
    values = zip(*(dataclasses.astuple(result) for result in results), strict=True)
    return Measured(*(fmean(value) for value in values))


def table_of(rows: Sequence[tuple[str, Sequence[Measured]]], names: Sequence[str]) -> str:
    """Return the table in Markdown: PSNR of every method, then what is asked of the models alone."""
    models = names[:-2]
    heads = [
        "scene",
        *(f"{name}, dB" for name in names),
        *(f"{part}{_of(name, models)}" for part in ("flicker", "detail", "standstills") for name in models),
    ]
    table = [heads]
    for name, results in rows:
        cells = [_decibels(result) for result in results]
        flickers = [_pair(result.flicker, result.worst_flicker) for result in results[:-2]]
        details = [_percent(result.detail) for result in results[:-2]]
        standstills = [_percent(result.standstills) for result in results[:-2]]
        table.append([name, *cells, *flickers, *details, *standstills])
    return markdown(table)


def _of(name: str, models: Sequence[str]) -> str:
    return "" if len(models) == 1 else f", {name}"


def _decibels(result: Measured) -> str:
    inside = f"{result.region:.1f}"
    return inside if math.isnan(result.elsewhere) else f"{inside} / {result.elsewhere:.1f}"


def _pair(mean: float, worst: float) -> str:
    return "" if math.isnan(mean) else f"{mean:.2f} / {worst:.1f}"


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.0f} %"


if __name__ == "__main__":
    main()
