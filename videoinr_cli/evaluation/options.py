"""What can be asked of an evaluation, without torch: the command line shows its choices at once."""

from __future__ import annotations

import dataclasses
import itertools
import os
from pathlib import Path

from videoinr_cli.errors import OptionError
from videoinr_cli.evaluation.protocols import BASELINES, DATASETS, PAPER_STEPS, Baseline, Dataset, Protocol
from videoinr_cli.options import (
    DEFAULT_STEADINESS,
    DEFAULT_WEIGHTS,
    NetworkOptions,
    Precision,
    faithful_of,
    strength_of,
)


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Which methods are measured, and how.

    Raises:
        OptionError: a value is none of those there are, or frames of two weights would go into one folder.
    """

    dataset: Dataset = "video"  # the benchmark; "frames" and "video" are any footage
    protocol: Protocol | None = None  # None: at the rate that the papers report of the benchmark
    weights: tuple[str, ...] = (DEFAULT_WEIGHTS,)
    spatial: tuple[str, ...] = ()  # single-image models that enlarge, with the default weights' motion
    strengths: tuple[float, ...] = ()  # at each of which weights are measured that have one; (): the default
    steady: tuple[float, ...] = (DEFAULT_STEADINESS,)  # each of them is measured at each of these
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
        for strength in self.strengths:
            strength_of(next(filter(faithful_of, self.weights), self.weights[0]), strength)
        names = [name for name, _ in self.networks]
        if self.save_frames is not None and len({Path(name).stem for name in names}) < len(names):
            raise OptionError("--save-frames needs weights of different names: each has a folder of its own")

    @property
    def networks(self) -> list[tuple[str, NetworkOptions]]:
        """Which networks are measured, with their names in the tables."""
        place = {"device": self.device, "precision": self.precision}
        found = []
        for name in self.weights:
            for strength in (self.strengths or (None,)) if faithful_of(name) is not None else (None,):
                network = NetworkOptions(name, strength=strength, **place)  # type: ignore[arg-type]
                found.append((name if strength is None else f"{name}, strength {strength:g}", network))
        for spatial, steady in itertools.product(self.spatial, self.steady):
            name = f"{Path(spatial).stem}, steady {steady:.0%}"
            found.append((name, NetworkOptions(spatial=spatial, steady=steady, **place)))  # type: ignore[arg-type]
        return found

    @property
    def resolved_protocol(self) -> Protocol:
        """The protocol to measure by."""
        return self.protocol or Protocol(PAPER_STEPS[self.dataset])
