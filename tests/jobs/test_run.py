"""A job in segments ends in what one run gives, and goes on after whatever stopped it."""

from __future__ import annotations

import dataclasses
import shutil
import signal
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.conftest import MakeClip, RunFfmpeg
from tests.jobs.conftest import GRAIN, RunJob, content_of
from tests.tiny import SHORT_RUNS, scattered
from videoinr_cli.errors import FfmpegError, OutputError, VideoInrError
from videoinr_cli.jobs.manifest import open_manifest
from videoinr_cli.jobs.segments import SegmentDone
from videoinr_cli.media.read.reader import SourceFrame, read_frames
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import BY_SUFFIX, MP4
from videoinr_cli.media.write.writer import PacketWriter
from videoinr_cli.options import EncodeOptions, ReadOptions
from videoinr_cli.render import pipeline
from videoinr_cli.render.parts import Part
from videoinr_cli.render.pipeline import Progress

LOSSLESS = EncodeOptions(preset="ultrafast", crf=None, extra=(("qp", "0"),))
WHOLE: dict[str, Any] = {"segment_seconds": 0}


@pytest.mark.parametrize(
    ("name", "encode", "fps"),
    [
        ("out.mp4", LOSSLESS, "60"),
        ("out.mkv", LOSSLESS, None),
        ("out.mkv", EncodeOptions(codec="ffv1"), "30000/1001"),
        ("out.ts", LOSSLESS, "2x"),
        ("out.mov", EncodeOptions(codec="prores_ks"), None),
        ("out.nut", EncodeOptions(), "24"),
    ],
)
def test_segments_end_in_what_one_run_gives(
    name: str, encode: EncodeOptions, fps: str | None, source: Path, tmp_path: Path, run: RunJob
) -> None:
    one, many = tmp_path / f"one-{name}", tmp_path / f"many-{name}"
    summary = run(source, one, encode=encode, fps=fps, **WHOLE)
    assert content_of(one).pictures
    in_parts = run(source, many, encode=encode, fps=fps, segment_seconds=0.3)
    assert content_of(many) == content_of(one)
    assert (in_parts.frames_read, in_parts.frames_written, in_parts.cuts) == (
        summary.frames_read,
        summary.frames_written,
        summary.cuts,
    )
    assert sorted(tmp_path.iterdir()) == sorted([source, one, many]), "nothing else is left"


def test_segments_are_of_whole_runs_of_frames(source: Path, tmp_path: Path, run: RunJob) -> None:
    """A network that looks at many frames at once sees the same ones in a segment as in the whole."""
    model = scattered(SHORT_RUNS)
    one, many = tmp_path / "one.mkv", tmp_path / "many.mkv"
    segments: list[SegmentDone] = []
    wanted = {
        "encode": LOSSLESS,
        "fps": "40",
        "read": ReadOptions(start=Fraction("0.6"), end=Fraction("1.6")),
    }
    run(source, one, model=model, **wanted, **WHOLE)
    run(source, many, model=model, **wanted, segment_seconds=0.3, on_segment=segments.append)
    assert len(segments) >= 3
    assert content_of(many) == content_of(one)


def test_a_range_at_another_speed_in_segments(source: Path, tmp_path: Path, run: RunJob) -> None:
    wanted = {
        "encode": LOSSLESS,
        "read": ReadOptions(start=Fraction("0.5"), end=Fraction("1.7")),
        "speed": Fraction(3, 2),
    }
    run(source, tmp_path / "one.mp4", **wanted, **WHOLE)
    run(source, tmp_path / "many.mp4", **wanted, segment_seconds=0.3)
    assert content_of(tmp_path / "many.mp4") == content_of(tmp_path / "one.mp4")
    assert content_of(tmp_path / "one.mp4").pictures


MakeSource = Callable[[MakeClip, RunFfmpeg], Path]


def uneven(make_clip: MakeClip, _: RunFfmpeg) -> Path:
    stamps = f"{GRAIN},settb=1/90000,setpts='30*(N*N+90*N)'"
    options = ("-bf", 2, "-g", 9, "-fps_mode", "passthrough", "-enc_time_base:v", "1:90000")
    return make_clip("in.mp4", *options, frames=50, audio=True, filters=stamps)


def turned(make_clip: MakeClip, run_ffmpeg: RunFfmpeg) -> Path:
    flat = make_clip("flat.mp4", "-bf", 2, "-g", 9, frames=50, audio=True, filters=GRAIN)
    run_ffmpeg("-display_rotation", 90, "-i", flat, "-c", "copy", flat.with_name("in.mp4"))
    return flat.with_name("in.mp4")


