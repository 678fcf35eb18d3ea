"""What ffmpeg's video encoders take: pixel formats, quality and speed settings, as ffmpeg lists them."""

from __future__ import annotations

import dataclasses
import functools
import re
import subprocess
from fractions import Fraction

import av

from videoinr_cli.errors import OptionError, OutputError
from videoinr_cli.media.planes import Layout, layout_of
from videoinr_cli.options import EncodeOptions

_PLAIN_QUALITY = {"mpeg4": 2, "mpeg2video": 2, "mjpeg": 2, "libxvid": 2}
"""Quantisers for encoders that have no constant rate factor and default to 200 kbit/s."""

HDR_OPTIONS = {
    "libx264": ("x264-params", "mastering-display", "cll"),
    "libx265": ("x265-params", "master-display", "max-cll"),
}
"""Encoders that take HDR10's metadata by an option of their own, and the names in it."""


COMMON_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
"""Speed settings of x264 and x265, which ffmpeg does not list; their places in this order are names too."""

COMMON_PRESET_ENCODERS = frozenset({"libx264", "libx264rgb", "libx265"})

MOST_TICKS = {"mpeg1video": 0, "mpeg2video": 0, "mpeg4": 65_535, "libxvid": 65_535}
"""Ticks per second that codecs can state at most; 0: they state the rate of their frames and nothing else.

Source: ISO/IEC 13818-2, section 6.3.3; ISO/IEC 14496-2, section 6.3.3."""

RATE_OPTIONS = {
    "libx264": ("x264-params", "force-cfr=1:fps={}"),
    "libx264rgb": ("x264-params", "force-cfr=1:fps={}"),
    "libx265": ("x265-params", "fps={}"),
}
"""Encoders that state one over their tick as the rate of their frames, unless they are told the rate."""


@dataclasses.dataclass(frozen=True)
class VideoEncoder:
    """One of ffmpeg's video encoders."""

    name: str
    pix_fmts: tuple[str, ...]  # what it takes; empty: anything
    options: dict[str, tuple[str, ...]]  # its own options, with the names their values may have

    @property
    def makes_hevc(self) -> bool:
        """Whether its codec is HEVC."""
        return any(word in self.name for word in ("265", "hevc", "kvazaar"))

    @property
    def has_rate_factor(self) -> bool:
        """Whether it takes a constant rate factor, under any name."""
        return "crf" in self.options or "cq" in self.options

    @property
    def most_ticks(self) -> int | None:
        """Ticks per second that its codec can state at most; 0: only the rate of frames; None: any."""
        return MOST_TICKS.get(self.name)

    def rate_settings(self, rate: Fraction) -> dict[str, str]:
        """Return the encoder's own options by which it states a constant rate, whatever its tick is.

        Args:
            rate: in frames per second.
        """
        if self.name not in RATE_OPTIONS:
            return {}
        option, words = RATE_OPTIONS[self.name]
        return {option: words.format(f"{rate.numerator}/{rate.denominator}")}

    def settings(self, encoding: EncodeOptions) -> dict[str, str]:
        """Return ffmpeg's options for the user's wishes, as far as this encoder has them.

        The rate factor and the preset have defaults, which are left out for an encoder that does not take
        them. Extra options are passed on unchanged.
        """
        chosen: dict[str, str] = {}
        if encoding.rate_factor is not None:  # which most encoders prefer to a bit rate, if both are given
            chosen |= self._quality(encoding.rate_factor)
        if encoding.preset is not None and self.takes_preset(encoding.preset):
            chosen["preset"] = encoding.preset
        if self.name.startswith(("libvpx", "libaom")):
            # By default they take minutes for a second of video.
            chosen |= {"cpu-used": "4", "row-mt": "1"} if "row-mt" in self.options else {"cpu-used": "4"}
        return chosen | dict(encoding.extra)

    def _quality(self, crf: float) -> dict[str, str]:
        if "crf" in self.options:
            # VP9 and AV1 treat the factor as a bound unless the bit rate is 0.
            return {"crf": f"{crf:g}"} | ({"b:v": "0"} if self.name.startswith(("libvpx", "libaom")) else {})
        if "cq" in self.options:
            return {"cq": f"{crf:g}"}
        if self.name in _PLAIN_QUALITY:
            return {"q:v": str(_PLAIN_QUALITY[self.name])}
        return {}

    def hdr_settings(self, mastering_display: str | None, content_light: str | None) -> dict[str, str]:
        """Return the own options for HDR10's metadata, as of `VideoInfo`, that ffmpeg before 9 needs."""
        if self.name not in HDR_OPTIONS:
            return {}
        option, *names = HDR_OPTIONS[self.name]
        values = zip(names, (mastering_display, content_light), strict=True)
        words = [f"{name}={value}" for name, value in values if value is not None]
        return {option: ":".join(words)} if words else {}

    def takes_preset(self, preset: str) -> bool:
        """Whether it has a speed setting of this name."""
        if self.name in COMMON_PRESET_ENCODERS:
            return preset in (*COMMON_PRESETS, *map(str, range(len(COMMON_PRESETS))))
        return "preset" in self.options and (preset in self.options["preset"] or preset.isdigit())

    def check_preset(self, preset: str) -> None:
        """Refuse a speed setting that is none, as far as the names are known.

        What is one of other encoders may be meant for another video of a batch.

        Raises:
            OptionError: it is none.
        """
        known = COMMON_PRESETS if self.name in COMMON_PRESET_ENCODERS else self.options.get("preset", ())
        if known and not self.takes_preset(preset) and preset not in COMMON_PRESETS:
            raise OptionError(f"{self.name} has no preset {preset!r}; there are {', '.join(known)}")

    def closest_format(self, source: Layout, *, among: tuple[str, ...] = ()) -> str:
        """Return the pixel format that loses least of the source's, and has the least to spare.

        Encoders for delivery, those with a rate factor, make 4:2:0 of R'G'B' sources: everything plays it.

        Args:
            source: the source's.
            among: the formats that the container takes; empty: any.
        """
        taken = [name for name in self.pix_fmts or among if not among or name in among]
        usable = [name for name in taken if _is_plain(name) and not self._is_experimental(name)]
        if not usable:
            return source.pix_fmt
        if source.kind == "rgb" and self.has_rate_factor:
            source = dataclasses.replace(source, kind="yuv", shift=(1, 1))
        return min(usable, key=lambda name: _cost(source, layout_of(name)))

    def _is_experimental(self, pix_fmt: str) -> bool:
        """Whether ffmpeg takes a format only with ``-strict experimental``, as few players show it."""
        return self.name.startswith("libvpx") and layout_of(pix_fmt).has_alpha and pix_fmt != "yuva420p"


