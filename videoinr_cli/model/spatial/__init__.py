"""Any single-image model: as the spatial field, or before the small network if it does not enlarge.

`enlarger` wraps a model; `network` joins one that enlarges with the small network's motion, `steadying` takes
the flicker out of its pictures; `restoring` puts one that does not enlarge before the small network.
"""

from videoinr_cli.model.spatial.enlarger import Enlarger
from videoinr_cli.model.spatial.network import SpatialVideoInr
from videoinr_cli.model.spatial.restoring import RestoringVideoInr

__all__ = ["Enlarger", "RestoringVideoInr", "SpatialVideoInr"]
