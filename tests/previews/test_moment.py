"""A region rendered alone must be what it is in the whole picture, at the right instant."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.tiny import TINY
from videoinr_cli.model import AnyVideoInr, build
from videoinr_cli.options import Region
from videoinr_cli.previews import moment as moment_module
from videoinr_cli.previews.moment import (
    CONTEXT_FRAMES,
    STRIP_TAUS,
    View,
    frames_around,
    play,
    render_moment,
)
from videoinr_cli.render.renderer import GivenFrame, Renderer

SIZE = (320, 96)  # (width, height): wider than a region with its halo


@pytest.fixture(scope="module")
def model() -> AnyVideoInr:
    torch.manual_seed(0)
    return build(TINY).eval().requires_grad_(False)


def make_frames(count: int, size: tuple[int, int] = SIZE) -> list[GivenFrame]:
    noise = np.random.default_rng(1).integers(0, 256, (count, size[1], size[0], 3), np.uint8)
    return [GivenFrame(rgb, pts=10 * index) for index, rgb in enumerate(noise)]


@pytest.mark.parametrize("step", [0, 2])
def test_a_region_is_what_it_is_in_the_whole(model: AnyVideoInr, step: int) -> None:
    frames = make_frames(2)
    view = View.of(Region(203, 41, 20, 12), SIZE, (2 * SIZE[0], 2 * SIZE[1]))
    assert view.crop.width < SIZE[0], "nothing is cut off: this shows nothing"
    whole = Renderer(model, (2 * SIZE[0], 2 * SIZE[1]))
    whole.advance(*frames)
    expected = whole.render(STRIP_TAUS[step]).rgb[82:106, 406:446]
    moment = render_moment(model, view, [view.cropped(frame) for frame in frames], 0)
    # Beyond the halo lies what the network hardly looks at; a pixel or an instant off would be 20 levels.
    assert np.abs(moment.between[step].ours.astype(int) - expected).mean() < 1
    assert moment.pair_seconds + moment.frame_seconds > 0


def test_panels_show_the_source_itself(model: AnyVideoInr) -> None:
    frames = make_frames(2, (40, 30))
    view = View.of(Region(5, 6, 10, 8), (40, 30), (120, 90))
    moment = render_moment(model, view, [view.cropped(frame) for frame in frames], 0)
    own, following = (np.repeat(np.repeat(frame.rgb[6:14, 5:15], 3, axis=0), 3, axis=1) for frame in frames)
    np.testing.assert_array_equal(moment.still.nearest, own)
    np.testing.assert_array_equal(moment.between[3].nearest, own)  # on show until the next one comes
    np.testing.assert_array_equal(moment.between[4].nearest, following)
    # The middle of three is where bicubic enlargement meets the pixel itself.
    halves = (frames[0].rgb[6:14, 5:15].astype(float) + frames[1].rgb[6:14, 5:15]) / 2
    assert np.abs(moment.between[2].bicubic[1::3, 1::3] - halves).max() <= 0.51


@pytest.mark.parametrize(
    ("index", "cuts", "measured"),
    [(2, [], (6, 1.5)), (2, [3], (2.5, 2)), (0, [], (2.5, 2)), (4, [], (8, 2)), (5, [], (8, 2))],
)
def test_pairs_with_pictures_in_between_are_measured(
    index: int,
    cuts: list[int],
    measured: tuple[float, float],
    model: AnyVideoInr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the first pair of all, which takes longer, nor one that a cut parts."""
    frames = [dataclasses.replace(f, is_cut=n in cuts) for n, f in enumerate(make_frames(6, (16, 12)))]
    times = iter([(10.0, 2.0), (5.0, 1.0), (4.0, 3.0)])
    monkeypatch.setattr(moment_module, "_timed", lambda magnifier, tau: next(times))
    view = View.of(Region(0, 0, 16, 12), (16, 12), (16, 12))
    moment = render_moment(model, view, list(map(view.cropped, frames)), index)
    assert (moment.pair_seconds, moment.frame_seconds) == measured


def test_nothing_comes_after_the_last_frame(model: AnyVideoInr) -> None:
    frames = make_frames(2, (40, 30))
    view = View.of(Region(0, 0, 40, 30), (40, 30), (60, 45))
    moment = render_moment(model, view, [view.cropped(frame) for frame in frames], 1)
    assert moment.between == ()
    assert moment.still.ours.shape == (45, 60, 3)


@pytest.mark.parametrize(("pts", "shown"), [(-5, 0), (0, 0), (9, 0), (10, 10), (25, 20), (999, 50)])
def test_finds_the_frame_on_show(pts: int, shown: int) -> None:
    frames = make_frames(6, (4, 4))
    until, after = frames_around(frames, pts, 2)
    assert until[-1].pts == shown
    assert len(until) <= CONTEXT_FRAMES + 1
    assert [frame.pts for frame in after] == [frame.pts for frame in frames if frame.pts > shown]


def test_plays_at_a_rate_of_its_own(model: AnyVideoInr) -> None:
    frames = make_frames(3, (40, 30))
    view = View.of(Region(0, 0, 20, 20), (40, 30), (40, 30))
    pictures = list(play(model, view, map(view.cropped, frames), Fraction(1, 100), Fraction(20)))
    assert len(pictures) == 6  # three frames of a tenth of a second
    np.testing.assert_array_equal(pictures[1].nearest, pictures[0].nearest)
    assert not np.array_equal(pictures[1].bicubic, pictures[0].bicubic)
    np.testing.assert_array_equal(pictures[2].nearest, frames[1].rgb[:20, :20])