@functools.cache
def find_encoder(name: str, program: str) -> VideoEncoder:
    """Return what an ffmpeg lists about an encoder, by ffmpeg's name of it.

    Raises:
        OutputError: this ffmpeg has no such encoder.
    """
    printed = subprocess.run(
        [program, "-hide_banner", "-h", f"encoder={name}"], capture_output=True, text=True, check=False
    ).stdout
    if not printed.startswith(f"Encoder {name} "):
        remedy = "unset FFMPEG_PATH, or try --codec mpeg4" if name == "libx264" else "try --codec libx264"
        raise OutputError(f"ffmpeg at {program} has no encoder {name!r}; {remedy}")
    formats = re.search(r"Supported pixel formats: (.*)", printed)
    options: dict[str, list[str]] = {}
    names: list[str] = []
    for line in printed.splitlines():
        if option := re.match(r"  -([\w-]+)\s+<", line):
            names = options.setdefault(option[1], [])
        elif value := re.match(r"     ([\w-]+)\s", line):
            names.append(value[1])
    return VideoEncoder(
        name=name,
        pix_fmts=tuple(formats[1].split()) if formats else (),
        options={option: tuple(values) for option, values in options.items()},
    )


def _is_plain(pix_fmt: str) -> bool:
    """Whether a format is in memory, of 8 to 16 bits a sample, and its name implies no range."""
    if re.match(r"pal8|mono|yuvj|bayer|(rgb|bgr)[48](_byte)?$|.*(f16|f32)[lb]e$", pix_fmt):
        return False
    try:
        return bool(av.VideoFormat(pix_fmt).components)  # hardware formats have none
    except ValueError:  # ffmpeg knows it, but the libraries here do not
        return False


def _cost(source: Layout, target: Layout) -> tuple[int, ...]:
    """Return what a target loses of a source, then what it has to spare; the least is the best."""
    lost_chroma = sum(max(0, target.shift[axis] - source.shift[axis]) for axis in (0, 1))
    if target.kind == "grey" and source.kind != "grey":
        lost_chroma = 4
    return (
        source.has_alpha and not target.has_alpha,
        max(0, source.bit_depth - target.bit_depth),
        0 if source.kind == "grey" else lost_chroma,
        target.kind != source.kind,
        target.has_alpha and not source.has_alpha,
        max(0, target.bit_depth - source.bit_depth),
        sum(max(0, source.shift[axis] - target.shift[axis]) for axis in (0, 1)),
    )