def woven(make_clip: MakeClip, _: RunFfmpeg) -> Path:
    options = ("-c:v", "mpeg2video", "-q:v", 2, "-bf", 2, "-g", 9, "-flags", "+ildct+ilme", "-c:a", "mp2")
    fields = f"{GRAIN},format=yuv420p,tinterlace=interleave_top"
    return make_clip("in.ts", *options, rate="50", frames=50, audio=True, filters=fields)


def live(make_clip: MakeClip, _: RunFfmpeg) -> Path:
    """A file without a length and an index."""
    return make_clip("in.mkv", "-bf", 2, "-g", 9, "-live", 1, frames=50, audio=True, filters=GRAIN)


RANGE = ReadOptions(start=Fraction(1, 2), end=Fraction(17, 10))


@pytest.mark.parametrize(
    ("make", "name", "wanted"),
    [
        (live, "out.mkv", {}),
        (uneven, "out.mkv", {}),
        (uneven, "out.mp4", {"fps": "60", "read": RANGE}),
        (turned, "out.mp4", {"speed": Fraction(1, 2), "read": RANGE}),
        (woven, "out.mkv", {}),
        (woven, "out.mp4", {"speed": Fraction(3, 2), "fps": "30", "audio": "drop"}),
    ],
)
def test_any_source_in_segments(
    make: MakeSource,
    name: str,
    wanted: dict[str, Any],
    tmp_path: Path,
    make_clip: MakeClip,
    run_ffmpeg: RunFfmpeg,
    run: RunJob,
) -> None:
    clip, segments = make(make_clip, run_ffmpeg), Log()
    one, many = tmp_path / f"one-{name}", tmp_path / f"many-{name}"
    run(clip, one, encode=LOSSLESS, **wanted, **WHOLE)
    run(clip, many, encode=LOSSLESS, **wanted, segment_seconds=0.3, on_segment=segments.done.append)
    assert content_of(many) == content_of(one)
    assert len(segments.done) >= 4


def test_segments_of_a_slowing_source_last_as_long_as_it_does(
    make_clip: MakeClip, tmp_path: Path, run: RunJob
) -> None:
    stamps = f"{GRAIN},settb=1/1000,setpts='40*N+max(0,N-40)*2000'"
    clip = make_clip("in.mkv", "-g", 9, "-fps_mode", "passthrough", frames=44, filters=stamps)
    run(clip, tmp_path / "out.mp4", encode=EncodeOptions(), segment_seconds=0.5)
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction("7.76")
        shown = [frame.pts * frame.time_base for frame in container.decode(stream)]
    assert shown == [Fraction(40 * n + max(0, n - 40) * 2000, 1000) for n in range(44)]


@dataclasses.dataclass
class Log:
    """Which segments were rendered, and from which on each run."""

    done: list[SegmentDone] = dataclasses.field(default_factory=list)

    def fresh(self) -> list[int]:
        return [event.number for event in self.done if not event.was_done]


class Broken(Exception):
    """An error that only a test raises."""


def failing_at(frame: int, error: BaseException) -> Callable[[Progress], None]:
    def fail(progress: Progress) -> None:
        if progress.frames == frame:
            raise error

    return fail


@pytest.mark.parametrize(
    "error", [Broken(), KeyboardInterrupt(), MemoryError()], ids=lambda error: repr(error)
)
def test_what_is_done_is_not_done_again(
    error: BaseException, source: Path, tmp_path: Path, run: RunJob
) -> None:
    one, output = tmp_path / "one.mkv", tmp_path / "out.mkv"
    wanted = {"encode": LOSSLESS, "segment_seconds": 0.3}
    run(source, one, **wanted)
    first, second = Log(), Log()
    with pytest.raises((type(error), VideoInrError)):
        run(source, output, progress=failing_at(30, error), on_segment=first.done.append, **wanted)
    assert not output.exists()
    seen: list[Progress] = []
    summary = run(source, output, progress=seen.append, on_segment=second.done.append, **wanted)
    assert content_of(output) == content_of(one)
    assert [event.number for event in second.done if event.was_done] == first.fresh() != []
    assert sorted(first.fresh() + second.fresh()) == list(range(1, second.done[0].total + 1))
    done = sum(event.frames for event in first.done)
    assert {progress.frames_before for progress in seen} == {summary.frames_before} == {done}
    assert [progress.frames for progress in seen] == list(range(done + 1, summary.frames_written + 1))
    assert not (tmp_path / "out.mkv.videoinr").exists()


