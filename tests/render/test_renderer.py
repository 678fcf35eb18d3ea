"""The renderer with a network that blends: right pictures, and nothing computed twice."""

from __future__ import annotations

import weakref
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from tests.oracle.blend import BlendFrame, BlendPair, BlendVideoInr
from videoinr_cli.model import ModelConfig
from videoinr_cli.model.network import Window
from videoinr_cli.render.renderer import GivenFrame, Renderer

HALF = Fraction(1, 2)


def frame(level: int, **relation: bool) -> GivenFrame:
    return GivenFrame(np.full((2, 3, 3), level, np.uint8), pts=0, **relation)


def renderer(model: BlendVideoInr, size: tuple[int, int] = (3, 2), **options: bool | int) -> Renderer:
    return Renderer(model, size, **options)


def level(renderer: Renderer, tau: Fraction | int) -> int:
    """Render an instant of frames of one grey."""
    rgb = renderer.render(Fraction(tau)).rgb
    assert len(np.unique(rgb)) == 1
    return int(rgb[0, 0, 0])


def test_instants_are_rendered_where_they_are() -> None:
    view = renderer(BlendVideoInr())
    view.advance(frame(100), frame(200))
    assert [level(view, Fraction(n, 4)) for n in range(5)] == [100, 125, 150, 175, 200]


def test_sizes_and_channels_are_in_their_places() -> None:
    rng = np.random.default_rng(0)
    given = GivenFrame(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8), pts=0)
    view = renderer(BlendVideoInr(), (10, 8))
    view.advance(given, None)
    picture = view.render(Fraction(0)).rgb
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, given.rgb.repeat(2, axis=0).repeat(2, axis=1))


def test_a_frame_is_encoded_once() -> None:
    model = BlendVideoInr()
    view = renderer(model)
    frames = [frame(n) for n in range(6)]
    for first, second in zip(frames, [*frames[1:], None], strict=True):
        view.advance(first, second)
        for tau in [Fraction(0), Fraction(1, 3), Fraction(2, 3)] if second else [Fraction(0)] * 3:
            view.render(tau)
    assert model.frames_encoded == 6
    assert model.pairs_encoded == 6, "the last frame once more: by itself it has no frame after it"
    assert len(model.rendered) == 5 * 3 + 1, "and once, however long it lasts"


def test_pictures_of_frames_that_are_gone_are_not_held() -> None:
    """Though the frames are, which a network may look at again: pictures can take hundreds of megabytes."""

    class LongRuns(ModelConfig):
        run_pairs: ClassVar[int] = 8
        context_frames: ClassVar[int] = 2

    model = BlendVideoInr()
    model.config = LongRuns()
    view = renderer(model)
    frames = [frame(n, is_repeat=n == 3) for n in range(16)]
    held: list[weakref.ref[Any]] = []
    for number in range(5):
        first, second, *following = frames[number : number + 2 + view.lookahead]
        view.advance(first, second, *following)
        held.append(weakref.ref(view.render(Fraction(0)).rgb))
    assert [picture() is None for picture in held] == [True, True, True, True, False]


def test_pairs_without_instants_cost_nothing() -> None:
    model = BlendVideoInr()
    view = renderer(model)
    view.advance(frame(0), frame(1))
    view.advance(frame(1), frame(2))
    assert model.frames_encoded == model.pairs_encoded == 0
    view.advance(frame(2), frame(4))
    assert level(view, HALF) == 3
    assert (model.frames_encoded, model.pairs_encoded) == (3, 1), "the frame before it is looked at"


def test_a_cut_comes_when_the_source_has_it() -> None:
    model = BlendVideoInr()
    view = renderer(model)
    view.advance(frame(10), frame(20))
    view.render(HALF)
    view.advance(frame(20), frame(200, is_cut=True))
    assert [level(view, Fraction(n, 4)) for n in range(5)] == [20, 20, 20, 20, 200]
    view.advance(frame(200, is_cut=True), frame(210))
    assert [level(view, tau) for tau in (0, HALF)] == [200, 205]
    assert model.frames_encoded == 4
    assert model.context == [
        (None, 10, 20, None),
        (None, 200, 200, None),
        (None, 200, 210, None),
    ], "before the cut, the first frame after it alone, and after it"


