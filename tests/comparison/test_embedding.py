"""Pictures in a page: what a browser would decode, within the size that was allowed."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from videoinr_cli.comparison.embedding import Embedder


def noise(seed: int, width: int = 64, height: int = 48) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def decoded(address: str) -> NDArray[Any]:
    head, data = address.split(",")
    assert head in ("data:image/webp;base64", "data:image/jpeg;base64")
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image.convert("RGB"))


def test_is_lossless_where_there_is_room() -> None:
    embedder = Embedder(1_000_000, 2)
    addresses = embedder.embed([noise(0), noise(1)])
    assert addresses is not None
    for seed, address in enumerate(addresses):
        np.testing.assert_array_equal(decoded(address), noise(seed))
    assert embedder.qualities == [None]


def test_depth_is_brought_to_eight_bits() -> None:
    addresses = Embedder(1_000_000, 1).embed([noise(0).astype(np.uint16) * 257])
    assert addresses is not None
    np.testing.assert_array_equal(decoded(addresses[0]), noise(0))


@pytest.mark.parametrize("budget", [20_000, 60_000, 400_000])
def test_never_takes_more_than_it_may(budget: int) -> None:
    embedder = Embedder(budget, 10)
    taken = 0
    for instant in range(10):
        addresses = embedder.embed([noise(2 * instant), noise(2 * instant + 1)])
        if addresses is None:
            break
        taken += sum(map(len, addresses))
    assert taken <= budget
    assert len(embedder.qualities) == 10 if budget == 400_000 else 0 < len(embedder.qualities) < 10


def test_tells_when_not_even_one_fits() -> None:
    embedder = Embedder(100, 1)
    assert embedder.embed([noise(0)]) is None
    assert embedder.qualities == []
