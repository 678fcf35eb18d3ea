"""The published network against golden data, its plain port, and what must hold for any size and window.

The golden data were computed by the authors' own network with weights that follow from their names
(`oracle/golden_weights.py`). ``demo`` is the decoder of the authors' demo, which enlarges RGB fourfold first;
``out_HxW`` the one of their training.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.oracle.golden_weights import golden_state_dict
from tests.oracle.plain_port import PlainVideoInr
from videoinr_cli.model import PublishedConfig, Window
from videoinr_cli.model.published import PublishedVideoInr, from_published_names
from videoinr_cli.model.published.network import PublishedPair

GOLDENS = np.load(Path(__file__).parent.parent / "goldens" / "published_24x32.npz")
SIZES = [tuple(map(int, name[4:].split("x"))) for name in GOLDENS if name.startswith("out_")]
ACROSS_MACHINES = 2e-4
"""Other processors sum in other orders; float32 against float64 alone moves an output by 3e-6."""
ROUNDING = 2e-5
"""The same on one machine, for another order of the same operations."""


@functools.cache
def golden_weights() -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in PlainVideoInr().state_dict().items()}
    return golden_state_dict(shapes)


@functools.cache
def network(rgb_enlargement: int = 1) -> PublishedVideoInr:
    network = PublishedVideoInr(PublishedConfig(rgb_enlargement=rgb_enlargement)).eval()
    network.load_state_dict(from_published_names(golden_weights()))
    return network.requires_grad_(False)


@functools.cache
def oracle() -> PlainVideoInr:
    plain = PlainVideoInr().eval()
    plain.load_state_dict(golden_weights())
    return plain.requires_grad_(False)


def golden_frames() -> Tensor:
    return torch.from_numpy(GOLDENS["frames"])


def encode(network: PublishedVideoInr, frames: Tensor) -> PublishedPair:
    return network.encode_pair(network.encode_frame(frames[:1]), network.encode_frame(frames[1:]))


@torch.no_grad()
def test_features_are_golden() -> None:
    first, second = (network().encode_frame(frame) for frame in golden_frames().split(1))
    features = torch.cat(network().encoder.pair(first.features, second.features))
    torch.testing.assert_close(features, torch.from_numpy(GOLDENS["features"]), rtol=0, atol=ACROSS_MACHINES)


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_output_is_golden(size: tuple[int, int]) -> None:
    pair = encode(network(), golden_frames())
    for tau, expected in zip(GOLDENS["times"], GOLDENS["out_{}x{}".format(*size)], strict=True):
        output = network().render(pair, float(tau), size)
        torch.testing.assert_close(output[0], torch.from_numpy(expected), rtol=0, atol=ACROSS_MACHINES)


@torch.no_grad()
def test_output_of_the_demo_is_golden() -> None:
    pair = encode(network(4), golden_frames())
    for tau, expected in zip(GOLDENS["demo_times"], GOLDENS["demo"], strict=True):
        output = network(4).render(pair, float(tau), (96, 128))
        torch.testing.assert_close(output[0], torch.from_numpy(expected), rtol=0, atol=ACROSS_MACHINES)


@torch.no_grad()
@pytest.mark.parametrize("enlargement", [1, 4])
@pytest.mark.parametrize("size", [(20, 28), (50, 70), (70, 97)])
def test_equals_a_plain_port(size: tuple[int, int], enlargement: int) -> None:
    frames = torch.rand(2, 3, 20, 28, generator=torch.Generator().manual_seed(2))
    expected = oracle().decode(frames[None], oracle().encode(frames[None])["feat"], 0.3, size, enlargement)
    output = network(enlargement).render(encode(network(enlargement), frames), 0.3, size)
    torch.testing.assert_close(output, expected["out"], rtol=0, atol=ACROSS_MACHINES)


@torch.no_grad()
@pytest.mark.parametrize("size", [(18, 27), (36, 54), (63, 94)])
def test_odd_sizes_are_padded_and_cropped(size: tuple[int, int]) -> None:
    """The true scale holds: an odd frame's output is a part of the one its padded frame gives."""
    frames = torch.rand(2, 3, 18, 27, generator=torch.Generator().manual_seed(3))
    padded = torch.nn.functional.pad(frames, (0, 1, 0, 2))
    output = network().render(encode(network(), frames), 0.6, size)
    assert output.shape == (1, 3, *size)
    assert output.isfinite().all()
    if size == (36, 54):  # only then is the padded frame's output a whole number of pixels too
        whole = network().render(encode(network(), padded), 0.6, (40, 56))
        torch.testing.assert_close(output, whole[:, :, :36, :54], rtol=0, atol=ROUNDING)


@torch.no_grad()
def test_chunks_bands_and_windows_do_not_show() -> None:
    pair = encode(network(), golden_frames())
    whole = network().render(pair, 0.4, (67, 89))
    assert whole.isfinite().all()
    for limits in ({"chunk_bytes": 1}, {"instant_bytes": 1 << 18}, {"chunk_bytes": 1 << 20}):
        torch.testing.assert_close(
            network().render(pair, 0.4, (67, 89), **limits), whole, rtol=0, atol=ROUNDING
        )
    part = network().render(pair, 0.4, (67, 89), window=Window(top=9, left=30, bottom=44, right=89))
    torch.testing.assert_close(part, whole[:, :, 9:44, 30:89], rtol=0, atol=ROUNDING)


@torch.no_grad()
def test_each_pair_of_a_batch_is_its_own() -> None:
    frames = torch.rand(3, 3, 12, 16, generator=torch.Generator().manual_seed(4))
    encoded = network().encode_frame(frames[:2]), network().encode_frame(frames[1:])
    both = network().render(network().encode_pair(*encoded), 0.5, (30, 41))
    for index in (0, 1):
        alone = network().render(encode(network(), frames[index : index + 2]), 0.5, (30, 41))
        torch.testing.assert_close(both[index : index + 1], alone, rtol=0, atol=ROUNDING)


@torch.no_grad()
def test_half_precision_of_the_encoder_stays_close() -> None:
    exact = network().render(encode(network(), golden_frames()), 0.5, (60, 80))
    network().compute_dtype = torch.bfloat16
    try:
        rounded = network().render(encode(network(), golden_frames()), 0.5, (60, 80))
    finally:
        network().compute_dtype = torch.float32
    mse = float((rounded - exact).square().mean())
    assert 0 < mse < 10 ** (-40 / 10)  # 40 dB; 37 dB if the deformable sampling's positions were rounded too


@torch.no_grad()
def test_features_stay_in_the_layout_that_half_precision_is_fast_in() -> None:
    encoder = network().encoder
    with torch.autocast("cpu", torch.bfloat16):
        first, second = (encoder.frame(frame) for frame in golden_frames().split(1))
        maps = encoder.pair(first, second)
    for feature in (*first.state, *maps):
        assert feature.is_contiguous(memory_format=torch.channels_last)


def test_gradient_reaches_every_weight() -> None:
    torch.manual_seed(0)
    trained = PublishedVideoInr(
        PublishedConfig(channels=16, deformable_groups=2, front_blocks=1, back_blocks=1)
    )
    pair = encode(trained, torch.rand(2, 3, 12, 12))
    trained.render(pair, 0.4, (20, 22)).square().mean().backward()
    without = [name for name, weight in trained.named_parameters() if weight.grad is None]
    assert without == []
