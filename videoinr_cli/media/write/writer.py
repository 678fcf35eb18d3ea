"""Write pictures as a video: one ffmpeg encodes them and takes everything else from the source.

Raw pictures go to ffmpeg in NUT, which holds any time base exactly; encoded ones as packets in fragmented mp4
or mov. The output gets its name when it is complete.

Times are exact in mp4, mov and nut; Matroska and WebM round them to a millisecond, MPEG-TS to 1/90000 s, GIF
to 1/100 s. The output's clock starts at zero where the source's first stream starts.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
from types import TracebackType
from typing import TypeVar

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from videoinr_cli.errors import FfmpegError
from videoinr_cli.media.ffmpeg import FfmpegProcess
from videoinr_cli.media.planes import Picture, from_rgb, layout_of
from videoinr_cli.media.write.command import ffmpeg_arguments
from videoinr_cli.media.write.containers import carrier_for
from videoinr_cli.media.write.covers import attachments
from videoinr_cli.media.write.destination import destination_of, is_standard_output
from videoinr_cli.media.write.output import OutputSpec
from videoinr_cli.media.write.times_fit import TimesWatch

WriterT = TypeVar("WriterT", bound="_Writer")


class _Writer(abc.ABC):
    """An ffmpeg process, its input, and its destination.

    A context manager: the file appears if the block succeeds, and does not if it raises. When ffmpeg fails,
    the current or the next call raises `FfmpegError`.
    """

    def __init__(self, output: OutputSpec, *, carrier: str | None = None, low_priority: bool = False) -> None:
        destination = destination_of(output.destination, overwrite=output.overwrite)
        destination.check(output.source)
        self._destination = destination
        self._clock = output.clock
        self._is_done = False
        self._attached = contextlib.ExitStack()
        destination.reserve()
        try:
            attached = self._attached.enter_context(attachments(output.source, output.kept))
            self._process = FfmpegProcess(
                output.format.program,
                ffmpeg_arguments(output, destination.address, attached, carrier=carrier),
                to_standard_output=is_standard_output(output.destination),
                low_priority=low_priority,
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
            OutputError: the file cannot get its name: another one appeared under it.
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
        """Kill ffmpeg, from any thread; the call that is running in another one raises, and then aborts."""
        self._process.kill()

    def abort(self) -> None:
        """Kill ffmpeg and remove what it has written; does nothing after `close`."""
        if self._is_done:
            return
        self._is_done = True
        self._process.kill()
        with contextlib.suppress(FfmpegError):  # ffmpeg no longer reads it
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

    def __init__(self, output: OutputSpec, *, low_priority: bool = False) -> None:
        """Start ffmpeg.

        Args:
            output: what is written.
            low_priority: whether ffmpeg yields the processors to the program that makes the pictures.

        Raises:
            OutputError: the destination cannot be written.
            FfmpegError: ffmpeg is missing or cannot be run.
        """
        self._output = output
        self._colour = output.colour
        self._raw_format = layout_of(output.format.pix_fmt).pix_fmt
        self._times: TimesWatch | None = None
        if output.keeps_times:
            self._times = TimesWatch(output.source, output.format.container, strict=output.strict)
        super().__init__(output, low_priority=low_priority)

    def write(self, rgb: Picture, pts: int, *, alpha: Picture | None = None) -> None:
        """Encode one picture.

        Args:
            rgb: (Ho, Wo, 3), full-range R'G'B' of uint8 or uint16.
            pts: when it is shown, in ticks; after the one before.
            alpha: (Ho, Wo), of rgb's type, the maximum opaque; used where the output holds transparency.

        Raises:
            OutputError: `strict` is set, and the container loses uneven times.
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
        self._stream = nut.add_stream("rawvideo", rate=self._output.frame_rate)
        self._stream.width, self._stream.height = self._output.size
        self._stream.pix_fmt = self._raw_format
        self._stream.time_base = self._stream.codec_context.time_base = self._clock.tick
        return nut


class PacketWriter(_Writer):
    """Puts encoded pictures into a file as they are, with the source's other streams, chapters and tags."""

    def __init__(self, output: OutputSpec, template: VideoStream) -> None:
        """Start ffmpeg, for an encoder of which `carrier_for` knows a carrier.

        Args:
            output: what is written.
            template: a stream of an open file that `VideoWriter` wrote by ``output.of_segment``; the packets
                have its codec parameters and its time base.

        Raises:
            OutputError: the destination cannot be written.
            FfmpegError: ffmpeg is missing or cannot be run.
        """
        self._template, self._carrier = template, carrier_for(output.format.encoder.name)
        assert self._carrier is not None
        assert template.time_base is not None
        clock = dataclasses.replace(output.clock, tick=template.time_base)
        super().__init__(dataclasses.replace(output, clock=clock), carrier=self._carrier)

    def write(self, packet: av.Packet[VideoStream], pts: int, dts: int) -> None:
        """Append one picture.

        Args:
            packet: an encoded picture.
            pts: when it is shown, in ticks of the template.
            dts: when it is decoded: after the one before, and not after any `pts` from here on.

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
            # A header that is written late keeps a start before zero, as B-frames' decoding has.
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


def check_streams_fit(output: OutputSpec) -> None:
    """Write the head of an output, with one grey picture, and remove it.

    Not everything that a muxer refuses can be known in advance, and rendering may take hours before it is
    asked.

    Args:
        output: what is written; a file that does not exist.

    Raises:
        FfmpegError: ffmpeg fails; the message says what it printed.
    """
    if not output.kept:
        return
    width, height = output.size
    try:
        with attachments(output.source, output.kept) as attached:
            address = f"file:{output.destination}"
            arguments = ffmpeg_arguments(output, address, attached, is_trial=True)
            process = FfmpegProcess(output.format.program, arguments)
            try:
                with contextlib.suppress(BrokenPipeError):  # its exit code tells
                    process.stdin.write(bytes(width * height))
                process.finish()
            finally:
                process.stop()
    finally:
        output.destination.unlink(missing_ok=True)
