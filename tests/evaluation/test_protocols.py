"""Groups, sizes and averages of the papers' protocols, on clips whose score is known by construction."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.evaluation.baselines import PerFrame, make_baseline
from videoinr_cli.evaluation.clips import Clip, find_clips, save_picture
from videoinr_cli.evaluation.measure import FrameScore, MethodResult, measure_quality
from videoinr_cli.evaluation.protocols import (
    BASELINES,
    CONTEXTS,
    PAPER_STEPS,
    Baseline,
    Context,
    Protocol,
)


def level(value: float) -> float:
    """Round to what an 8-bit picture holds."""
    return round(value * 255) / 255


def write_clip(folder: Path, values: Iterable[float], size: tuple[int, int] = (16, 20)) -> Clip:
    """Write flat grey pictures, named so that only a natural order is right."""
    for index, value in enumerate(values):
        save_picture(torch.full((3, *size), value), folder / f"f{index}.png")
    return find_clips(folder)[0]


class Recorder:
    """Returns flat black, and remembers what it was asked."""

    name = "recorder"
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.given: list[Tensor] = []

    def render(self, given: Iterable[Tensor], steps: int, size: tuple[int, int]) -> Iterator[Tensor]:
        def remember() -> Iterator[Tensor]:
            for frame in given:
                self.given.append(frame)
                yield frame

        for _ in pairwise(remember()):
            yield from (torch.zeros(1, 3, *size) for _ in range(steps))


def test_the_papers_rates() -> None:
    assert (PAPER_STEPS["vid4"], PAPER_STEPS["gopro"], PAPER_STEPS["adobe240"]) == (2, 8, 8)


def test_a_benchmark_is_known_by_its_clips_and_groups() -> None:
    vid4 = [41, 34, 49, 47]  # calendar, city, foliage, walk: 20 + 16 + 24 + 23 groups
    assert Protocol(steps=2).is_of("vid4", vid4)
    assert not Protocol(steps=2).is_of("vid4", [41, 34, 49, 45])
    assert not Protocol(steps=2).is_of("vid4", vid4[:3])
    assert Protocol(steps=3).is_of("vid4", vid4)
    assert not Protocol(steps=3).is_of("vid4", vid4[:3])
    assert Protocol(steps=2, max_frames=17).is_of("vid4", vid4[:3])
    assert Protocol(steps=2).is_of("video", [9])


@pytest.mark.parametrize(
    ("frames", "steps", "groups"), [(17, 2, 8), (16, 2, 7), (9, 8, 1), (24, 8, 2), (12, 3, 3)]
)
def test_groups_leave_out_the_last_given_frame(tmp_path: Path, frames: int, steps: int, groups: int) -> None:
    clip = write_clip(tmp_path / "clip", [index / 100 for index in range(frames)])
    recorder, protocol = Recorder(), Protocol(steps=steps)
    result = measure_quality(recorder, [clip], protocol)
    assert [(score.group, score.step) for score in result.scores] == [
        (g, s) for g in range(groups) for s in range(steps)
    ]
    assert protocol.frames_of(clip.length()) == len(result.scores)
    seen = [frame.mean().item() for frame in recorder.given[: groups + 1]]
    assert seen == pytest.approx([level(index * steps / 100) for index in range(groups + 1)], abs=1e-6)


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_rate_of_5_to_2_asks_for_every_second_frame(tmp_path: Path, context: Context) -> None:
    """Given are frames 0, 5 and 10 of a fade; at 2.5 times that rate come 0, 2, 4, 6 and 8."""
    clip = write_clip(tmp_path / "clip", [level(0.2 + 5 / 255 * index) for index in range(12)])
    protocol = Protocol(5, stride=2, context=context)
    result = measure_quality(PerFrame("bicubic", "blend"), [clip], protocol)
    assert [(score.group, score.step) for score in result.scores] == [(0, 0), (0, 2), (0, 4), (1, 1), (1, 3)]
    assert (result.groups, protocol.frames_of(clip.length())) == (2, 5)
    assert min(score.psnr for score in result.scores) > 100  # float rounding only
    assert "time x5/2" in str(protocol)


def test_max_frames_counts_from_the_start(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip", [0.5] * 12)
    recorder, protocol = Recorder(), Protocol(max_frames=5)
    assert len(measure_quality(recorder, [clip], protocol).scores) == 4 == protocol.frames_of(clip.length())
    assert len(recorder.given) == 3


@pytest.mark.parametrize(
    ("space", "lr", "hr"),
    [(4.0, (45, 80), (180, 320)), (3.5, (51, 91), (178, 318)), (12.0, (15, 26), (180, 312))],
)
def test_ground_truth_is_cropped_to_a_multiple(
    space: float, lr: tuple[int, int], hr: tuple[int, int]
) -> None:
    assert Protocol(space=space).sizes(180, 320) == (lr, hr)


def test_blend_is_exact_on_a_linear_fade(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip", [level(0.2 + 16 / 255 * index) for index in range(9)])
    result = measure_quality(PerFrame("bicubic", "blend"), [clip], Protocol(steps=4))
    assert result.average().psnr > 100  # float rounding only
    assert result.average().ssim == pytest.approx(1, abs=1e-6)


def test_nearest_errs_by_a_known_amount(tmp_path: Path) -> None:
    step = 8 / 255
    clip = write_clip(tmp_path / "clip", [0.2 + step * index for index in range(9)])
    result = measure_quality(PerFrame("bicubic", "nearest"), [clip], Protocol(steps=4))
    one = -20 * torch.tensor(step * 219 / 255).log10().item()
    two = one - 20 * torch.tensor(2.0).log10().item()
    assert [score.psnr for score in result.scores[1:4]] == pytest.approx([one, two, one], abs=0.01)


@pytest.mark.parametrize("space", [4.0, 6.0, 12.0, 2.7])
@pytest.mark.parametrize("steps", [6, 12, 16])
def test_rates_and_scales_beyond_training(tmp_path: Path, steps: int, space: float) -> None:
    """The papers' out-of-distribution table, and a scale that is no integer: a fade that blending follows."""
    count = 2 * steps + 3  # the last two frames begin a group that never ends
    clip = write_clip(tmp_path / "clip", [level(0.1 + 2 / 255 * n) for n in range(count)], size=(160, 150))
    shapes: set[tuple[int, ...]] = set()
    protocol = Protocol(steps=steps, space=space)
    result = measure_quality(
        PerFrame("bicubic", "blend"),
        [clip],
        protocol,
        on_frame=lambda score, picture: shapes.add(tuple(picture.shape[-2:])),
    )
    assert len(result.scores) == 2 * steps == protocol.frames_of(clip.length())
    (size,) = shapes
    assert all(0 <= whole - side < space + 1 for whole, side in zip((160, 150), size, strict=True))
    assert result.center().psnr > 90  # float rounding only