def test_the_join_can_be_done_again(
    source: Path, tmp_path: Path, run: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, log = tmp_path / "out.mkv", Log()
    write = PacketWriter.write
    with monkeypatch.context() as patch:
        patch.setattr(PacketWriter, "write", lambda *_: (_ for _ in ()).throw(Broken()))
        with pytest.raises(Broken):
            run(source, output, segment_seconds=0.5)
    assert PacketWriter.write is write
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]
    run(source, output, segment_seconds=0.5, on_segment=log.done.append, keep_temp=True)
    assert log.fresh() == []
    assert content_of(output).pictures
    assert (tmp_path / "out.mkv.videoinr").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 2.0}, "scale 1.0, not 2.0"),
        ({"encode": EncodeOptions(crf=30)}, "crf 18, not 30"),
        ({"fps": "60"}, "fps None, not 60"),
        ({"source": "other"}, "another source"),
    ],
)
def test_another_job_is_refused_and_named(
    change: dict[str, Any], words: str, source: Path, tmp_path: Path, make_clip: MakeClip, run: RunJob
) -> None:
    output = tmp_path / "out.mkv"
    with pytest.raises(Broken):
        run(source, output, segment_seconds=0.5, progress=failing_at(20, Broken()))
    other = make_clip("other.mkv", frames=50) if change.pop("source", None) else source
    with pytest.raises(OutputError, match=f"{words}.*--no-resume"):
        run(other, output, segment_seconds=0.5, **change)
    log = Log()
    run(other, output, segment_seconds=0.5, resume=False, on_segment=log.done.append, **change)
    assert log.fresh() == [event.number for event in log.done]
    assert content_of(output).pictures


def test_what_is_rendered_is_of_use_without_its_sound(source: Path, tmp_path: Path, run: RunJob) -> None:
    output, log = tmp_path / "out.mkv", Log()
    with pytest.raises(Broken):
        run(source, output, segment_seconds=0.5, progress=failing_at(30, Broken()))
    run(source, output, segment_seconds=0.5, audio="drop", on_segment=log.done.append)
    assert any(event.was_done for event in log.done)
    assert [kind for kind, _ in content_of(output).others] == ["subtitle"]


