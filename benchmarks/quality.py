"""Print the quality of the embedded models on Vid4, compared with baselines.

    python benchmarks/quality.py VID4_DIR --max-frames 17
    python benchmarks/quality.py VID4_DIR --sweep --held-out DIR --write README.md

VID4_DIR holds calendar, city, foliage and walk, each a folder of pictures or a lossless video. Space x4 and
every second frame given; with --sweep also other scales and rates, fast motion, steadiness over time, and the
papers' protocol, which withholds the frames around a pair; with --held-out the first table for other clips
too. --write puts the tables between the markers ``<!-- quality -->``, ``<!-- sweep -->``, ``<!-- reach -->``,
``<!-- pairs -->``, ``<!-- steadiness -->`` and ``<!-- held-out -->`` of Markdown files.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from models import models_of
from reach import SPEEDS_PX, measure_reach
from tables import write_tables

from videoinr_cli.evaluation.baselines import make_baseline
from videoinr_cli.evaluation.clips import Clip, find_clips
from videoinr_cli.evaluation.measure import MethodResult, measure_quality
from videoinr_cli.evaluation.methods import Method
from videoinr_cli.evaluation.protocols import DEFAULT_BASELINES, Protocol
from videoinr_cli.evaluation.report import clip_table, markdown, steadiness_table, summary_table
from videoinr_cli.evaluation.steadiness import Steadiness, measure_steadiness

SWEEP = ((2.0, 2), (3.0, 2), (3.5, 2), (6.0, 2), (4.0, 4))
"""Scales and rate factors in addition to the papers' own."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("vid4", type=Path, help="folder of the four clips")
    parser.add_argument(
        "--weights", nargs="*", default=[], help="names or files; by default all embedded ones"
    )
    parser.add_argument("--max-frames", type=int, help="use the first frames of each clip only")
    parser.add_argument("--sweep", action="store_true", help="measure other scales and rates too")
    parser.add_argument("--held-out", type=Path, help="folder of clips that were not trained on")
    parser.add_argument("--write", type=Path, nargs="*", default=[], help="Markdown files to update")
    arguments = parser.parse_args()

    clips = find_clips(arguments.vid4)
    models, described = models_of(arguments.weights)
    methods = [*(make_baseline(name) for name in DEFAULT_BASELINES), *models]

    protocol = Protocol(max_frames=arguments.max_frames)
    results = measure(methods, clips, protocol)
    tables = {
        "quality": f"{protocol}; {described}:\n\n{clip_table(results)}\n\n{summary_table(results)}",
    }
    if arguments.held_out:
        tables["held-out"] = clip_table(measure(methods, find_clips(arguments.held_out), protocol))
    if arguments.sweep:
        protocols = [Protocol(steps, space, max_frames=arguments.max_frames) for space, steps in SWEEP]
        tables["sweep"] = sweep_table(
            [measure([methods[0], *models], clips, protocol) for protocol in protocols]
        )
        alone = Protocol(max_frames=arguments.max_frames, context="pairs")
        tables["pairs"] = clip_table(measure(models, clips, alone))
        tables["reach"] = reach_table({method.name: reach(method, clips) for method in methods})
        tables["steadiness"] = steadiness_table([steadiness(method, clips) for method in methods])
    print("\n\n".join(tables.values()))
    for path in arguments.write:
        write_tables(path, tables)


def measure(methods: Sequence[Method], clips: Sequence[Clip], protocol: Protocol) -> list[MethodResult]:
    results = []
    for method in methods:
        print(f"space x{protocol.space:g}, time x{protocol.steps}: {method.name}", file=sys.stderr)
        results.append(measure_quality(method, clips, protocol))
    return results


def steadiness(method: Method, clips: Sequence[Clip]) -> Steadiness:
    """Measure steadiness on scenes made from each clip's first picture."""
    print(f"steadiness: {method.name}", file=sys.stderr)
    pictures = [next(clip.frames()) for clip in clips]
    return mean_of([measure_steadiness(method, picture, Protocol()) for picture in pictures])


def mean_of(results: Sequence[Steadiness]) -> Steadiness:
    """Average what one method reached on several pictures."""
    fields = [field.name for field in dataclasses.fields(Steadiness) if field.name != "method"]
    means = {name: fmean(getattr(result, name) for result in results) for name in fields}
    return Steadiness(method=results[0].method, **means)


def reach(method: Method, clips: Sequence[Clip]) -> list[float]:
    """Measure pans of each clip's first picture."""
    print(f"fast motion: {method.name}", file=sys.stderr)
    return list(np.mean([measure_reach(method, next(clip.frames())) for clip in clips], axis=0))


def reach_table(measured: dict[str, list[float]]) -> str:
    """Return the in-between PSNR at each speed, a row for each method."""
    rows = [["PSNR-Y in dB, between", *(f"{speed} px" for speed in SPEEDS_PX)]]
    rows += [[name, *(f"{value:.2f}" for value in values)] for name, values in measured.items()]
    return markdown(rows)


def sweep_table(sweep: Sequence[Sequence[MethodResult]]) -> str:
    """Return given / in-between PSNR at each scale and rate, and the models' gain over the baseline."""
    names = [result.method for result in sweep[0]]
    rows = [
        ["PSNR-Y in dB, given / between", names[0], *(part for name in names[1:] for part in (name, "gain"))]
    ]
    for baseline, *models in sweep:
        given, between = baseline.given().psnr, baseline.between().psnr
        row = [
            f"space ×{baseline.protocol.space:g}, time ×{baseline.protocol.steps}",
            f"{given:.2f} / {between:.2f}",
        ]
        for model in models:
            row.append(f"{model.given().psnr:.2f} / {model.between().psnr:.2f}")
            row.append(f"{model.given().psnr - given:+.2f} / {model.between().psnr - between:+.2f}")
        rows.append(row)
    return markdown(rows)


if __name__ == "__main__":
    main()
