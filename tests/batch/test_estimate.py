"""What a dry run measures is bounded, whatever the size of the video, and is counted up to the whole."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from tests.conftest import MakeClip
from tests.tiny import TINY
from videoinr_cli.batch import estimate
from videoinr_cli.batch.estimate import MEASURED_SECONDS, measure
from videoinr_cli.model import LargeConfig, ModelConfig, build
from videoinr_cli.options import TargetRate, UpscaleOptions
from videoinr_cli.render import pieces
from videoinr_cli.render.framing import Framing
from videoinr_cli.render.parts import Tally
from videoinr_cli.render.pieces import Sizes
from videoinr_cli.render.pipeline import Engine, Outcome, Progress, ProgressCallback
from videoinr_cli.render.plan import Plan, plan_video

FRAMES = 100
PIXEL_SECONDS = {True: 20e-6, False: 50e-6}
"""For each pixel that is encoded; False: where nothing is kept."""
POINT_SECONDS = 0.5e-6


class Clocked(Engine):
    """Renders nothing, and lets a clock go on by the pixels that it would render."""

    def __init__(self, config: ModelConfig = TINY) -> None:
        super().__init__(build(config).eval())
        self.now = 0.0
        self.plans: list[Plan] = []

    def monotonic(self) -> float:
        return self.now

    def render(self, plan: Plan, report: ProgressCallback, *, sizes: Sizes | None = None) -> Outcome:
        assert sizes is not None
        self.plans.append(plan)
        each = max(1, math.ceil(plan.instants))
        self.now += 1.0  # what is done once
        self.now += self.ahead_seconds(plan.lr_size, sizes)
        for frame in range(FRAMES):
            self.now += self.seconds_of(plan.lr_size, plan.size[::-1], sizes, is_first=frame % each == 0)
            report(Progress(frame + 1, FRAMES, 0.0, None, self.now))
        return Outcome(Tally(), FRAMES, self.now)

    def ahead_seconds(self, lr_size: tuple[int, int], sizes: Sizes) -> float:
        """How long the frames take that are encoded for the first pair, and kept for the next ones."""
        return self.seconds_of(lr_size, lr_size, sizes, is_first=True) if sizes.keeps else 0.0

    def seconds_of(
        self, lr_size: tuple[int, int], size: tuple[int, int], sizes: Sizes, *, is_first: bool
    ) -> float:
        seconds = 0.0
        for tile in sizes.tiles(self.model, lr_size, size):
            rows, columns = tile.rows, tile.columns
            if is_first:
                pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
                seconds += PIXEL_SECONDS[sizes.keeps] * pixels
            seconds += POINT_SECONDS * len(rows.weights) * len(columns.weights)
        return seconds


@pytest.mark.parametrize("fps", [None, "2x"])
@pytest.mark.parametrize("limit_gib", [None, 12, 3])
@pytest.mark.parametrize("size", [(64, 48), (1280, 720), (3840, 2160)])
def test_the_time_is_bounded_and_the_whole_is_counted(
    size: tuple[int, int],
    limit_gib: int | None,
    fps: str | None,
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pieces, "held_bytes", lambda device: 0)
    monkeypatch.setattr(pieces, "free_bytes", lambda device: 64 << 30)
    engine = Clocked()
    monkeypatch.setattr(estimate, "time", engine)
    options = UpscaleOptions(
        scale=2.0,
        fps=None if fps is None else TargetRate.parse(fps),
        max_memory_bytes=None if limit_gib is None else limit_gib << 30,
    )
    small = plan_video(make_clip("in.mp4", frames=2), tmp_path / "out.mp4", options)
    source = dataclasses.replace(small.source, width=size[0], height=size[1])
    output = dataclasses.replace(small.output, source=source, size=(2 * size[0], 2 * size[1]))
    plan = dataclasses.replace(small, output=output, framing=Framing.of(options, size, output.size))
    cost = measure(plan, engine)
    assert engine.now < 4 + 2 * MEASURED_SECONDS, "what is done once comes twice"
    times = [
        engine.seconds_of(plan.lr_size, plan.size[::-1], cost.sizes, is_first=is_first)
        for is_first in (True, False)
    ]
    truth = times[0] if fps is None else sum(times) / 2
    assert cost.speed.seconds(10) - cost.speed.start_seconds == pytest.approx(10 * truth, rel=0.15)
    begin = 1.0 + engine.ahead_seconds(plan.lr_size, cost.sizes) + times[0] - truth
    assert cost.speed.start_seconds == pytest.approx(begin, rel=0.25)
    assert cost.peak_bytes > 0
    for sample in engine.plans:
        assert sample.options == options
        assert all(length % 2 == 0 for length in sample.size)


class InRuns(Clocked):
    """Does most of a run's work before its first picture."""

    def seconds_of(
        self, lr_size: tuple[int, int], size: tuple[int, int], sizes: Sizes, *, is_first: bool
    ) -> float:
        effort = self.model.effort()
        onward = effort.following - effort.ahead
        return math.prod(lr_size) * (onward + effort.instant + 4 * effort.point) / 1e7

    def ahead_seconds(self, lr_size: tuple[int, int], sizes: Sizes) -> float:
        return math.prod(lr_size) * self.model.config.run_pairs * self.model.effort().ahead / 1e7

    def render(self, plan: Plan, report: ProgressCallback, *, sizes: Sizes | None = None) -> Outcome:
        assert sizes is not None
        self.now += 1.0  # what is done once
        for frame in range(FRAMES):
            if frame % self.model.config.run_pairs == 0:
                self.now += self.ahead_seconds(plan.lr_size, sizes)
            self.now += self.seconds_of(plan.lr_size, plan.size[::-1], sizes, is_first=True)
            report(Progress(frame + 1, FRAMES, 0.0, None, self.now))
        return Outcome(Tally(), FRAMES, self.now)


@pytest.mark.parametrize("size", [(64, 48), (640, 360)])
def test_what_begins_a_run_of_frames_is_shared_by_all_of_them(
    size: tuple[int, int], make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "held_bytes", lambda device: 0)
    monkeypatch.setattr(pieces, "free_bytes", lambda device: 64 << 30)
    engine = InRuns(LargeConfig(channels=8, blocks=1, motion=TINY))
    monkeypatch.setattr(estimate, "time", engine)
    plan = plan_video(make_clip("in.mp4", frames=2, size=size), tmp_path / "out.mp4", UpscaleOptions(scale=2))
    speed = measure(plan, engine).speed
    pairs = engine.model.config.run_pairs
    sizes = Sizes()
    run = engine.ahead_seconds(plan.lr_size, sizes)
    run += pairs * engine.seconds_of(plan.lr_size, plan.size[::-1], sizes, is_first=True)
    assert speed.seconds(20 * pairs) == pytest.approx(1.0 + 20 * run, rel=0.05)


def test_a_piece_is_rendered_and_encoded(make_clip: MakeClip, tmp_path: Path) -> None:
    """A real one, by the real engine."""
    engine = Engine(build(TINY).eval())
    plan = plan_video(
        make_clip("in.mp4", size=(400, 300), frames=8, audio=True),
        tmp_path / "out.mp4",
        UpscaleOptions(scale=1.5, threads=1),
    )
    piece = estimate._piece_of(plan, 96 * 64, plan.lr_size, tmp_path / "piece.mp4")
    assert piece.piece is not None
    assert (piece.piece.width % 8, piece.piece.height % 8) == (0, 0)
    outcome = engine.render(piece, lambda _: None)
    assert outcome.frames_written == 8
    assert (tmp_path / "piece.mp4").exists()
