"""The published VideoINR network, exactly as its checkpoints compute it (Chen et al., CVPR 2022)."""

from videoinr_cli.model.published.names import from_published_names
from videoinr_cli.model.published.network import PublishedVideoInr

__all__ = ["PublishedVideoInr", "from_published_names"]
