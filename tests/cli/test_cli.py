"""The command line: what a person types, what they get, and the exit code a script sees."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import pytest
import torch

from tests.command import check_one_line, run
from tests.conftest import MakeClip, RunFfmpeg

TIMEOUT_SECONDS = 120


def start(
    *arguments: object, stdin: IO[bytes] | None = None, stdout: int | None = None
) -> subprocess.Popen[str]:
    """Start the command in a process of its own, as a shell does."""
    command = [sys.executable, "-m", "videoinr_cli", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment
    )


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "out" in path.name)


def test_upscales_a_video_with_its_sound(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", size=(64, 48), frames=12, rate="24000/1001", audio=True)
    output = tmp_path / "out.mp4"
    process = start("upscale", source, "--scale", "2.5", "--fps", "2x", "-o", output)
    _, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, said
    assert "160x120, 12 frames in, 24 out" in said
    with av.open(str(output)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == (160, 120)
        assert video.average_rate == Fraction(48000, 1001)
        seconds = [frame.time for frame in container.decode(video)]
        assert len(seconds) == 24
        assert seconds == pytest.approx([i * 1001 / 48000 for i in range(24)], abs=1e-4)
    with av.open(str(source)) as before, av.open(str(output)) as after:
        packets = [[bytes(packet) for packet in c.demux(audio=0) if packet.size] for c in (before, after)]
        assert packets[0] == packets[1]
    assert leftovers(tmp_path) == ["out.mp4"]


def test_quiet_says_nothing(make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = make_clip("in.mp4", frames=3)
    assert run("upscale", source, "--scale", 1.5, "-q", "-o", tmp_path / "out.mkv") == 0
    assert capfd.readouterr() == ("", "")


def test_the_source_is_read_as_asked(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Images at the rate given; every field a picture, or not; the rate of a file is its own."""
    make_clip("%02d.png", frames=3, size=(32, 24))
    output = tmp_path / "out.mkv"
    assert run("upscale", tmp_path / "%02d.png", "--scale", 1, "--input-fps", "29.97", "-o", output) == 0
    with av.open(str(output)) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    clip = make_clip("in.mkv", "-c:v", "ffv1", frames=3, size=(32, 24))
    for mode, frames in {"on": 6, "auto": 3, "off": 3}.items():
        assert run("upscale", clip, "--scale", 1, "--deinterlace", mode, "-y", "-o", output) == 0
        with av.open(str(output)) as container:
            assert len(list(container.decode(video=0))) == frames
    capfd.readouterr()
    assert run("upscale", clip, "--input-fps", "25", "-y", "-o", output) == 2
    assert "in.mkv' has its own times" in capfd.readouterr().err


