"""``--strength``: networks between a faithful one and a crisp one, by mixing their weights."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from tests.command import check_one_line, run
from tests.conftest import MakeClip
from tests.tiny import TINY
from videoinr_cli.errors import OptionError, WeightsError
from videoinr_cli.evaluation.options import EvaluateOptions
from videoinr_cli.jobs.cluster.calls import Node
from videoinr_cli.jobs.cluster.files import WeightsFile, moved
from videoinr_cli.jobs.cluster.records import NodeState, Place, Worker
from videoinr_cli.jobs.fingerprint import difference, fingerprint
from videoinr_cli.jobs.segment import SegmentRequest
from videoinr_cli.model import build
from videoinr_cli.options import MODELS, PreviewOptions, UpscaleOptions, strength_of
from videoinr_cli.previews.preview import preview
from videoinr_cli.render.parts import Part
from videoinr_cli.render.plan import Plan, plan_video
from videoinr_cli.weights import load_model, manifest, options_with, save_model

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def embedded(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of tiny networks that are embedded in the place of the real ones."""
    folder = tmp_path_factory.mktemp("embedded")
    shutil.copy(ROOT / "weights" / manifest.MANIFEST, folder)
    for seed, name in enumerate(("clean", "real", "vivid")):
        torch.manual_seed(seed)
        save_model(build(TINY), folder / f"{MODELS[name]}.safetensors", {})
    monkeypatch.setattr(manifest, "embedded_folder", lambda: folder)
    return folder


def test_every_strength_is_a_mean_of_the_weights() -> None:
    real = load_model("real").state_dict()
    vivid = load_model(manifest.embedded_file("videoinr-vivid") or "").state_dict()
    assert any(not torch.equal(real[name], vivid[name]) for name in real)
    for strength, name in ((0.0, "vivid"), (0.25, "videoinr-vivid"), (1.0, "vivid")):
        mixed = load_model(name, strength=strength).state_dict()
        for key, tensor in mixed.items():
            wanted = (1 - strength) * real[key].double() + strength * vivid[key].double()
            # exact at the ends, else to within the rounding of float32
            assert torch.allclose(tensor.double(), wanted, rtol=0, atol=0 if strength in (0, 1) else 1e-7)
    default, half = (load_model("vivid", strength=strength).state_dict() for strength in (None, 0.5))
    assert all(torch.equal(default[key], half[key]) for key in half)


