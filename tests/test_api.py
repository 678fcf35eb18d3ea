"""``import videoinr_cli as videoinr``: its names, and for every command a function that does the same."""

from __future__ import annotations

import ast
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import videoinr_cli as videoinr
from tests.command import run
from tests.conftest import MakeClip
from tests.oracle.golden_weights import golden_state_dict
from tests.oracle.plain_port import PlainVideoInr
from tests.training.test_footage import scene, write_video
from videoinr_cli.doctor import speed as doctor_speed

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "python.md").read_text(encoding="utf-8")
FAST = videoinr.EncodeOptions(preset="ultrafast")


def test_the_lists_of_public_names_agree() -> None:
    (checked,) = (node for node in ast.parse(inspect.getsource(videoinr)).body if isinstance(node, ast.If))
    imported: dict[str, list[str]] = {}
    for node in checked.body:
        assert isinstance(node, ast.ImportFrom)
        (name,) = node.names
        assert name.asname == name.name, "else it is not exported"
        imported.setdefault(str(node.module).removeprefix("videoinr_cli."), []).append(name.name)
    assert {module: tuple(names) for module, names in imported.items()} == videoinr._HOMES
    names = [name for names in videoinr._HOMES.values() for name in names]
    assert sorted(videoinr.__all__) == sorted([*names, "__version__"])
    assert dir(videoinr) == sorted(videoinr.__all__)


