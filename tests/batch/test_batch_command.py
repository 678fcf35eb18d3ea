"""Batches on the command line: exit codes, JSON lines, presets, the environment."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from tests.command import check_one_line, run
from tests.conftest import MakeClip
from videoinr_cli import progress
from videoinr_cli.batch import batch as batch_module
from videoinr_cli.batch import engines, estimate, events
from videoinr_cli.cli import json_lines
from videoinr_cli.options import EncodeOptions, UpscaleOptions
from videoinr_cli.render.memory import held_bytes, release_memory
from videoinr_cli.render.pieces import DEFAULT_SIZES
from videoinr_cli.render.pipeline import Engine, Summary
from videoinr_cli.render.plan import Plan
from videoinr_cli.render.speed import Speed
from videoinr_cli.weights import load_network

SEVERAL = ["--workers", 2, "--segment-seconds", 0.1]

Layered = Callable[[str, dict[str, str], list[object]], int]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[UpscaleOptions]:
    """What the options of every video are, which is not rendered."""
    seen: list[UpscaleOptions] = []

    def render(plan: Plan, *_: Any, **__: Any) -> Summary:
        if plan.source.path.stem == "interrupted":
            raise KeyboardInterrupt
        seen.append(plan.options)
        return Summary(plan.destination, (64, 48), (64, 48), 2, 2, 0, 1.0, 100)

    monkeypatch.setattr(batch_module, "run_job", render)
    monkeypatch.setattr(engines, "load_network", lambda *_, **__: object())
    return seen


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_thirty_files_of_which_five_are_broken(
    make_clip: MakeClip,
    weights: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = make_clip("small.mkv", "-c:v", "ffv1", size=(32, 24), frames=2)
    large = make_clip("large.mkv", "-c:v", "ffv1", size=(48, 16), frames=3, picture="smptebars")
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(30):
        shutil.copy(large if number % 3 else small, source / f"{number:02}.mkv")
    broken = {f"{number:02}" for number in range(2, 30, 6)}
    for number, name in enumerate(sorted(broken)):
        (source / f"{name}.mkv").write_bytes(small.read_bytes()[: 40 * number])
    loaded: list[object] = []
    monkeypatch.setattr(
        engines, "load_network", lambda asked: loaded.append(model := load_network(asked)) or model
    )

    options = ["--scale", 1.5, "--weights", weights, "--codec", "ffv1", "--crf", 0, "--json"]
    assert run("upscale", source, "-o", output, *options, "--name", "{stem}_{height}p{ext}") == 1

    said = capfd.readouterr()
    told = lines(said.out)
    outcomes = {Path(line["source"]).stem: line for line in told if line["event"] in ("done", "error")}
    assert len(outcomes) == 30
    assert {name for name, line in outcomes.items() if line["event"] == "error"} == broken
    assert len(loaded) == 1, "one model for all, of whatever size"
    assert len(list(output.iterdir())) == 25
    for name, line in outcomes.items():
        if name in broken:
            assert line["kind"] == "InputError"
            assert f"{name}.mkv" in said.err, "the end lists what failed"
            continue
        size, frames = ((72, 24), 3) if int(name) % 3 else ((48, 36), 2)
        path = output / f"{name}_{size[1]}p.mkv"
        assert (line["destination"], line["size"]) == (str(path), list(size))
        assert line["output_bytes"] == path.stat().st_size
        with av.open(str(path)) as container:
            decoded = list(container.decode(video=0))
        assert (len(decoded), decoded[0].width, decoded[0].height) == (frames, *size)
    assert told[0] == {
        "event": "begin", "schema": 1, "version": told[0]["version"], "count": 30, "to_render": 25,
        "frames": told[0]["frames"],
    }  # fmt: skip
    assert (told[-1]["event"], told[-1]["done"], told[-1]["failed"], told[-1]["left"]) == ("end", 25, 5, [])
    assert "25 done, 5 failed" not in said.err, "what JSON says is not said to people too"


def test_one_file_in_json(
    make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("in.mkv", "-c:a", "pcm_s16le", frames=3, audio=True)
    output = tmp_path / "out.mp4"
    assert run("upscale", source, "-o", output, "--scale", 1, "--weights", weights, "--json") == 0
    said = capfd.readouterr()
    begin, start, *progress, done, end = lines(said.out)
    assert [line["event"] for line in (begin, start, done, end)] == ["begin", "start", "done", "end"]
    assert (start["destination"], start["frames"]) == (str(output), 3)
    assert {line["event"] for line in progress} == {"progress"}
    assert progress[0]["frames"] == 1
    assert [note for note in done["notes"] if "it becomes aac" in note]
    assert said.err == "".join(f"note: {note}\n" for note in done["notes"])


@pytest.mark.parametrize(("size", "code", "kind"), [("", 1, "InputError"), ("8x8", 2, "OptionError")])
def test_one_file_that_fails_in_json(
    size: str, code: int, kind: str, make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("in.mp4", frames=2) if size else tmp_path / "missing.mp4"
    options = ["--size", size] if size else []
    assert run("upscale", source, "-o", tmp_path / "out.mp4", "--json", *options) == code
    said = capfd.readouterr()
    begin, error, end = lines(said.out)
    assert (begin["event"], error["event"], end["event"]) == ("begin", "error", "end")
    assert error["kind"] == kind
    assert said.err == f"error: {error['message']}\n"


def test_progress_is_told_once_a_second(capfd: pytest.CaptureFixture[str]) -> None:
    seconds = iter([5.0, 5.0, 5.5, 6.1, 6.1])
    tell = json_lines.JsonLines(now=lambda: next(seconds))
    for frames in range(3):
        tell(events.Progress(1, 1, Path("in.mp4"), frames, 0, 3, 0.1, 0.3, 1.0, 2.0, None, None))
    assert [line["frames"] for line in lines(capfd.readouterr().out)] == [0, 2]


EVENTS = [
    events.Begin,
    events.Start,
    events.Progress,
    events.Segment,
    events.Done,
    events.Skipped,
    events.Error,
    events.End,
]


def documented_fields(event: str) -> list[str]:
    page = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    section = page.split(f"\n### {event}\n")[1].split("\n### ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_the_schema_is_documented(event: Any) -> None:
    assert sorted(documented_fields(event.event)) == sorted(field.name for field in dataclasses.fields(event))


def test_the_plan_is_documented_as_a_start_with_more() -> None:
    documented = documented_fields("start") + documented_fields("plan")
    assert sorted(documented) == sorted(field.name for field in dataclasses.fields(events.Estimate))


class TestDryRun:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(estimate, "MEASURED_SECONDS", 0.0)
        monkeypatch.setattr(progress, "PLAIN_SECONDS", 1e9)  # also on a busy machine

    def test_a_plan_for_people(
        self, make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        make_clip("in/a.mkv", "-c:a", "pcm_s16le", frames=5, audio=True)
        make_clip("in/b.mp4", frames=5)
        arguments = ["-o", tmp_path / "out", "--scale", 2, "--weights", weights, "--name", "{stem}.mp4"]
        assert run("upscale", tmp_path / "in", *arguments, "--fps", 50, "--dry-run") == 0
        said = capfd.readouterr()
        assert said.err == ""
        shown = said.out.splitlines()
        assert shown[0] == f"{tmp_path / 'in' / 'a.mkv'} -> {tmp_path / 'out' / 'a.mp4'}"
        assert shown[1] == "  64x48 at 25 frames per second -> 128x96, 50 frames per second"
        assert shown[2].startswith("  10 frames, 0.2 s")
        assert shown[3] == "  rendered in whole frames, chunks of 64 MiB"
        assert re.fullmatch(
            r"  about \d+ (s|min)(, [\d.]+ [MG]B of memory)?, from a short measurement", shown[4]
        )
        assert any(line.startswith("  note:") and "it becomes aac" in line for line in shown[5:])
        assert shown[-1].startswith("2 videos: about ")
        assert not (tmp_path / "out").exists()

    def test_a_plan_for_scripts(
        self, make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        source = make_clip("in.mkv", frames=4)
        options = ["--scale", 1, "--weights", weights, "--json", "--dry-run"]
        assert run("upscale", source, "-o", tmp_path / "out.mkv", *options) == 0
        (plan,) = lines(capfd.readouterr().out)
        assert (plan["event"], plan["frames"], plan["size"]) == ("plan", 4, [64, 48])
        assert plan["segments"] == 1
        assert plan["estimated_seconds"] > 0
        assert not (tmp_path / "out.mkv").exists()

    @pytest.mark.parametrize(
        ("options", "shown"), [([], ["measuring in.mkv  3 frames"]), (["-q"], []), (["--json"], [])]
    )
    def test_it_shows_that_it_is_measuring(
        self,
        options: list[str],
        shown: list[str],
        make_clip: MakeClip,
        weights: Path,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def measure(plan: Plan, engine: Engine, tell: Callable[[int], None]) -> estimate.Cost:
            tell(3)
            return estimate.Cost(Speed(0.5), peak_bytes=1 << 30, sizes=DEFAULT_SIZES)

        monkeypatch.setattr(estimate, "measure", measure)
        monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
        arguments = ["-o", tmp_path / "out.mkv", "--weights", weights, "--dry-run", *options]
        assert run("upscale", make_clip("in.mkv", frames=2), *arguments) == 0
        said = capfd.readouterr().err.splitlines()
        assert [line for line in said if not line.startswith("checking")] == shown

    def test_the_memory_given_is_kept_to(
        self, weights: Path, make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """In the plan as in a run, by all workers together."""
        source = make_clip("in.mkv", size=(256, 256), frames=8)
        arguments = ["upscale", source, "-o", tmp_path / "out.mkv", "--scale", 4, "--weights", weights]
        assert run(*arguments, "--json", "--dry-run", "--device", "cpu", "--max-memory", "16G") == 0
        (plan,) = lines(capfd.readouterr().out)
        assert (plan["tile_size"], plan["chunk_bytes"]) == (None, DEFAULT_SIZES.chunk_bytes)
        release_memory(torch.device("cpu"))
        limit = held_bytes(torch.device("cpu")) + (150 << 20)
        assert run(*arguments, "--json", "--dry-run", "--device", "cpu", "--max-memory", limit) == 0
        (plan,) = lines(capfd.readouterr().out)
        assert plan["chunk_bytes"] < DEFAULT_SIZES.chunk_bytes
        for options in (["--max-memory", "64M"], ["--max-memory", limit, *SEVERAL]):
            assert run(*arguments, "--dry-run", "--device", "cpu", *options) == 1
            assert "more than --max-memory" in capfd.readouterr().err

    def test_one_that_is_refused_has_the_exit_code_of_a_real_run(
        self, make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        source = make_clip("in.mkv", frames=2)
        assert run("upscale", source, "-o", tmp_path / "out.mkv", "--size", "8x8", "--dry-run") == 2
        assert "8x8 is smaller" in capfd.readouterr().err

    def test_what_is_alike_is_measured_once_and_what_is_broken_is_told(
        self,
        make_clip: MakeClip,
        weights: Path,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        clip = make_clip("in/a.mkv", frames=4)
        shutil.copy(clip, tmp_path / "in" / "b.mkv")
        (tmp_path / "in" / "c.mkv").touch()
        measured: list[Path] = []

        def measure(plan: Plan, *_: object) -> estimate.Cost:
            measured.append(plan.source.path)
            return estimate.Cost(Speed(0.5, start_seconds=1.5), peak_bytes=1 << 30, sizes=DEFAULT_SIZES)

        monkeypatch.setattr(estimate, "measure", measure)
        arguments = ["-o", tmp_path / "out", "--weights", weights, "--json", "--dry-run"]
        assert run("upscale", tmp_path / "in", *arguments, "--segment-seconds", 0.1) == 1
        a, b, c = lines(capfd.readouterr().out)
        assert measured == [clip]
        assert [a["estimated_seconds"], b["estimated_seconds"]] == [3.5, 3.5]
        assert [a["segments"], b["segments"]] == [2, 2], "of 0.16 seconds"
        assert c["event"] == "error"

    @pytest.mark.parametrize(
        ("frame_seconds", "segments", "named", "advised"),
        [
            (100, None, "out.mkv", True),
            (100, 0.1, "out.mkv", False),  # several segments
            (100, None, "out.gif", False),  # which cannot be joined
            (100, 0, "out.mkv", False),
            (1, None, "out.mkv", False),
        ],
    )
    def test_that_an_interruption_keeps_nothing_is_said_of_what_takes_long(
        self,
        frame_seconds: float,
        segments: float | None,
        named: str,
        advised: bool,
        make_clip: MakeClip,
        weights: Path,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cost = estimate.Cost(Speed(frame_seconds, start_seconds=0), peak_bytes=1 << 30, sizes=DEFAULT_SIZES)
        monkeypatch.setattr(estimate, "measure", lambda *_: cost)
        given = [] if segments is None else ["--segment-seconds", segments]
        source = make_clip("in.mkv", frames=20)
        options = ["-o", tmp_path / named, "--weights", weights, "--dry-run", *given]
        assert run("upscale", source, *options) == 0
        advice = "  note: an interruption keeps nothing; with --segment-seconds 0.2, finished parts are kept"
        assert (advice in capfd.readouterr().out.splitlines()) == advised


def test_an_interrupted_batch_says_what_is_done_and_what_is_not(
    make_clip: MakeClip, given: list[UpscaleOptions], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sources = [make_clip(f"{name}.mkv", frames=2) for name in ("first", "interrupted", "last")]
    assert run("upscale", *sources, "-o", tmp_path / "out") == 130
    said = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("note:")]
    assert "first.mkv" in said[0]
    assert said[1] == f"error: not done: '{sources[1]}', '{sources[2]}'"
    assert said[2].startswith("1 done, 2 not done: 2 frames")
    assert said[-1] == (
        f"error: interrupted: nothing of '{tmp_path / 'out' / 'interrupted.mkv'}' was finished yet; run the "
        "same command again, with --skip-existing, to go on"
    )
    assert run("upscale", *sources, "-y", "-o", tmp_path / "out") == 130
    assert (
        capfd.readouterr()
        .err.strip()
        .endswith("run the same command again for the sources that are not done, to go on")
    )


def test_a_folder_done_in_part_says_how_to_go_on(
    make_clip: MakeClip, given: list[UpscaleOptions], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sources = [make_clip(f"in/{name}.mkv", frames=2) for name in ("a", "b")]
    done = tmp_path / "out" / "a.mkv"
    done.parent.mkdir()
    done.touch()
    assert run("upscale", sources[0].parent, "-o", done.parent) == 1
    words = f"{str(done)!r} exists; go on with --skip-existing, or replace it with -y"
    assert words in capfd.readouterr().err
    assert len(given) == 1, "the other"


def test_a_list_of_inputs(
    make_clip: MakeClip, given: list[UpscaleOptions], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sources = [make_clip(name, frames=2) for name in ("a b.mkv", "c.mkv")]
    listing = tmp_path / "list.txt"
    listing.write_text("\n".join(map(str, sources)))
    assert run("upscale", "--input-list", listing, "-o", tmp_path / "out") == 0
    assert len(given) == 2
    listing.write_text("# nothing\n")
    assert run("upscale", "--input-list", listing, "-o", tmp_path / "out") == 2
    assert "--input-list" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.mp4", "b.mp4", "-o", "out.mp4"], "several sources"),
        (["a.mp4", "-o", "out.mp4", "--name", "{stem}{ext}"], "--name"),
        (["a.mp4", "b.mp4", "-o", "out", "--name", "{title}"], "{title}"),
        (["a.mp4", "b.mp4", "-o", "out", "--skip-existing", "-y"], "--skip-existing"),
        (["a.mp4", "-o", "-", "--json"], "--json"),
        (["-o", "out"], "SOURCE"),
        (["a.mp4", "b.mp4", "-o", "out", "--input-list", "missing.txt"], "missing.txt"),
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("upscale", *arguments) == 2
    check_one_line(capfd.readouterr().err, words)


def test_skipped_outputs_are_a_success(
    make_clip: MakeClip, given: list[UpscaleOptions], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, output = make_clip("in.mkv", frames=2), tmp_path / "out.mkv"
    output.touch()
    assert run("upscale", source, "-o", output, "--skip-existing") == 0
    assert given == []
    assert "skipped" in capfd.readouterr().err


def test_a_batch_beside_its_sources_can_be_given_again(
    make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_clip("in/a.mp4", frames=2).parent
    arguments = [folder, "-o", folder, "--name", "{stem}_1x{ext}", "--scale", 1, "--weights", weights]
    for skipped in (0, 2):
        assert run("upscale", *arguments, "--skip-existing", "--json") == 0
        end = lines(capfd.readouterr().out)[-1]
        assert (end["done"], end["skipped"]) == (0 if skipped else 1, skipped)
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "a_1x.mp4"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("output", ["closed/out.mkv", "closed/deeper/out.mkv"])
def test_a_folder_that_may_not_be_entered_gets_one_line(
    output: str, make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    closed, source = tmp_path / "closed", make_clip("a.mkv", frames=2)
    closed.mkdir(mode=0)
    try:
        assert run("upscale", source, "-o", tmp_path / output) == 1
    finally:
        closed.chmod(0o700)
    check_one_line(capfd.readouterr().err, "cannot be used: Permission denied")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read anything")
@pytest.mark.parametrize("name", ["closed", "closed/b.mkv", "closed/%d.png", "locked.mkv"])
def test_what_may_not_be_read_does_not_stop_the_others(
    name: str,
    make_clip: MakeClip,
    given: list[UpscaleOptions],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = make_clip("a.mkv", frames=2)
    make_clip("closed/b.mkv", frames=2)
    closed, locked = tmp_path / "closed", make_clip("locked.mkv", frames=2)
    closed.chmod(0)
    locked.chmod(0)
    try:
        assert run("upscale", tmp_path / name, source, "-o", tmp_path / "out") == 1
    finally:
        closed.chmod(0o700)
    said = capfd.readouterr().err
    assert re.search(f"error: .*{name}' (cannot|may not) be read", said)
    assert "1 done, 1 failed" in said
    assert len(given) == 1


class TestWhereOptionsComeFrom:
    @pytest.fixture
    def source(self, make_clip: MakeClip) -> Path:
        return make_clip("in.mkv", frames=2)

    @pytest.fixture
    def layered(self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layered:
        """Return a function that upscales with a preset, variables and options: its exit code."""

        def upscale(preset: str, variables: dict[str, str], options: list[object]) -> int:
            file = tmp_path / "film.toml"
            file.write_text(preset)
            for name, value in variables.items():
                monkeypatch.setenv(f"VIDEOINR_UPSCALE_{name}", value)
            return run("upscale", "--preset-file", file, source, "-o", tmp_path / "out.mkv", *options)

        return upscale

    def test_what_has_an_effect_only_with_another_option_is_refused_where_it_is_typed(
        self, layered: Layered, given: list[UpscaleOptions], capfd: pytest.CaptureFixture[str]
    ) -> None:
        preset = 'pad = "640x360"\nbars = "blur"\n'
        assert layered(preset, {"STEADY": "0.5"}, []) == 0
        assert layered(preset, {}, ["--scale", 2]) == 0
        assert layered('bars = "blur"\ncluster-files = "send"\n', {}, ["--dedupe", "off"]) == 0
        assert layered(preset, {}, ["--bars", "black"]) == 0
        assert layered("", {}, ["--dedupe", "on", "--speed", 0.5]) == 0
        assert [options.pad for options in given] == [(640, 360), None, None, (640, 360), None]
        assert layered(preset, {}, ["--scale", 2, "--bars", "black"]) == 2
        assert "--bars has no effect without --pad" in capfd.readouterr().err

    def test_command_line_then_environment_then_preset_file_then_defaults(
        self, source: Path, given: list[UpscaleOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        preset = tmp_path / "film.toml"
        preset.write_text('scale = 2\ncrf = 21\npreset = "slow"\nencoder_option = ["tune=film", "bf=2"]\n')
        monkeypatch.setenv("VIDEOINR_UPSCALE_CRF", "22")
        monkeypatch.setenv("VIDEOINR_UPSCALE_PRESET", "fast")
        arguments = ["upscale", source, "-o", tmp_path / "out.mkv", "--preset", "slower"]
        assert run(*arguments, "--preset-file", preset) == 0
        assert given[0].scale == 2
        assert given[0].encode == EncodeOptions(
            crf=22, preset="slower", extra=(("tune", "film"), ("bf", "2"))
        )
        monkeypatch.setenv("VIDEOINR_UPSCALE_PRESET_FILE", str(preset))
        monkeypatch.setenv("VIDEOINR_UPSCALE_ENCODER_OPTION", "tune=grain")
        assert run(*arguments) == 0
        assert given[1].encode == EncodeOptions(crf=22, preset="slower", extra=(("tune", "grain"),))
        assert run(*arguments, "-e", "bf=3") == 0
        assert given[2].encode.extra == (("bf", "3"),)

    @pytest.mark.parametrize(
        ("preset", "variables", "options", "said"),
        [
            ("height = 96", {}, ["--scale", 2], {"scale": 2.0, "height": None}),
            ("scale = 3", {}, ["--size", "128x96"], {"scale": None, "size": (128, 96)}),
            ("", {"HEIGHT": "96"}, ["--scale", 2], {"scale": 2.0, "height": None}),
            ('size = "9x9"', {"HEIGHT": "96"}, [], {"size": None, "height": 96}),
            ('size = "9x9"', {"HEIGHT": "9"}, ["--scale", 2], {"scale": 2.0, "size": None, "height": None}),
            ("skip-existing = true", {}, ["-y"], {"overwrite": True}),
            ("overwrite = true", {"SKIP_EXISTING": "1"}, [], {"overwrite": False}),
            ("overwrite = true", {"SKIP_EXISTING": "0"}, [], {"overwrite": True}),
            ("strength = 0.3", {}, ["--model", "real"], {"weights": "real", "strength": None}),
            ("strength = 0.3", {}, ["--model", "vivid"], {"weights": "vivid", "strength": 0.3}),
            ('model = "vivid"', {"STRENGTH": "0.3"}, [], {"weights": "vivid", "strength": 0.3}),
            ("", {"STRENGTH": "0.3"}, ["--model", "clean"], {"weights": "clean", "strength": None}),
            ("crf = 20", {}, ["-e", "b:v=20k"], {"crf": "auto", "extra": (("b:v", "20k"),)}),
            ("crf = 20", {}, ["-e", "tune=film"], {"crf": 20, "extra": (("tune", "film"),)}),
            (
                "crf = 20",
                {"ENCODER_OPTION": "qp=9 bf=2"},
                [],
                {"crf": "auto", "extra": (("qp", "9"), ("bf", "2"))},
            ),
            ('encoder-option = ["b:v=8M", "bf=2"]', {}, ["--crf", 20], {"crf": 20, "extra": (("bf", "2"),)}),
            ('encoder-option = ["crf=9", "bf=2"]', {"CRF": "20"}, [], {"crf": 20, "extra": (("bf", "2"),)}),
            ('crf = 20\nencoder-option = ["maxrate=8M"]', {}, [], {"crf": 20, "extra": (("maxrate", "8M"),)}),
            ('crf = 20\nencoder-option = ["b:v=8M"]', {}, [], {"crf": 20, "extra": (("b:v", "8M"),)}),
        ],
    )
    def test_of_options_that_exclude_each_other_the_one_that_comes_first_counts(
        self,
        preset: str,
        variables: dict[str, str],
        options: list[object],
        said: dict[str, object],
        layered: Layered,
        given: list[UpscaleOptions],
    ) -> None:
        assert layered(preset, variables, options) == 0
        taken = {**vars(given[0]), **vars(given[0].encode)}
        assert {name: taken[name] for name in said} == said

    @pytest.mark.parametrize(
        ("preset", "variables", "options"),
        [
            ("height = 96\nscale = 2", {}, []),
            ("", {"HEIGHT": "96", "SCALE": "2"}, []),
            ("height = 96", {}, ["--scale", 2, "--size", "128x96"]),
            ("overwrite = true\nskip-existing = true", {}, []),
        ],
    )
    def test_two_that_exclude_each_other_in_one_place_are_wrong_usage(
        self,
        preset: str,
        variables: dict[str, str],
        options: list[object],
        layered: Layered,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        assert layered(preset, variables, options) == 2
        check_one_line(capfd.readouterr().err, "exclude each other")

    @pytest.mark.parametrize(("text", "value"), [("1", True), ("yes", True), ("0", False), ("false", False)])
    def test_flags_and_several_values_from_the_environment(
        self,
        text: str,
        value: bool,
        source: Path,
        given: list[UpscaleOptions],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("VIDEOINR_UPSCALE_OVERWRITE", text)
        monkeypatch.setenv("VIDEOINR_UPSCALE_ENCODER_OPTION", "tune=film bf=2")
        monkeypatch.setenv("VIDEOINR_UPSCALE_OUTPUT", str(tmp_path / "out.mkv"))
        monkeypatch.setenv("VIDEOINR_UPSCALE_FPS", "2x")
        assert run("upscale", source) == 0
        assert given[0].overwrite is value
        assert given[0].encode.extra == (("tune", "film"), ("bf", "2"))
        assert str(given[0].fps) == "2x"

    @pytest.mark.parametrize("option", ["height = 96", "fps = 59.94", 'skip-existing = true\ncodec = "ffv1"'])
    def test_values_of_every_kind(
        self, option: str, source: Path, given: list[UpscaleOptions], tmp_path: Path
    ) -> None:
        preset = tmp_path / "some.toml"
        preset.write_text(option)
        assert run("upscale", source, "-o", tmp_path / "out.mkv", "--preset-file", preset) == 0
        assert len(given) == 1

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("hieght = 96", "no option 'hieght'; did you mean height?"),
            ("height", "not TOML"),
            ("height = true", "height = True is not a value for --height"),
            ('overwrite = "yes"', "not a value for --overwrite"),
            ('encoder-option = "tune=film"', "not a value for --encoder-option"),
            ('preset-file = "other.toml"', "no option 'preset-file'"),
            ('height = "tall"', "height 'tall' is not a number of pixels"),
            ("[upscale]\nheight = 96", "no option 'upscale'"),
        ],
    )
    def test_a_wrong_preset_file_is_wrong_usage(
        self, text: str, words: str, source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        preset = tmp_path / "bad.toml"
        preset.write_text(text)
        assert run("upscale", source, "-o", tmp_path / "out.mkv", "--preset-file", preset) == 2
        check_one_line(capfd.readouterr().err, words)

    def test_a_missing_preset_file_is_wrong_usage(
        self, source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        missing = tmp_path / "missing.toml"
        assert run("upscale", source, "-o", tmp_path / "out.mkv", "--preset-file", missing) == 2
        assert "missing.toml" in capfd.readouterr().err


def test_shells_can_complete(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_VIDEOINR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "videoinr upscale --skip")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert run() == 0
    assert capfd.readouterr().out == "plain,--skip-existing\n"
