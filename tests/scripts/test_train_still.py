"""The script that trains what tells of standing still: it learns, and leaves all else as it was."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from tests.tiny import TINY, TINY_LARGE, scattered
from tests.training.test_footage import scene, write_picture, write_video
from videoinr_cli import load_model
from videoinr_cli.training.batches import Batch
from videoinr_cli.weights import inspect_weights, save_model

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    import train_still

    monkeypatch.setattr(train_still, "REPORT_STEPS", 10)
    return train_still


def test_what_stands_still_gains_by_it(script: ModuleType) -> None:
    """A picture moves by eight pixels behind a bar; halfway between two frames, too."""
    torch.manual_seed(0)
    coarse = torch.rand(1, 3, 20, 40)
    picture = F.interpolate(coarse, size=(160, 320), mode="bicubic").clamp(0, 1)  # at twice the size

    def seen(right: int) -> torch.Tensor:
        shown = picture[..., 24 + right : 24 + right + 160].clone()
        shown[..., 76:84] = torch.tensor([0.0, 1.0]).repeat_interleave(4)
        return shown

    first, halfway, second = (seen(right) for right in (0, 8, 16))
    given = [F.avg_pool2d(frame, 2) for frame in (first, second)]
    still = torch.zeros(2, 1, 1, 80, 80)
    still[..., 38:42] = 1
    batch = Batch(None, *given, None, (halfway,), (torch.tensor([0.5]),), torch.zeros(2, 1, 2, 40, 40), still)
    network = load_model("videoinr-fast", device="cpu")
    with torch.inference_mode():
        gain = script._scene(network, batch).gain.float()
    assert float(gain[..., 38:42].mean()) > 0.05
    assert float(gain[..., 5:30].mean()) < -0.01


def test_a_wrong_answer_costs_what_it_shows(script: ModuleType) -> None:
    full = script.FULL_COST
    gain = torch.tensor([2 * full, full / 2, 0.0, -full])  # by standing still
    missed, in_vain = script.LEAST_COST_OF_MISSED, script.LEAST_COST_IN_VAIN
    standing = script.cost_of_error(torch.ones(4), gain)
    torch.testing.assert_close(standing, torch.tensor([1.0, 0.5, missed, missed]))
    moving = script.cost_of_error(torch.zeros(4), gain)
    torch.testing.assert_close(moving, torch.tensor([in_vain, in_vain, in_vain, 1.0]))
    logit = torch.full((4,), 2.0)
    wrong = 2 + math.log1p(math.exp(-2))
    assert float(script.loss_of(logit, torch.zeros(4), gain)) == pytest.approx(float(wrong * moving.mean()))


def test_only_what_tells_of_standing_still_is_trained(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, output = tmp_path / "data", tmp_path / "trained"
    inits = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    data.mkdir()
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
