"""How coarsely a source is quantised, and which model is advised for it."""

from __future__ import annotations

import pytest

from tests.command import run
from tests.conftest import MakeClip
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.quantiser import COARSE_STEP, FINE_STEP, model_advice, quantiser_step

GRAIN = "noise=alls=20:allf=t"
SIZE = (320, 180)


@pytest.mark.parametrize(("quantiser", "step"), [(4, 1.0), (22, 8.0), (34, 32.0)])
def test_the_step_of_h264_is_that_of_its_quantiser(quantiser: int, step: float, make_clip: MakeClip) -> None:
    clip = make_clip("in.mp4", "-qp", quantiser, "-x264-params", "ipratio=1:pbratio=1:aq-mode=0", size=SIZE)
    assert quantiser_step(probe(clip)) == pytest.approx(step, rel=0.01)  # of the keyframe


def test_the_step_of_mpeg_is_twice_its_scale(make_clip: MakeClip) -> None:
    for codec in ("mpeg2video", "mpeg4"):
        clip = make_clip(f"{codec}.mkv", "-c:v", codec, "-q:v", 6, "-g", 3, filters=GRAIN, size=SIZE)
        assert quantiser_step(probe(clip)) == pytest.approx(12.0, rel=0.2)


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


def test_nothing_is_said_of_what_does_not_tell(make_clip: MakeClip) -> None:
    assert quantiser_step(probe(make_clip("in.mkv", "-c:v", "ffv1", size=SIZE))) is None
    assert quantiser_step(probe(make_clip("small.mkv"))) is None


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
