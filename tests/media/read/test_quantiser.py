"""How coarsely a source is quantised, and which model is advised for it."""

from __future__ import annotations

import pytest

from tests.conftest import MakeClip
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.quantiser import quantiser_step

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


def test_nothing_is_said_of_what_does_not_tell(make_clip: MakeClip) -> None:
    assert quantiser_step(probe(make_clip("in.mkv", "-c:v", "ffv1", size=SIZE))) is None
    assert quantiser_step(probe(make_clip("small.mkv"))) is None
