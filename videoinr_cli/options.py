"""All options with their defaults and limits, as frozen records that refuse values that make no sense.

They are the same for the command line and for Python.
"""

from __future__ import annotations

import dataclasses
import decimal
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from videoinr_cli.errors import OptionError

DEFAULT_SCALE = 2.0
"""Default enlargement. The papers' networks are measured at 4, which is four times as many pixels."""

MAX_SIDE_PX = 16384
"""Longest side of the output: the limit of H.264 and HEVC encoders."""

MAX_FPS = 1000
"""Highest output rate: above it, the milliseconds of common containers can no longer tell frames apart."""

MAX_CRF = 63
"""Largest constant rate factor of any codec (AV1 and VP9; x264 and x265 end at 51)."""

DEFAULT_CRF = 18
"""Default constant rate factor: nearly transparent with x264."""

RATE_OPTIONS = frozenset({"b", "global_quality", "q", "qp", "qscale"})
"""ffmpeg's options, without their stream specifier, that set a rate or a quality in another way."""

FACTOR_OPTIONS = frozenset({"crf", "cq"})
"""ffmpeg's names of the rate factor, which depend on the encoder."""

MAX_PREVIEW_SECONDS = 60
"""Longest clip of a preview."""

DEFAULT_SCENE_THRESHOLD = 0.65
"""Share of a picture's structure that its neighbour must lack to count as a cut; see `scenes.cut_score`."""

MAX_THREADS = 1024
"""Most threads of a network on a CPU."""

MIN_SEGMENT_SECONDS = 0.1
"""Shortest segment of a video, but for 0, which means none."""

MAX_WORKERS = 256
"""Most worker processes for one video."""

DEFAULT_WEIGHTS = "videoinr-fast"
"""The embedded model."""

MODELS = {
    "clean": "videoinr-fast",
    "real": "videoinr-real",
    "vivid": "videoinr-vivid",
    "large": "videoinr-large",
}
"""Models by purpose: clean footage; footage degraded by compression, noise or resizing, kept as it is or made
crisp; and clean footage at its best, in several times the time."""

MODEL_NAMES = {**MODELS, "fast": DEFAULT_WEIGHTS}
"""What ``--model`` takes besides names of weights, and files."""

FAITHFUL = {"videoinr-vivid": "videoinr-real"}
"""Weights that are mixed with more faithful ones, and those. The former are trained on from the latter, so
what lies between their weights is a network too."""

DEFAULT_STRENGTH = 0.5
"""Share of the former in such a mixture."""

AUTO_MODEL = "auto"
"""What ``--model`` takes for the embedded model that suits a source."""


def weights_named(model: str) -> str:
    """Return the name, or the path, of the weights that ``--model`` means."""
    return MODEL_NAMES.get(model, model)


def model_name(weights: str) -> str:
    """Return what people call a model: its name in `MODELS`, or else that of its file."""
    names = {file: name for name, file in MODELS.items()}
    file = weights_named(weights)
    return names.get(file) or Path(file).stem


DEFAULT_STEADINESS = 1.0
"""How much of what a single-image model makes of neighbouring frames is averaged."""

CODECS = {
    **dict.fromkeys(("h264", "h.264", "x264", "avc"), "libx264"),
    **dict.fromkeys(("h265", "h.265", "x265", "hevc"), "libx265"),
    "av1": "libsvtav1",
    "vp8": "libvpx",
    "vp9": "libvpx-vp9",
}
"""ffmpeg's encoders by the names that codecs are known by."""

FRAME_SIZES = {
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
    "4320p": (7680, 4320),
    "hd": (1280, 720),
    **dict.fromkeys(("fullhd", "fhd"), (1920, 1080)),
    **dict.fromkeys(("4k", "uhd"), (3840, 2160)),
    "8k": (7680, 4320),
}
"""(width, height) in pixels of frames that have a name."""

ARCHITECTURES = ("videoinr", "videoinr-fast")
"""Architectures that can be trained: the published one, and the small one of the embedded weights."""

MIN_TILE_PX = 32
"""Smallest tile: below it, most of the encoded pixels are context around the tile."""

