"""Write pictures as a video: one ffmpeg encodes them and takes everything else from the source.

The pictures go to ffmpeg as raw frames in NUT, which carries any time base exactly. The output has its name
only when it is complete. Knows nothing of where pictures come from.

Times come out exactly as given in mp4, mov and nut; Matroska and WebM round them to a millisecond, MPEG-TS to
1/90000 s, GIF to 1/100 s. The output's clock starts at zero where the source's first stream starts.
"""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from types import TracebackType

import av

from videoinr_cli.errors import FfmpegError
from videoinr_cli.media.command import Clock, Job, ffmpeg_arguments, last_duration, pixel_aspect
from videoinr_cli.media.containers import kept_streams
from videoinr_cli.media.destination import destination_of, is_standard_output
from videoinr_cli.media.ffmpeg import FfmpegProcess
from videoinr_cli.media.formats import output_format
from videoinr_cli.media.planes import Picture, from_rgb, layout_of
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.options import EncodeOptions


class VideoWriter:
    """Encodes pictures into a file, with the source's other streams, chapters and tags.

    A context manager: the file appears when the block ends well, and not at all when it ends with an
    exception. All errors that ffmpeg meets are raised as `FfmpegError` by the call at hand.
    """

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
        overwrite: bool = False,
        strict: bool = False,
    ) -> None:
        """Start ffmpeg.

        Args:
            destination: of the output; its extension names the container.
            size: (width, height) in pixels, multiples of what `output_format` says.
            time_base: seconds per tick of the timestamps, which are on the source's clock.
            source: where all other streams come from, and how its colours and pixels are to be understood.
            encoding: the user's wishes.
            frame_rate: in frames per second, constant or average; the source's when None.
            end_pts: where the last picture ends, in ticks; when None it lasts one frame.
            last_pts: when the last picture is shown, in ticks, as far as is known; when None, as in the
                source if it has neither another rate nor time base, else one frame before the end.
            overwrite: whether an existing file may be replaced.
            strict: whether a stream that the container cannot hold is an error.

        Raises:
            OutputError: the destination cannot be written, or not in this format.
            FfmpegError: ffmpeg is missing or cannot be run.
        """
        self._destination = destination_of(destination, overwrite=overwrite)
        self._destination.check(source)
        written = output_format(destination, source, encoding)
        self._colour = written.colour(source)
        self._raw_format = layout_of(written.pix_fmt).pix_fmt
        self._clock = Clock.of(time_base, source.origin)
        if last_pts is None and frame_rate is None and time_base == source.time_base:
            last_pts = source.last_pts
        frame_rate = frame_rate or source.frame_rate
        job = Job(
            format=written,
            encoding=encoding,
            source=source,
            kept=kept_streams(source, written.container, strict=strict),
            colour=self._colour,
            clock=self._clock,
            frame_rate=frame_rate,
            pixel_aspect=pixel_aspect(source, size),
            last_duration=last_duration(written.container, self._clock, frame_rate, end_pts, last_pts),
        )
        arguments = ffmpeg_arguments(job, self._destination.address)
        self._destination.reserve()
        self._is_done = False
        try:
            self._process = FfmpegProcess(arguments, to_standard_output=is_standard_output(destination))
            self._open_input(size, frame_rate)
        except BaseException:
            self._destination.discard()
            raise

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, rgb: Picture, pts: int, *, alpha: Picture | None = None) -> None:
        """Encode one picture.

        Args:
            rgb: (Ho, Wo, 3), full-range R'G'B' of uint8 or uint16.
            pts: when it is shown, in ticks; above the one before it.
            alpha: (Ho, Wo), of rgb's type, the maximum opaque; used where the output holds transparency.

        Raises:
            FfmpegError: ffmpeg ended; the message says what it printed.
        """
        frame = from_rgb(rgb, self._raw_format, self._colour, alpha=alpha)
        frame.pts, frame.time_base = self._clock.ticks(pts), self._clock.tick
        try:
            self._nut.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._process.failure() from error

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
        self._destination.discard()

    def _open_input(self, size: tuple[int, int], frame_rate: Fraction) -> None:
        """Begin the stream of raw frames that ffmpeg reads."""
        try:
            self._nut = av.open(f"pipe:{self._process.stdin.fileno()}", "w", format="nut")
            self._stream = self._nut.add_stream("rawvideo", rate=frame_rate)
            self._stream.width, self._stream.height = size
            self._stream.pix_fmt = self._raw_format
            self._stream.time_base = self._stream.codec_context.time_base = self._clock.tick
        except BaseException:
            self._process.stop()
            raise

    def _end_input(self) -> None:
        try:
            self._nut.close()
        except (av.FFmpegError, OSError) as error:
            raise self._process.failure() from error
