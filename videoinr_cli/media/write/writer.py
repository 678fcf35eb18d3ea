"""Write pictures as a video: one ffmpeg encodes them and takes everything else from the source.

The pictures go to ffmpeg as raw frames in NUT, which carries any time base exactly; pictures that are encoded
already, as packets in fragments of mp4. The output has its name only when it is complete. Knows
nothing of where pictures come from.

Times come out exactly as given in mp4, mov and nut; Matroska and WebM round them to a millisecond, MPEG-TS to
1/90000 s, GIF to 1/100 s. The output's clock starts at zero where the source's first stream starts.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import logging
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from videoinr_cli.errors import FfmpegError
from videoinr_cli.media.ffmpeg import FfmpegProcess
from videoinr_cli.media.planes import Picture, from_rgb, layout_of
from videoinr_cli.media.read.timing import TimesWatch, check_times_fit
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.command import Clock, Job, ffmpeg_arguments, last_duration, pixel_aspect
from videoinr_cli.media.write.containers import carrier_for, kept_streams, sort_streams
from videoinr_cli.media.write.covers import attachments
from videoinr_cli.media.write.destination import Destination, destination_of, is_standard_output
from videoinr_cli.media.write.formats import OutputFormat, output_format
from videoinr_cli.options import NORMAL_SPEED, Audio, EncodeOptions

log = logging.getLogger(__name__)

WriterT = TypeVar("WriterT", bound="_Writer")


class _Writer(abc.ABC):
    """An ffmpeg, what goes into it, and the destination of what comes out.

    A context manager: the file appears when the block ends well, and not at all when it ends with an
    exception. All errors that ffmpeg meets are raised as `FfmpegError` by the call at hand.
    """

    def __init__(
        self, job: Job, destination: Destination, *, to_standard_output: bool, low_priority: bool = False
    ) -> None:
        """Start ffmpeg; the destination has been checked."""
        self._destination = destination
        self._clock = job.clock
        self._is_done = False
        self._attached = contextlib.ExitStack()
        destination.reserve()
        try:
            attached = self._attached.enter_context(attachments(job.source, job.kept))
            arguments = ffmpeg_arguments(job, destination.address, attached)
            self._process = FfmpegProcess(
                arguments, to_standard_output=to_standard_output, low_priority=low_priority
            )
            try:
                self._input = self._open_input(f"pipe:{self._process.stdin.fileno()}")
            except BaseException:
                self._process.stop()
                raise
        except BaseException:
            self._attached.close()
            destination.discard()
            raise

    @abc.abstractmethod
    def _open_input(self, address: str) -> OutputContainer:
        """Begin the stream that ffmpeg reads."""

    def __enter__(self: WriterT) -> WriterT:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def close(self) -> None:
        """Finish the file and give it its name; does nothing the second time.

        Raises:
            FfmpegError: ffmpeg failed; nothing is left.
            OutputError: the file cannot get its name, since one has appeared there meanwhile.
        """
        if self._is_done:
            return
        try:
            self._end_input()
            self._process.finish()
            self._destination.commit()
        except BaseException:
            self.abort()
            raise
        self._attached.close()
        self._is_done = True

    def interrupt(self) -> None:
        """End ffmpeg at once, from any thread; a call under way elsewhere raises, and `abort` is next."""
        self._process.kill()

    def abort(self) -> None:
        """End ffmpeg at once and remove what it has written; does nothing after `close`."""
        if self._is_done:
            return
        self._is_done = True
        self._process.kill()
        with contextlib.suppress(FfmpegError):  # nobody reads it any more
            self._end_input()
        self._process.stop()
        self._attached.close()
        self._destination.discard()

    def _end_input(self) -> None:
        try:
            self._input.close()
        except (av.FFmpegError, OSError) as error:
            raise self._process.failure() from error


class VideoWriter(_Writer):
    """Encodes pictures into a file, with the source's other streams, chapters and tags."""

    def __init__(
        self,
        destination: str | os.PathLike[str],
        size: tuple[int, int],
        time_base: Fraction,
        source: VideoInfo,
        encoding: EncodeOptions,
        *,
        frame_rate: Fraction | None = None,
        end_pts: int | None = None,
        last_pts: int | None = None,
        speed: Fraction = NORMAL_SPEED,
        audio: Audio = "keep",
        overwrite: bool = False,
        strict: bool = False,
        alone: bool = False,
        low_priority: bool = False,
    ) -> None:
        """Start ffmpeg.

        Args:
            destination: of the output; its extension names the container.
            size: (width, height) in pixels, multiples of what `output_format` says.
            time_base: seconds per tick of the timestamps, which are the source's over `speed`.
            source: where all other streams come from, and how its colours and pixels are to be understood.
            encoding: the user's wishes.
            frame_rate: in frames per second, constant or average; the source's when None.
            end_pts: where the last picture ends, in ticks; when None it lasts one frame.
            last_pts: when the last picture is shown, in ticks, as far as is known; when None, as in the
                source if it has neither another rate nor time base, else one frame before the end.
            speed: how much faster than the source the output is played; what is beside the video follows it.
            audio: whether there is to be any.
            overwrite: whether an existing file may be replaced.
            strict: whether a stream or times that the container cannot hold are an error.
            alone: whether the file is to hold nothing but the pictures.
            low_priority: whether whoever makes the pictures goes first where processors are short.

        Raises:
            OutputError: the destination cannot be written, or not in this format; `strict` is set and
                something would be lost.
            FfmpegError: ffmpeg is missing or cannot be run.
        """
        target = destination_of(destination, overwrite=overwrite)
        target.check(source)
        written = output_format(destination, source, encoding)
        self._colour = written.colour(source, size)
        if not alone:
            _say_changes(source, written)
        self._times: TimesWatch | None = None
        if frame_rate is None:
            check_times_fit(source, written.container, strict=strict)
            self._times = TimesWatch(source, written.container, strict=strict)
        self._raw_format = layout_of(written.pix_fmt).pix_fmt
        self._size = size
        if last_pts is None and frame_rate is None and time_base == source.time_base:
            last_pts = source.last_pts
        self._frame_rate = frame_rate or source.frame_rate
        clock = Clock.of(time_base, source.origin / speed)
        job = Job(
            format=written,
            encoding=encoding,
            source=source,
            kept=()
            if alone
            else kept_streams(
                source,
                written.container,
                audio=audio,
                speed=speed,
                frame_rate=frame_rate,
                strict=strict,
            ),
            speed=speed,
            colour=self._colour,
            clock=clock,
            frame_rate=self._frame_rate,
            pixel_aspect=pixel_aspect(source, size),
            last_duration=last_duration(written.container, clock, self._frame_rate, end_pts, last_pts),
            is_alone=alone,
        )
        super().__init__(
            job, target, to_standard_output=is_standard_output(destination), low_priority=low_priority
        )

    def write(self, rgb: Picture, pts: int, *, alpha: Picture | None = None) -> None:
        """Encode one picture.

        Args:
            rgb: (Ho, Wo, 3), full-range R'G'B' of uint8 or uint16.
            pts: when it is shown, in ticks; above the one before it.
            alpha: (Ho, Wo), of rgb's type, the maximum opaque; used where the output holds transparency.

        Raises:
            OutputError: the container has no time stamps, which was to be an error if they matter.
            FfmpegError: ffmpeg ended; the message says what it printed.
        """
        if self._times is not None:
            self._times.see(pts)
        frame = from_rgb(rgb, self._raw_format, self._colour, alpha=alpha)
        frame.pts, frame.time_base = self._clock.ticks(pts), self._clock.tick
        try:
            self._input.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._process.failure() from error

    def _open_input(self, address: str) -> OutputContainer:
        nut = av.open(address, "w", format="nut")
        self._stream = nut.add_stream("rawvideo", rate=self._frame_rate)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = self._raw_format
        self._stream.time_base = self._stream.codec_context.time_base = self._clock.tick
        return nut


