"""What each machine of a cluster has done of a video, as a record that everybody may import."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class NodeShare:
    """What one machine of a cluster has rendered of a video, in this run."""

    node: str  # its name
    segments: int  # complete
    under_way: int  # segments that it is rendering
    frames: int  # in both
    frames_per_second: float  # of them, since the video began