def test_pairs_are_seen_alone(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip", [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    calls: list[list[float]] = []

    class Watcher(Recorder):
        def render(self, given: Iterable[Tensor], steps: int, size: tuple[int, int]) -> Iterator[Tensor]:
            frames = list(given)
            calls.append([frame.mean().item() for frame in frames])
            return super().render(frames, steps, size)

    result = measure_quality(Watcher(), [clip], Protocol(steps=2, context="pairs"))
    assert [len(call) for call in calls] == [2, 2, 2]
    assert calls[1] == pytest.approx([level(0.4), level(0.6)], abs=1e-6)
    assert [(score.group, score.step) for score in result.scores] == [
        (g, s) for g in range(3) for s in range(2)
    ]


@pytest.mark.parametrize("context", CONTEXTS)
def test_both_contexts_score_the_same_frames(tmp_path: Path, context: Context) -> None:
    """Blending looks at no other frames, so that its scores cannot differ."""
    clip = write_clip(tmp_path / "clip", [0.2, 0.35, 0.4, 0.6, 0.5, 0.5, 0.9])
    blend = PerFrame("bicubic", "blend")
    reference = measure_quality(blend, [clip], Protocol(steps=3))
    assert measure_quality(blend, [clip], Protocol(steps=3, context=context)).scores == reference.scores


def test_given_frames_can_be_encoded_first(tmp_path: Path) -> None:
    """x264 spoils what is given, the more the larger the rate factor; the truth stays as it is."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.rand(3, 96, 140, generator=generator)
    for index in range(7):
        save_picture(wide[:, :, 4 * index : 4 * index + 112], tmp_path / "clip" / f"{index}.png")
    clips = find_clips(tmp_path / "clip")

    def given(crf: float | None) -> list[Tensor]:
        recorder = Recorder()
        result = measure_quality(recorder, clips, Protocol(space=1.5, crf=crf))
        assert len(result.scores) == 6
        return recorder.given

    clean, fine, coarse = given(None), given(10), given(40)
    assert [frame.shape for frame in fine] == [frame.shape for frame in clean]
    errors = [
        [(a - b).square().mean().item() for a, b in zip(frames, clean, strict=True)]
        for frames in (fine, coarse)
    ]
    assert all(0 < a < b for a, b in zip(*errors, strict=True))
    closest = [(fine[1] - frame).square().mean().item() for frame in clean]
    assert closest.index(min(closest)) == 1  # in order


@pytest.mark.parametrize("name", ["minterpolate+bicubic", "minterpolate+lanczos"])
def test_minterpolate_gives_every_frame_of_every_group(tmp_path: Path, name: Baseline) -> None:
    values = [level(0.2 + 2 / 255 * index) for index in range(9)]  # slow enough not to pass for a scene cut
    clip = write_clip(tmp_path / "clip", values, size=(64, 96))
    pictures: list[Tensor] = []
    baseline = make_baseline(name)
    measure_quality(
        baseline, [clip], Protocol(steps=4, space=2), on_frame=lambda score, picture: pictures.append(picture)
    )
    assert {tuple(picture.shape) for picture in pictures} == {(1, 3, 64, 96)}
    # Less than one step of 2: the way through limited-range Y'CbCr and back rounds twice.
    means = [picture.mean().item() for picture in pictures]
    assert means == pytest.approx(values[:8], abs=1.2 / 255)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_go_by_their_names(name: str) -> None:
    assert make_baseline(name).name == name  # type: ignore[arg-type]


def score(clip: str, group: int, step: int, psnr: float) -> FrameScore:
    return FrameScore(clip, group, step, psnr, psnr / 100)


def test_center_and_average() -> None:
    scores = [score("a", 0, step, 20.0 + step) for step in range(8)]
    result = MethodResult("method", Protocol(steps=8), tuple(scores), 0.1, None)
    assert result.center().psnr == 22.0  # of 20 and 24
    assert result.average().psnr == 23.5
    assert result.average().ssim == pytest.approx(0.235)
    assert result.given().psnr == 20.0
    assert result.between().psnr == 24.0


def test_averages_are_over_all_groups_not_over_clips() -> None:
    scores = [score("long", g, s, 30.0) for g in range(3) for s in range(2)] + [
        score("short", 0, s, 20.0) for s in range(2)
    ]
    result = MethodResult("method", Protocol(), tuple(scores), 0.1, None)
    assert result.average().psnr == 27.5
    assert (result.given("long").psnr, result.between("short").psnr) == (30.0, 20.0)
    assert result.clips == ["long", "short"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Protocol(steps=0),
        lambda: Protocol(space=0.5),
        lambda: Protocol(space=float("nan")),
        lambda: Protocol(steps=8, max_frames=8),
        lambda: Protocol(crf=52),
        lambda: Protocol(steps=2, stride=3),
        lambda: Protocol(steps=4, stride=2),
    ],
)
def test_senseless_protocols_are_refused(make: object) -> None:
    with pytest.raises(OptionError):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("size", "space", "left"), [((8, 16), 4.0, "16x8"), ((24, 24), 32.0, "0x0"), ((15, 40), 8.0, "40x8")]
)
def test_a_clip_too_small_to_compare_is_named_before_anything_is_rendered(
    tmp_path: Path, size: tuple[int, int], space: float, left: str
) -> None:
    clips = [
        write_clip(tmp_path / "large", [0.5] * 3, (64, 64)),
        write_clip(tmp_path / "tiny", [0.5] * 3, size),
    ]
    recorder = Recorder()
    with pytest.raises(InputError, match=f"'tiny' of {size[1]}x{size[0]} leaves {left} pixels"):
        measure_quality(recorder, clips, Protocol(space=space))
    assert not recorder.given


def test_a_clip_without_a_group_is_named(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "brief", [0.5, 0.5])
    with pytest.raises(InputError, match="'brief' is too short"):
        measure_quality(Recorder(), [clip], Protocol())
