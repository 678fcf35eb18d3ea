"""What a frozen network makes of windows of frames: drawn as times say, encoded once, and learnt from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.command import check_one_line, run
from tests.tiny import TINY_LARGE, scattered
from tests.training.test_footage import scene, write_video
from tests.training.test_samples import sliding_clip, still
from videoinr_cli.model import build
from videoinr_cli.model.large.network import LargeVideoInr
from videoinr_cli.training import encoded as encoded_module
from videoinr_cli.training.encoded import FRAMES, PLACES, EncodedSampler, WindowSampler
from videoinr_cli.training.recipes import BETWEEN
from videoinr_cli.weights import inspect_weights, save_model
from videoinr_cli.weights.files import read_tensors

RECIPE = dataclasses.replace(BETWEEN.samples, lr_size=16, batch_size=4)
ROUNDING = {torch.bfloat16: 4e-3, torch.float16: 5e-4}
"""Of a value around 1, as windows are kept."""


@pytest.fixture
def network() -> LargeVideoInr:
    network = scattered(TINY_LARGE)
    assert isinstance(network, LargeVideoInr)
    return network


def test_what_is_shown_is_where_tau_says() -> None:
    """The clip's red is a ramp that moves evenly: a frame's mean tells its time."""
    recipe = dataclasses.replace(RECIPE, still_share=0.0, max_gap=2)
    sampler = WindowSampler([sliding_clip(count=20)], recipe, seed=1)
    for number in range(10):
        window = sampler.window(number)
        times = window.given[:, 0].mean(dim=(1, 2))
        assert len(times) == FRAMES
        torch.testing.assert_close(times.diff(), times.diff()[:1].expand(FRAMES - 1), rtol=0, atol=1e-4)
        for place, tau, target in zip(PLACES, window.taus, window.targets, strict=True):
            expected = torch.lerp(times[place], times[place + 1], tau)
            torch.testing.assert_close(target[0].mean(), expected, rtol=0, atol=1e-4)


def test_pictures_move_evenly_through_a_window() -> None:
    sampler = WindowSampler([still(1), still(2)], RECIPE, seed=1)
    window = sampler.window(3)
    again = WindowSampler([still(1), still(2)], RECIPE, seed=1).window(3)
    assert torch.equal(window.given, again.given)
    assert window.given.shape == (FRAMES, 3, 64, 64)
    for place, tau, target in zip(PLACES, window.taus, window.targets, strict=True):
        nearest = window.given[place + int(tau > 0.5)]
        farthest = window.given[-1 if place == PLACES[0] else 0]
        assert (target - nearest).abs().mean() < (target - farthest).abs().mean()


def test_a_window_is_encoded_once(
    network: LargeVideoInr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded_module, "AT_FIRST", 2)
    sampler = EncodedSampler([still(1)], RECIPE, network, tmp_path, seed=3)
    batch = sampler.batch(0)
    assert batch.pictures[0].shape == batch.pictures[1].shape == batch.target.shape == (4, 3, 64, 64)
    monkeypatch.setattr(EncodedSampler, "_encode", None)  # nothing is left to encode
    kept = EncodedSampler([still(1)], RECIPE, network, tmp_path, seed=3).batch(0)
    for name in ("motion", "tau", "target"):
        assert torch.equal(getattr(kept, name), getattr(batch, name))
    (tmp_path / "encoded-3-0" / "000000.safetensors").write_bytes(b"cut off")
    monkeypatch.undo()
    monkeypatch.setattr(encoded_module, "AT_FIRST", 2)
    assert torch.equal(sampler.batch(0).target, batch.target)


@torch.no_grad()
def test_what_is_kept_is_what_the_network_shows(network: LargeVideoInr, tmp_path: Path) -> None:
    sampler = EncodedSampler([still(1)], RECIPE, network, tmp_path, seed=3)
    window = sampler.windows.window(5)
    kept = sampler.encoded(5)
    run = [network.encode_frame(frame) for frame in encoded_module.reduce(window.given, (16, 16)).split(1)]
    for number, (place, tau) in enumerate(zip(PLACES, window.taus, strict=True)):
        pair = network.encode_pair_of(run, place)
        for side in (0, 1):
            for name, whole in (("pictures", pair.pictures[side]), ("features", pair.features[side])):
                part = kept[name][number + side]
                atol = ROUNDING[part.dtype] * float(whole.abs().max())
                torch.testing.assert_close(part.float(), whole[0], rtol=0, atol=atol)
        shown = network.between(
            pair.pictures, pair.features, kept["motion"][number, None], tau.view(1, 1, 1, 1)
        )
        assert torch.equal(shown, network.render(pair, float(tau), (64, 64)))


def test_only_what_is_between_is_trained(tmp_path: Path) -> None:
    (tmp_path / "footage").mkdir()
    write_video(tmp_path / "footage" / "clip.mp4", scene(1, 16))
    torch.manual_seed(2)
    start, output = tmp_path / "start.safetensors", tmp_path / "mine.safetensors"
    save_model(build(TINY_LARGE), start, {})
    asked = ["--recipe", "between", "--init", start, "--patch", 16, "--batch-size", 2, "--steps", 2]
    assert run("train", "--data", tmp_path / "footage", "-o", output, *asked, "-q") == 0
    assert inspect_weights(output).config == TINY_LARGE
    before, after = read_tensors(start), read_tensors(output)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"between.exit.weight", "between.steering.6.weight"} <= changed
    assert all(name.startswith("between.") for name in changed)
    assert run("train", "-o", output, "--resume", "--steps", 3, "-q") == 0
    assert not torch.equal(read_tensors(output)["between.exit.bias"], after["between.exit.bias"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--recipe", "between", "--init", "videoinr-fast"], "is a videoinr-fast; --recipe between, and no"),
        (["--recipe", "between", "--degrade"], "leave out --degrade"),
    ],
)
def test_what_is_no_large_network_is_refused(
    tmp_path: Path, options: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "footage").mkdir()
    write_video(tmp_path / "footage" / "clip.mp4", scene(1, 16))
    output = tmp_path / "mine.safetensors"
    assert run("train", "--data", tmp_path / "footage", "-o", output, *options, "-q") != 0
    check_one_line(capfd.readouterr().err, said)


def test_too_short_clips_are_said(network: LargeVideoInr, tmp_path: Path) -> None:
    with pytest.raises(encoded_module.InputError, match="no clip of more than 14 frames"):
        EncodedSampler([sliding_clip(count=9)], RECIPE, network, tmp_path, seed=0)


def test_flips_keep_a_window_together() -> None:
    """Every fourth frame of noise that does not move is the same picture, however it is turned."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    from videoinr_cli.training.footage import Shot

    sampler = WindowSampler([Shot("still.mp4", noise.repeat(20, axis=0))], RECIPE, seed=0)
    for number in range(8):
        window = sampler.window(number)
        assert torch.equal(window.given, window.given[:1].expand_as(window.given))
        assert torch.equal(window.targets, window.given[:2])