def test_networks_of_two_kinds_are_not_mixed(embedded: Path) -> None:
    other = dataclasses.replace(TINY, frame_blocks=2)
    save_model(build(other), embedded / "videoinr-real.safetensors", {})
    with pytest.raises(WeightsError, match="their networks differ"):
        load_model("vivid")
    assert load_model(embedded / "videoinr-vivid.safetensors").config == TINY


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "real", "--strength", 0.3], "--strength 0.3 is for --model vivid, not for 'real'"),
        (["--model", "auto", "--strength", 0.3], "--strength 0.3 is for --model vivid, not for 'auto'"),
        (["--strength", 1], "--strength 1 is for --model vivid, not for 'videoinr-fast'"),
        (["--model", "vivid", "--strength", 1.5], "strength 1.5 is not between 0 and 1"),
        (["--model", "vivid", "--strength", "nan"], "strength nan is not between 0 and 1"),
    ],
)
@pytest.mark.parametrize("command", ["upscale", "preview"])
def test_wrong_strengths_get_one_line(
    command: str, arguments: list[object], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(command, tmp_path / "missing.mp4", *arguments, "-o", tmp_path / "out.png") == 2
    check_one_line(capfd.readouterr().err, words)


def test_a_file_has_no_strength(embedded: Path) -> None:
    with pytest.raises(OptionError, match="leave one out"):
        load_model(embedded / "videoinr-vivid.safetensors", strength=0.5)
    assert strength_of("auto") is None


@pytest.fixture
def planned(make_clip: MakeClip, tmp_path: Path) -> Any:
    """Return a function that plans a clip's upscaling by a model at a strength."""
    source = make_clip("in.mkv", frames=4)

    def plan(strength: float | None, weights: str = "vivid") -> Plan:
        options = UpscaleOptions(weights=weights, strength=strength, device="cpu")
        return plan_video(source, tmp_path / "out.mkv", options)

    return plan


def test_another_strength_is_another_job(planned: Any) -> None:
    was = fingerprint(planned(0.3))
    assert difference(was, fingerprint(planned(0.3))) is None
    assert difference(was, fingerprint(planned(0.8))) == "strength 0.3, not 0.8"
    assert difference(fingerprint(planned(None)), fingerprint(planned(0.5, "videoinr-vivid"))) is None
    assert difference(was, fingerprint(planned(None, "real"))) == "other weights"


def test_either_file_makes_another_job(planned: Any, embedded: Path) -> None:
    was = fingerprint(planned(0.3))
    for name in ("videoinr-real", "videoinr-vivid"):
        save_model(build(TINY), embedded / f"{name}.safetensors", {"changed": name})
        now = fingerprint(planned(0.3))
        assert difference(was, now) == "other weights"
        was = now


def test_a_loaded_network_keeps_its_strength(planned: Any) -> None:
    model = load_model("vivid", strength=0.7)
    options = options_with(model, UpscaleOptions())
    assert (options.weights, options.strength) == ("vivid", 0.7)
    assert options_with(load_model("real"), UpscaleOptions(weights="vivid", strength=0.2)).strength is None
    assert fingerprint(planned(0.7), model) == fingerprint(planned(0.7))


def test_nodes_that_lack_a_mixture_are_sent_one_file(planned: Any, tmp_path: Path) -> None:
    mixed, other = WeightsFile.of("vivid", 0.3), WeightsFile.of("vivid", 0.4)
    assert mixed.sha256 == other.sha256, "which nodes are asked for"
    assert mixed.key != other.key, "under which files are kept there"
    sent = load_model(mixed.path).state_dict()
    wanted = load_model("vivid", strength=0.3).state_dict()
    assert all(torch.equal(wanted[key], sent[key]) for key in wanted)
    request = SegmentRequest(0, planned(0.3), Part(), tmp_path / "0.mkv")
    node = NodeState(Node("n", "n", gpus=0, cpus=1, store_bytes=0))
    worker = Worker(node, "cpu", gpus=0, cpus=1, threads=1, sharing=1)
    for weights, strength in (("vivid", 0.3), (str(mixed.path), None)):
        place = Place(None, weights, None, writes_there=True)
        there = moved(request, request.path, place, worker)
        assert there.plan.options.strength == strength


def pictures_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def test_it_is_told_in_json_and_renders(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("in.mkv", "-c:v", "ffv1", frames=2)
    rendered = []
    for number, strength in enumerate(([], ["--strength", 0.5], ["--strength", 1])):
        output = tmp_path / f"{number}.mkv"
        options = ["--model", "vivid", *strength, "--codec", "ffv1", "--json", "-o", output]
        assert run("upscale", source, *options) == 0
        start = next(
            map(json.loads, filter(lambda line: '"start"' in line, capfd.readouterr().out.splitlines()))
        )
        assert (start["model"], start["strength"]) == ("vivid", (0.5, 0.5, 1.0)[number])
        rendered.append(pictures_of(output))
    assert rendered[0] == rendered[1] != rendered[2]


def test_several_strengths_are_previewed_and_measured(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mkv", frames=3)
    upscale = UpscaleOptions(scale=1)
    options = PreviewOptions(more_weights=("vivid",), strengths=(0.0, 1.0), upscale=upscale)
    found = preview(source, tmp_path / "look.png", options)
    names = ["clean", "vivid, strength 0", "vivid, strength 1"]
    assert [one.name for one in found.candidates] == names
    measured = EvaluateOptions(weights=("real", "vivid"), strengths=(0.25, 0.75)).networks
    assert [name for name, _ in measured] == ["real", "vivid, strength 0.25", "vivid, strength 0.75"]
    assert [network.strength for _, network in measured] == [None, 0.25, 0.75]
    with pytest.raises(OptionError, match="leave one out"):
        EvaluateOptions(strengths=(0.5,))
