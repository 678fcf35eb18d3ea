"""The frozen description of a network, stored as JSON in the metadata of its weights file."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

from videoinr_cli.errors import WeightsError


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What every VideoINR configuration has in common."""

    architecture: ClassVar[str]
    """Which network the configuration builds; also the name users give to ``--config``."""

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
            config_class = CONFIGURATIONS[fields.pop("architecture")]
            known = {field.name: field for field in dataclasses.fields(config_class)}
            defaults = config_class()
            for name, value in fields.items():
                if name not in known:
                    raise WeightsError(f"unknown setting {name!r} in the model configuration")
                if type(value) is not type(getattr(defaults, name)):
                    raise WeightsError(f"setting {name!r} of the model configuration cannot be {value!r}")
            return config_class(**fields)
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

    channels: int = 48  # features of one frame at full LR resolution
    frame_blocks: int = 5  # residual blocks per frame
    frame_block_channels: int = 16  # features inside one of these
    fused_blocks: int = 16  # residual blocks after fusion with the neighbouring frames
    pyramid_channels: int = 48  # features at 1/2, 1/4 and 1/8, where motion is estimated
    field_channels: int = 32  # channels of the spatial field, three of them RGB
    field_upsample: int = 2  # samples of the spatial field per LR pixel and axis
    motion_channels: int = 32  # features of the temporal network at LR
    decoder_channels: int = 32  # hidden width of the RGB decoder
    scale_limit: float = 5.0  # largest scale trained on; the decoder is told this one for any larger


CONFIGURATIONS: dict[str, type[ModelConfig]] = {
    config.architecture: config for config in (PublishedConfig, FastConfig)
}
