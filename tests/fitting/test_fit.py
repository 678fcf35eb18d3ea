"""A fit: what comes of it, how it goes on after an interruption, and what is refused."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from tests.command import check_one_line, run
from tests.conftest import MakeClip
from videoinr_cli.errors import InputError, MemoryLimitError, OptionError, OutputError
from videoinr_cli.fitting import frames
from videoinr_cli.fitting.file import FittedFile, read_file
from videoinr_cli.fitting.fit import FitProgress, fit_video
from videoinr_cli.fitting.fitted import FittedVideo
from videoinr_cli.fitting.loop import picture_loss
from videoinr_cli.fitting.options import LOSSES, FitOptions, Loss
from videoinr_cli.fitting.streams import unpack_streams
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.read.reader import read_frames
from videoinr_cli.options import ReadOptions, Region

QUICK = FitOptions(steps=6, bits_per_pixel=5.0)


def test_a_short_fit_of_a_small_clip_is_good(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("clip.mp4", frames=16, filters="gblur=3")
    made = fit_video(clip, tmp_path / "clip.vinr", FitOptions(steps=120, bits_per_pixel=4), device="cpu")
    assert made.psnr > 30
    video = FittedVideo(made.path, device="cpu")
    errors = [
        np.square(frame.rgb / 255.0 - video.frame(seconds) / 255.0).mean()
        for frame, seconds in zip(read_frames(probe(clip)), video.times, strict=True)
    ]
    # The file holds what was measured, up to the order of sums.
    assert np.mean(-10 * np.log10(errors)) == pytest.approx(made.psnr, abs=0.01)
    assert 8 * made.file_bytes / (64 * 48 * 16) < 5


class _Stopped(Exception):
    pass


@pytest.mark.parametrize(("architecture", "prune"), [("hinerv", 0.0), ("nerv", 0.3)])
def test_a_resumed_fit_is_the_same_fit(source: Path, tmp_path: Path, architecture: str, prune: float) -> None:
    options = FitOptions(architecture=architecture, steps=10, size_kb=40, prune=prune)  # type: ignore[arg-type]

    def until(name: str, *steps: int) -> dict[str, torch.Tensor]:
        """Fit, interrupted after some steps, and return what the last interruption has kept."""
        path = tmp_path / name
        for number, step in enumerate(steps):

            def stop(progress: FitProgress, last: int = step) -> None:
                if progress.step == last:
                    raise _Stopped

            with pytest.raises(_Stopped):
                fit_video(source, path, options, resume=number > 0, device="cpu", progress=stop)
            assert FittedVideo(path, device="cpu").frame(0).shape == (48, 64, 3)  # the best one so far
        return load_file(tmp_path / f"{name}.fitting")

    whole = until("whole.vinr", 10)
    parts = until("parts.vinr", 3, 8, 10)  # before pruning, after it, and after simulated quantisation
    assert whole.keys() == parts.keys()
    assert all(torch.equal(parts[name], value) for name, value in whole.items())
    assert any(name.startswith("mask.") for name in whole) == (prune > 0)
    fit_video(source, tmp_path / "parts.vinr", options, resume=True, device="cpu")
    assert not (tmp_path / "parts.vinr.fitting").exists()


def test_a_run_with_other_options_is_not_resumed(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.vinr"

    def stop(progress: FitProgress) -> None:
        raise _Stopped

    with pytest.raises(_Stopped):
        fit_video(source, path, QUICK, device="cpu", progress=stop)
    with pytest.raises(OptionError, match=r"other options \(bits\)"):
        fit_video(source, path, dataclasses.replace(QUICK, bits=7), resume=True, device="cpu")
    with pytest.raises(OutputError, match="--resume"):
        fit_video(source, path, QUICK, device="cpu")
    (tmp_path / "clip.vinr.fitting").unlink()
    with pytest.raises(OutputError, match="exists; choose another name, or replace it with -y"):
        fit_video(source, path, QUICK, device="cpu")
    with pytest.raises(OptionError, match="begin again with -y"):
        fit_video(source, path, QUICK, resume=True, device="cpu")


def test_frames_keep_their_true_times(source: Path, fitted: Path) -> None:
    video = FittedVideo(fitted, device="cpu")
    expected = [Fraction(number + 3 * (number >= 6), 25) for number in range(12)]
    assert video.times == pytest.approx([float(time) for time in expected], abs=0.001)  # Matroska's tick
    clip = read_file(fitted).clip
    assert [clip.instant(pts) for pts in clip.pts] == pytest.approx(
        [float(one / expected[-1]) for one in expected], abs=0.002
    )
    assert clip.name == source.name


def test_a_part_is_fitted(source: Path, tmp_path: Path) -> None:
    options = dataclasses.replace(QUICK, read=ReadOptions(start=Fraction(1, 10), end=Fraction(1, 4)))
    fit_video(source, tmp_path / "part.vinr", options, device="cpu")
    video = FittedVideo(tmp_path / "part.vinr", device="cpu")
    assert len(video.times) == 3  # those at 120, 160 and 200 ms
    assert video.times[0] == 0


def test_higher_pictures_are_reduced(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("clip.mp4", "-pix_fmt", "yuv420p10le", size=(128, 96), frames=2)
    fit_video(
        clip, tmp_path / "clip.vinr", FitOptions(steps=2, bits_per_pixel=40, max_height=48), device="cpu"
    )
    assert FittedVideo(tmp_path / "clip.vinr", device="cpu").size == (64, 48)


def test_what_is_ignored_does_not_count(source: Path, tmp_path: Path) -> None:
    shown = torch.rand(1, 3, 16, 16, requires_grad=True)
    counted = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    counted[..., :8] = True
    target = torch.rand(1, 3, 16, 16)
    other = torch.where(counted, target, torch.rand(1, 3, 16, 16))
    losses = [picture_loss(shown, one, counted) for one in (target, other)]
    assert losses[0] == losses[1]
    losses[0].backward()
    assert shown.grad is not None
    assert shown.grad[..., 12:].abs().max() < 1e-8  # beyond the window of SSIM, of equal pictures, as rounded
    assert (shown.grad[..., :8] != 0).any()


def test_what_counts_in_no_frame_is_filled_from_around_it(source: Path) -> None:
    from videoinr_cli.fitting.frames import load_frames

    options = dataclasses.replace(QUICK, ignore=(Region(24, 16, 8, 8),))
    frames = load_frames(probe(source), options)
    ramp = torch.linspace(0, 255, 64).round().to(torch.uint8).expand(len(frames), 3, 48, 64)
    logo = ramp.clone()
    logo[..., 16:24, 24:32] = 255
    cpu, both = torch.device("cpu"), torch.arange(2)
    frames = dataclasses.replace(frames, pictures=logo)
    target, counted = frames.filled_target(both, cpu)
    assert counted is not None
    assert counted.all()
    assert (255 * target - ramp[:2]).abs().max() < 12, "as the ramp goes on, within three of its steps"
    assert torch.equal(frames.target(both, cpu)[0], logo[:2] / 255), "the measured PSNR is of what was given"


def test_what_counts_in_another_frame_is_left_to_the_network(source: Path) -> None:
    from videoinr_cli.fitting.frames import load_frames

    frames = load_frames(probe(source), QUICK)
    counted = torch.ones(len(frames), 1, 48, 64, dtype=torch.bool)
    counted[0, :, :, 10:20] = False
    counted[1] = False  # nothing to fill it from
    counted[..., 30] = False
    frames = dataclasses.replace(frames, counted=counted)
    _, taught = frames.filled_target(torch.arange(3), torch.device("cpu"))
    assert taught is not None
    assert not taught[0, :, :, 10:20].any()
    assert taught[0, ..., 20:].all()
    assert not taught[1].any()
    assert taught[2].all()


def test_regions_and_masks_are_left_out(source: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    from videoinr_cli.fitting.frames import load_frames

    mask = make_clip(
        "mask.mkv", "-c:v", "ffv1", filters="lutrgb=r=255:g=255:b=255,crop=32:48,pad=64:48", frames=12
    )
    options = dataclasses.replace(QUICK, ignore=(Region(0, 40, 64, 8),), mask=mask)
    counted = load_frames(probe(source), options).counted
    assert counted is not None
    assert not counted[..., :32].any()
    assert not counted[..., 40:, :].any()
    assert counted[..., :40, 32:].all()
    for count, said in ((3, "has 3 frames"), (14, "has more than 12 frames")):
        other = dataclasses.replace(options, mask=make_clip("other.mp4", frames=count))
        with pytest.raises(OptionError, match=f"{said} where the clip has 12"):
            load_frames(probe(source), other)
    with pytest.raises(OptionError, match="beyond"):
        load_frames(probe(source), dataclasses.replace(QUICK, ignore=(Region(60, 0, 10, 10),)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"minutes": 1.0, "steps": 3}, "exclude"),
        ({"bits_per_pixel": 1.0, "size_kb": 3.0}, "exclude"),
        ({"minutes": 0.0}, "above 0"),
        ({"architecture": "other"}, "hinerv"),
        ({"max_height": 2}, "--max-height"),
        ({"bits": 9}, "--bits"),
        ({"prune": 1.0}, "--prune"),
        ({"seed": -1}, "--seed"),
        ({"loss": "none"}, "loss"),
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        FitOptions(**values)  # type: ignore[arg-type]


def test_moments_outside_of_the_clip_are_refused(fitted: Path) -> None:
    video = FittedVideo(fitted, device="cpu")
    assert video.frame(video.seconds).shape == (48, 64, 3)
    for seconds in (-0.1, video.seconds + 0.1):
        with pytest.raises(OptionError, match="outside"):
            video.frame(seconds)
    with pytest.raises(OptionError, match="smaller"):
        video.frame(0, (32, 24))


def test_a_missing_source_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fit", tmp_path / "no.mp4", "-o", tmp_path / "no.vinr") == 1
    check_one_line(capsys.readouterr().err, "there is no file")
    assert run("fit", tmp_path / "no.mp4", "-o", tmp_path / "no.mp4", "--minutes", "0") == 2
    with pytest.raises(InputError):
        read_file(tmp_path / "no.vinr")


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_is_least_where_pictures_are_alike(kind: Loss) -> None:
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    near, far = ((picture + distance).clamp(0, 1) for distance in (0.01, 0.3))
    losses = [float(picture_loss(shown, picture, None, kind)) for shown in (picture, near, far)]
    assert losses[0] == pytest.approx(0, abs=1e-5)
    assert losses[0] < losses[1] < losses[2]


@pytest.mark.parametrize("height", [2, 4, 6])
def test_pictures_below_the_window_of_ssim_are_like_themselves(height: int) -> None:
    picture = torch.rand(1, 3, height, 8, generator=torch.Generator().manual_seed(0))
    assert float(picture_loss(picture, picture, None)) == pytest.approx(0, abs=1e-5)
    assert float(picture_loss(picture, 1 - picture, None)) > 0.1


def test_frames_and_their_copy_fit_in_the_share_of_memory(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = 12 * 64 * 48 * 3 * 2 / frames.MEMORY_SHARE  # twelve frames, twice
    monkeypatch.setattr(frames, "free_ram_bytes", lambda: needed)
    assert len(frames.load_frames(probe(source), FitOptions())) == 12
    with pytest.raises(MemoryLimitError, match="--start"):  # a mask counts as well
        frames.load_frames(probe(source), FitOptions(mask=source))
    monkeypatch.setattr(frames, "free_ram_bytes", lambda: needed - 100_000)
    with pytest.raises(MemoryLimitError, match="--start"):
        frames.load_frames(probe(source), FitOptions())


def test_hdr10_metadata_travel(source: Path, tmp_path: Path) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    info = dataclasses.replace(probe(source), mastering_display=display, content_light="1000,400")
    clip = frames.load_frames(info, FitOptions()).clip
    assert (clip.mastering_display, clip.content_light) == (display, "1000,400")
    fit_video(source, tmp_path / "clip.vinr", QUICK, device="cpu")
    file = dataclasses.replace(read_file(tmp_path / "clip.vinr"), clip=clip)
    again = FittedFile.from_bytes(file.to_bytes())
    assert again.clip == clip
    shown = unpack_streams(again, tmp_path / "streams.mkv")
    assert (shown.mastering_display, shown.content_light) == (display, "1000,400")


def test_a_size_below_any_file_is_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", source, "-o", tmp_path / "a.vinr", "--size-kb", "1") == 2
    check_one_line(capsys.readouterr().err, "more than the 0 of this size")


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--threads", "0"], "--threads 2"), (["-o", "-.vinr"], "standard output")]
)
def test_a_wrong_option_is_one_line(
    arguments: list[str], words: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fit", source, "-o", tmp_path / "a.vinr", *arguments) == 2
    check_one_line(capsys.readouterr().err, words)


@pytest.mark.parametrize("metadata", [None, {"fit": "{}"}])
def test_a_foreign_checkpoint_is_one_line(
    metadata: dict[str, str] | None, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.vinr.fitting").write_bytes(save({"a": torch.zeros(2)}, metadata=metadata))
    output = tmp_path / "a.vinr"
    assert run("fit", source, "-o", output, "--bits-per-pixel", "5", "--device", "cpu", "--resume") == 1
    check_one_line(capsys.readouterr().err, "no checkpoint of a fit; begin again with -y")