class PacketWriter(_Writer):
    """Puts encoded pictures into a file as they are, with the source's other streams, chapters and tags."""

    def __init__(
        self,
        destination: str | os.PathLike[str],
        template: VideoStream,
        source: VideoInfo,
        encoding: EncodeOptions,
        *,
        time_base: Fraction,
        frame_rate: Fraction,
        end_pts: int | None = None,
        last_pts: int | None = None,
        speed: Fraction = NORMAL_SPEED,
        audio: Audio = "keep",
        overwrite: bool = False,
        strict: bool = False,
    ) -> None:
        """Start ffmpeg, for an encoder of which `carrier_for` knows a carrier.

        Args:
            destination: of the output; its extension names the container.
            template: a stream of an open file of `VideoWriter`'s, made with the same arguments and `alone`;
                the packets are of its codec parameters and its time base.
            source: where all other streams come from.
            encoding: the user's wishes, that the packets were encoded by.
            time_base: as in `VideoWriter`.
            frame_rate: as in `VideoWriter`.
            end_pts: as in `VideoWriter`.
            last_pts: as in `VideoWriter`.
            speed: as in `VideoWriter`.
            audio: as in `VideoWriter`.
            overwrite: whether an existing file may be replaced.
            strict: whether a stream that the container cannot hold is an error.

        Raises:
            OutputError: the destination cannot be written, or not in this format.
            FfmpegError: ffmpeg is missing or cannot be run.
        """
        target = destination_of(destination, overwrite=overwrite)
        target.check(source)
        written = output_format(destination, source, encoding)
        self._template, self._carrier = template, carrier_for(written.encoder.name)
        assert self._carrier is not None
        _say_changes(source, written)
        assert template.time_base is not None
        clock = dataclasses.replace(Clock.of(time_base, source.origin / speed), tick=template.time_base)
        job = Job(
            format=written,
            encoding=encoding,
            source=source,
            kept=kept_streams(
                source, written.container, audio=audio, speed=speed, frame_rate=frame_rate, strict=strict
            ),
            speed=speed,
            colour=written.colour(source, (template.width, template.height)),
            clock=clock,
            frame_rate=frame_rate,
            pixel_aspect=pixel_aspect(source, (template.width, template.height)),
            last_duration=last_duration(written.container, clock, frame_rate, end_pts, last_pts),
            carrier=self._carrier,
        )
        super().__init__(job, target, to_standard_output=False)

    def write(self, packet: av.Packet[VideoStream], pts: int, dts: int) -> None:
        """Append one picture.

        Args:
            packet: an encoded picture.
            pts: when it is shown, in ticks of the template.
            dts: when it is decoded: above the one before it, and not above any `pts` from here on.

        Raises:
            FfmpegError: ffmpeg ended; the message says what it printed.
        """
        packet.pts, packet.dts, packet.time_base = pts, dts, self._clock.tick
        packet.stream = self._stream
        try:
            self._input.mux_one(packet)
        except (av.FFmpegError, OSError) as error:
            raise self._process.failure() from error

    def _open_input(self, address: str) -> OutputContainer:
        timescale = str(self._clock.tick.denominator)
        options = {
            # With its header written late, a start before zero is kept: that of B-frames' decoding.
            "movflags": "frag_keyframe+delay_moov+default_base_moof",
            "video_track_timescale": timescale,
            "movie_timescale": timescale,
        }
        carrier = av.open(address, "w", format=self._carrier, options=options)
        self._stream = carrier.add_stream_from_template(self._template, opaque=True)
        self._stream.time_base = self._clock.tick
        # PyAV takes neither of these from a template; ProRes' profile is in its tag.
        self._stream.codec_context.codec_tag = self._template.codec_context.codec_tag
        self._stream.codec_context.sample_aspect_ratio = self._template.sample_aspect_ratio
        return carrier


