"""Single-image models as users give them: what is refused without any, and with `spandrel` the real thing.

Tests marked `models` build small models of several architectures by spandrel itself, with random weights.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.command import check_one_line
from tests.command import run as videoinr
from tests.conftest import MakeClip
from videoinr_cli.errors import OptionError, WeightsError
from videoinr_cli.jobs.fingerprint import difference, fingerprint
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.model import PublishedConfig, build
from videoinr_cli.model.spatial import RestoringVideoInr, SpatialVideoInr
from videoinr_cli.options import ReadOptions, UpscaleOptions
from videoinr_cli.render.plan import plan_video
from videoinr_cli.weights import find_enlarger, find_weights, load_model, options_with, save_model
from videoinr_cli.weights.enlargers import read_enlarger


class Harmful:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def refused(path: Path, words: str) -> None:
    with pytest.raises(WeightsError) as caught:
        read_enlarger(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_in_a_pickle_is_executed(tmp_path: Path) -> None:
    path, mark = tmp_path / "model.pth", tmp_path / "executed"
    torch.save({"params": {"weight": torch.ones(3)}, "more": Harmful(mark)}, path)
    refused(path, "nothing in it was executed")
    assert not mark.exists()


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(b"not a model")
    refused(path, "is no model, or is damaged; --spatial takes .pth and .safetensors files")
    save_file({"weight": torch.tensor([1.0, float("nan")])}, path)
    refused(path, "'weight' holds values that are not finite")
    torch.save([torch.ones(3)], path)
    refused(path, "holds a list instead of a state_dict")
    for text, words in (
        (str(tmp_path / "none.pth"), "no such file"),
        (str(tmp_path), "it is a folder; give a file in it"),
        ("https://example.org/model.pth", "download it and give the file"),
    ):
        with pytest.raises(WeightsError, match=words):
            find_enlarger(text)


def test_without_spandrel_one_line_says_how_to_get_it(
    tmp_path: Path,
    make_clip: MakeClip,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    save_file({"weight": torch.ones(3)}, tmp_path / "model.safetensors")
    clip = make_clip("in.mp4", frames=2)
    command = ("upscale", clip, "-o", tmp_path / "out.mp4", "--spatial", tmp_path / "model.safetensors")
    assert videoinr(*command) == 1
    check_one_line(capfd.readouterr().err, "pip install 'videoinr[models]'")
    assert not (tmp_path / "out.mp4").exists()


def test_the_model_and_its_steadiness_are_part_of_a_job(tmp_path: Path, make_clip: MakeClip) -> None:
    source, model = make_clip("in.mp4", frames=2), tmp_path / "model.pth"

    def job(**options: Any) -> Mapping[str, str]:
        return fingerprint(plan_video(source, tmp_path / "out.mp4", UpscaleOptions(**options)))

    model.write_bytes(b"one")
    plain, one = job(), job(spatial=str(model))
    copy = tmp_path / "copy.pth"
    copy.write_bytes(b"one")
    assert difference(one, job(spatial=str(copy))) is None
    model.write_bytes(b"other")
    for was, now in ((one, plain), (one, job(spatial=str(model)))):
        assert difference(was, now) == "another --spatial model"
    assert "steady 1.0, not 0.5" in str(difference(one, job(spatial=str(copy), steady=0.5)))


def test_a_steadiness_and_a_motion_that_there_are_not_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OptionError, match=r"steadiness 1.5 is not between 0 and 1"):
        UpscaleOptions(steady=1.5)
    save_model(
        build(PublishedConfig(channels=8, front_blocks=1, back_blocks=1)), tmp_path / "a.safetensors", {}
    )
    with pytest.raises(
        OptionError, match=r"needs a videoinr-fast network for the motion, not .*a\.safetensors"
    ):
        load_model(tmp_path / "a.safetensors", device="cpu", spatial="model.pth")


def seeded(network: torch.nn.Module, path: Path) -> Path:
    """Write a network's weights, drawn anew, so that its picture depends on what it is given."""
    torch.manual_seed(3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    torch.save({"params_ema": state}, path)
    return path


def compact(path: Path, factor: int = 2, channels: int = 3) -> Path:
    from spandrel.architectures.Compact import Compact

    network = Compact(
        num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=2, upscale=factor, act_type="prelu"
    )
    return seeded(network, path)


def esrgan(path: Path) -> Path:
    from spandrel.architectures.ESRGAN import ESRGAN

    return seeded(ESRGAN(num_filters=8, num_blocks=1, scale=4), path)


def swinir(path: Path) -> Path:
    from spandrel.architectures.SwinIR import SwinIR

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid")
        network = SwinIR(
            img_size=16,
            embed_dim=12,
            depths=[2],
            num_heads=[2],
            window_size=8,
            upscale=2,
            upsampler="pixelshuffledirect",
            resi_connection="1conv",
        )
    return seeded(network, path)


def dncnn(path: Path, channels: int = 3) -> Path:
    from spandrel.architectures.DnCNN import DnCNN

    return seeded(DnCNN(in_nc=channels, out_nc=channels, nc=16, nb=8, act_mode="R"), path)


@pytest.mark.models
@pytest.mark.parametrize(
    ("make", "factor"),
    [(compact, 2), (esrgan, 4), (swinir, 2)],
    ids=["compact", "esrgan", "swinir"],
)
@torch.inference_mode()
def test_models_of_any_architecture_make_their_own_picture(
    make: Callable[[Path], Path], factor: int, tmp_path: Path
) -> None:
    from spandrel import ModelLoader

    path = make(tmp_path / "model.pth")
    model = load_model(device="cpu", precision="fp32", spatial=path, steady=0.0)
    assert isinstance(model, SpatialVideoInr)
    frames = torch.rand(2, 3, 37, 45, generator=torch.Generator().manual_seed(2))  # no multiple of anything
    pair = model.encode_pair(*(model.encode_frame(frame) for frame in frames.split(1)))
    expected = ModelLoader().load_from_file(path)(frames[1:])
    rendered = model.render(pair, 1.0, (37 * factor, 45 * factor))
    torch.testing.assert_close(rendered, expected, rtol=0, atol=1e-5)  # sums in another order
    assert rendered.std() > 0.01
    assert model.render(pair, 0.5, (90, 111)).shape == (1, 3, 90, 111)
    assert model.enlarger.cost.effort > 0


@pytest.mark.models
@torch.inference_mode()
def test_a_model_that_restores_is_rendered_by_the_small_network(tmp_path: Path) -> None:
    path = dncnn(tmp_path / "model.pth")
    model = load_model(device="cpu", precision="fp32", spatial=path)
    assert isinstance(model, RestoringVideoInr)
    assert options_with(model, UpscaleOptions()).spatial == str(path)  # as other processes load it
    frames = [model.encode_frame(torch.full((1, 3, 20, 28), level)) for level in (0.4, 0.5)]
    assert model.render(model.encode_pair(*frames), 0.5, (50, 70)).shape == (1, 3, 50, 70)


@pytest.mark.models
def test_models_for_other_things_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.pth"
    torch.save({"layer.weight": torch.ones(3, 3)}, path)
    refused(path, "holds no model that spandrel knows; the networks of videoinr go to --model")
    refused(find_weights("clean"), "the networks of videoinr go to --model")
    assert read_enlarger(dncnn(path, channels=1)).channels == 1
    assert videoinr("weights", "info", path) == 0
    assert "DnCNN" in capfd.readouterr().out
    compact(path, channels=2)
    refused(path, "does not make a picture of a picture")


@pytest.mark.models
def test_a_video_by_any_model_is_as_by_our_own(
    tmp_path: Path, make_clip: MakeClip, capfd: pytest.CaptureFixture[str]
) -> None:
    model, clip = compact(tmp_path / "model.pth"), make_clip("in.mp4", frames=30, audio=True)
    command = ["upscale", clip, "--spatial", model, "--scale", "2.5", "--fps", "2x", "--codec", "ffv1"]
    assert videoinr(*command, "-o", tmp_path / "whole.mkv", "--json") == 0
    done = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert done[-1]["event"] == "end"
    segments = ("--segment-seconds", "0.3", "-o", tmp_path / "parts.mkv")
    assert videoinr(*command, *segments) == 0
    whole, parts = (prepare(tmp_path / name, ReadOptions()) for name in ("whole.mkv", "parts.mkv"))
    assert (whole.width, whole.height, whole.frame_count) == (160, 120, parts.frame_count)
    assert pictures(tmp_path / "whole.mkv") == pictures(tmp_path / "parts.mkv")
    assert videoinr("preview", clip, "--spatial", model, "-o", tmp_path / "look.png") == 0
    evaluation = ("evaluate", clip, "--space", "2", "--max-frames", "5", "--baseline", "none", "--json")
    capfd.readouterr()
    assert videoinr(*evaluation, "--spatial", model, "--steady", "0", "--steady", "1") == 0
    methods = [result["method"] for result in json.loads(capfd.readouterr().out)]
    assert methods == ["videoinr-fast", "model, steady 0%", "model, steady 100%"]


def pictures(path: Path) -> list[bytes]:
    import av

    with av.open(path) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
