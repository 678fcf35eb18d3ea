"""Turn pictures into text for a page, and keep the page within a size.

Knows nothing of what the pictures show. All pictures of one instant are treated alike, so that none looks
worse than its neighbour for being compressed harder.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from videoinr_cli.media.planes import Picture, eight_bits

QUALITIES = (95, 88, 80, 65, 50)
"""Of JPEG without chroma subsampling, tried in this order where lossless pictures take too much."""

LOSSLESS_GAIN = 4
"""Compression that lossless coding hardly ever exceeds: where more is needed it is not tried."""


class Embedder:
    """Encodes the pictures of one instant after the other as ``data:`` addresses within a budget."""

    def __init__(self, budget_bytes: int, instants: int) -> None:
        """Share a budget.

        Args:
            budget_bytes: what all addresses may take together.
            instants: how many there will be.
        """
        self._left_bytes = budget_bytes
        self._instants = instants
        self.qualities: list[int | None] = []  # of each instant; None: lossless

    def embed(self, pictures: Sequence[Picture]) -> list[str] | None:
        """Return the addresses of one instant's pictures, or None when the budget is used up.

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
            # The least there is may take from those that follow: better an early end than no page.
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