def check_streams_fit(
    path: Path,
    size: tuple[int, int],
    time_base: Fraction,
    source: VideoInfo,
    encoding: EncodeOptions,
    *,
    frame_rate: Fraction,
    speed: Fraction = NORMAL_SPEED,
    audio: Audio = "keep",
) -> None:
    """Write the head of an output, with one grey picture, and throw it away.

    Not all that a muxer refuses can be known in advance, and pictures may be rendered for hours before it is
    asked.

    Args:
        path: of a file that does not exist, named as the output ends.
        size: as in `VideoWriter`, as are all that follow.
        time_base: as in `VideoWriter`.
        source: as in `VideoWriter`.
        encoding: as in `VideoWriter`.
        frame_rate: as in `VideoWriter`.
        speed: as in `VideoWriter`.
        audio: as in `VideoWriter`.

    Raises:
        FfmpegError: ffmpeg fails; the message says what it printed.
    """
    written = output_format(path, source, encoding)
    kept = sort_streams(source, written.container, audio=audio, speed=speed).kept
    if not kept:
        return
    job = Job(
        format=written,
        encoding=encoding,
        source=source,
        kept=kept,
        speed=speed,
        colour=written.colour(source, size),
        clock=Clock.of(time_base, source.origin / speed),
        frame_rate=frame_rate,
        pixel_aspect=pixel_aspect(source, size),
        last_duration=None,
        trial_size=size,
    )
    try:
        with attachments(source, kept) as attached:
            process = FfmpegProcess(ffmpeg_arguments(job, f"file:{path}", attached))
            try:
                with contextlib.suppress(BrokenPipeError):  # its exit code tells
                    process.stdin.write(bytes(size[0] * size[1]))
                process.finish()
            finally:
                process.stop()
    finally:
        path.unlink(missing_ok=True)


def _say_changes(source: VideoInfo, written: OutputFormat) -> None:
    """Say what colours were taken for, if the file does not, that transparency is lost, and times changed.

    Where the guess is wrong, colours shift.
    """
    if source.clock_shifts:
        log.info(
            f"the clock of {str(source.path)!r} breaks (times: {len(source.clock_shifts)}), as where "
            "recordings were joined: what comes after follows at once"
        )
    if source.has_alpha and not layout_of(written.pix_fmt).has_alpha and written.pix_fmt != "pal8":
        log.info(
            f"{written.encoder.name} holds no transparency of {str(source.path)!r}: it is left out; "
            "webm, gif, images and prores_ks in .mov hold it"
        )
    unknown = [name for name in source.colour.unknown if name != "chroma_location"]
    if layout_of(source.pix_fmt).kind == "yuv" and "matrix" in unknown:
        guess = ", ".join(f"{name} {getattr(source.resolved_colour, name)}" for name in unknown)
        log.info(
            f"{str(source.path)!r} does not say its colours: taken for {guess}, as is usual for its size"
        )
