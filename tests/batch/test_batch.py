"""Several videos in one go: which are meant, what their outputs are called, and that none stops another."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeClip
from videoinr_cli.batch import batch as batch_module
from videoinr_cli.batch import engines
from videoinr_cli.batch import items as items_module
from videoinr_cli.batch.batch import run_batch
from videoinr_cli.batch.events import Done, End, Error, Event, Progress, Segment, Skipped, Start, VideoEvent
from videoinr_cli.batch.items import Existing, Folder, Item, Pending, Refused, plan_batch
from videoinr_cli.batch.make_events import start_of
from videoinr_cli.batch.names import NamePattern
from videoinr_cli.batch.overall import OverallProgress
from videoinr_cli.batch.request import Request
from videoinr_cli.batch.sources import Source, find_sources, read_list
from videoinr_cli.errors import FfmpegError, OptionError, OutputError
from videoinr_cli.evaluation.clips import find_clips
from videoinr_cli.jobs.segments import SegmentDone
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.options import EncodeOptions, JobOptions, ReadOptions, TargetRate, UpscaleOptions
from videoinr_cli.render.pipeline import Engine, Summary
from videoinr_cli.render.pipeline import Progress as VideoProgress
from videoinr_cli.render.plan import Plan
from videoinr_cli.training.footage import load_shots

OPTIONS = UpscaleOptions(scale=2)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_of(sources: list[Source], folder: Path) -> list[str]:
    return [source.path.relative_to(folder).as_posix() for source in sources]


class TestSources:
    def test_a_folder_stands_for_its_videos_in_the_order_of_their_numbers(self, tmp_path: Path) -> None:
        touch(tmp_path, "clip10.mp4", "clip9.MKV", "notes.txt", ".hidden.mp4", "cover.jpg", "sub/deep.mov")
        assert names_of(find_sources([tmp_path]), tmp_path) == ["clip9.MKV", "clip10.mp4"]

    def test_digits_that_make_no_number_do_not_stop_it(self, tmp_path: Path) -> None:
        touch(tmp_path, "4²1.mp4", "40.mp4", "٣.mp4")
        names = ["٣.mp4", "4²1.mp4", "40.mp4"]
        assert names_of(find_sources([tmp_path]), tmp_path) == names
        assert [clip.paths[0].name for clip in find_clips(tmp_path)] == names

    def test_every_command_that_searches_a_folder_knows_the_same_videos(
        self, make_clip: MakeClip, tmp_path: Path
    ) -> None:
        folder, names = tmp_path / "in", ["a.wmv", "b.mts", "c.3gp", "d.h264", "e.m2t"]
        for name in names:
            make_clip(f"in/{name}", "-c:v", "wmv2" if name == "a.wmv" else "libx264", size=(224, 208))
        assert names_of(find_sources([folder]), folder) == names
        clips = find_clips(folder)
        assert [clip.paths[0].name for clip in clips] == names
        assert all(len(list(clip.frames())) == 10 for clip in clips)
        assert [shot.source for shot in load_shots([folder], tmp_path / "cache")] == names

    def test_folders_within_are_searched_when_asked_for(self, tmp_path: Path) -> None:
        touch(tmp_path, "b.mp4", "a/c.mov", "a/.trash/d.mp4", "out/b.mp4", "b.mp4.videoinr/0.mkv")
        found = find_sources([tmp_path], recursive=True, outputs=tmp_path / "out")
        assert names_of(found, tmp_path) == ["a/c.mov", "b.mp4"]
        assert [source.folder for source in found] == [Path("a"), Path()]

    def test_outputs_may_go_beside_the_sources(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.mp4")
        assert names_of(find_sources([tmp_path], recursive=True, outputs=tmp_path), tmp_path) == ["a.mp4"]

    def test_a_video_is_meant_once(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.mp4", "b.mp4")
        found = find_sources([tmp_path / "b.mp4", tmp_path, tmp_path / "a.mp4"])
        assert names_of(found, tmp_path) == ["b.mp4", "a.mp4"]

    def test_a_folder_of_images_is_one_video(self, tmp_path: Path) -> None:
        touch(tmp_path, "1.png", "2.png")
        assert find_sources([tmp_path]) == [Source(tmp_path)]

    def test_a_folder_of_neither_is_told(self, tmp_path: Path) -> None:
        touch(tmp_path, "notes.txt", "sub/a.mp4")
        (source,) = find_sources([tmp_path])
        assert "without videos; try --recursive" in str(source.problem)

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read anything")
    def test_a_folder_that_may_not_be_read_is_told_beside_the_others(self, tmp_path: Path) -> None:
        touch(tmp_path, "in/a.mp4", "in/closed/b.mp4")
        closed = tmp_path / "in" / "closed"
        closed.chmod(0)
        try:
            for paths in ([closed, tmp_path / "in"], [tmp_path / "in"]):
                problem, a = find_sources(paths, recursive=True)
                assert (problem.path, a.path) == (closed, tmp_path / "in" / "a.mp4")
                assert "closed' cannot be read: Permission denied" in str(problem.problem)
            assert find_sources([closed / "b.mp4"]) == [Source(closed / "b.mp4")], "found out when it is read"
        finally:
            closed.chmod(0o700)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
    def test_a_list_names_a_source_a_line(self, encoding: str) -> None:
        text = "ä b.mp4\r\n\n# not this\n folder/c.mkv\n#1.mp4\n"
        assert read_list(text.encode(encoding)) == [Path("ä b.mp4"), Path(" folder/c.mkv")]

    def test_a_list_of_find_may_hold_any_name(self) -> None:
        names = [b"a\nb.mp4", b"# c.mp4", b"caf\xe9.mp4"]
        assert [os.fsencode(path) for path in read_list(b"\0".join([*names, b""]))] == names


class TestNames:
    @pytest.mark.parametrize(
        ("pattern", "source", "name"),
        [
            ("{stem}{ext}", "film.MP4", "film.MP4"),
            ("{stem}{ext}", "film.avi", "film.mkv"),
            ("{stem}{ext}", "frames", "frames.mkv"),
            ("{stem}_{height}p{ext}", "a.b.mov", "a.b_1080p.mov"),
            ("{index:03}-{width}x{height}@{fps}.mkv", "x.mp4", "007-1920x1080@59.94.mkv"),
            ("{parent}/{stem}.webm", "holiday/x.mp4", "holiday/x.webm"),
            ("{stem}/%06d.png", "x.mp4", "x/%06d.png"),
        ],
    )
    def test_patterns(self, pattern: str, source: str, name: str) -> None:
        rate = Fraction(60000, 1001)
        assert NamePattern(pattern).name(Source(Path(source)), (1920, 1080), rate, 7) == Path(name)

    def test_an_output_lies_in_its_folder_as_its_source_in_that_one(self) -> None:
        source = Source(Path("in/a/b.mp4"), folder=Path("a"))
        assert NamePattern("{stem}x{ext}").name(source, (2, 2), Fraction(25), 1) == Path("a/bx.mp4")

    @pytest.mark.parametrize(
        ("pattern", "words"),
        [
            ("{title}{ext}", "{title}"),
            ("{stem.__class__}", "{stem.__class__}"),
            ("{}", "{}"),
            ("{stem", "expected '}'"),
            ("{stem:d}{ext}", "code 'd'"),
            ("../{stem}{ext}", "leads out"),
            ("/tmp/{stem}{ext}", "leads out"),
            ("", "leads out"),
        ],
    )
    def test_a_senseless_pattern_is_refused(self, pattern: str, words: str) -> None:
        with pytest.raises(OptionError) as caught:
            NamePattern(pattern)
        assert words in str(caught.value)


class TestRequest:
    @pytest.mark.parametrize(
        ("paths", "output", "is_batch"),
        [
            (["a.mp4"], "out.mp4", False),
            (["a.mp4"], "-", False),
            (["a.mp4"], "frames/%05d.png", False),
            (["a.mp4"], "name", False),
            (["a.mp4"], "name/", True),
            (["a.mp4"], "there", True),
            (["there"], "out.mp4", False),
            (["there"], "new", True),
            (["a.mp4", "b.mp4"], "new", True),
        ],
    )
    def test_one_file_or_a_folder(
        self, paths: list[str], output: str, is_batch: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("there").mkdir()
        assert Request(tuple(map(Path, paths)), output).is_batch is is_batch

    @pytest.mark.parametrize("output", ["out.mp4", "-", "frames/%05d.png", "present"])
    def test_several_sources_need_a_folder(
        self, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("present").touch()
        with pytest.raises(OptionError, match="several sources cannot go into one file"):
            Request((Path("a.mp4"), Path("b.mp4")), output)

    @pytest.mark.parametrize("option", [{"name": "{stem}{ext}"}, {"recursive": True}])
    def test_what_is_for_folders_is_not_for_a_file(self, option: dict[str, Any]) -> None:
        with pytest.raises(OptionError, match="outputs in a folder"):
            Request((Path("a.mp4"),), "out.mp4", **option)


def planned(folder: Path, output: Path, options: UpscaleOptions = OPTIONS, **given: Any) -> list[Item]:
    pattern = NamePattern(given.pop("name", "{stem}{ext}"))
    sources = find_sources([folder], recursive=True, outputs=output)
    return plan_batch(sources, Folder(output, pattern), options, **given)


class TestPlan:
    def test_every_source_is_checked_and_nothing_is_written(
        self, make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "videoinr_cli")
        make_clip("in/a.mp4", frames=2)
        make_clip("in/sub/b.mkv", "-c:a", "pcm_s16le", frames=2, audio=True)
        touch(tmp_path, "in/c.mp4")
        counts: list[int] = []
        a, c, b = planned(
            tmp_path / "in", tmp_path / "out", name="{stem}_{width}x{height}.mp4", checked=counts.append
        )
        assert isinstance(a, Pending)
        assert isinstance(b, Pending)
        assert isinstance(c, Refused)
        assert a.destination == tmp_path / "out" / "a_128x96.mp4"
        assert b.destination == tmp_path / "out" / "sub" / "b_128x96.mp4"
        lossy = [[note.text for note in item.plan.notes if "colours" not in note.text] for item in (a, b)]
        assert lossy == [[], ["mp4 cannot hold audio stream 1 (pcm_s16le): it becomes aac"]]
        assert "c.mp4" in str(c.error)
        assert counts == [1, 2, 3]
        assert not (tmp_path / "out").exists()

    def test_a_size_that_the_format_rounds_is_the_one_in_the_name(
        self, make_clip: MakeClip, tmp_path: Path
    ) -> None:
        make_clip("in/a.mp4", frames=2)
        options = UpscaleOptions(scale=1.01, fps=TargetRate.parse("2x"), encode=EncodeOptions(crf=20))
        (item,) = planned(tmp_path / "in", tmp_path / "out", options, name="{width}x{height}@{fps}{ext}")
        assert item.destination == tmp_path / "out" / "66x48@50.mp4"

    def test_existing_outputs_are_refused_or_skipped(self, make_clip: MakeClip, tmp_path: Path) -> None:
        make_clip("in/a.mp4", frames=2)
        touch(tmp_path, "out/a.mp4")
        (refused,) = planned(tmp_path / "in", tmp_path / "out")
        assert isinstance(refused, Refused)
        assert "exists" in str(refused.error)
        (skipped,) = planned(tmp_path / "in", tmp_path / "out", skip_existing=True)
        assert isinstance(skipped, Existing)

    @pytest.mark.parametrize("skip_existing", [False, True])
    def test_a_folder_of_an_outputs_name_is_no_output(
        self, skip_existing: bool, make_clip: MakeClip, tmp_path: Path
    ) -> None:
        make_clip("in/a.mkv", frames=2)
        (tmp_path / "out" / "a.mkv").mkdir(parents=True)
        (refused,) = planned(tmp_path / "in", tmp_path / "out", skip_existing=skip_existing)
        assert isinstance(refused, Refused)
        assert "is a folder; name a file in it" in str(refused.error)

    @pytest.mark.parametrize("skip_existing", [False, True])
    def test_a_source_is_never_its_own_output(
        self, skip_existing: bool, make_clip: MakeClip, tmp_path: Path
    ) -> None:
        make_clip("a.mp4", frames=2)
        (item,) = planned(
            tmp_path, tmp_path, UpscaleOptions(scale=2, overwrite=True), skip_existing=skip_existing
        )
        assert isinstance(item, Refused)
        assert "the source itself" in str(item.error)

    def test_two_sources_never_share_an_output(self, make_clip: MakeClip, tmp_path: Path) -> None:
        for name in ("in/a.mp4", "in/b.mp4"):
            make_clip(name, frames=2)
        with pytest.raises(OptionError, match=r"'.*a\.mp4' and '.*b\.mp4' would both become '.*same\.mp4'"):
            planned(tmp_path / "in", tmp_path / "out", name="same{ext}")

    def test_no_output_replaces_another_source(self, make_clip: MakeClip, tmp_path: Path) -> None:
        for name in ("a.mp4", "a_2x.mp4"):
            make_clip(name, frames=2)
        with pytest.raises(OptionError, match="which is a source itself"):
            planned(tmp_path, tmp_path, UpscaleOptions(scale=2, overwrite=True), name="{stem}_2x{ext}")

    def test_outputs_beside_their_sources_are_skipped_as_they_are(
        self, make_clip: MakeClip, tmp_path: Path
    ) -> None:
        for name in ("a.mp4", "a_2x.mp4", "a_2x_2x.mp4", "b.mp4"):
            make_clip(name, frames=2)
        a, large, larger, b = planned(tmp_path, tmp_path, name="{stem}_2x{ext}", skip_existing=True)
        assert a == Existing(tmp_path / "a.mp4", tmp_path / "a_2x.mp4")
        assert large == Existing(tmp_path / "a_2x.mp4", tmp_path / "a_2x.mp4")
        assert larger == Existing(tmp_path / "a_2x_2x.mp4", tmp_path / "a_2x_2x.mp4")
        assert isinstance(b, Pending)
        assert b.destination == tmp_path / "b_2x.mp4"

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_cannot_be_made_is_found_early(self, make_clip: MakeClip, tmp_path: Path) -> None:
        make_clip("in/a.mp4", frames=2)
        (tmp_path / "locked").mkdir(mode=0o500)
        (item,) = planned(tmp_path / "in", tmp_path / "locked" / "out")
        assert isinstance(item, Refused)
        assert isinstance(item.error, OutputError)

    def test_a_file_in_the_place_of_the_folder_is_found_early(
        self, make_clip: MakeClip, tmp_path: Path
    ) -> None:
        make_clip("in/a.mp4", frames=2)
        touch(tmp_path, "file")
        (item,) = planned(tmp_path / "in", tmp_path / "file" / "out")
        assert isinstance(item, Refused)
        assert isinstance(item.error, OutputError)

    def test_an_unexpected_error_is_one_source_s(
        self, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("in/a.mp4", "in/b.mp4"):
            make_clip(name, frames=2)

        def fail_once(path: Path, options: ReadOptions) -> VideoInfo:
            if path.name == "a.mp4":
                raise ZeroDivisionError("by zero")
            return prepare(path, options)

        monkeypatch.setattr(items_module, "prepare", fail_once)
        a, b = planned(tmp_path / "in", tmp_path / "out")
        assert isinstance(a, Refused)
        assert isinstance(a.error, ZeroDivisionError)
        assert isinstance(b, Pending)

    def test_standard_input_is_not_one_of_several(self, tmp_path: Path) -> None:
        (item,) = plan_batch([Source(Path("-"))], Folder(tmp_path, NamePattern()), OPTIONS)
        assert isinstance(item, Refused)
        assert "standard input" in str(item.error)


class FakeRenderer:
    """Stands in for `run_job`: tells of four frames, and fails where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: dict[str, BaseException]) -> None:
        self.failing = failing
        self.models: list[object] = []
        monkeypatch.setattr(batch_module, "run_job", self.render)
        monkeypatch.setattr(engines, "load_network", self.load)
        self.loaded = 0

    def load(self, *_: object, **__: object) -> object:
        self.loaded += 1
        return object()

    def render(
        self,
        plan: Plan,
        job: JobOptions,
        *,
        engine: Engine,
        progress: Any,
        on_segment: Any,
        **_: object,
    ) -> Summary:
        on_segment(SegmentDone(number=1, total=2, frames=2, bytes=500, was_done=True))
        self.models.append(engine.model)
        for frame in range(1, 5):
            progress(VideoProgress(frame, 4, frame / 4, 1.0, float(frame)))
            if frame == 2 and plan.source.path.name in self.failing:
                raise self.failing[plan.source.path.name]
        plan.destination.touch()
        return Summary(
            plan.destination,
            (64, 48),
            (128, 96),
            4,
            4,
            0,
            elapsed_seconds=4.0,
            output_bytes=1000,
            notes=("a note",),
        )