def test_strict_ends_at_damage_and_at_what_is_left_out(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip("in.mkv", "-c:v", "png", frames=6, size=(32, 24))
    content = bytearray(clip.read_bytes())
    last = content.rindex(b"IDAT")
    content[last : last + 100] = bytes(100)
    clip.write_bytes(content)
    assert run("upscale", clip, "--scale", 1, "-o", tmp_path / "out.mkv") == 0
    assert "near 0.160 s: a packet is lost" in capfd.readouterr().err
    assert run("upscale", clip, "--scale", 1, "--strict", "-y", "-o", tmp_path / "out2.mkv") == 1
    assert "leave out --strict" in capfd.readouterr().err
    sound = make_clip("sound.mkv", "-c:a", "flac", frames=3, size=(32, 24), audio=True)
    assert run("upscale", sound, "--scale", 1, "--strict", "-o", tmp_path / "out3.gif") == 1
    assert "gif cannot hold audio stream 1 (flac)" in capfd.readouterr().err
    assert leftovers(tmp_path) == ["out.mkv"]


def test_of_standard_input_only_the_pictures_are_kept(
    make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path
) -> None:
    """Which is said of all else that was wanted, and an error if nothing may be left out."""
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(";FFMETADATA1\ntitle=T\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=90\ntitle=One\n")
    sound, clip = make_clip("sound.mkv", frames=3, size=(32, 24), audio=True), tmp_path / "in.mkv"
    run_ffmpeg("-i", sound, "-i", chapters, "-c", "copy", "-map_metadata", 1, clip)

    command = ["upscale", "-", "--scale", "1", "-y", "-o", tmp_path / "out.mkv"]

    def piped(source: Path, *options: str) -> tuple[int, str]:
        with source.open("rb") as file:
            process = start(*command, *options, stdin=file)
            _, said = process.communicate(timeout=TIMEOUT_SECONDS)
        return process.returncode, said

    code, said = piped(clip, "--strict")
    assert code == 1
    check_one_line(said, "only the pictures are read, not audio stream 1 (vorbis), chapters; name a file")
    assert leftovers(tmp_path) == []
    code, said = piped(clip)
    assert code == 0
    assert "not audio stream 1 (vorbis), chapters" in said
    assert "not its tags title" in said
    code, said = piped(clip, "--audio", "drop")
    assert "not chapters" in said
    code, said = piped(sound, "--audio", "drop", "--strict")
    assert code == 0
    assert "only the pictures" not in said


def test_existing_output_needs_permission(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, output = make_clip("in.mp4", frames=3), tmp_path / "out.mp4"
    output.write_text("precious")
    assert run("upscale", source, "-o", output) == 1
    assert "replace it with -y" in capfd.readouterr().err
    assert output.read_text() == "precious"
    assert run("upscale", source, "--scale", 1, "-y", "-o", output) == 0
    assert output.stat().st_size > 100


def make_bad_input(kind: str, make_clip: MakeClip, run_ffmpeg: RunFfmpeg, tmp_path: Path) -> Path:
    path = tmp_path / "in.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("not a video\n" * 100)
    elif kind == "audio":
        run_ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", path)
    elif kind == "truncated":
        whole = make_clip("whole.mp4", frames=10).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])  # mp4's index is at its end
    elif kind == "empty":
        path.touch()
    return path


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "audio", "truncated", "empty"])
def test_bad_input_gets_one_line(
    kind: str,
    make_clip: MakeClip,
    run_ffmpeg: RunFfmpeg,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = make_bad_input(kind, make_clip, run_ffmpeg, tmp_path)
    assert run("upscale", path, "-o", tmp_path / "out.mp4") == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert "in.mp4" in said.err
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize(
    "command",
    [
        ("upscale", "{}", "-o", "out.mkv"),
        ("upscale", "{}", "in.mkv", "-o", "out"),
        ("info", "{}"),
        ("preview", "{}", "-o", "out.png"),
        ("compare", "in.mkv", "{}", "-o", "out.html"),
    ],
)
def test_what_can_be_read_only_once_is_said_at_once(
    command: tuple[str, ...],
    make_clip: MakeClip,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody writes into either pipe: whoever opens it waits for ever."""
    make_clip("in.mkv", frames=3)
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo.mkv")
    reading, writing = os.pipe()
    for name in ("fifo.mkv", f"/dev/fd/{reading}"):  # the latter as a shell's <(...) has it
        run(*(word.format(name) for word in command))
        words = f"can be read only once; give it as standard input, by - < '{name}'"
        assert words in capfd.readouterr().err
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale", "three"], "'three'"),
        (["--fps", "fast"], "'fast'"),
        (["--size", "12"], "'12'"),
        (["--size", "32x24"], "32x24"),
        (["--scale", "2", "--height", "96"], "--scale and --height"),
        (["-e", "tune"], "'tune'"),
        (["--crf", "20", "-e", "crf=23"], "--crf 20 and -e crf=23 exclude each other; give one of them"),
        (["--precision", "int3"], "'int3'"),
        (["--input-fps", "2x"], "'2x'"),
        (["--input-fps", "2000"], "2000"),
        (["--deinterlace", "maybe"], "'maybe'"),
        (["--device", "abacus"], "'abacus'"),
        (["--device", "cuda:99"], "'cuda:99'"),
        (["--preset", "ultra"], "libx264 has no preset 'ultra'; there are ultrafast, superfast, "),
        (["--bogus"], "--bogus"),
    ],
)
def test_wrong_usage_exits_2(
    arguments: list[str],
    words: str,
    make_clip: MakeClip,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = make_clip("in.mp4", frames=3)
    assert run("upscale", source, "-o", tmp_path / "out.mp4", *arguments) == 2
    check_one_line(capfd.readouterr().err, words)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "name", "size"),
    [
        ([], "in-2x.mp4", (64, 48)),
        (["--scale", "1.5x", "--fps", "2x"], "in-1.5x-2xfps.mp4", (48, 36)),
        (["--scale", 1, "--fps", 59.94, "--end", 0.1], "in-59.94fps-part.mp4", (32, 24)),
        (["--height", "48p", "--speed", 0.5], "in-48p-0.5speed.mp4", (64, 48)),
    ],
)
def test_without_a_name_the_output_stands_beside_its_source(
    options: list[object],
    name: str,
    size: tuple[int, int],
    make_clip: MakeClip,
    weights: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = make_clip("folder/in.mp4", frames=3, size=(32, 24))
    output = source.with_name(name)
    assert run("upscale", source, "--weights", weights, *options) == 0
    assert f"note: the output is '{output}'; -o names another" in capfd.readouterr().err.splitlines()
    with av.open(str(output)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == size
    for more in ([], ["-y"]):
        output.write_bytes(b"precious")
        assert run("upscale", source, "--weights", weights, *options, *more) == 1
        assert f"{str(output)!r} exists" in capfd.readouterr().err
        assert output.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["upscale", "in.mp4", "new file.mp4"],
            "did you mean videoinr upscale in.mp4 -o 'new file.mp4'? See",
        ),
        (["upscale", "in.mp4", "in.mp4"], "add -o big/"),
        (["upscale", "folder"], "add -o big/"),
        (["upscale", "-"], "add -o out.mkv"),
        (["upscale", "folder", "-o", "big.mp4"], "try -o big/"),
        (["upscale", "in.mp4", "folder", "-o", "big.mp4"], "try -o big/"),
        (["upscael", "in.mp4"], "did you mean videoinr upscale in.mp4?"),
        (["in.mp4", "--scale", "2"], "did you mean videoinr upscale in.mp4 --scale 2?"),
        (["upscale", "in.mp4", "--no-audio"], "no such option --no-audio; try --audio drop; see"),
        (["upscale", "--", "in.mp4", "-o", "out.mp4"], "what follows -- is a SOURCE, '-o' too"),
        (["upscale", "in.mp4", "-vf", "hqdn3d"], "no such option -v; let ffmpeg filter first"),
        (["upscale", "in.mp4", "--factor", "2"], "no such option --factor; try --scale 2; see"),
        (["upscale", "in.mp4", "--noise", "2"], "no such option --noise; try --model real; see"),
        (
            ["upscale", "in.mp4", "-r", "60", "-o", "o.mp4"],
            "-r searches folders; for 60 frames per second: --fps 60",
        ),
        (["upscale", "in.mp4", "--size", "4k", "--scale", "2"], "--scale and --size exclude each other"),
        (["upscale", "-i", "in.mp4"], "no such option -i; name the file alone"),
        (
            ["upscale", "in.mp4", "--pad", "16:9"],
            "pad '16:9' is not of the form WIDTHxHEIGHT; try --pad 1920",
        ),
        (["upscale", "in.mp4", "--height", "8", "--dry-run"], "12x8 is smaller than the source's 32x24"),
        (["frobnicate"], "there is no command 'frobnicate'; there are upscale, info, preview"),
        (["help", "upscael"], "did you mean videoinr upscale --help?"),
        (
            ["upscale", "in.mp4", "--bars", "black"],
            "--bars has no effect without --pad; add --pad 1920x1080,",
        ),
        (["upscale", "in.mp4", "--steady", "0.5"], "--steady has no effect without --spatial; add --spatial"),
        (["upscale", "in.mp4", "--dedupe", "on"], "--dedupe has no effect without --fps; add --fps 60"),
        (
            ["upscale", "in.mp4", "--cluster-files", "send"],
            "--cluster-files has no effect without --cluster;",
        ),
        (["upscale", "in.mp4", "--cluster-code", "send"], "--cluster-code has no effect without --cluster;"),
        (["preview", "in.mp4", "--dedupe", "on"], "--dedupe has no effect without --fps; add --fps 60"),
        (["suggest", "in.mp4", "--bars", "blur"], "--bars has no effect without --pad; add --pad 1920x1080,"),
        (["evaluate", "in.mp4", "--steady", "0"], "--steady has no effect without --spatial; add --spatial"),
        (["render", "in.vinr", "--bars", "blur"], "--bars has no effect without --pad; add --pad 1920x1080,"),
    ],
)
def test_what_was_meant_is_said(
    arguments: list[str],
    words: str,
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("in.mp4", "folder/a.mp4"):
        make_clip(name, frames=2, size=(32, 24))
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    check_one_line(capfd.readouterr().err, words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "in.mp4"]


def test_help_and_the_version_under_other_names(capfd: pytest.CaptureFixture[str]) -> None:
    def printed(*arguments: str) -> str:
        assert run(*arguments) == 0
        return capfd.readouterr().out

    assert printed("help") == printed("--help")
    assert printed("help", "upscale") == printed("upscale", "--help")
    assert printed("help", "weights", "list") == printed("weights", "list", "--help")
    assert printed("-V") == printed("--version")


@pytest.mark.parametrize("kind", ["text", "pickle", "truncated", "missing"])
def test_bad_weights_get_one_line(
    kind: str, make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, weights = make_clip("in.mp4", frames=3), tmp_path / "bad.safetensors"
    if kind == "text":
        weights.write_text("weights")
    elif kind == "pickle":
        torch.save({"weight": torch.ones(3)}, weights)
    elif kind == "truncated":
        embedded = Path(__file__).parents[2] / "weights" / "videoinr-fast.safetensors"
        weights.write_bytes(embedded.read_bytes()[:100_000])
    assert run("upscale", source, "-o", tmp_path / "out.mp4", "--weights", weights) == 1
    check_one_line(capfd.readouterr().err, "bad.safetensors")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("nowhere/out.mp4", "there is no folder"),
        ("out.xyz", "no video format"),
        ("out.mp3", "-vn -c copy"),
        (".", "folder"),
        (f"{'long' * 70}.mp4", "is too long for the name of a file"),
    ],
)
def test_unwritable_output_is_found_early(
    output: str, words: str, make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("upscale", make_clip("in.mp4", frames=3), "-o", tmp_path / output) == 1
    assert words in capfd.readouterr().err
    assert leftovers(tmp_path) == []


def test_failed_encoder_leaves_nothing(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("in.mp4", frames=3)
    options = ["--codec", "libx264", "-e", "x264-params=qp=nonsense", "-e", "preset=warp"]
    assert run("upscale", source, "-q", "-o", tmp_path / "out.mp4", *options) == 1
    assert "error: " in capfd.readouterr().err
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals for other processes")
@pytest.mark.parametrize(
    ("sent", "code", "words"),
    [
        (
            signal.SIGINT,
            -signal.SIGINT,
            "the same command begins anew; with --segment-seconds 2, finished parts are kept",
        ),
        (signal.SIGTERM, 143, "terminated: nothing of "),
        *([] if sys.platform == "win32" else [(signal.SIGHUP, 129, "terminal was closed")]),
    ],
)
def test_signals_end_it_cleanly(
    sent: signal.Signals,
    code: int,
    words: str,
    make_clip: MakeClip,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = make_clip("in.mp4", size=(160, 120), frames=400)
    command = ["upscale", source, "--fps", "4x", "--json", "-o", tmp_path / "out.mp4"]
    process = start(*command, stdout=subprocess.PIPE)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while "out.mp4.part" not in leftovers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert leftovers(tmp_path) == ["out.mp4.part", "out.mp4.part.lock"]
    assert run("upscale", source, "-o", tmp_path / "out.mp4") == 1
    check_one_line(capfd.readouterr().err, "another run writes")
    process.send_signal(sent)
    told, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == code, said
    assert words in said
    end = json.loads(told.splitlines()[-1])
    assert (end["event"], end["interrupted"], end["left"]) == ("end", True, [str(source)])
    assert "Traceback" not in said
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("command", [["--help"], ["upscale", "--help"], ["weights", "list"]])
def test_what_only_tells_imports_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\nfrom videoinr_cli.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as left: assert left.code == 0\n"
        "assert not {'torch', 'av', 'numpy', 'rich', 'huggingface_hub'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "videoinr" in done.stdout


def test_options_are_shown_in_sections(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("upscale", "--help") == 0
    shown = capfd.readouterr().out
    titles = re.findall(r"^(\S.*):$", shown, re.MULTILINE)
    assert titles == ["Files", "Picture", "Time", "Colour and streams", "Encoding", "Running"]
    for command, option, section in (
        ("upscale", "--pix-fmt", "Colour and streams"),
        ("upscale", "--help", "Running"),
        ("info", "--scale", "Options"),
    ):
        assert run(command, "--help") == 0
        before, found, _ = capfd.readouterr().out.rpartition(f"{option} ")
        assert found
        assert re.findall(r"^(\S.*):$", before, re.MULTILINE)[-1] == section


@pytest.mark.parametrize("group", [(), ("weights",)])
def test_each_command_is_said_in_a_line(group: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(*group, "--help") == 0
    listed = capfd.readouterr().out.partition("Commands:")[2]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize("command", ["upscale", "evaluate", "train", "doctor"])
def test_every_command_explains_itself(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert f"videoinr {command}" in capfd.readouterr().out


def test_several_devices_are_offered_where_they_are_taken(capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("upscale", "preview", "doctor", "evaluate", "train"):
        assert run(command, "--help") == 0
        said = " ".join(capfd.readouterr().out.split())
        assert "auto, cpu, cuda, cuda:1, mps" in said
        assert ("several: cuda:0,cuda:1" in said) == (command == "upscale")


def test_options_can_come_from_the_environment(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOINR_UPSCALE_HEIGHT", "96")
    output = tmp_path / "out.mkv"
    assert run("upscale", make_clip("in.mp4", size=(64, 48), frames=3), "-o", output) == 0
    with av.open(str(output)) as container:
        assert container.streams.video[0].height == 96


def test_trains_and_uses_the_result(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    footage = tmp_path / "footage"
    make_clip("footage/clip.mp4", size=(320, 240), frames=8)
    weights = tmp_path / "mine.safetensors"
    short = ["--batch-size", 1, "--patch", 16, "--steps", 2, "-q"]
    assert run("train", "--data", footage, "-o", weights, *short) == 0
    assert capfd.readouterr().err == ""
    assert run("train", "--data", footage, "-o", weights, *short) == 1  # exists
    assert run("train", "--data", footage, "-o", weights, *short, "--resume", "--steps", 3) == 0
    source = make_clip("in.mp4", frames=3)
    assert run("upscale", source, "--weights", weights, "--scale", 2, "-o", tmp_path / "out.mp4") == 0
