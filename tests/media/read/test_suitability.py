"""Which model suits a source, and what is said of one that was named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.command import check_one_line, run
from tests.conftest import MakeClip
from videoinr_cli.batch import engines
from videoinr_cli.batch.batch import run_batch
from videoinr_cli.batch.items import Pending
from videoinr_cli.errors import OptionError
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.quantiser import COARSE_STEP, FINE_STEP, quantiser_step
from videoinr_cli.media.read.suitability import Suited, look_of, model_advice, suited_model
from videoinr_cli.options import JobOptions, NetworkOptions, UpscaleOptions
from videoinr_cli.render.plan import plan_video
from videoinr_cli.weights import load_model, load_network

GRAIN = "noise=alls=20:allf=t"
SIZE = (320, 180)
STRONGLY = "looks strongly compressed"


def bars(edge_px: int, noise_levels: float = 0.0) -> NDArray[np.uint8]:
    """Return bars of 16 px whose edges rise over some pixels, in the middle of blocks, above a flat area."""
    triangle = np.abs((np.arange(320) + 0.5) % 32 - 16) - 8
    wave = np.clip(2 * triangle / edge_px, -1, 1)
    picture = np.full((320, 320), 128.0)
    picture[:160] += 60 * wave
    noise = np.random.default_rng(1).normal(0, noise_levels, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("edge_px", [2, 4])
def test_edges_are_as_wide_as_they_were_drawn(edge_px: int) -> None:
    look = look_of(bars(edge_px), None)
    assert look is not None
    assert look.edge_px == pytest.approx(edge_px, rel=0.05)  # levels are rounded
    assert look.noise_levels == 0
    assert look.spent is None


@pytest.mark.parametrize("levels", [1.0, 4.0, 10.0])
def test_noise_is_as_strong_as_it_was_added(levels: float) -> None:
    look = look_of(bars(2, levels), 1000)
    assert look is not None
    # Of 200 blocks of 196 values each, the tenth at the bottom is some 6 % below the mean.
    assert look.noise_levels == pytest.approx(levels, rel=0.12)


def test_nothing_is_said_of_what_shows_nothing(tmp_path: Path, make_clip: MakeClip) -> None:
    assert look_of(np.zeros((480, 640), np.uint8), 100) is None
    assert look_of(bars(2)[:, :8], 100) is None
    small = suited_model(probe(make_clip("small.mkv", "-c:v", "ffv1")))
    assert (small.model, small.why) == ("clean", "suits most videos, and this one shows too little to tell")


@pytest.mark.parametrize(
    ("options", "filters", "model", "why"),
    [
        (["-c:v", "libx264", "-crf", 40], GRAIN, "real", STRONGLY),
        (["-c:v", "libx264", "-qp", 30], "null", "real", "looks compressed"),
        (["-c:v", "libvpx-vp9", "-crf", 60, "-b:v", 0, "-cpu-used", 8], GRAIN, "real", STRONGLY),
        (["-c:v", "libvpx-vp9", "-crf", 4, "-b:v", 0, "-cpu-used", 8], "null", "clean", "looks neither"),
        (["-c:v", "ffv1"], GRAIN, "real", "looks noisy"),
        (["-c:v", "ffv1"], "scale=80:45,scale=320:180:flags=bicubic", "real", "looks soft"),
        (["-c:v", "ffv1"], "null", "clean", "looks neither"),
    ],
)
def test_each_kind_of_source_gets_its_model(
    options: list[object], filters: str, model: str, why: str, make_clip: MakeClip
) -> None:
    clip = make_clip("in.mkv", *options, filters=filters, size=SIZE, frames=3)
    suited = suited_model(probe(clip))
    assert suited.model == model
    assert suited.why.startswith(why)


def test_images_are_looked_at_too(make_clip: MakeClip, tmp_path: Path) -> None:
    make_clip("shot/%d.png", filters=GRAIN, frames=3, size=SIZE)
    assert suited_model(probe(tmp_path / "shot")).why == "looks noisy"


def test_each_model_is_advised_where_it_suits(make_clip: MakeClip) -> None:
    coarse = probe(make_clip("coarse.mp4", "-crf", 40, filters=GRAIN, size=SIZE))
    fine = probe(make_clip("fine.mp4", "-crf", 4, filters=GRAIN, size=SIZE))
    assert (quantiser_step(coarse) or 0) > COARSE_STEP > FINE_STEP > (quantiser_step(fine) or 99)
    for clean in ("clean", "fast", "videoinr-fast"):
        assert "coarse.mp4' looks strongly compressed: try --model real" in (
            model_advice(coarse, clean) or ""
        )
        assert model_advice(fine, clean) is None
    for real in ("real", "videoinr-real"):
        assert model_advice(coarse, real) is None
        assert "fine.mp4' looks hardly compressed: --model clean" in (model_advice(fine, real) or "")
    assert model_advice(coarse, "mine.safetensors") is None


def test_the_advice_is_shown(
    make_clip: MakeClip, capfd: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    clip = make_clip("in.mp4", "-crf", 45, filters=GRAIN, frames=2, size=SIZE)
    words = "looks strongly compressed: try --model real"
    assert run("info", clip) == 0
    assert words in capfd.readouterr().out
    assert run("upscale", clip, "--scale", 1, "-o", f"{tmp_path}/out.mkv") == 0
    assert words in capfd.readouterr().err
    assert run("preview", clip, "-o", f"{tmp_path}/look.png") == 0
    assert words in capfd.readouterr().err


@pytest.fixture
def asked(weights: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return which models a batch has loaded; tiny ones take their place."""
    names: list[str] = []

    def load(network: NetworkOptions) -> Any:
        names.append(network.weights)
        return load_model(weights)

    monkeypatch.setattr(engines, "load_network", load)
    return names