@pytest.fixture
def items(make_clip: MakeClip, tmp_path: Path) -> list[Item]:
    """Three videos of different size, a broken one, and one that is there already."""
    clip = make_clip("in/a.mp4", frames=4, rate="4")
    make_clip("in/b.mp4", size=(96, 64), frames=4, rate="4")
    (tmp_path / "in" / "c.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "in" / "done.mp4").write_bytes(clip.read_bytes())
    touch(tmp_path, "in/broken.mp4", "out/done.mp4")
    return planned(tmp_path / "in", tmp_path / "out", skip_existing=True)


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events if not isinstance(event, (Progress, Segment))]


class TestRun:
    def test_one_that_fails_does_not_stop_the_others(
        self, items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake = FakeRenderer(monkeypatch, {"b.mp4": FfmpegError("ffmpeg died")})
        events: list[Event] = []
        result = run_batch(items, OPTIONS, events.append)
        assert kinds(events) == [
            "Begin",
            "Error",
            "Skipped",
            "Start",
            "Done",
            "Start",
            "Error",
            "Start",
            "Done",
            "End",
        ]
        assert [str(refused.error) for refused in result.failed][1:] == ["ffmpeg died"]
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "c.mp4", "done.mp4"]
        assert (fake.loaded, len(set(map(id, fake.models)))) == (1, 1), (
            "one model for all, whatever their size"
        )
        end = events[-1]
        assert isinstance(end, End)
        assert (end.done, end.failed, end.skipped, end.left) == (2, 2, 1, ())
        assert (end.frames_written, end.output_bytes) == (8, 2000)
        assert [event.notes for event in events if isinstance(event, Done)] == [("a note",)] * 2

    def test_an_unexpected_error_is_one_file_s_too(
        self, items: list[Item], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        FakeRenderer(monkeypatch, {"a.mp4": ZeroDivisionError("by zero")})
        events: list[Event] = []
        run_batch(items, OPTIONS, events.append)
        (error,) = [event for event in events if isinstance(event, Error) and event.source.name == "a.mp4"]
        assert (error.kind, error.message) == ("ZeroDivisionError", "unexpected ZeroDivisionError: by zero")
        assert sum(isinstance(event, Done) for event in events) == 2

    def test_fail_fast_stops_before_the_first_when_one_is_broken(
        self, items: list[Item], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake = FakeRenderer(monkeypatch, {})
        events: list[Event] = []
        assert len(run_batch(items, OPTIONS, events.append, fail_fast=True).failed) == 1
        assert kinds(events) == ["Begin", "Error", "Skipped", "End"]
        assert fake.loaded == 0

    def test_fail_fast_stops_at_the_first_that_fails(
        self, items: list[Item], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        FakeRenderer(monkeypatch, {"b.mp4": FfmpegError("ffmpeg died")})
        events: list[Event] = []
        sound = [item for item in items if not isinstance(item, Refused)]
        run_batch(sound, OPTIONS, events.append, fail_fast=True)
        end = events[-1]
        assert isinstance(end, End)
        assert (end.done, end.failed, [path.name for path in end.left]) == (1, 1, ["c.mp4"])

    def test_an_interruption_tells_what_is_done_and_what_is_not(
        self, items: list[Item], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        FakeRenderer(monkeypatch, {"b.mp4": KeyboardInterrupt()})
        events: list[Event] = []
        with pytest.raises(KeyboardInterrupt):
            run_batch(items, OPTIONS, events.append)
        end = events[-1]
        assert isinstance(end, End)
        assert end.interrupted
        assert (end.done, [path.name for path in end.left]) == (1, ["b.mp4", "c.mp4"])

    def test_progress_of_all_rises_to_the_whole(
        self, items: list[Item], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        FakeRenderer(monkeypatch, {"b.mp4": FfmpegError("ffmpeg died")})
        events: list[Event] = []
        run_batch(items, OPTIONS, events.append)
        shares = [event.overall_fraction for event in events if isinstance(event, Progress)]
        assert shares == pytest.approx([
            *(n * 3 / 4 / 12 for n in range(1, 5)),  # 12: the pixels of a, c and twice as many of b
            *((3 + n * 6 / 4) / 12 for n in (1, 2)),
            *((3 + 3 + n * 3 / 4) / 9 for n in range(1, 5)),  # what failed is not to be done any more
        ])  # fmt: skip
        first = next(event for event in events if isinstance(event, Progress))
        assert first.left_seconds == pytest.approx(3.0), "a second for one of four frames"

    def test_a_start_tells_what_will_be(self, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
        FakeRenderer(monkeypatch, {})
        events: list[Event] = []
        run_batch(items, OPTIONS, events.append)
        start = next(event for event in events if isinstance(event, Start))
        assert (start.index, start.count, start.source.name) == (1, 5, "a.mp4")
        assert (start.source_size, start.size) == ((64, 48), (128, 96))
        segment = next(event for event in events if isinstance(event, Segment))
        assert (segment.index, segment.segment, segment.segments, segment.was_done) == (1, 1, 2, True)
        assert (start.source_fps, start.fps, start.frames, start.seconds) == (4.0, None, 4, 1.0)

    def test_slow_motion_is_told_to_last_longer(self, make_clip: MakeClip, tmp_path: Path) -> None:
        make_clip("in/a.mp4", frames=4, rate="4")
        options = UpscaleOptions(scale=2, speed=Fraction(1, 4))
        (item,) = planned(tmp_path / "in", tmp_path / "out", options)
        assert isinstance(item, Pending)
        start = start_of(VideoEvent(1, 1, item.source), item)
        assert (start.frames, start.seconds) == (16, 4.0)


def test_work_of_unknown_length_has_no_end(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("in.mp4", frames=2)
    (item,) = plan_batch([Source(clip)], Folder(tmp_path / "out", NamePattern()), OPTIONS)
    assert isinstance(item, Pending)
    seconds = iter([0.0, 10.0])
    overall = OverallProgress({1: item.plan}, now=lambda: next(seconds))
    with overall.on(1):
        overall.update(0.25)
        assert overall.fraction == 0.25
        assert overall.left_seconds == 30.0
    seconds = iter([0.0, 10.0])
    resumed = OverallProgress({1: item.plan}, now=lambda: next(seconds))
    with resumed.on(1):
        resumed.update(0.5, share_before=0.5)
        assert resumed.left_seconds == 20.0, "a quarter in ten seconds; what was there before took no time"
    unknown = OverallProgress({1: item.plan, 2: _without_length(item)})
    assert (unknown.fraction, unknown.left_seconds) == (None, None)


def _without_length(item: Pending) -> Any:
    class Unknown:
        total_frames = None
        size = item.plan.size

    return Unknown()


def test_skipped_outputs_are_named(items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    FakeRenderer(monkeypatch, {})
    events: list[Event] = []
    run_batch(items, OPTIONS, events.append)
    (skipped,) = [event for event in events if isinstance(event, Skipped)]
    assert (skipped.source.name, skipped.destination.name, skipped.index) == ("done.mp4", "done.mp4", 5)
