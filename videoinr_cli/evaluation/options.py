"""What can be asked of an evaluation, without torch: the command line shows its choices at once."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from videoinr_cli.errors import OptionError
from videoinr_cli.evaluation.protocols import BASELINES, DATASETS, PAPER_STEPS, Baseline, Dataset, Protocol
from videoinr_cli.options import DEFAULT_WEIGHTS, Precision


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Which methods are measured, and how.

    Raises:
        OptionError: a value is none of those there are, or frames of two weights would go into one folder.
    """

    dataset: Dataset = "video"  # the benchmark; "frames" and "video" are any footage
    protocol: Protocol | None = None  # None: at the rate that the papers report of the benchmark
    weights: tuple[str, ...] = (DEFAULT_WEIGHTS,)
    baselines: tuple[Baseline, ...] | None = None  # None: `DEFAULT_BASELINES`, without those that cannot work
    steadiness: bool = False  # measured on the first clip's first picture
    device: str = "auto"  # "auto", or torch's name
    precision: Precision = "auto"
    save_frames: str | os.PathLike[str] | None = None  # folder for every rendered frame, as PNG

    def __post_init__(self) -> None:
        if self.dataset not in DATASETS:
            raise OptionError(f"dataset {self.dataset!r} is none of {', '.join(DATASETS)}")
        for name in self.baselines or ():
            if name not in BASELINES:
                raise OptionError(f"baseline {name!r} is none of {', '.join(BASELINES)}")
        folders = {Path(name).stem for name in self.weights}
        if self.save_frames is not None and len(folders) < len(self.weights):
            raise OptionError("--save-frames needs weights of different names: each has a folder of its own")

    @property
    def resolved_protocol(self) -> Protocol:
        """The protocol to measure by."""
        return self.protocol or Protocol(PAPER_STEPS[self.dataset])
