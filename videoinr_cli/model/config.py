"""The frozen description of a network, stored as JSON in the metadata of its weights file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from videoinr_cli.errors import WeightsError


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What every VideoINR configuration has in common."""

    architecture: ClassVar[str]
    """Which network the configuration builds; also the name users give to ``--config``."""

    run_pairs: ClassVar[int] = 1
    """Pairs of consecutive frames that are encoded from the same frames, as one run."""

    context_frames: ClassVar[int] = 1
    """Frames before and after a run that are looked at."""

    formerly: ClassVar[Mapping[str, Any]] = {}
    """What it means that a file does not name a setting, where that is not the default: it is older."""

    def to_json(self) -> str:
        """Serialise to the JSON text stored under ``config`` in a weights file's metadata."""
        return json.dumps({"architecture": self.architecture, **dataclasses.asdict(self)}, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> ModelConfig:
        """Read back what `to_json` wrote.

        Raises:
            WeightsError: the text is not JSON, names an unknown architecture or field, or a value has the
                wrong type.
        """
        try:
            fields = json.loads(text)
            return _from_fields(CONFIGURATIONS[fields.pop("architecture")], fields)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise WeightsError(f"not a model configuration: {text[:80]!r}") from error


@dataclasses.dataclass(frozen=True)
class PublishedConfig(ModelConfig):
    """The network of Chen et al., CVPR 2022, as its published checkpoints compute it."""

    architecture: ClassVar[str] = "videoinr"

    channels: int = 64
    deformable_groups: int = 8
    front_blocks: int = 5  # residual blocks per frame, before alignment
    back_blocks: int = 40  # residual blocks of the reconstruction trunk
    siren_frequency: float = 30.0  # w0 of sin(w0 (Wx + b))
    rgb_enlargement: int = 1  # 4: the pair's RGB is first enlarged x4, as the authors' demo does


@dataclasses.dataclass(frozen=True)
class FastConfig(ModelConfig):
    """The small network for CPUs and quick previews; the embedded weights are of this kind."""

    architecture: ClassVar[str] = "videoinr-fast"
    formerly: ClassVar[Mapping[str, Any]] = {"still_channels": 0, "restores": True}

    channels: int = 48  # features of one frame at full LR resolution
    frame_blocks: int = 5  # residual blocks per frame
    frame_block_channels: int = 16  # features inside one of these
    fused_blocks: int = 16  # residual blocks after fusion with the neighbouring frames
    pyramid_channels: int = 48  # features at 1/2, 1/4 and 1/8, where motion is estimated
    field_channels: int = 32  # channels of the spatial field, three of them RGB
    field_upsample: int = 2  # samples of the spatial field per LR pixel and axis
    motion_channels: int = 32  # features of the temporal network at LR
    decoder_channels: int = 32  # hidden width of the RGB decoder
    still_channels: int = 16  # features by which what stands still is told; 0: it is not
    restores: bool = False  # noise and compression; else given frames are shown as they are at their own size
    scale_limit: float = 5.0  # largest scale trained on; the decoder is told this one for any larger


@dataclasses.dataclass(frozen=True)
class LargeConfig(ModelConfig):
    """BasicVSR (Chan et al., CVPR 2021) for the pictures, the small network for the motion between them.

    Frames farther away than `context_frames` hardly matter: PSNR-Y of one frame in each of four real clips,
    with 24 frames on one side and fewer on the other, is lower by 0.26 dB with none, by 0.09 with 2 and by
    0.03 (0.11 at most) with 4. Those are the ends of a run; within it, every frame has more. For 16 frames
    that are shown, each branch propagates 21.
    """

    architecture: ClassVar[str] = "videoinr-large"
    run_pairs: ClassVar[int] = 16
    context_frames: ClassVar[int] = 4

    channels: int = 64  # features of a state that is handed from frame to frame
    blocks: int = 30  # residual blocks of each branch
    motion: FastConfig = FastConfig()  # of the network that tells the motion


def _from_fields(config_class: type[ModelConfig], fields: dict[str, Any]) -> ModelConfig:
    """Make a configuration of what JSON said; see `ModelConfig.from_json`."""
    known = {field.name for field in dataclasses.fields(config_class)}
    defaults = config_class()
    for name, value in fields.items():
        if name not in known:
            raise WeightsError(f"unknown setting {name!r} in the model configuration")
        default = getattr(defaults, name)
        if isinstance(default, ModelConfig) and isinstance(value, dict):
            fields[name] = _from_fields(type(default), value)
        elif type(value) is not type(default):
            raise WeightsError(f"setting {name!r} of the model configuration cannot be {value!r}")
    return config_class(**{**config_class.formerly, **fields})


CONFIGURATIONS: dict[str, type[ModelConfig]] = {
    config.architecture: config for config in (PublishedConfig, FastConfig, LargeConfig)
}
