"""Render examples/clip.mp4: an evening at a lake, procedural from the first pixel to the last note.

Three seconds of what upscalers find hard: parallax, foliage, bricks, lettering, turning lattice, ripples.
Everything is drawn at four times the size and averaged down, so the clip is sampled as a camera would sample
it. Needs numpy and PyAV only:

    python examples/make_clip.py examples/clip.mp4
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, RATE, SECONDS = 320, 180, 24, 3
SUPERSAMPLING = 4
W, H = WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING  # the size at which everything is drawn
MARGIN = 1024  # how far the camera may travel along a layer, in drawn pixels
SHORE, MEADOW = 380, 520  # rows where the lake and the near meadow begin
AUDIO_RATE = 48_000

Array = NDArray[np.float32]
rng = np.random.default_rng(2022)


# --- Building blocks -------------------------------------------------------------------------------------


def noise(height: int, width: int, slope: float, stretch: float = 1.0, cell_px: float = 512.0) -> Array:
    """Return periodic noise with a 1/f^slope spectrum, mean 0 and deviation 1.

    Args:
        stretch: how much longer its features are along x than along y.
        cell_px: size of the largest features.
    """
    fy = np.fft.fftfreq(height)[:, None]
    fx = np.fft.rfftfreq(width)[None, :] * stretch
    frequency = np.maximum(np.hypot(fx, fy), 1.0 / cell_px)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) * frequency**-slope
    field = np.fft.irfft2(spectrum, s=(height, width))
    field -= field.mean()
    return np.asarray(field / field.std(), np.float32)


def ridge(width: int, slope: float, cell_px: float) -> Array:
    """Return a periodic skyline of mean 0 and deviation 1."""
    line = noise(1, width, slope, cell_px=cell_px)
    return line[0]


def ramp(x: Array, low: float, high: float) -> Array:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    x = np.clip((x - low) / (high - low), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def colour(*rgb: float) -> Array:
    return np.array(rgb, np.float32)


def mix(a: Array, b: Array, weight: Array) -> Array:
    """Blend colours by a weight per pixel."""
    weight = weight[..., None]
    return a * (1.0 - weight) + b * weight


def slope_light(relief: Array) -> Array:
    """Light a height field from the low sun on the left: about 0.5, brighter on slopes that face it."""
    return np.clip(0.5 + 0.5 * np.gradient(relief, axis=1) + 0.25 * np.gradient(relief, axis=0), 0.0, 1.3)


class Layer:
    """A strip of scenery wider than the picture, past which the camera travels."""

    def __init__(self, rgb: Array, alpha: Array, top: int) -> None:
        self.pixels = np.concatenate([rgb, alpha[..., None]], axis=-1)
        self.top = top

    def draw(self, canvas: Array, x: float) -> None:
        """Paint the layer over the canvas, its column `x` at the left edge; between columns it is linear."""
        column, fraction = int(x), np.float32(x - int(x))
        left = self.pixels[:, column : column + W]
        strip = left + fraction * (self.pixels[:, column + 1 : column + 1 + W] - left)
        paint(canvas[self.top : self.top + len(strip)], strip[..., :3], strip[..., 3])


def paint(canvas: Array, rgb: Array, alpha: Array) -> None:
    canvas += alpha[..., None] * (rgb - canvas)


# --- Far scenery -----------------------------------------------------------------------------------------

SUN = (330.0, 318.0)  # column and row


def make_sky() -> Array:
    """Return the cloudless sky with the sun's glow."""
    y, x = np.mgrid[0:H, 0:W].astype(np.float32)
    sky = mix(colour(0.16, 0.30, 0.58), colour(0.62, 0.69, 0.80), ramp(y, -60, 260))
    sky = mix(sky, colour(1.00, 0.78, 0.50), 0.85 * ramp(y, 160, 400))
    distance = np.hypot(x - SUN[0], 1.25 * (y - SUN[1]))
    glow = np.exp(-distance / 190.0)[..., None]
    disc = ramp(distance, 34, 30)[..., None]
    return sky + glow * colour(0.42, 0.26, 0.06) + disc * colour(0.3, 0.3, 0.25)


