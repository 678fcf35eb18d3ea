"""The architecture of the authors' published checkpoints: encoder, decoder, and their tensors' names."""

from videoinr_cli.model.published.names import from_published_names
from videoinr_cli.model.published.network import PublishedVideoInr

__all__ = ["PublishedVideoInr", "from_published_names"]