def test_auto_takes_a_model_for_each_video_and_says_so(
    make_clip: MakeClip, asked: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make_clip("in/a.mp4", "-crf", 45, filters=GRAIN, frames=2, size=SIZE)
    make_clip("in/b.mp4", "-crf", 4, frames=2, size=SIZE)
    make_clip("in/c.mp4", "-crf", 45, filters=GRAIN, frames=2, size=SIZE)
    assert run("upscale", tmp_path / "in", "--model", "auto", "--scale", 1, "-o", f"{tmp_path}/out/") == 0
    said = capfd.readouterr().err
    assert asked == ["real", "clean"]
    assert f"--model auto takes real: '{tmp_path}/in/a.mp4' looks strongly compressed" in said
    assert f"--model auto takes clean: '{tmp_path}/in/b.mp4' looks neither" in said
    arguments = ["--model", "auto", "--scale", 1, "-o", f"{tmp_path}/told/", "--json"]
    assert run("upscale", tmp_path / "in", *arguments) == 0
    events = map(json.loads, capfd.readouterr().out.splitlines())
    assert [event["model"] for event in events if event["event"] == "start"] == ["real", "clean", "real"]


def test_a_cluster_takes_one_model(make_clip: MakeClip, tmp_path: Path) -> None:
    options = UpscaleOptions(weights="auto", scale=1)
    sources = [
        make_clip("a.mp4", "-crf", 45, filters=GRAIN, frames=2, size=SIZE),
        make_clip("b.mp4", "-crf", 4, frames=2, size=SIZE),
    ]
    items = [Pending(one, plan_video(one, tmp_path / f"out-{one.name}", options)) for one in sources]
    with pytest.raises(OptionError, match="try --model real"):
        run_batch(items, options, lambda event: None, job=JobOptions(cluster="auto"))


def test_auto_needs_a_file(make_clip: MakeClip, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OptionError, match="looks at a video file"):
        load_network(NetworkOptions("auto"))
    assert run("weights", "info", "auto") == 2
    check_one_line(capfd.readouterr().err, "--model auto looks at a video file")


def test_what_cannot_be_read_twice_is_said_to_be_so(make_clip: MakeClip) -> None:
    piped = dataclasses.replace(probe(make_clip("in.mp4", frames=2)), path=Path("-"))
    assert not piped.is_file
    assert suited_model(piped) == Suited("clean", "cannot be looked at beforehand")