def test_repeats_are_not_rendered_again() -> None:
    model = BlendVideoInr()
    view = renderer(model)
    view.advance(frame(10), frame(10, is_repeat=True))
    pictures = [view.render(Fraction(n, 4)) for n in range(4)]
    view.advance(frame(10), frame(10, is_repeat=True))
    pictures += [view.render(Fraction(n, 4)) for n in range(4)]
    view.advance(frame(10), frame(20))
    pictures.append(view.render(Fraction(0)))
    assert all(picture is pictures[0] for picture in pictures)
    assert (model.frames_encoded, len(model.rendered)) == (1, 1)
    assert level(view, HALF) == 15


def test_a_repeat_after_an_instant_in_between_shows_the_repeated_frame() -> None:
    """What was rendered last is not what lasts."""
    view = renderer(BlendVideoInr())
    view.advance(frame(10), frame(20))
    assert level(view, HALF) == 15
    view.advance(frame(20), frame(20, is_repeat=True))
    assert level(view, HALF) == 20


def test_a_lone_frame_is_rendered_with_itself() -> None:
    view = renderer(BlendVideoInr())
    view.advance(frame(77), None)
    assert level(view, 0) == 77


def test_one_pair_is_held_at_a_time() -> None:
    """The encoding of the pair before is gone when the next is computed: it can take gigabytes."""
    held: list[weakref.ref[BlendPair]] = []

    class Watched(BlendVideoInr):
        def encode_pair(self, first: BlendFrame, second: BlendFrame, **beside: Any) -> BlendPair:
            assert all(pair() is None for pair in held)
            pair = super().encode_pair(first, second, **beside)
            held.append(weakref.ref(pair))
            return pair

    view = renderer(Watched())
    for n in range(4):
        view.advance(frame(n), frame(n + 1, is_cut=n == 2))
        view.render(HALF)
        view.render(Fraction(3, 4))
    assert len(held) == 4, "three pairs, and the frame before the cut without the one after it"


def run(view: Renderer, frames: list[GivenFrame], *taus: Fraction) -> None:
    """Lead a renderer through frames as the pipeline does."""
    beyond: list[GivenFrame | None] = [*frames[1:], None, None]
    for first, second, after in zip(frames, beyond, beyond[1:], strict=False):
        view.advance(first, second, after)
        for tau in taus if second else taus[:1]:
            view.render(tau)


def test_the_network_sees_the_frames_beside_a_pair() -> None:
    model = BlendVideoInr()
    run(renderer(model), [frame(n) for n in range(5)], Fraction(0), HALF)
    assert model.context == [
        (None, 0, 1, 2),
        (0, 1, 2, 3),
        (1, 2, 3, 4),
        (2, 3, 4, None),
        (None, 3, 4, None),
    ], "the last frame is rendered in the pair before it"
    assert model.carried == [None, 1, 2, 3, 4]
    assert model.frames_encoded == 5


def test_the_network_sees_no_frame_beyond_a_cut() -> None:
    model = BlendVideoInr()
    run(renderer(model), [frame(n, is_cut=n in (3, 5)) for n in range(7)], HALF)
    assert model.context == [
        (None, 0, 1, 2),
        (0, 1, 2, None),
        (None, 1, 2, None),
        (None, 3, 4, None),
        (None, 5, 6, None),
    ]


def test_repeats_are_no_frames_beside_a_pair() -> None:
    model = BlendVideoInr()
    run(renderer(model), [frame(n, is_repeat=copy) for n in range(3) for copy in (False, True)], HALF)
    assert set(model.context) == {(None, 0, 1, None), (None, 1, 2, None), (None, 0, 0, None)}


