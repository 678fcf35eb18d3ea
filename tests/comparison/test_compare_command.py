"""``videoinr compare``: what the page holds, and that its figures are right."""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.command import check_one_line, run
from tests.conftest import MakeClip
from videoinr_cli.comparison.compare import SEEK_SECONDS, TRUTH, likeness
from videoinr_cli.comparison.page import Comparison, Curve, ShownFrame, ShownVideo, render_page

LOSSLESS = ("-c:v", "ffv1", "-pix_fmt", "bgr0")
EACH_ANOTHER = "noise=alls=40:allf=t"  # so that no two frames are the same


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL
    )
    assert found is not None
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def curve(data: dict[str, Any], metric: str, label: str) -> list[Any]:
    (found,) = (c["values"] for c in data["curves"] if (c["metric"], c["label"]) == (metric, label))
    return list(found)


def frames(path: Path) -> list[NDArray[Any]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]


def psnr_of_luma(a: NDArray[Any], b: NDArray[Any]) -> float:
    """An oracle in numpy: Matlab's luma, peak 255."""
    difference = ((a - b) / 255) @ np.array([65.481, 128.553, 24.966])
    return float(10 * np.log10(255**2 / (difference**2).mean()))


def test_measures_both_against_the_reference(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reference = make_clip("reference.mkv", *LOSSLESS, frames=6)
    a = make_clip("a.mkv", *LOSSLESS, frames=6, filters="eq=brightness=0.05")
    page = tmp_path / "page.html"
    assert run("compare", a, reference, "--reference", reference, "-o", page) == 0
    said = capfd.readouterr().err
    assert "6 frames (every frame)" in said
    assert "PSNR B: inf dB" in said
    data = data_of(page)
    assert [video["label"] for video in data["videos"]] == ["A", "B", "Reference"]
    assert all(len(frame["pictures"]) == 3 for frame in data["frames"])
    assert [frame["seconds"] for frame in data["frames"]] == [round(n / 25, 6) for n in range(6)]
    expected = [psnr_of_luma(x, y) for x, y in zip(frames(a), frames(reference), strict=True)]
    assert curve(data, "PSNR", "A") == pytest.approx(expected, abs=2e-4)
    assert curve(data, "PSNR", "B") == ["inf"] * 6
    assert curve(data, "SSIM", "B") == pytest.approx([1.0] * 6)
    assert "for the truth" not in said
    assert all(0 < value < 1 for value in curve(data, "SSIM", "A"))


def test_without_a_reference_it_is_said_which_one_is_the_truth(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    a = make_clip("a.mkv", *LOSSLESS, frames=2)
    assert run("compare", a, a, "-o", tmp_path / "page.html") == 0
    assert capfd.readouterr().err.splitlines()[-1] == TRUTH
    assert TRUTH in data_of(tmp_path / "page.html")["notes"]


@pytest.mark.parametrize("is_part", [False, True])
def test_lengths_that_differ_are_said(
    is_part: bool, make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = make_clip("whole.mkv", *LOSSLESS, frames=20)
    other = make_clip("other.mkv", *LOSSLESS, frames=10 if is_part else 19)
    page = tmp_path / "page.html"
    assert run("compare", other, whole, "-o", page) == 0
    said = "lengths differ: whole.mkv lasts 0.800 s, other.mkv 0.400 s; they are matched from their starts"
    assert (f"note: the {said}" in capfd.readouterr().err) == is_part
    assert any(f"The {said}" in note for note in data_of(page)["notes"]) == is_part


def test_no_option_is_advised_that_the_command_lacks(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    woven = f"{EACH_ANOTHER},tinterlace=interleave_top"
    tape = make_clip("tape.mp4", "-flags", "+ildct+ilme", frames=20, filters=woven)
    assert run("compare", tape, tape, "-o", tmp_path / "page.html") == 0
    (said,) = {line for line in capfd.readouterr().err.splitlines() if "is deinterlaced" in line}
    assert said == f"note: '{tape}' is deinterlaced, by the flags of its frames"
    assert run("preview", tape, "-o", tmp_path / "preview.png") == 0
    assert f"{said}; --deinterlace off keeps it as it is" in capfd.readouterr().err.splitlines()


def test_a_video_of_twice_the_rate_and_size(make_clip: MakeClip, tmp_path: Path) -> None:
    a = make_clip("a.mkv", *LOSSLESS, frames=5, rate="25", filters=EACH_ANOTHER)
    b = make_clip("b.mkv", *LOSSLESS, frames=10, rate="50", size=(128, 96), filters=EACH_ANOTHER)
    assert run("compare", a, b, "-q", "-o", tmp_path / "page.html") == 0
    data = data_of(tmp_path / "page.html")
    pictures = [frame["pictures"] for frame in data["frames"]]
    assert len(pictures) == 10
    assert [first == second for (first, _), (second, _) in itertools.pairwise(pictures)] == [
        index % 2 == 0 for index in range(9)
    ]
    assert len({b for _, b in pictures}) == 10
    assert len(curve(data, "PSNR", "A to B")) == 10
    assert any("sizes differ" in note for note in data["notes"])
    assert any("rates differ" in note for note in data["notes"])


def test_far_apart_frames_are_entered_where_they_are(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", "-g", 5, frames=60, rate="5", filters=EACH_ANOTHER)
    assert run("compare", source, source, "-q", "--frames", 4, "-o", tmp_path / "spread.html") == 0
    spread = data_of(tmp_path / "spread.html")
    assert [frame["seconds"] for frame in spread["frames"]] == [0, 3, 6, 9]
    assert SEEK_SECONDS <= 15 / 5, "not far enough apart"
    assert run("compare", source, source, "-q", "-o", tmp_path / "all.html") == 0
    every = {frame["seconds"]: frame for frame in data_of(tmp_path / "all.html")["frames"]}
    assert [every[frame["seconds"]] for frame in spread["frames"]] == spread["frames"]


def test_stays_within_its_size(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noisy = make_clip("noisy.mkv", *LOSSLESS, frames=8, filters="noise=alls=100:allf=t", size=(160, 120))
    page = tmp_path / "page.html"
    assert run("compare", noisy, noisy, "-o", page, "--max-mb", "0.1") == 0
    pictures = sum(len(p) for frame in data_of(page)["frames"] for p in frame["pictures"])
    assert pictures <= 100_000
    said = capfd.readouterr().err
    assert f"{page.stat().st_size / 1e6:.1f} MB; it has reached its size limit" in said
    assert any("used up" in note for note in data_of(page)["notes"])

    assert run("compare", noisy, noisy, "-o", tmp_path / "page.txt") == 2
    assert "try -o page.html" in capfd.readouterr().err
    assert run("compare", noisy, noisy, "-o", tmp_path / "none.html", "--max-mb", "0.001") == 2
    assert "--max-mb" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noisy.mkv", "page.html"]


def test_quiet_silences_warnings_too(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make_clip("in.ts", "-g", 4)
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 600] = bytes(600)
    source.write_bytes(data)
    assert run("compare", source, source, "-o", tmp_path / "page.html") == 0
    assert "is damaged" in capfd.readouterr().err
    assert run("compare", source, source, "-q", "-y", "-o", tmp_path / "page.html") == 0
    assert capfd.readouterr().err == ""


def test_existing_page_needs_permission(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, page = make_clip("in.mp4", frames=2), tmp_path / "page.html"
    page.write_text("precious")
    assert run("compare", source, source, "-o", page) == 1
    assert "exists" in capfd.readouterr().err
    assert page.read_text() == "precious"
    assert run("compare", source, source, "-q", "-y", "-o", page) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--at", "99"], 2, "after the end"),
        (["--seconds", "0"], 2, "--seconds 0"),
        (["--frames", "0"], 2, "a page of 0 frames shows nothing; try --frames 60"),
        (["--max-mb", "0"], 2, "a page of 0 MB holds no picture; try --max-mb 32"),
        (["--max-mb", "nan"], 2, "--max-mb nan is not"),
        (["--max-mb", "inf"], 2, "--max-mb inf is not"),
        (["--max-mb", "1e308"], 2, "--max-mb 1e+308 is not"),
        (["--reference", "nowhere.mp4"], 1, "nowhere.mp4"),
    ],
)
def test_mistakes_get_one_line(
    arguments: list[str],
    code: int,
    words: str,
    make_clip: MakeClip,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = make_clip("in.mp4", frames=2)
    assert run("compare", source, source, "-o", tmp_path / "page.html", *arguments) == code
    check_one_line(capfd.readouterr().err, words)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_names_that_are_not_utf_8_are_shown_as_far_as_they_are_text(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    odd = make_clip("in.mp4", frames=2).rename(tmp_path / os.fsdecode(b"bad\xff.mp4"))
    assert run("compare", odd, odd, "-q", "-o", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "bad\N{REPLACEMENT CHARACTER}.mp4 and bad\N{REPLACEMENT CHARACTER}.mp4" in page
    assert data_of(tmp_path / "page.html")["videos"][0]["name"] == "bad\N{REPLACEMENT CHARACTER}.mp4"


def test_names_cannot_break_out_of_the_page() -> None:
    hostile = '</script><script>alert(1)</script><img src="http://example.org/x">/*data*/'
    video = ShownVideo("A", hostile, 4, 4, 1.0, 25.0)
    frame = ShownFrame(0.0, ("data:,", "data:,"))
    figures = Curve("PSNR", "dB", "A to B", (float("inf"),))
    page = render_page(Comparison(hostile, (video, video), [frame], (figures,), 25.0, (hostile,)))
    assert "<script>alert" not in page
    assert "<img" not in page
    assert page.count("</script>") == 2
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    assert json.loads(found[1])["videos"][0]["name"] == hostile


def test_tiny_pictures_have_no_ssim() -> None:
    small = np.zeros((8, 8, 3), np.uint8)
    assert likeness(small, small).ssim is None
    assert likeness(small, np.zeros((16, 16, 3), np.uint8)).ssim == pytest.approx(1.0)


def test_each_axis_is_resampled_by_its_own_direction() -> None:
    """Narrow stripes become grey where they are too many to be shown, however the other axis changes."""
    stripes = np.zeros((8, 48, 3), np.uint8)
    stripes[:, ::2] = 255
    grey = np.full((16, 16, 3), 128, np.uint8)
    assert likeness(stripes, grey).psnr > 20
    assert likeness(stripes.swapaxes(0, 1), grey).psnr > 20


def test_whose_size_is_compared_is_said(make_clip: MakeClip, tmp_path: Path) -> None:
    a, b = (make_clip(f"{name}.mkv", *LOSSLESS, frames=2) for name in "ab")
    small = make_clip("small.mkv", *LOSSLESS, frames=2, size=(32, 24))
    for arguments, whose in (([a, b, "--reference", small], "the reference"), ([a, small], "the larger one")):
        assert run("compare", *arguments, "-y", "-o", tmp_path / "page.html") == 0
        (note,) = (note for note in data_of(tmp_path / "page.html")["notes"] if "sizes differ" in note)
        assert f"brought to {whose}'s size" in note
