"""Encode pictures as ``data:`` addresses for a page of limited size.

All pictures of one instant are compressed alike, so that none looks worse than its neighbour for that.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from videoinr_cli.media.planes import Picture, eight_bits

QUALITIES = (95, 88, 80, 65, 50)
"""Qualities of JPEG without chroma subsampling, tried in this order where lossless pictures are too large."""

LOSSLESS_GAIN = 4
"""Compression that lossless coding hardly ever reaches; where more is needed, it is not tried."""


class Embedder:
    """Encodes the pictures of consecutive instants within a budget of bytes.

    Args:
        budget_bytes: limit of all addresses together.
        instants: number of instants that share it.
    """

    def __init__(self, budget_bytes: int, instants: int) -> None:
        self._left_bytes = budget_bytes
        self._instants = instants
        self.qualities: list[int | None] = []  # of each instant; None: lossless

    def embed(self, pictures: Sequence[Picture]) -> list[str] | None:
        """Return the addresses of one instant's pictures; None when the budget is used up.

        Args:
            pictures: (H, W, 3) uint8 or uint16 each.
        """
        remaining = max(1, self._instants - len(self.qualities))
        images = [Image.fromarray(np.ascontiguousarray(eight_bits(picture))) for picture in pictures]
        share = self._left_bytes // remaining
        for quality in (None, *QUALITIES):
            if (
                quality is None
                and 3 * sum(image.width * image.height for image in images) > LOSSLESS_GAIN * share
            ):
                continue
            addresses = [_address(image, quality) for image in images]
            size = sum(map(len, addresses))
            # The lowest quality may use what later instants would get: a shorter page is better than none.
            if size <= (self._left_bytes if quality == QUALITIES[-1] else share):
                self._left_bytes -= size
                self.qualities.append(quality)
                return addresses
        return None


def _address(image: Image.Image, quality: int | None) -> str:
    buffer = io.BytesIO()
    if quality is None:
        image.save(buffer, "WEBP", lossless=True, method=2)
    else:
        image.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True)
    kind = "webp" if quality is None else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
