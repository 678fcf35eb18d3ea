"""The command line of the ffmpeg that encodes an output and takes everything else from the source."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

import ffmpeg

from videoinr_cli.media.colour import CHROMA_LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour
from videoinr_cli.media.ffmpeg import LOG_LEVEL, describe, knows_option
from videoinr_cli.media.write.other_streams import other_streams
from videoinr_cli.media.write.output import MAX_ASPECT, OutputSpec

Stream: TypeAlias = ffmpeg.nodes.FilterableStream

MIN_MOVIE_TIMESCALE = 90_000
"""Ticks per second for the starts of all streams in mp4, at least; fine enough for sound."""

_PICTURES = "pipe:0"
_NO_ADDRESS = "-"


def ffmpeg_arguments(
    output: OutputSpec,
    address: str,
    attached: Sequence[str] = (),
    *,
    carrier: str | None = None,
    is_trial: bool = False,
) -> list[str]:
    """Return ffmpeg's command line without the program.

    Args:
        output: what is written.
        address: where to.
        attached: the options that attach files to the output.
        carrier: the container in which encoded pictures arrive; None: raw frames arrive in NUT.
        is_trial: whether one grey picture arrives instead, of which only the output's head is written.
    """
    if is_trial:
        video = _prepared(output, _grey_picture(*output.size))
    elif carrier is None:
        video = _prepared(output, _raw_pictures(output))
    else:
        video = _encoded_pictures(output, carrier)
    options = {
        "format": output.format.container.muxer,
        "copyts": None,  # both inputs are on the output's clock by now
        **_video_options(output, is_encoded=carrier is not None),
        **_muxer_settings(output),
    }
    if is_trial:
        options["fs"] = "1"  # byte: the first packet after the head is the last one
    if output.end_pts is not None and not is_trial and not output.format.container.counts_frames:
        options["bsf:0"] = _last_duration(output, output.end_pts)
    # ffmpeg-python builds the graph and the options of the pictures. All else is plain words: it drops inputs
    # that no stream is taken from, cannot repeat an option, and refuses names that are not UTF-8.
    *pictures, _ = ffmpeg.get_args(ffmpeg.output(video, _NO_ADDRESS, **options))
    first_input = pictures.index(_PICTURES) + 1
    rest = other_streams(output)
    return [
        *("-hide_banner", "-nostdin", *LOG_LEVEL),
        *(*pictures[:first_input], *rest.inputs),
        *(*pictures[first_input:], *rest.options, *attached, address),
        "-y",
    ]


def _prepared(output: OutputSpec, pictures: Stream) -> Stream:
    """Return pictures as they are to be encoded."""
    video = pictures["v:0"].filter("setsar", r=str(output.pixel_aspect), max=MAX_ASPECT)
    if output.format.container.counts_frames:
        if repeats := output.first_repeats:
            video = video.filter("tpad", start=repeats, start_mode="clone")
        video = video.filter("settb", str(output.frame_tick)).filter("setpts", "N")
    return _with_palettes(video) if output.format.pix_fmt == "pal8" else video


def _raw_pictures(output: OutputSpec) -> Stream:
    return ffmpeg.input(
        _PICTURES,
        format="nut",
        probesize=32,  # NUT's header says all; else ffmpeg reads megabytes before it opens the encoder
        analyzeduration=0,
        **_colour_options(output.colour),
        **_hdr_input_options(output),
    )


def _grey_picture(width: int, height: int) -> Stream:
    """Return a picture of width * height bytes, all of them its luma."""
    return ffmpeg.input(_PICTURES, format="rawvideo", pix_fmt="gray", s=f"{width}x{height}", framerate=1)


def _encoded_pictures(output: OutputSpec, carrier: str) -> Stream:
    return ffmpeg.input(_PICTURES, format=carrier, **_hdr_input_options(output))["v:0"]


def _with_palettes(video: Stream) -> Stream:
    """Reduce each picture to the 256 colours that suit it best; one palette for all needs all in memory."""
    copies = video.filter_multi_output("split")
    palettes = copies[0].filter("palettegen", stats_mode="single")
    return ffmpeg.filter([copies[1], palettes], "paletteuse", new=1)


def _video_options(output: OutputSpec, *, is_encoded: bool) -> dict[str, str | None]:
    """Return ffmpeg's options for the encoded video, which is stream 0 of the output.

    Where the user's own repeat one, the last one holds.
    """
    container, encoder = output.format.container, output.format.encoder
    tick = output.frame_tick if container.counts_frames else output.clock.tick
    named = {"tag:0": container.hevc_tag} if container.hevc_tag and encoder.makes_hevc else {}
    if is_encoded:
        # Not every carrier holds all tags of the colours.
        tags = {f"{name}:0": str(number) for name, number in _colour_options(output.colour).items()}
        options: dict[str, str | None] = {"c:0": "copy", **named, **tags}
    else:
        options = {
            "c:0": container.video_wrapper or encoder.name,
            **named,
            "pix_fmt:0": output.format.pix_fmt,
            "fps_mode:0": "passthrough",
            "enc_time_base:0": f"{tick.numerator}/{tick.denominator}",
            **_encoder_settings(output),
        }
    if container.exact_ticks:
        options["video_track_timescale"] = str(tick.denominator)
        # Of edit lists, where any stream's start is kept; ffmpeg 7 and older would round it to 1/1000 s.
        options["movie_timescale"] = str(tick.denominator * max(1, MIN_MOVIE_TIMESCALE // tick.denominator))
    return options


def _muxer_settings(output: OutputSpec) -> dict[str, str]:
    """Return the muxer's own options; it is strict wherever it can be, since it checks what it writes."""
    container = output.format.container
    is_lax = any(kept.becomes in container.experimental for kept in output.kept)
    return {**dict(container.settings), **({"strict": "-2"} if is_lax else {})}