def test_what_was_asked_for_earlier_does_not_show() -> None:
    """A video rendered in parts is the same as one rendered at once."""
    frames = [frame(n, is_cut=n == 4) for n in range(7)]
    whole = BlendVideoInr()
    run(renderer(whole), frames, Fraction(0), HALF)
    part = BlendVideoInr()
    view = renderer(part)
    view.advance(frames[2], frames[3], frames[4])
    for first in (3, 4):
        view.advance(frames[first], frames[first + 1], frames[first + 2])
        for tau in (Fraction(0), HALF):
            view.render(tau)
    assert part.context == whole.context[3:5]


@pytest.mark.parametrize("bit_depth", [8, 10, 16])
@pytest.mark.parametrize("source", [np.uint8, np.uint16])
def test_depths_are_kept_apart(bit_depth: int, source: type[np.uint8 | np.uint16]) -> None:
    top = np.iinfo(source).max
    rgb = np.array([[[0, top // 3, top]]], source)
    view = renderer(BlendVideoInr(), (1, 1), bit_depth=bit_depth)
    view.advance(GivenFrame(rgb, pts=0), None)
    picture = view.render(Fraction(0)).rgb
    assert picture.dtype == (np.uint8 if bit_depth == 8 else np.uint16)
    whole = 255 if bit_depth == 8 else 65535
    assert picture.ravel().tolist() == [0, whole // 3, whole]


def test_16_bits_come_through_exactly() -> None:
    rgb = np.random.default_rng(0).integers(0, 65536, (8, 9, 3), dtype=np.uint16)
    view = renderer(BlendVideoInr(), (9, 8), bit_depth=12)
    view.advance(GivenFrame(rgb, pts=0), None)
    np.testing.assert_array_equal(view.render(Fraction(0)).rgb, rgb)


def test_values_out_of_range_are_clipped_and_the_rest_rounded() -> None:
    class Loud(BlendVideoInr):
        def encode_frame(self, given: object) -> BlendFrame:
            values = torch.tensor([-1.0, -0.001, 0.4999 / 255, 0.5001 / 255, 1.001, 7.0])
            return BlendFrame(1, 2, values.reshape(1, 1, 2, 3).permute(0, 3, 1, 2))

    view = renderer(Loud(), (2, 1))
    view.advance(frame(0), None)
    assert view.render(Fraction(0)).rgb.ravel().tolist() == [0, 0, 0, 1, 255, 255]


def test_transparency_is_enlarged_and_blended() -> None:
    def clear(alpha: int) -> GivenFrame:
        return GivenFrame(np.zeros((2, 3, 3), np.uint8), 0, alpha=np.full((2, 3), alpha, np.uint8))

    view = renderer(BlendVideoInr(), (6, 4), with_alpha=True)
    view.advance(clear(100), clear(200))
    for tau, expected in [(Fraction(0), 100), (Fraction(1, 4), 125), (Fraction(1), 200)]:
        alpha = view.render(tau).alpha
        assert alpha is not None
        assert alpha.shape == (4, 6)
        assert set(alpha.ravel().tolist()) == {expected}
    opaque = renderer(BlendVideoInr(), (6, 4))
    opaque.advance(clear(100), clear(200))
    assert opaque.render(HALF).alpha is None


def test_a_window_is_a_part_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    rgb, alpha = rng.integers(0, 256, (2, 6, 8, 3), np.uint8), rng.integers(0, 256, (2, 6, 8), np.uint8)
    frames = [GivenFrame(rgb[index], index, alpha=alpha[index]) for index in range(2)]
    whole, part = (
        Renderer(BlendVideoInr(), (24, 18), window=shown, with_alpha=True)
        for shown in (None, Window(5, 3, 15, 20))
    )
    for view in (whole, part):
        view.advance(*frames)
    for tau in (Fraction(0), Fraction(1, 3)):
        expected, cut = whole.render(tau), part.render(tau)
        np.testing.assert_array_equal(cut.rgb, expected.rgb[5:15, 3:20])
        assert expected.alpha is not None
        np.testing.assert_array_equal(cut.alpha, expected.alpha[5:15, 3:20])