Precision = Literal["auto", "fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

NORMAL_SPEED = Fraction(1)

MAX_SPEED = 100
"""Greatest change of speed, either way; beyond it, sound is unusable."""

ClusterFiles = Literal["auto", "shared", "send"]
CLUSTER_FILES: tuple[ClusterFiles, ...] = get_args(ClusterFiles)

ClusterCode = Literal["own", "send"]
CLUSTER_CODE: tuple[ClusterCode, ...] = get_args(ClusterCode)

Audio = Literal["keep", "drop"]
AUDIO: tuple[Audio, ...] = get_args(Audio)

Bars = Literal["black", "blur"]
BARS: tuple[Bars, ...] = get_args(Bars)

Deinterlace = Literal["auto", "on", "off"]
DEINTERLACE: tuple[Deinterlace, ...] = get_args(Deinterlace)

Dedupe = Literal["auto", "on", "off"]
DEDUPE: tuple[Dedupe, ...] = get_args(Dedupe)


@dataclasses.dataclass(frozen=True)
class TargetRate:
    """An output frame rate: frames per second, or a multiple of the source's rate.

    Raises:
        OptionError: the value is not above 0, or above `MAX_FPS` frames per second.
    """

    value: Fraction
    relative: bool = False  # True: `value` times the source's rate

    def __post_init__(self) -> None:
        if self.value <= 0:
            raise OptionError(f"frame rate {self} is not above 0; try --fps 60 or --fps 2x")
        if not self.relative and self.value > MAX_FPS:
            raise OptionError(f"frame rate {self} is above {MAX_FPS} frames per second; try a lower --fps")

    def __str__(self) -> str:
        return f"{float(self.value):g}x" if self.relative else str(self.value)

    @classmethod
    def parse(cls, text: str) -> TargetRate:
        """Read ``60``, ``60000/1001``, ``59.94`` (meaning 60000/1001) or ``2x``.

        Raises:
            OptionError: the text is none of these, or its value is out of range.
        """
        match = re.fullmatch(r"\s*(?P<number>-?\d*\.?\d+|-?\d+\.|-?\d+/\d+)\s*(?P<relative>[xX]?)\s*", text)
        if match is None:
            raise OptionError(f"frame rate {text!r} is not a number; try --fps 60, 60000/1001, 59.94 or 2x")
        number, relative = match["number"], bool(match["relative"])
        try:
            value = Fraction(number)
        except ZeroDivisionError:
            raise OptionError(f"frame rate {text!r} divides by 0; try --fps 60000/1001") from None
        return cls(value if relative else _ntsc_rate(number) or value, relative)

    def of(self, source: Fraction) -> Fraction:
        """Return the rate in frames per second, for a source of the rate `source`.

        Raises:
            OptionError: a multiple comes out above `MAX_FPS`.
        """
        if not self.relative:
            return self.value
        rate = self.value * source
        if rate > MAX_FPS:
            raise OptionError(
                f"{self} of the source's {float(source):g} frames per second is above {MAX_FPS}; "
                "try a lower --fps"
            )
        return rate


def _ntsc_rate(number: str) -> Fraction | None:
    """Return n * 1000/1001 if `number` is that rate rounded to the decimals written (two or more), else None.

    Only for rates in use, where n is a multiple of 15 or 24; 10.99 stays 10.99.
    """
    try:
        value = decimal.Decimal(number).normalize()
    except decimal.InvalidOperation:  # a quotient: exact as it is
        return None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent > -2:
        return None
    nominal = round(value * 1001 / 1000)
    rate = Fraction(nominal * 1000, 1001)
    if (nominal % 15 and nominal % 24) or round(rate, -exponent) != Fraction(value):
        return None
    return rate


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How a source is read.

    Raises:
        OptionError: a value makes no sense for any source.
    """

    rate: Fraction | None = None  # frames per second of images and raw streams; None: 25
    deinterlace: Deinterlace = "auto"  # "auto": if the source is marked as interlaced, or looks it
    start: Fraction | None = None  # seconds from the start of the file; None: its start
    end: Fraction | None = None  # seconds from the start of the file; None: its end

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate <= MAX_FPS:
            raise OptionError(f"input rate {self.rate} is not between 0 and {MAX_FPS}; try --input-fps 25")
        if self.deinterlace not in DEINTERLACE:
            raise OptionError(f"deinterlacing {self.deinterlace!r} is not one of {', '.join(DEINTERLACE)}")
        if self.start is not None and self.start < 0:
            raise OptionError(f"--start {float(self.start):g} is before the start of the file; try --start 0")
        if self.end is not None and self.end <= (self.start or 0):
            raise OptionError(f"--end {float(self.end):g} is not after --start {float(self.start or 0):g}")


@dataclasses.dataclass(frozen=True)
class EncodeOptions:
    """How ffmpeg encodes the output's video.

    Raises:
        OptionError: a value makes no sense for any codec. What one codec refuses, ffmpeg reports.
    """

    codec: str = "auto"  # one of `CODECS`, or any video encoder of ffmpeg; "auto": the container's usual one
    crf: float | Literal["auto"] | None = "auto"  # constant rate factor, smaller is better; None: the
    # codec's own default; "auto": `DEFAULT_CRF`, unless `extra` has one of `RATE_OPTIONS`
    preset: str | None = "medium"  # the codec's speed setting; None: the codec's default
    pix_fmt: str = "auto"  # "auto": the source's depth and subsampling, as far as the codec supports them
    extra: tuple[tuple[str, str], ...] = ()  # further options of ffmpeg, as (key, value)

    def __post_init__(self) -> None:
        if not self.codec:
            raise OptionError("the codec has an empty name; try --codec libx264")
        if isinstance(self.crf, (int, float)) and not 0 <= self.crf <= MAX_CRF:
            raise OptionError(f"crf {self.crf:g} is not between 0 and {MAX_CRF}; try --crf 18")
        for key, value in self.extra:
            if not key or key.startswith("-") or not value:
                raise OptionError(f"encoder option {key}={value} is not key=value; try -e tune=film")
            if isinstance(self.crf, (int, float)) and _name_of(key) in FACTOR_OPTIONS:
                raise OptionError(
                    f"--crf {self.crf:g} and -e {key}={value} exclude each other; give one of them"
                )

    @property
    def encoder(self) -> str:
        """The encoder by its name in ffmpeg, or "auto"."""
        return CODECS.get(self.codec.lower(), self.codec)

    @property
    def rate_factor(self) -> float | None:
        """The constant rate factor to encode with, or None."""
        if self.crf == "auto":
            return None if any(_sets_rate(key) for key, _ in self.extra) else DEFAULT_CRF
        return self.crf


def sets_quality(option: str) -> bool:
    """Whether an option of ffmpeg, such as ``b:v`` or ``crf``, sets the rate or the quality of the video."""
    return _name_of(option) in FACTOR_OPTIONS or _sets_rate(option)


def _name_of(option: str) -> str:
    """Return the name of an option of ffmpeg, such as ``b:v``, without the stream that it is for."""
    return option.partition(":")[0]


def _sets_rate(option: str) -> bool:
    """Whether an option of ffmpeg, such as ``b:v``, sets them in another way than by a rate factor."""
    name, _, stream = option.partition(":")
    return name in RATE_OPTIONS and not stream.startswith(("a", "s"))


SIZE_OPTIONS = {
    "scale": "--scale",
    "size": "--size",
    "width": "--width",
    "height": "--height",
    "fit": "--size",
    "pad": "--pad",
    "crop": "--crop",
}
"""Fields that say how large the output is, and the command's names for them; they exclude each other."""


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """Which network renders, and where; see the fields of `UpscaleOptions`."""

    weights: str = DEFAULT_WEIGHTS
    device: str = "auto"
    precision: Precision = "auto"
    spatial: str | None = None
    steady: float = DEFAULT_STEADINESS
    strength: float | None = None


def faithful_of(weights: str) -> str | None:
    """Return the name of the weights that others are mixed with; None: they are used as they are."""
    return FAITHFUL.get(weights_named(weights))


def strength_of(weights: str, strength: float | None = None) -> float | None:
    """Return the strength of a model; None: it has none.

    Args:
        weights: a name or a path; "auto" has none, as it takes no model that has one.
        strength: that was asked for; None: `DEFAULT_STRENGTH` where the model has one.

    Raises:
        OptionError: the strength is not in [0, 1], or the model has none.
    """
    has_one = faithful_of(weights) is not None
    if strength is None:
        return DEFAULT_STRENGTH if has_one else None
    if not 0 <= strength <= 1:
        raise OptionError(f"strength {strength:g} is not between 0 and 1; try --strength {DEFAULT_STRENGTH}")
    if not has_one:
        raise OptionError(f"--strength {strength:g} is for --model vivid, not for {weights!r}; leave one out")
    return strength


def check_threads(count: int | None) -> None:
    """Check the threads of a network on a CPU.

    Raises:
        OptionError: there are none, or too many.
    """
    if count is not None and not 1 <= count <= MAX_THREADS:
        raise OptionError(f"{count} threads are not between 1 and {MAX_THREADS}; try --threads 2")


@dataclasses.dataclass(frozen=True)
class UpscaleOptions:
    """What to make of a video. At most one of `SIZE_OPTIONS` may be given.

    Raises:
        OptionError: a value makes no sense, or two of them exclude each other.
    """

    scale: float | None = None  # any number >= 1; `DEFAULT_SCALE` if no size is given either
    size: tuple[int, int] | None = None  # (width, height) in pixels
    height: int | None = None  # in pixels; the width follows the source's aspect
    width: int | None = None  # in pixels; the height follows the source's aspect
    fit: tuple[int, int] | None = None  # (width, height) in pixels, of which the picture takes as much as its
    # aspect allows; (height, width) for upright pictures
    pad: tuple[int, int] | None = None  # (width, height) in pixels of a frame in which the picture fits, with
    # bars
    crop: tuple[int, int] | None = None  # likewise of one that it fills, with its edges cut off
    bars: Bars = "black"  # what `pad` adds
    fps: TargetRate | None = None  # None: keep the source's timestamps
    device: str = "auto"  # "auto", or torch's name: "cuda", "cuda:1", "mps", "cpu"
    precision: Precision = "auto"
    weights: str = DEFAULT_WEIGHTS  # a name, a path, or hf:owner/repository/file; "auto": what suits the
    # source
    spatial: str | None = None  # a single-image model that enlarges the frames, whose motion `weights` tell:
    # a path, or hf:owner/repository/file
    steady: float = DEFAULT_STEADINESS  # how much of its neighbouring pictures is averaged, in [0, 1]
    strength: float | None = None  # of `FAITHFUL` weights' crisp relatives, in [0, 1]; None:
    # `DEFAULT_STRENGTH`
    tile: int | None = None  # longest side of a tile, in source pixels; None: as memory allows
    max_memory_bytes: int | None = None  # of the process on a CPU, else of its device; None: by what is free
    threads: int | None = None  # of the network on a CPU, shared by all processes; None: as torch is set
    dedupe: Dedupe = "auto"  # let motion run evenly through drawings that are shown for several frames, where
    # the output has a rate of its own; "auto": if the pattern of a file's repeats is clear
    scene_threshold: float = DEFAULT_SCENE_THRESHOLD  # in (0, 1]; 1: interpolate every pair, even across cuts
    overwrite: bool = False  # replace an existing output
    strict: bool = False  # fail at damage, and at streams or timestamps that the output cannot hold
    read: ReadOptions = ReadOptions()
    speed: Fraction = NORMAL_SPEED  # 1/4: four times as long; keeps the source's rate unless `fps` is given
    audio: Audio = "keep"  # stretched with the video where `speed` is not 1
    encode: EncodeOptions = EncodeOptions()

    def __post_init__(self) -> None:
        given = [option for name, option in SIZE_OPTIONS.items() if getattr(self, name) is not None]
        if len(given) > 1:
            raise OptionError(f"{given[0]} and {given[1]} exclude each other; give one of them")
        if self.scale is not None and not 1 <= self.scale <= MAX_SIDE_PX:
            raise OptionError(f"scale {self.scale:g} is not between 1 and {MAX_SIDE_PX}; try --scale 2")
        if self.bars not in BARS:
            raise OptionError(f"bars {self.bars!r} are not one of {', '.join(BARS)}")
        frames = (self.size, self.fit, self.pad, self.crop)
        sides = (*(side for frame in frames for side in frame or ()), self.width, self.height)
        for side in (side for side in sides if side is not None):
            if not 1 <= side <= MAX_SIDE_PX:
                raise OptionError(
                    f"an output side of {side} px is not between 1 and {MAX_SIDE_PX} px; try --height 1080"
                )
        if not Fraction(1, MAX_SPEED) <= self.speed <= MAX_SPEED:
            raise OptionError(
                f"speed {_shown(self.speed)} is not between 1/{MAX_SPEED} and {MAX_SPEED}; try --speed 0.25"
            )
        if self.audio not in AUDIO:
            raise OptionError(f"audio {self.audio!r} is not one of {', '.join(AUDIO)}")
        if self.dedupe not in DEDUPE:
            raise OptionError(f"dedupe {self.dedupe!r} is not one of {', '.join(DEDUPE)}")
        if not 0 < self.scene_threshold <= 1:
            raise OptionError(
                f"scene threshold {self.scene_threshold:g} is not between 0 and 1; try --scene-threshold 0.65"
            )
        if self.tile is not None and self.tile < MIN_TILE_PX:
            raise OptionError(f"a tile of {self.tile} px is smaller than {MIN_TILE_PX} px; try --tile 256")
        if self.max_memory_bytes is not None and self.max_memory_bytes <= 0:
            raise OptionError("the memory limit is not above 0; try --max-memory 4G")
        check_threads(self.threads)
        if self.precision not in PRECISIONS:
            raise OptionError(f"precision {self.precision!r} is not one of {', '.join(PRECISIONS)}")
        if not 0 <= self.steady <= 1:
            raise OptionError(f"steadiness {self.steady:g} is not between 0 and 1; try --steady 1")
        strength_of(self.weights, self.strength)

    @property
    def network(self) -> NetworkOptions:
        """Which network renders, and where."""
        return NetworkOptions(
            self.weights, self.device, self.precision, self.spatial, self.steady, self.strength
        )

    @property
    def enlargement(self) -> float:
        """`scale`, or what is taken for it where no size is asked for."""
        return DEFAULT_SCALE if self.scale is None else self.scale

    def rate_of(self, source: Fraction) -> Fraction | None:
        """Return the output's frames per second, for a source of the rate `source`; None: the source's times.

        At another speed the source's times would be too far apart or too close, so its rate is kept instead.

        Raises:
            OptionError: a multiple of the source's rate comes out above `MAX_FPS`.
        """
        if self.fps is not None:
            return self.fps.of(source)
        return None if self.speed == 1 else source

    def output_size(self, width: int, height: int, *, multiple: tuple[int, int] = (1, 1)) -> tuple[int, int]:
        """Return (width, height) of the output for a source of the given size.

        Args:
            width: of the source, in pixels.
            height: of the source, in pixels.
            multiple: of which the output's pixel format requires (width, height) to be multiples; sides are
                rounded up, so that no line of the picture is lost.

        Raises:
            OptionError: the output would be smaller than the source, or a side longer than `MAX_SIDE_PX`.
        """
        if frame := self.size or self.pad or self.crop:
            wanted = frame
        elif self.height is not None:
            wanted = (round(Fraction(width * self.height, height)), self.height)
        elif self.width is not None:
            wanted = (self.width, round(Fraction(height * self.width, width)))
        elif self.fit is not None:
            along, across = self.fit if width >= height else self.fit[::-1]
            factor = min(Fraction(along, width), Fraction(across, height))
            wanted = (round(factor * width), round(factor * height))
        else:
            wanted = (round(self.enlargement * width), round(self.enlargement * height))
        output = (-(-wanted[0] // multiple[0]) * multiple[0], -(-wanted[1] // multiple[1]) * multiple[1])
        shown = f"{output[0]}x{output[1]}"
        if self.crop is None and (output[0] < width or output[1] < height):
            raise OptionError(
                f"an output of {shown} is smaller than the source's {width}x{height}; this tool only enlarges"
            )
        if max(output) > MAX_SIDE_PX:
            raise OptionError(
                f"an output of {shown} has a side above {MAX_SIDE_PX} px; try a smaller --scale or --height"
            )
        return output

    def picture_size(
        self, source_size: tuple[int, int], frame: tuple[int, int], *, pixel_aspect: Fraction = Fraction(1)
    ) -> tuple[int, int]:
        """Return (width, height) of the picture in an output; the frame's own without `pad` and `crop`.

        Args:
            source_size: (width, height) of the source, in pixels.
            frame: of the output, as `output_size` returns it.
            pixel_aspect: width over height of the source's pixels; those of the frame are square.

        Raises:
            OptionError: the picture would be smaller than the source.
        """
        if self.pad is None and self.crop is None:
            return frame
        shape = source_size[0] * pixel_aspect, Fraction(source_size[1])
        factors = [Fraction(side) / own for side, own in zip(frame, shape, strict=True)]
        factor = min(factors) if self.crop is None else max(factors)
        width, height = (round(factor * side) for side in shape)
        if width < source_size[0] or height < source_size[1]:
            raise OptionError(
                f"the picture in a frame of {frame[0]}x{frame[1]} would be {width}x{height}, smaller than "
                f"the source's {source_size[0]}x{source_size[1]}; this tool only enlarges"
            )
        return width, height

    def asks_for(self, size: tuple[int, int]) -> bool:
        """Whether an output's (width, height) agrees with every side that the user gave in pixels."""
        width, height = self.size or self.pad or self.crop or (self.width, self.height)
        return width in (None, size[0]) and height in (None, size[1])


@dataclasses.dataclass(frozen=True)
class JobOptions:
    """How a long video is rendered in segments; none of this changes the pictures.

    Raises:
        OptionError: a value makes no sense.
    """

    segment_seconds: float | None = None  # of the video; None: by the output's size; 0: no segments
    workers: int | None = 1  # processes, at least one for each device; None: see `jobs.automatic`
    resume: bool = True  # continue an earlier run instead of discarding it
    keep_temp: bool = False  # keep the segments when the output is complete
    cluster: str | None = None  # of Ray: "auto", "local", "HOST:PORT" or "ray://HOST:PORT"; None: this
    # machine
    cluster_files: ClusterFiles = "auto"  # how its nodes get at files: by their paths, or sent; auto: either
    cluster_code: ClusterCode = "own"  # whose videoinr its nodes run: their own, or this one, which is sent

    def __post_init__(self) -> None:
        seconds = self.segment_seconds
        is_usable = seconds is None or seconds == 0 or MIN_SEGMENT_SECONDS <= seconds < math.inf
        if not is_usable:
            raise OptionError(
                f"segments of {seconds:g} s are neither 0 nor at least {MIN_SEGMENT_SECONDS:g} s; "
                "try --segment-seconds 20"
            )
        if self.workers is not None and not 1 <= self.workers <= MAX_WORKERS:
            raise OptionError(f"{self.workers} workers are not between 1 and {MAX_WORKERS}; try --workers 2")
        for name, value, choices in (
            ("cluster-files", self.cluster_files, CLUSTER_FILES),
            ("cluster-code", self.cluster_code, CLUSTER_CODE),
        ):
            if value not in choices:
                raise OptionError(f"--{name} {value!r} is not one of {', '.join(choices)}")


def _shown(value: Fraction) -> str:
    """Return a number as a short text, even one too large for a float."""
    return f"{decimal.Decimal(value.numerator) / value.denominator:.6g}"


@dataclasses.dataclass(frozen=True)
class Region:
    """A rectangle of the source's picture, in its pixels.

    Raises:
        OptionError: it starts outside the picture, or has no area.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise OptionError(f"region {self} has no area in a picture; try --region 0,0,160,90")

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"


@dataclasses.dataclass(frozen=True)
class PreviewOptions:
    """Which part of a video to preview.

    Raises:
        OptionError: the clip is longer than `MAX_PREVIEW_SECONDS`, or a network is named twice.
    """

    at_seconds: Fraction | None = None  # from the start of the video; None: its middle
    seconds: Fraction = Fraction(0)  # length of the clip; 0: a picture only
    region: Region | None = None  # of the source; None: the most detailed part
    strip: bool = False  # also show the instants between two frames
    more_weights: tuple[str, ...] = ()  # further networks, which are shown beside that of `upscale`
    strengths: tuple[float, ...] = ()  # at which those of them that can be mixed are shown; (): that of
    # `upscale`
    upscale: UpscaleOptions = UpscaleOptions()

    def __post_init__(self) -> None:
        if len({self.upscale.weights, *self.more_weights}) <= len(self.more_weights):
            raise OptionError("a model is named twice; name others beside it")
        shown = (self.upscale.weights, *self.more_weights)
        chosen = [name for name in shown if faithful_of(name) is not None]
        for strength in self.strengths:
            strength_of((*chosen, *shown)[0], strength)
        if self.seconds > MAX_PREVIEW_SECONDS:
            raise OptionError(
                f"a preview of {float(self.seconds):g} s is longer than {MAX_PREVIEW_SECONDS} s; "
                "try --seconds 2, or videoinr upscale"
            )


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """Which part of two videos to compare, and how large the page may become.

    Raises:
        OptionError: a value is not above 0.
    """

    at_seconds: Fraction = Fraction(0)  # from the start of the videos
    seconds: Fraction | None = None  # None: to the end of the shortest
    max_frames: int = 60  # of more, as many are picked evenly
    max_bytes: int = 32_000_000  # of all pictures in the page together
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds <= 0:
            raise OptionError("--seconds 0 leaves nothing to compare; try --seconds 2")
        if self.max_frames < 1:
            raise OptionError(f"a page of {self.max_frames} frames shows nothing; try --frames 60")
        if self.max_bytes < 1:
            raise OptionError(f"a page of {self.max_bytes / 1e6:g} MB holds no picture; try --max-mb 32")
