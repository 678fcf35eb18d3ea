"""``videoinr suggest``: the embedded models side by side, and commands that can be copied."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from tests.command import run
from tests.conftest import MakeClip
from videoinr_cli.options import MODELS, PreviewOptions, Region, UpscaleOptions
from videoinr_cli.previews.sheet import GAP_PX, MIN_WIDTH_PX
from videoinr_cli.previews.suggest import suggest
from videoinr_cli.weights import load_model

CANDIDATES = [("clean", None), ("real", None), ("vivid", 0.5), ("vivid", 1.0)]


@pytest.fixture(autouse=True)
def _tiny_networks(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tiny network take the place of every embedded one, of which there are three."""
    tiny = load_model(weights)
    monkeypatch.setattr("videoinr_cli.previews.preview.load_network", lambda network: tiny)
    embedded = {MODELS[name]: weights for name, _ in CANDIDATES}
    monkeypatch.setattr("videoinr_cli.previews.suggest.embedded_file", embedded.get)


def test_every_candidate_has_its_command(
    make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("my clip.mp4", "-crf", 45, filters="noise=alls=20:allf=t", frames=4, size=(320, 180))
    picture = tmp_path / "look.png"
    arguments = ["--region", "0,0,64,48", "--height", "200p", "--fps", "2x", "--at", "0.04", "-o", picture]
    assert run("suggest", source, *arguments, "--model", weights) == 0
    told = capfd.readouterr()
    assert "look.png: region 0,0,64,48" in told.err
    *told_of, left_out = told.out.splitlines()
    assert left_out == "# large is not embedded and takes several times as long: --model large shows it too"
    remarks, lines = told_of[::2], told_of[1::2]
    commands = [shlex.split(line) for line in lines]
    stem = source.with_name("my clip-200p-2xfps")
    wanted = ["videoinr", "upscale", str(source), "--height", "200p", "--fps", "2x", "--model"]
    assert [command[:8] for command in commands] == [wanted] * 5
    named = [
        ["clean", "-o", f"{stem}-clean.mp4"],
        ["real", "-o", f"{stem}-real.mp4"],
        ["vivid", "--strength", "0.5", "-o", f"{stem}-vivid-0.5.mp4"],
        ["vivid", "--strength", "1", "-o", f"{stem}-vivid-1.mp4"],
        [str(weights), "-o", f"{stem}-{weights.stem}.mp4"],
    ]
    assert [command[8:] for command in commands] == named
    assert all(re.match("# .*: about ", remark) for remark in remarks)
    suggested = [remark for remark in remarks if "suggested" in remark]
    assert len(suggested) == 1
    assert suggested[0].startswith("# real: ")
    assert suggested[0].endswith("suggested: it looks strongly compressed")
    for command in commands:
        assert run(*command[1:]) == 0


def test_many_candidates_are_shown_in_rows(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mkv", "-c:v", "ffv1", frames=2, size=(320, 180))
    region = Region(0, 0, 160, 90)
    heights = []
    for others in ((), tuple("abc")):
        options = PreviewOptions(region=region, more_weights=others, upscale=UpscaleOptions(scale=1))
        found = suggest(source, tmp_path / f"{len(others)}.png", options)
        named = [(one.network.weights, one.network.strength) for one in found.preview.candidates]
        assert named == [*CANDIDATES, *((name, None) for name in others)]
        assert found.suggested is not None
        assert found.suggested.network.weights == "clean"
        with Image.open(found.preview.picture) as sheet:
            assert sheet.width == MIN_WIDTH_PX + 2 * GAP_PX
            heights.append(sheet.height)
    assert heights[1] - heights[0] >= 2 * 90  # another row of panels, and of what is shown closer


def test_a_model_is_not_shown_twice(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", frames=2)
    more = ("real", "clean", "videoinr-real", "auto")
    options = PreviewOptions(more_weights=more, upscale=UpscaleOptions(scale=1))
    told: list[tuple[int, int]] = []
    found = suggest(
        source, tmp_path / "look.png", options, progress=lambda done, total: told.append((done, total))
    )
    assert [one.network.weights for one in found.preview.candidates] == [name for name, _ in CANDIDATES]
    assert told == [(done, len(CANDIDATES)) for done in range(len(CANDIDATES))]


def test_a_file_is_told_from_the_model_of_its_name(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", frames=2)
    file = str(tmp_path / "clean.safetensors")
    options = PreviewOptions(more_weights=(file,), upscale=UpscaleOptions(scale=1))
    found = suggest(source, tmp_path / "look.png", options)
    assert [one.name for one in found.preview.candidates][-1] == file
    assert found.preview.candidates[0].name == "clean"


@pytest.mark.parametrize("name", ["large", "videoinr-large"])
def test_what_is_not_embedded_is_shown_where_it_is_named(
    name: str, make_clip: MakeClip, tmp_path: Path
) -> None:
    options = PreviewOptions(more_weights=(name,), upscale=UpscaleOptions(scale=1))
    found = suggest(make_clip("in.mp4", frames=2), tmp_path / "look.png", options)
    assert [one.network.weights for one in found.preview.candidates][-1] == name
    assert found.left_out == ()


@pytest.mark.parametrize("name", ["clean", "videoinr-fast", "auto"])
def test_the_variable_may_name_what_is_shown_anyway(
    name: str,
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = make_clip("in.mp4", frames=2)
    monkeypatch.setenv("VIDEOINR_WEIGHTS", name)
    assert run("suggest", source, "--scale", 1, "-o", tmp_path / "look.png") == 0
    assert len(capfd.readouterr().out.splitlines()) == 2 * len(CANDIDATES) + 1


def test_commands_are_complete(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip("-dash.mp4", frames=2)
    make_clip("picture1.png", frames=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDEOINR_SUGGEST_SCALE", "3")
    monkeypatch.setenv("VIDEOINR_SUGGEST_FPS", "2x")
    assert run("suggest", "--width", 64, "--", "-dash.mp4") == 0
    words = shlex.split(capfd.readouterr().out.splitlines()[1])
    output = ["-o", "./-dash-64w-2xfps-clean.mp4"]
    assert words[2:] == ["./-dash.mp4", "--width", "64", "--fps", "2x", "--model", "clean", *output]
    assert run("suggest", "picture%d.png") == 0
    words = shlex.split(capfd.readouterr().out.splitlines()[1])
    output = ["-o", "out-clean.mkv"]
    assert words[2:] == ["picture%d.png", "--scale", "3", "--fps", "2x", "--model", "clean", *output]