def _encoder_settings(output: OutputSpec) -> dict[str, str]:
    """Return the encoder's own options; where the user gives one that is needed as well, both hold."""
    encoder, source, rate = output.format.encoder, output.source, output.clock.steady_rate
    settings = encoder.settings(output.encoding)
    hdr = encoder.hdr_settings(source.mastering_display, source.content_light)
    needed = []
    if hdr and not knows_option(output.format.program, "mastering_display"):
        needed.append(hdr)
    if rate is not None and output.clock.tick * rate != 1:
        needed.append(encoder.rate_settings(rate))
    for option, value in itertools.chain.from_iterable(words.items() for words in needed):
        settings[option] = f"{value}:{settings[option]}" if option in settings else value
    return settings


def _hdr_input_options(output: OutputSpec) -> dict[str, str]:
    """Return the options that attach HDR10's metadata to the pictures, for any encoder and container."""
    source, program = output.source, output.format.program
    stated = {"mastering_display": source.mastering_display, "content_light": source.content_light}
    return {
        name: value for name, value in stated.items() if value is not None and knows_option(program, name)
    }


def _last_duration(output: OutputSpec, end_pts: int) -> str:
    """Return the bitstream filter by which the last picture lasts until `end_pts`.

    Raw frames in NUT have no duration, so ffmpeg takes them to last one frame. Matroska stores a packet's
    duration where it differs. Mp4 takes the latest end of any packet for its edit list, but for the track
    itself the sum of decoding times and the duration of the packet that is coded last, which with B-frames is
    not the one shown last. Where pictures last longer at the end than at the start, that packet is decoded so
    early that both cannot hold: it is then decoded as long before it is shown as the first one is, which
    is after every other and delays nothing.
    """
    clock, steps = output.clock, output.clock.tick / _filtered_tick(output)
    end = round(clock.ticks(end_pts) * steps)
    if not output.format.container.exact_ticks:
        frame = 1 / (output.frame_rate * clock.tick)
        last = clock.ticks(end_pts) - 3 * frame // 2
        if output.last_pts is not None:
            last = clock.ticks(output.last_pts)
        last = math.floor(last * steps)
        return f"setts=pts=PTS:dts=DTS:duration='if(gte(PTS,{last}),{end}-PTS,DURATION)'"
    decoded = "if(eq(NEXT_PTS,NOPTS),max(DTS,PTS-STARTPTS+STARTDTS),DTS)"
    duration = f"max(1,min({end}-PTS,{end}-STARTPTS-DTS+STARTDTS))"
    return f"setts=pts=PTS:dts='{decoded}':duration='{duration}'"


def _filtered_tick(output: OutputSpec) -> Fraction:
    """Return the seconds per tick of the encoded pictures that a bitstream filter gets.

    It is the encoder's; before ffmpeg 7 the container's, of which the filter is not told.
    """
    tick, container = output.clock.tick, output.format.container
    if describe(output.format.program).is_exact:
        return tick
    return Fraction(1, tick.denominator) if container.exact_ticks else container.tick or tick


def _colour_options(colour: Colour) -> dict[str, int]:
    """Return the decoder options that tag raw frames, as H.273's numbers, which every ffmpeg understands."""
    numbered = {
        "colorspace": (MATRICES, colour.matrix),
        "color_primaries": (PRIMARIES, colour.primaries),
        "color_trc": (TRANSFERS, colour.transfer),
        "color_range": (RANGES, colour.range),
        "chroma_sample_location": (dict(enumerate(CHROMA_LOCATIONS, start=1)), colour.chroma_location),
    }
    return {
        option: number
        for option, (names, wanted) in numbered.items()
        for number, name in names.items()
        if name == wanted
    }
