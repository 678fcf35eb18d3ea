"""Tables and JSON of results whose numbers are known."""

import json
import math

import torch

from videoinr_cli.evaluation.measure import FrameScore, MethodResult
from videoinr_cli.evaluation.protocols import Protocol
from videoinr_cli.evaluation.report import clip_table, markdown, steadiness_table, summary_table, to_json
from videoinr_cli.evaluation.steadiness import Steadiness


def result(clips: int = 2, psnr: float = 20.0) -> MethodResult:
    scores = [
        FrameScore(f"clip{clip}", 0, step, psnr + clip + step / 2, 0.5)
        for clip in range(clips)
        for step in range(2)
    ]
    return MethodResult("bicubic+blend", Protocol(), tuple(scores), 0.25, 3 << 20)


def test_clip_table() -> None:
    assert clip_table([result()]).splitlines() == [
        "| PSNR-Y in dB, given / between |         clip0 |         clip1 | mean of clips |",
        "|-------------------------------|--------------:|--------------:|--------------:|",
        "| bicubic+blend                 | 20.00 / 20.50 | 21.00 / 21.50 | 20.50 / 21.00 |",
    ]


def test_many_clips_show_their_mean_only() -> None:
    table = clip_table([result(clips=11)])
    assert "clip0" not in table
    assert "25.00 / 25.50" in table


def test_summary_table() -> None:
    row = summary_table([result()]).splitlines()[-1]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "bicubic+blend", "20.75", "0.5000", "20.75", "0.5000", "0.250", "3 MiB",
    ]  # fmt: skip


def test_json_is_valid_even_for_perfect_frames() -> None:
    (read,) = json.loads(to_json([result(psnr=math.inf)]))
    assert read["given"] == {"psnr": None, "ssim": 0.5}
    assert read["protocol"] == {
        "steps": 2,
        "space": 4.0,
        "downsampler": "torch",
        "max_frames": None,
        "context": "video",
        "crf": None,
        "stride": 1,
    }
    assert read["threads"] == torch.get_num_threads()
    assert (read["groups"], read["frames"]) == (2, 4)
    assert set(read["clips"]) == {"clip0", "clip1"}


def test_steadiness_beside_the_quality() -> None:
    steady = Steadiness("bicubic+blend", 1.234, 5.678, 0.125, 0.04, -1.5)
    assert "| 1.23 levels |   5.68 levels |  12.5 % |    0.04 px |        -1.50 dB |" in steadiness_table(
        [steady]
    )
    (read,) = json.loads(to_json([result()], [steady]))
    assert read["steadiness"]["warping_levels"] == 5.678


def test_markdown_columns_line_up() -> None:
    assert markdown([["a", "bb"], ["ccc", "d"]]) == "| a   | bb |\n|-----|---:|\n| ccc |  d |"
