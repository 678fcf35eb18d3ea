"""The script that trains what tells of standing still: it learns, and leaves all else as it was."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.tiny import TINY, TINY_LARGE, scattered
from tests.training.test_footage import scene, write_picture, write_video
from videoinr_cli import load_model
from videoinr_cli.model.flow import warp
from videoinr_cli.weights import inspect_weights, save_model

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    import train_still

    monkeypatch.setattr(train_still, "REPORT_STEPS", 10)
    return train_still


def test_an_error_costs_what_it_shows(script: ModuleType) -> None:
    """A square moves by four pixels over a picture on whose right half a layer stands still."""
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 16, 36)
    first, second = picture[..., 4:], picture[..., :-4].clone()
    second[..., 16:] = first[..., 16:]
    flow = torch.zeros(2, 2, 16, 32)
    flow[0, 0], flow[1, 0] = 4, -4
    still = torch.zeros(2, 1, 16, 32)
    still[..., 16:] = 1
    assert torch.equal(warp(second, flow[:1])[..., :12], first[..., :12])  # else the flow is the wrong one
    cost = script.cost_of_error(first, second, flow, still)
    moving = first[..., :12], second[..., :12]
    standing = first[..., 16:28], second[..., 20:32]
    least = script.LEAST_COST
    for part, frames in ((cost[:1, :, :, :12], moving), (cost[:1, :, :, 16:28], standing)):
        shown = (frames[0] - frames[1]).abs().mean(1, keepdim=True)
        torch.testing.assert_close(part, least + (shown / script.FULL_COST).clamp(max=1))
    right = script.cost_of_error(first, first, flow, torch.zeros_like(still))
    assert torch.equal(right, torch.full_like(right, least))  # the same shows if it stands still


def test_only_what_tells_of_standing_still_is_trained(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, output = tmp_path / "data", tmp_path / "trained"
    inits = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    data.mkdir()
    output.mkdir()
    write_video(data / "clip.mp4", scene(1, 8, height=340, width=340))
    write_picture(data / "still.png", scene(2, 1, height=600, width=600)[0])
    network = scattered(TINY)
    save_model(network, inits[0], {"licence": "none"})
    network.decoder.layer3.weight.mul_(0.5)
    save_model(network, inits[1], {})
    told = ["--data", data, "--init", *inits, "-o", output, "--scenes", 6, "--steps", 60]
    monkeypatch.setattr(sys, "argv", ["train_still.py", *map(str, told), "--learning-rate", "0.01"])
    script.main()
    learnt = []
    for init in inits:
        before, after = (load_model(path, device="cpu").state_dict() for path in (init, output / init.name))
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed
        assert all(name.startswith("encoder.still.") for name in changed)
        learnt.append({name: after[name] for name in changed})
    torch.testing.assert_close(learnt[0], learnt[1], rtol=0, atol=0)
    assert inspect_weights(output / inits[0].name).metadata["licence"] == "none"
    losses = [
        float(line.partition("loss ")[2].partition(",")[0])
        for line in capsys.readouterr().err.splitlines()
        if "loss " in line
    ]
    assert len(losses) == 6
    assert losses[-1] < 0.8 * losses[0]


def test_a_network_without_that_part_is_refused(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = tmp_path / "large.safetensors"
    save_model(scattered(TINY_LARGE), init, {})
    told = ["--data", str(tmp_path), "--init", str(init), "-o", str(tmp_path / "out.safetensors")]
    monkeypatch.setattr(sys, "argv", ["train_still.py", *told])
    with pytest.raises(SystemExit, match="has no part that tells what stands still"):
        script.main()