def make_clouds() -> Layer:
    """Cumulus flattened by perspective towards the horizon, lit from below by the low sun."""
    height, width = 360, W + MARGIN
    shape = noise(height, width, 1.7, stretch=2.7, cell_px=150)
    density = ramp(shape, 0.1, 2.1)
    lit = np.clip(0.62 + 1.4 * (density - np.roll(density, (-7, 10), axis=(0, 1))), 0.0, 1.0)
    fade = ramp(np.linspace(0, 1, height, dtype=np.float32), 1.0, 0.6)[:, None]
    rgb = mix(colour(0.50, 0.46, 0.58), colour(1.0, 0.90, 0.78), lit)
    return Layer(rgb, density * fade * 0.95, 0)


def make_mountains() -> Layer:
    """A snowy range in evening haze."""
    height, width = SHORE, W + MARGIN
    y = np.arange(height, dtype=np.float32)[:, None]
    crest = 235 - 46 * ridge(width, 1.35, 700)
    relief = noise(height, width, 2.3, stretch=0.8, cell_px=160)
    crags = 1.0 - np.abs(noise(height, width, 1.9, stretch=0.6, cell_px=90))  # ridged: creases become edges
    light = slope_light(22 * relief + 7 * crags)
    rock = mix(colour(0.24, 0.23, 0.36), colour(0.78, 0.58, 0.50), light)
    snow = mix(colour(0.50, 0.52, 0.70), colour(1.0, 0.93, 0.86), light)
    altitude = y - crest
    rgb = mix(snow, rock, ramp(altitude + 26 * relief, 12, 62))
    haze = 0.25 + 0.55 * ramp(y, 220, 385) + np.zeros_like(altitude)
    return Layer(mix(rgb, colour(0.93, 0.76, 0.63), haze), ramp(altitude, -1.5, 1.5), 0)


def make_forest() -> Layer:
    """Conifers on the far shore, one jagged triangle each."""
    height, width = 90, W + MARGIN
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    inside = np.zeros((height, width), np.float32)
    shade = np.zeros((height, width), np.float32)
    hills = 14 * ridge(width, 1.2, 400)
    for centre in np.sort(rng.uniform(0, width, 420)):
        left, right = max(0, int(centre) - 24), min(width, int(centre) + 25)
        base = 90.0
        tall = rng.uniform(26, 56) + hills[min(int(centre), width - 1)]
        rows, columns = y[:, left:right], x[:, left:right]
        depth = (rows - (base - tall)) / tall  # 0 at the tip, 1 at the foot
        half = tall * 0.21 * (depth + 0.16 * (depth * 7 % 1.0))  # boughs
        tree = ramp(half - np.abs(columns - centre), -0.7, 0.7) * (depth > 0)
        inside[:, left:right] = np.maximum(inside[:, left:right], tree)
        tone = rng.uniform(0.1, 0.6) + 0.5 * (columns < centre)
        shade[:, left:right] += tree * (tone - shade[:, left:right])
    needles = 0.16 * noise(height, width, 0.6, cell_px=20)
    rgb = mix(colour(0.09, 0.15, 0.16), colour(0.42, 0.40, 0.22), np.clip(shade * 0.6 + needles, 0, 1))
    foot = ramp(y, 62, 92) * 0.35
    return Layer(mix(rgb, colour(0.80, 0.66, 0.55), foot), inside, SHORE - 88)


# --- Balloon and lake ------------------------------------------------------------------------------------