def test_every_public_name_is_found_first_thing() -> None:
    code = "import sys, videoinr_cli; getattr(videoinr_cli, sys.argv[1])"
    for name in ("events", "OptionError", "TrainOptions", "upscale_frames"):
        subprocess.run([sys.executable, "-c", code, name], check=True)
    for name in videoinr.__all__:
        assert getattr(videoinr, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'upscale'"):
        videoinr.upscale  # noqa: B018


def test_no_module_takes_the_place_of_a_public_name() -> None:
    """A submodule becomes an attribute of its package when it is imported."""
    assert not {module.name for module in pkgutil.iter_modules(videoinr.__path__)} & set(videoinr.__all__)


def test_options_and_errors_need_no_torch() -> None:
    code = (
        "import sys, videoinr_cli as v\n"
        "v.UpscaleOptions, v.TrainOptions(data=('a',)), v.EvaluateOptions(), v.VideoInrError, v.events\n"
        "assert not {'torch', 'av', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_describes_every_public_name_and_no_other() -> None:
    directive = r"^\.\. auto(?:function|class|exception):: videoinr_cli\.(\w+)$"
    described = re.findall(directive, PAGE, re.MULTILINE)
    assert sorted({*described, "events", "__version__"}) == sorted(videoinr.__all__)
    assert "videoinr.events" in PAGE
    assert "videoinr_cli.__version__" in PAGE


def test_the_programs_of_the_page_can_be_run() -> None:
    """As far as can be seen without their files: they are Python, and use what there is."""
    programs = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(programs) > 5
    for program in programs:
        compile(program, "python.md", "exec")
        assert set(re.findall(r"videoinr\.(\w+)", program)) <= set(videoinr.__all__)


def test_a_video_is_upscaled_as_by_the_command(make_clip: MakeClip, weights: Path, tmp_path: Path) -> None:
    source = make_clip("in.mp4", frames=10, audio=True)
    arguments = ["--scale", 1.5, "--fps", "2x", "--preset", "ultrafast", "--weights", weights]
    assert run("upscale", source, "-o", tmp_path / "a.mp4", *arguments, "--segment-seconds", 0.2, "-q") == 0
    options = videoinr.UpscaleOptions(
        scale=1.5, fps=videoinr.TargetRate.parse("2x"), encode=FAST, weights=str(weights)
    )
    done: list[videoinr.SegmentDone] = []
    summary = videoinr.upscale_video(
        source,
        tmp_path / "b.mp4",
        options,
        job=videoinr.JobOptions(segment_seconds=0.2),
        on_segment=done.append,
    )
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert (summary.frames_read, summary.frames_written, len(done)) == (10, 20, 2)


def test_a_batch_is_upscaled_as_by_the_command(
    make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sources = [make_clip(f"in/{name}.mp4", frames=2) for name in "ab"]
    broken = tmp_path / "in" / "c.mp4"
    broken.write_bytes(b"no video")
    arguments = ["--scale", 2, "--preset", "ultrafast", "--weights", weights]
    pattern = "{stem}_{height}{ext}"
    command, python = tmp_path / "command", tmp_path / "python"
    assert run("upscale", tmp_path / "in", "-o", f"{command}/", *arguments, "--name", pattern, "--json") == 1
    lines = map(json.loads, capfd.readouterr().out.splitlines())
    told = [line["event"] for line in lines if line["event"] != "progress"]
    heard: list[videoinr.events.Event] = []
    result = videoinr.upscale_batch(
        tmp_path / "in",
        python,
        videoinr.UpscaleOptions(scale=2, encode=FAST, weights=str(weights)),
        name=pattern,
        listener=heard.append,
    )
    assert [event.event for event in heard if event.event != "progress"] == told  # some, at intervals
    assert [summary.destination for summary in result.done] == [python / "a_96.mp4", python / "b_96.mp4"]
    assert [refused.source for refused in result.failed] == [broken]
    assert isinstance(result.failed[0].error, videoinr.InputError)
    assert (result.skipped, result.left) == ((), ())
    for source in sources:
        name = f"{source.stem}_96.mp4"
        assert (command / name).read_bytes() == (python / name).read_bytes()


def test_a_batch_is_estimated_as_by_the_command(
    make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sources = [make_clip("in/a.mp4", frames=2), tmp_path / "in" / "b.mp4"]
    sources[1].write_bytes(b"no video")
    output = f"{tmp_path / 'out'}/"
    asked = ["--scale", 2, "--preset", "ultrafast", "--weights", weights, "--dry-run", "--json"]
    assert run("upscale", *sources, "-o", output, *asked) == 1
    told = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    options = videoinr.UpscaleOptions(scale=2, encode=FAST, weights=str(weights))
    estimate, error = videoinr.estimate_upscale(sources, output, options)
    assert isinstance(estimate, videoinr.events.Estimate)
    assert isinstance(error, videoinr.events.Error)
    assert [estimate.event, error.event] == [one["event"] for one in told]
    assert [str(estimate.destination), estimate.frames, list(estimate.size)] == [
        told[0][name] for name in ("destination", "frames", "size")
    ]
    assert error.message == told[1]["message"]
    assert not Path(output).exists()


def test_a_video_is_inspected_as_by_the_command(
    make_clip: MakeClip, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("in.mp4", frames=10, audio=True)
    assert run("info", source, "--height", 96, "-o", "out.mkv", "-o", "out.nothing", "--json") == 0
    told = json.loads(capfd.readouterr().out)
    found = videoinr.inspect_video(source, ["out.mkv", "out.nothing"], videoinr.UpscaleOptions(height=96))
    assert found.source == videoinr.probe(source)
    assert (found.source.width, found.source.height) == (told["video"]["width"], told["video"]["height"])
    assert found.timing is not None
    assert str(found.timing.average) == told["timing"]["frame_rate"]
    assert str(found.as_read.frame_rate) == told["upscale"]["frame_rate"]
    forecast, refused = found.outputs.values()
    assert isinstance(forecast, videoinr.Forecast)
    outputs = told["upscale"]["outputs"]
    assert forecast.size == (outputs["out.mkv"]["width"], outputs["out.mkv"]["height"])
    assert forecast.format.encoder.name == outputs["out.mkv"]["encoder"]
    assert isinstance(refused, videoinr.OutputError)
    assert str(refused) == outputs["out.nothing"]["error"]


def test_a_moment_is_shown_as_by_the_command(
    make_clip: MakeClip, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videoinr_cli.previews.preview._whole_seconds", lambda *_: None)  # is measured
    source = make_clip("in.mp4", frames=10)
    arguments = ["--at", "0.2", "--scale", 2, "--weights", weights, "--strip", "-q"]
    assert run("preview", source, "-o", tmp_path / "a.png", *arguments) == 0
    made = videoinr.preview(
        source,
        tmp_path / "b.png",
        videoinr.PreviewOptions(
            at_seconds=Fraction(1, 5),
            strip=True,
            upscale=videoinr.UpscaleOptions(scale=2, weights=str(weights)),
        ),
    )
    assert (made.picture, made.clip, made.size) == (tmp_path / "b.png", None, (128, 96))
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.png") as b:
        assert a.tobytes() == b.tobytes()


def test_videos_are_compared_as_by_the_command(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    a, b = make_clip("a.mp4", frames=4), make_clip("b.mp4", "-crf", 40, frames=4)
    assert run("compare", a, b, "-o", tmp_path / "a.html", "--frames", 3) == 0
    page = videoinr.compare(a, b, tmp_path / "b.html", videoinr.CompareOptions(max_frames=3))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert page.bytes == page.path.stat().st_size
    (psnr, mean), _ = page.means
    assert f"{psnr.metric} {psnr.label}: {mean:.4g} {psnr.unit}" in capfd.readouterr().err


def test_weights_are_evaluated_as_by_the_command(
    make_clip: MakeClip, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("in.mp4", frames=5, size=(128, 96))
    arguments = ["--weights", weights, "--baseline", "bicubic+blend", "--space", 2, "--steadiness"]
    assert run("evaluate", source, *arguments, "--json", "-q") == 0
    told = json.loads(capfd.readouterr().out)
    progress: list[videoinr.EvaluationProgress] = []
    options = videoinr.EvaluateOptions(
        protocol=videoinr.Protocol(space=2),
        weights=(str(weights),),
        baselines=("bicubic+blend",),
        steadiness=True,
    )
    found = videoinr.evaluate(source, options, progress=progress.append)
    measured = json.loads(found.to_json())
    for result in (*told, *measured):  # what no two runs have alike
        assert result.pop("seconds_per_frame") > 0
        result.pop("peak_bytes")
    assert measured == told
    assert str(found).count("| bicubic+blend") == 3
    assert [(one.method, one.frames) for one in progress] == [
        (name, frames) for name in ("bicubic+blend", str(weights)) for frames in range(5)
    ]


def test_another_method_is_evaluated_beside_weights(make_clip: MakeClip, weights: Path) -> None:
    class Halves:
        """Shows grey, whatever it is given."""

        name, device = "grey", videoinr.load_model(weights).device

        def render(self, given: Any, steps: int, size: tuple[int, int]) -> Any:
            first, *others = given
            for _ in range(len(others) * steps):
                yield first.new_full((1, 3, *size), 0.5)

    source = make_clip("in.mp4", frames=5, size=(128, 96))
    options = videoinr.EvaluateOptions(weights=(str(weights),), baselines=())
    found = videoinr.evaluate(source, options, methods=[Halves()])
    assert [result.method for result in found.results] == [str(weights), "grey"]


def test_weights_are_trained_as_by_the_command(weights: Path, tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    write_video(footage / "clip.mp4", scene(1, 6))
    write_video(footage / "held.mp4", scene(2, 7))
    asked = ["--batch-size", 1, "--patch", 16, "--steps", 1, "--seed", 5, "--hold-out", "held*"]
    command, python = tmp_path / "command.safetensors", tmp_path / "python.safetensors"
    assert run("train", "--data", footage, "-o", command, "--init", weights, *asked, "-q") == 0
    assert run("train", "-o", command, "--resume", "--steps", 2, "-q") == 0
    options = videoinr.TrainOptions(
        data=(footage,), init=str(weights), batch_size=1, patch=16, steps=1, seed=5, hold_out=("held*",)
    )
    progress: list[videoinr.TrainingProgress] = []
    videoinr.train(python, options, progress=progress.append)
    made = videoinr.train(python, videoinr.TrainOptions(steps=2), resume=True, progress=progress.append)
    assert (made.path, made.steps, [one.step for one in progress]) == (python, 2, [1, 2])
    assert videoinr.inspect_weights(python).metadata == videoinr.inspect_weights(command).metadata
    learnt, wanted = (videoinr.load_model(path).state_dict() for path in (python, command))
    assert all(torch.equal(learnt[name], tensor) for name, tensor in wanted.items())


def test_weights_are_managed_as_by_the_command(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: object) -> Any:
        assert run("weights", *arguments) == 0
        return capfd.readouterr().out

    monkeypatch.setenv("VIDEOINR_WEIGHTS_DIR", str(tmp_path / "command"))
    assert run("weights", "download", "mine", "--from", weights, "-q") == 0
    listed = json.loads(told("list", "--json"))
    described = json.loads(told("info", "mine", "--json"))
    verified = told("verify", "mine")

    monkeypatch.setenv("VIDEOINR_WEIGHTS_DIR", str(tmp_path / "python"))
    made = videoinr.download_weights("mine", source=str(weights))
    assert made in videoinr.all_weights()
    assert [entry.name for entry in videoinr.all_weights()] == [entry["name"] for entry in listed]
    assert made == videoinr.look_up_weights("mine")
    assert made.path == videoinr.find_weights("mine") == tmp_path / "python" / "mine.safetensors"
    found = videoinr.inspect_weights("mine")
    assert (found.parameters, found.config.architecture) == (
        described["parameters"],
        described["architecture"],
    )
    assert videoinr.verify_weights(made) == described["sha256"]
    assert described["sha256"] in verified

    embedded = videoinr.download_weights("clean")
    assert (embedded.path, embedded.record) == (videoinr.find_weights("videoinr-fast"), None)
    with pytest.raises(videoinr.OptionError, match="no weights named"):
        videoinr.download_weights()


def test_a_checkpoint_is_converted_as_by_the_command(tmp_path: Path) -> None:
    checkpoint, command, python = tmp_path / "G.pth", tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in PlainVideoInr().state_dict().items()}
    torch.save(golden_state_dict(shapes), checkpoint)
    assert run("weights", "convert", checkpoint, command, "--enlargement", 4) == 0
    info = videoinr.convert_checkpoint(checkpoint, python, rgb_enlargement=4)
    assert info.config == videoinr.inspect_weights(command).config
    assert info.metadata == videoinr.inspect_weights(command).metadata
    with pytest.raises(videoinr.OutputError, match="exists"):
        videoinr.convert_checkpoint(checkpoint, python)
    videoinr.convert_checkpoint(checkpoint, python, overwrite=True)


def test_a_machine_is_diagnosed_as_by_the_command(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_speed, "MEASURED_SECONDS", 0.0)
    run("doctor", "--weights", weights, "--json")
    told = json.loads(capfd.readouterr().out)
    found = videoinr.diagnose(str(weights))
    assert found.is_well == told["is_well"]
    assert [device.name for device in found.devices] == [device["name"] for device in told["devices"]]
    assert [library.version for library in found.libraries] == [one["version"] for one in told["libraries"]]
    assert found.ffmpeg is not None
    assert list(found.ffmpeg.encoders) == told["ffmpeg"]["encoders"]
    assert [speed.job for speed in found.speeds] == [speed["job"] for speed in told["speeds"]]