def test_what_a_muxer_refuses_is_said_before_anything_is_rendered(
    make_clip: MakeClip, tmp_path: Path, run: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the table of containers does not know of it."""
    monkeypatch.setitem(BY_SUFFIX, ".mp4", dataclasses.replace(MP4, min_mp3_rate=0))
    sound = ("-c:v", "flv", "-c:a", "libmp3lame", "-ar", 11025)
    source, output, log = make_clip("in.flv", *sound, frames=40, audio=True), tmp_path / "out.mp4", Log()
    with pytest.raises(FfmpegError, match="muxing mp3 at 11025hz"):
        run(source, output, segment_seconds=0.5, on_segment=log.done.append)
    assert log.done == []
    assert not list(tmp_path.glob("**/trial*"))
    run(source, output, segment_seconds=0.5, audio="drop")
    assert content_of(output).others == ()


def test_beginning_anew_in_one_go_leaves_nothing(source: Path, tmp_path: Path, run: RunJob) -> None:
    output = tmp_path / "out.mkv"
    with pytest.raises(Broken):
        run(source, output, segment_seconds=0.5, progress=failing_at(30, Broken()))
    run(source, output, resume=False, **WHOLE)
    assert sorted(tmp_path.iterdir()) == [source, output]


def test_beginning_anew_waits_for_the_run_that_is_at_work(source: Path, tmp_path: Path, run: RunJob) -> None:
    output = tmp_path / "out.mkv"

    def start_another(progress: Progress) -> None:
        with pytest.raises(OutputError, match="another run"):
            run(source, output, resume=False, **WHOLE)
        assert (tmp_path / "out.mkv.videoinr" / "manifest.json").exists()
        raise Broken

    with pytest.raises(Broken):
        run(source, output, segment_seconds=0.5, progress=start_another)


def test_a_job_of_which_nothing_is_done_leaves_nothing(source: Path, tmp_path: Path, run: RunJob) -> None:
    output = tmp_path / "out.mkv"
    with pytest.raises(Broken):
        run(source, output, segment_seconds=0.5, progress=failing_at(2, Broken()))
    assert list(tmp_path.iterdir()) == [source]


def test_a_killed_job_of_which_nothing_is_done_refuses_no_other_options(
    source: Path, tmp_path: Path, run: RunJob
) -> None:
    output, folder, kept, log = tmp_path / "out.mkv", tmp_path / "out.mkv.videoinr", tmp_path / "kept", Log()

    def keep(progress: Progress) -> None:
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("lock"))
        raise Broken

    with pytest.raises(Broken):
        run(source, output, segment_seconds=0.5, progress=keep)
    kept.rename(folder)
    encode = EncodeOptions(preset="ultrafast", crf=30)
    run(source, output, segment_seconds=1, encode=encode, on_segment=log.done.append)
    assert [(event.total, event.was_done) for event in log.done] == [(2, False)] * 2
    assert sorted(tmp_path.iterdir()) == [source, output]


def test_a_moved_source_is_the_same(source: Path, tmp_path: Path, run: RunJob) -> None:
    output, log = tmp_path / "out.mkv", Log()
    with pytest.raises(Broken):
        run(source, output, segment_seconds=0.5, progress=failing_at(30, Broken()))
    run(source.rename(tmp_path / "elsewhere.mkv"), output, segment_seconds=0.5, on_segment=log.done.append)
    assert any(event.was_done for event in log.done)


def test_any_image_that_is_another_one_makes_another_source(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, run: RunJob
) -> None:
    folder, output = tmp_path / "images", tmp_path / "out.mkv"
    folder.mkdir()
    run_ffmpeg("-i", make_clip("in.mkv", frames=40, filters=GRAIN), folder / "%03d.bmp")
    with pytest.raises(Broken):
        run(folder, output, segment_seconds=0.3, progress=failing_at(30, Broken()))
    replaced = folder / "014.bmp"  # of the same size, as all are
    replaced.write_bytes((folder / "020.bmp").read_bytes())
    with pytest.raises(OutputError, match="begun with another source"):
        run(folder, output, segment_seconds=0.3)


def test_a_damaged_segment_is_rendered_again(source: Path, tmp_path: Path, run: RunJob) -> None:
    output, log = tmp_path / "out.mkv", Log()
    run(source, output, segment_seconds=0.3, keep_temp=True, encode=LOSSLESS)
    good = content_of(output)
    folder = tmp_path / "out.mkv.videoinr"
    (folder / "000002.mp4").write_bytes(b"nonsense")
    (folder / "000004.mp4").unlink()
    run(source, output, segment_seconds=0.3, overwrite=True, encode=LOSSLESS, on_segment=log.done.append)
    assert log.fresh() == [3, 5]
    assert content_of(output) == good


def test_only_one_run_works_in_a_folder(source: Path, tmp_path: Path, run: RunJob) -> None:
    output = tmp_path / "out.mkv"

    def start_another(progress: Progress) -> None:
        with pytest.raises(OutputError, match="another run"):
            run(source, output, segment_seconds=0.5)
        raise Broken

    with pytest.raises(Broken):
        run(source, output, segment_seconds=0.5, progress=start_another)


@pytest.mark.parametrize("name", ["lock", "000000.mkv"])
def test_a_folder_that_may_not_be_used_is_said(name: str, tmp_path: Path) -> None:
    """As of one that sudo has left; a folder in a file's place stops whom no permission does."""
    (tmp_path / "out.mkv.videoinr" / name).mkdir(parents=True)
    opened = open_manifest(tmp_path / "out.mkv", {}, [Part()], resume=False)
    with pytest.raises(OutputError, match=r"out\.mkv\.videoinr' cannot be used"), opened:
        pass


def test_a_source_that_changes_its_frames_is_found_out(
    source: Path, tmp_path: Path, run: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that cannot be entered, for all that its container says."""

    def shifted(info: VideoInfo, **arguments: Any) -> Iterator[SourceFrame]:
        begin = arguments.pop("begin")
        late = None if begin is None else begin + 40
        for frame in read_frames(info, begin=late, **arguments):
            yield dataclasses.replace(frame, pts=frame.pts - (0 if begin is None else 40))

    monkeypatch.setattr(pipeline, "read_frames", shifted)
    with pytest.raises(OutputError, match="--segment-seconds 0"):
        run(source, tmp_path / "out.mkv", segment_seconds=0.5)


@pytest.mark.parametrize("name", ["out.gif", "out-%03d.png", "out.avi.mkv"])
def test_what_is_short_or_cannot_be_joined_is_made_in_one_go(
    name: str, source: Path, tmp_path: Path, run: RunJob
) -> None:
    seconds = None if name.endswith(".mkv") else 0.5
    log = Log()
    run(source, tmp_path / name, segment_seconds=seconds, encode=EncodeOptions(), on_segment=log.done.append)
    assert log.done == []


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Tests may run in the background of a shell, where Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_first_interrupt_lets_the_segment_be_finished(source: Path, tmp_path: Path, run: RunJob) -> None:
    output, log = tmp_path / "out.mkv", Log()

    def interrupt(progress: Progress) -> None:
        if progress.frames == 20:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(source, output, segment_seconds=0.5, progress=interrupt, on_segment=log.done.append)
    assert sum(event.frames for event in log.done) >= 20
    count = len(log.done)
    run(source, output, segment_seconds=0.5, on_segment=log.done.append)
    assert [event.number for event in log.done if event.was_done] == list(range(1, count + 1))


@pytest.mark.usefixtures("interruptible")
def test_a_second_interrupt_stops_at_once(source: Path, tmp_path: Path, run: RunJob) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.frames in (20, 22):
            signal.raise_signal(signal.SIGINT)

    log = Log()
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.mkv", segment_seconds=0.5, progress=interrupt, on_segment=log.done.append)
    assert sum(event.frames for event in log.done) < 20
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