def draw_balloon(canvas: Array, x: float, y: float, turn: float) -> None:
    """Paint a striped hot-air balloon of 62 px radius whose envelope has turned by `turn` radians."""
    radius = 62.0
    top, left = int(y - radius - 4), int(x - radius - 4)
    rows, columns = np.mgrid[top : top + 200, left : left + 134].astype(np.float32)
    v = (rows - y) / radius
    taper = np.maximum(1.0 - 0.36 * np.maximum(v, 0) ** 2, 0.1)  # an envelope narrows towards its mouth
    u = (columns - x) / (radius * taper)
    inside = ramp(1.0 - np.hypot(u, np.where(v > 0, v / 1.22, v)), -0.012, 0.012)
    across = np.clip(u / np.sqrt(np.maximum(1.0 - np.clip(v, -1, 1) ** 2 * 0.7, 0.05)), -1, 1)
    gore = (np.arcsin(across) + turn) * 12 / np.pi
    stripe = ramp(np.abs(gore % 2 - 1), 0.44, 0.56)
    rgb = mix(colour(0.80, 0.16, 0.12), colour(0.97, 0.86, 0.62), stripe)
    band = ramp(np.abs(v - 0.12), 0.16, 0.14)
    checks = ((gore * 2 % 2 < 1) ^ (v * 12 % 2 < 1)).astype(np.float32)
    rgb = mix(rgb, mix(colour(0.10, 0.20, 0.42), colour(0.92, 0.72, 0.22), checks), band)
    seam = ramp(np.abs(gore % 1 - 0.5), 0.44, 0.5)
    light = 0.70 - 0.42 * u - 0.12 * v - 0.15 * seam
    patch = canvas[top : top + 200, left : left + 134]
    paint(patch, rgb * (0.30 + np.clip(light, 0.1, 1.1))[..., None], inside)
    ropes = ramp(np.abs(np.abs(columns - x) - np.interp(rows, [y + 70, y + 100], [20, 9])), 1.6, 0.6)
    paint(patch, colour(0.25, 0.18, 0.14), ropes * ((rows > y + 68) & (rows < y + 100)))
    weave = 0.8 + 0.2 * ((rows // 3 + columns // 4) % 2)
    basket = ramp(np.abs(columns - x), 11.5, 10.5) * ramp(np.abs(rows - y - 107), 8.5, 7.5)
    paint(patch, colour(0.42, 0.26, 0.13) * weave[..., None], basket)


def draw_lake(canvas: Array, waves: tuple[Array, Array], x: float, time_seconds: float) -> None:
    """Mirror what stands above the shore in water whose ripples run towards the camera."""
    depth = np.arange(MEADOW + 40 - SHORE, dtype=np.float32)[:, None]
    perspective = 90.0 / (depth + 14.0)  # ripples are closer together far away
    along = (np.arange(W, dtype=np.float32)[None, :] + x) / (1.0 + 0.25 * depth / 20)

    def sample(wave: Array, speed: float) -> Array:
        y = perspective * 46 + np.float32(time_seconds * speed)
        row, column = np.floor(y).astype(int), np.floor(along).astype(int)
        fy, fx = y - row, along - column

        def at(dy: int, dx: int) -> Array:
            return np.asarray(wave[(row + dy) % wave.shape[0], (column + dx) % wave.shape[1]])

        return (at(0, 0) * (1 - fx) + at(0, 1) * fx) * (1 - fy) + (at(1, 0) * (1 - fx) + at(1, 1) * fx) * fy

    ripple = sample(waves[0], 34.0) + 0.7 * sample(waves[1], -21.0)
    strength = 2.0 + 0.10 * depth
    rows = np.clip(SHORE - 1 - depth * 1.25 - ripple * strength, 0, SHORE - 1).astype(int)
    columns = np.clip(np.arange(W)[None, :] + ripple * strength * 0.6, 0, W - 1).astype(int)
    mirrored = canvas[rows, columns]
    tint = np.broadcast_to(0.22 + 0.0022 * depth, ripple.shape)
    water = mix(mirrored, colour(0.10, 0.20, 0.30), tint)
    path = np.exp(-np.abs(np.arange(W, dtype=np.float32)[None, :] - SUN[0]) / (50 + 0.7 * depth))
    glitter = ramp(ripple, 0.9, 2.0) * path + 0.12 * ramp(ripple, 1.1, 2.2)
    canvas[SHORE : SHORE + len(depth)] = water + glitter[..., None] * colour(0.85, 0.62, 0.36)


# --- Near scenery ----------------------------------------------------------------------------------------

MILL_X, MILL_BASE, MILL_HUB_Y = 1240.0, 575.0, 236.0  # in the meadow layer's columns; rows of the picture


def make_meadow() -> Layer:
    """A flowering meadow that rises to the right, with the tower of the windmill on it."""
    top, width = 130, W + MARGIN
    height = H - top
    y, x = np.mgrid[top:H, 0:width].astype(np.float32)
    edge = MEADOW + 26 - 34 * ramp(x, 500, 1500) + 5 * ridge(width, 1.1, 200)[None, :]
    depth = np.maximum(y - edge, 0.0)
    blades = noise(height, width, 0.55, stretch=0.30, cell_px=24)
    patches = noise(height, width, 1.6, stretch=2.2, cell_px=220)
    light = np.clip(0.48 + 0.20 * blades + 0.16 * patches, 0, 1)
    rgb = mix(colour(0.13, 0.20, 0.07), colour(0.66, 0.64, 0.26), light)
    rgb = mix(rgb, colour(0.86, 0.70, 0.36), 0.5 * ramp(depth, 26, 0))
    scatter_flowers(rgb, edge[0] - top)
    alpha = ramp(y - edge + 4 * blades, -1.0, 2.0)
    draw_tower(rgb, alpha, x, y)
    return Layer(rgb, alpha, top)


def scatter_flowers(rgb: Array, edge: Array) -> None:
    """Dot the meadow with poppies, daisies and buttercups that grow towards the camera."""
    palette = [
        colour(0.90, 0.18, 0.10),
        colour(0.98, 0.95, 0.90),
        colour(1.0, 0.82, 0.16),
        colour(0.62, 0.44, 0.84),
    ]
    height, width = rgb.shape[:2]
    for _ in range(2600):
        x = int(rng.uniform(8, width - 8))
        y = int(edge[x] + 6 + (height - edge[x] - 14) * rng.uniform() ** 1.3)
        size = 1.2 + 4.2 * (y - edge[x]) / (height - edge[x])
        rows, columns = np.mgrid[-6:7, -6:7].astype(np.float32)
        angle = np.arctan2(rows, columns)
        radius = np.hypot(rows * 1.35, columns) / size
        petals = ramp(radius, 1.0 + 0.3 * np.cos(5 * angle), 0.6)
        patch = rgb[y - 6 : y + 7, x - 6 : x + 7]
        if patch.shape[:2] == petals.shape:
            tone = palette[rng.integers(len(palette))] * rng.uniform(0.75, 1.05)
            paint(patch, tone, petals)
            paint(patch, colour(0.30, 0.20, 0.05), ramp(radius, 0.42, 0.25))


def draw_tower(rgb: Array, alpha: Array, x: Array, y: Array) -> None:
    """Build a tapered round tower of bricks, with windows, a door and a shingled cap."""
    half = 50.0 + (y - MILL_HUB_Y) * 0.115
    u = (x - MILL_X) / half
    around = np.arcsin(np.clip(u, -1, 1)) * 62.0  # unrolled: bricks narrow towards the sides
    course = np.floor(y / 11.0)
    brick = np.floor((around + 12.0 * (course % 2)) / 24.0)
    mortar = np.maximum(ramp(y % 11.0, 2.4, 0.8), ramp((around + 12.0 * (course % 2)) % 24.0, 2.4, 0.8))
    tone = np.modf(np.abs(np.sin(brick * 12.9898 + course * 78.233)) * 43758.5453)[0].astype(np.float32)
    grain = 0.06 * noise(*x.shape, 0.5, cell_px=12)
    bricks = mix(colour(0.46, 0.20, 0.13), colour(0.78, 0.44, 0.28), np.clip(tone + grain, 0, 1))
    wall = mix(bricks, colour(0.76, 0.70, 0.60), mortar * 0.8)
    for centre, tall, wide in ((330.0, 22.0, 12.0), (440.0, 26.0, 14.0), (556.0, 46.0, 22.0)):
        opening = ramp(np.abs(x - MILL_X + 6), wide + 4, wide + 3) * ramp(
            np.abs(y - centre), tall + 4, tall + 3
        )
        pane = ramp(np.abs(x - MILL_X + 6), wide, wide - 1) * ramp(np.abs(y - centre), tall, tall - 1)
        bars = np.maximum(
            ramp(np.abs(x - MILL_X + 6), 1.8, 0.8), ramp(np.abs((y - centre) % 16 - 8), 1.8, 0.8)
        )
        wall = mix(wall, colour(0.93, 0.89, 0.80), opening)
        wall = mix(wall, mix(colour(0.13, 0.16, 0.22), colour(0.93, 0.89, 0.80), bars), pane)
    shading = (1.02 - 0.30 * u - 0.45 * u * u)[..., None]
    body = (
        ramp(1.0 - np.abs(u), -0.01, 0.01)
        * ramp(y, MILL_HUB_Y - 1, MILL_HUB_Y + 1)
        * ramp(y, MILL_BASE + 1, MILL_BASE - 1)
    )
    paint(rgb, wall * shading, body)
    rise = np.clip((MILL_HUB_Y + 8 - y) / 62.0, 0, 1)
    cap_half = 60.0 * np.sqrt(np.maximum(1.0 - rise**1.6, 0.0))
    shingle = 0.75 + 0.25 * ramp((x + 9 * (y // 8 % 2)) % 18, 1, 4) * ramp(y % 8, 0.5, 3)
    cap = ramp(cap_half - np.abs(x - MILL_X), -1, 1) * ramp(y, MILL_HUB_Y + 9, MILL_HUB_Y + 7)
    cap *= ramp(y, MILL_HUB_Y - 54.5, MILL_HUB_Y - 53)
    tint = colour(0.30, 0.27, 0.30) * (1.15 - 0.35 * (x - MILL_X) / 60.0)[..., None]
    paint(rgb, tint * shingle[..., None], cap)
    np.maximum(alpha, np.maximum(body, cap), out=alpha)


def draw_sails(canvas: Array, x: float, y: float, angle: float) -> None:
    """Paint four lattice sails of 205 px around their hub."""
    reach = 212
    top, left = int(y) - reach, int(x) - reach
    bottom, right = min(H, top + 2 * reach), min(W, left + 2 * reach)
    top, left = max(0, top), max(0, left)
    if right <= left:
        return
    rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
    patch = canvas[top:bottom, left:right]
    for quarter in range(4):
        turn = angle + quarter * np.pi / 2
        along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
        side = (rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)
        spar = ramp(np.abs(side), 4.2, 3.2) * ramp(along, -1, 1) * ramp(along, 205, 203)
        frame = ramp(np.abs(side - 19), 19.5, 18.5) * ramp(np.abs(along - 124), 80, 79)
        slats = np.maximum(
            ramp(np.abs(along % 15 - 7.5), 2.3, 1.3), ramp(np.abs(side % 12.6 - 1.2), 2.2, 1.2)
        )
        cloth = 0.42 * ramp(np.abs(along - 124), 79, 78) * ramp(np.abs(side - 26), 12, 11)
        paint(patch, colour(0.93, 0.86, 0.74), frame * cloth)
        paint(patch, colour(0.36, 0.24, 0.16), frame * slats)
        paint(patch, colour(0.27, 0.17, 0.11), spar)
    paint(patch, colour(0.20, 0.14, 0.12), ramp(np.hypot(columns - x, rows - y), 11, 9.5))


# --- Foreground ------------------------------------------------------------------------------------------

GLYPHS = {
    "A": "0110 1001 1001 1111 1001 1001 1001", "D": "1110 1001 1001 1001 1001 1001 1110",
    "E": "1111 1000 1000 1110 1000 1000 1111", "H": "1001 1001 1001 1111 1001 1001 1001",
    "I": "111 010 010 010 010 010 111", "K": "1001 1001 1010 1100 1010 1001 1001",
    "L": "1000 1000 1000 1000 1000 1000 1111", "M": "10001 11011 10101 10101 10001 10001 10001",
    "N": "10001 11001 10101 10101 10011 10001 10001", "O": "0110 1001 1001 1001 1001 1001 0110",
    "R": "1110 1001 1001 1110 1010 1001 1001", "T": "11111 00100 00100 00100 00100 00100 00100",
    "V": "10001 10001 10001 10001 01010 01010 00100", "2": "0110 1001 0001 0010 0100 1000 1111",
    "3": "1110 0001 0001 0110 0001 0001 1110",
    "5": "1111 1000 1110 0001 0001 1001 0110",
    ".": "0 0 0 0 0 0 1", " ": "00 00 00 00 00 00 00", ">": "00000 00100 00010 11111 00010 00100 00000",
}  # fmt: skip
"""Seven rows a letter, of our own drawing."""


def lettering(text: str, dot_px: int) -> Array:
    """Return the coverage of a line of text, `dot_px` for each dot of a letter."""
    rows: list[list[int]] = [[] for _ in range(7)]
    for letter in text:
        for row, dots in zip(rows, GLYPHS[letter].split(), strict=True):
            row += [int(dot) for dot in dots] + [0]
    return np.kron(np.array(rows, np.float32), np.ones((dot_px, dot_px), np.float32))


def make_foreground() -> Layer:
    """A fence and a signpost close to the camera."""
    top, width = 330, W + MARGIN + 400
    y, x = np.mgrid[top:H, 0:width].astype(np.float32)
    grain = noise(H - top, width, 0.8, stretch=6.0, cell_px=60)
    timber = mix(colour(0.30, 0.20, 0.13), colour(0.66, 0.50, 0.34), np.clip(0.5 + 0.28 * grain, 0, 1))
    wood = timber.copy()
    alpha = np.zeros_like(x)

    def plank(left: float, right: float, upper: float, lower: float) -> None:
        inside = ramp(x, left - 1, left + 1) * ramp(x, right + 1, right - 1)
        inside = inside * ramp(y, upper - 1, upper + 1) * ramp(y, lower + 1, lower - 1)
        rim = np.minimum(np.minimum(x - left, right - x), np.minimum(y - upper, lower - y))
        paint(wood, timber * (1.0 - 0.55 * ramp(rim, 5, 1))[..., None], inside)
        np.maximum(alpha, inside, out=alpha)

    for row in (584.0, 636.0):
        plank(-10.0, 330.0, row, row + 20)
        plank(930.0, width + 10.0, row, row + 20)
    for column in (
        40.0,
        180.0,
        318.0,
        930.0,
        1080.0,
        1230.0,
        1380.0,
        1530.0,
        1680.0,
        1830.0,
        1980.0,
        2130.0,
        2280.0,
    ):
        plank(column, column + 24, 556.0, 740.0)
    plank(566.0, 592.0, 410.0, 740.0)
    for upper, text in ((424.0, "OLD MILL 3.5 >"), (496.0, "LAKE TRAIL 2 >")):
        plank(430.0, 728.0, upper, upper + 56)
        letters = lettering(text, 4)
        row, column = int(upper) - top + 14, 579 - letters.shape[1] // 2
        patch = wood[row : row + letters.shape[0], column : column + letters.shape[1]]
        paint(patch, colour(0.97, 0.93, 0.82), letters)
    return Layer(wood, alpha, top)


class Grass:
    """Tall blades at the bottom edge, each bending in the wind by its own phase."""

    def __init__(self, count: int) -> None:
        order = np.argsort(rng.uniform(size=count))
        self.root = rng.uniform(-40, W + MARGIN + 440, count)[order]
        self.height = rng.uniform(50, 150, count)
        self.lean = rng.uniform(-18, 30, count)
        self.phase = self.root / 170.0 + rng.uniform(0, 0.9, count)
        tone = rng.uniform(0, 1, (count, 1)).astype(np.float32)
        self.tone = colour(0.10, 0.17, 0.05) * (1 - tone) + colour(0.56, 0.56, 0.20) * tone

    def draw(self, canvas: Array, x: float, time_seconds: float) -> None:
        sway = 13 * np.sin(2.4 * time_seconds - self.phase) + 5 * np.sin(
            5.3 * time_seconds - 1.7 * self.phase
        )
        for root, tall, lean, bend, tone in zip(
            self.root - x, self.height, self.lean, sway, self.tone, strict=True
        ):
            if not -60 < root < W + 60:
                continue
            rows = np.arange(int(H - tall), H)
            up = (H - rows) / tall
            centre = root + (lean + bend) * up * up
            half = 3.4 * (1.0 - up) + 0.5
            offsets = np.arange(-5, 6)
            columns = centre.astype(int)[:, None] + offsets
            cover = np.clip(half[:, None] - np.abs(columns - centre[:, None]) + 0.5, 0, 1)
            cover = (cover * ((columns >= 0) & (columns < W))).astype(np.float32)
            index = (rows[:, None], np.clip(columns, 0, W - 1))
            light = (0.55 + 0.75 * up[:, None, None]).astype(np.float32)
            canvas[index] += cover[..., None] * (tone * light - canvas[index])


# --- Film ------------------------------------------------------------------------------------------------


def frames() -> Iterator[NDArray[np.uint8]]:
    """Yield the clip's frames, (HEIGHT, WIDTH, 3) RGB."""
    sky, clouds, mountains, forest = make_sky(), make_clouds(), make_mountains(), make_forest()
    waves = (noise(256, 2048, 1.1, stretch=9.0, cell_px=40), noise(256, 2048, 0.9, stretch=6.0, cell_px=24))
    meadow, foreground, grass = make_meadow(), make_foreground(), Grass(1900)
    for index in range(RATE * SECONDS):
        time_seconds = index / RATE
        camera = 96.0 * time_seconds + 26.0 * (1 - np.cos(1.4 * time_seconds))  # a pan by hand, not by motor
        canvas = sky.copy()
        clouds.draw(canvas, 40 + 9 * time_seconds + 0.12 * camera)
        mountains.draw(canvas, 300 + 0.25 * camera)
        draw_balloon(
            canvas, 640 - 0.32 * camera + 14 * time_seconds, 150 - 11 * time_seconds, 0.55 * time_seconds
        )
        forest.draw(canvas, 100 + 0.6 * camera)
        draw_lake(canvas, waves, 0.8 * camera, time_seconds)
        meadow.draw(canvas, 240 + 1.5 * camera)
        draw_sails(canvas, MILL_X - 240 - 1.5 * camera, MILL_HUB_Y + 2, 0.35 + 1.25 * time_seconds)
        foreground.draw(canvas, 2.6 * camera)
        grass.draw(canvas, 2.9 * camera, time_seconds)
        yield reduce(canvas)


def reduce(canvas: Array) -> NDArray[np.uint8]:
    """Average blocks of the drawn canvas down to the clip's size."""
    blocks = np.clip(canvas, 0, 1).reshape(HEIGHT, SUPERSAMPLING, WIDTH, SUPERSAMPLING, 3)
    return np.asarray(np.rint(blocks.mean(axis=(1, 3)) * 255), np.uint8)


def sound() -> NDArray[np.float32]:
    """Return the stereo sound track, (2, samples): wind in the grass, two birds, a slow plucked chord."""
    count = AUDIO_RATE * SECONDS
    t = np.arange(count) / AUDIO_RATE
    track = np.zeros((2, count))
    for channel in range(2):
        wind = noise(1, count, 0.9, cell_px=200)[0]
        track[channel] += 0.035 * wind * (1.0 + 0.5 * np.sin(1.9 * t + channel))
    for start, base, pan in (
        (0.35, 3100, 0.2),
        (0.62, 3400, 0.2),
        (1.55, 2500, 0.8),
        (1.72, 2700, 0.8),
        (2.3, 3300, 0.3),
    ):
        age = np.clip(t - start, 0, 0.16)
        chirp = np.sin(2 * np.pi * (base * age + 420 * np.sin(2 * np.pi * 17 * age) / 17))
        chirp *= np.sin(np.pi * age / 0.16) ** 2 * 0.09
        track += np.array([[1 - pan], [pan]]) * chirp
    for start, pitch in (
        (0.0, 220.0),
        (0.5, 277.18),
        (1.0, 329.63),
        (1.5, 440.0),
        (2.0, 369.99),
        (2.5, 329.63),
    ):
        age = np.maximum(t - start, 0)
        pluck = sum(
            np.sin(2 * np.pi * pitch * k * age) * np.exp(-age * (2.2 + 1.5 * k)) / k for k in (1, 2, 3, 4)
        )
        track += 0.10 * pluck * (t >= start) * np.minimum(age / 0.004, 1)
    fade = np.minimum(1, np.minimum(t / 0.05, (SECONDS - t) / 0.25))
    return np.asarray(np.clip(track * fade, -1, 1), np.float32)


def write(path: str) -> None:
    with av.open(path, "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryslow"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.time_base = Fraction(1, RATE)
        context = video.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = (
            1,
            1,
            1,
            1,
        )  # BT.709
        audio = container.add_stream("aac", rate=AUDIO_RATE, options={"b": "96k"})
        audio.layout = "stereo"
        for index, rgb in enumerate(frames()):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        samples = av.AudioFrame.from_ndarray(sound(), format="fltp", layout="stereo")
        samples.sample_rate, samples.pts, samples.time_base = AUDIO_RATE, 0, Fraction(1, AUDIO_RATE)
        container.mux(audio.encode(samples))
        container.mux(audio.encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", help="the clip to write, such as clip.mp4")
    write(parser.parse_args().output)
