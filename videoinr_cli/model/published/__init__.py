"""The architecture of the authors' published checkpoints, `videoinr`.

`encoder` (with `alignment` and `recurrence`), `decoder` (with `siren`), and `network`, which joins them;
`names` translates the published tensors' names.
"""

from videoinr_cli.model.published.names import from_published_names
from videoinr_cli.model.published.network import PublishedVideoInr

__all__ = ["PublishedVideoInr", "from_published_names"]
