"""Networks on other devices than the CPU: on torch's meta device, which has no values, and on a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.oracle.golden_weights import golden_state_dict
from tests.oracle.plain_port import PlainVideoInr
from tests.tiny import TINY
from videoinr_cli.errors import is_out_of_memory
from videoinr_cli.model import AnyVideoInr, FastConfig, ModelConfig, PublishedConfig, Window, build
from videoinr_cli.model.network import VideoInr
from videoinr_cli.model.published import from_published_names, network
from videoinr_cli.model.spatial.enlarger import HeldTensors
from videoinr_cli.render.memory import release_memory
from videoinr_cli.training.batches import Batch
from videoinr_cli.training.loss import batch_loss
from videoinr_cli.training.recipes import Schedule
from videoinr_cli.training.trainer import Trainer

TINY_PUBLISHED = PublishedConfig(channels=16, deformable_groups=2, front_blocks=1, back_blocks=1)
LR_SIZE, SIZE = (9, 13), (22, 33)
"""Frames that have to be padded, and enlarged by no whole number."""


class OneDevice(TorchDispatchMode):
    """Refuses what a GPU would: operations on tensors of several devices, which many of meta's let pass."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.ndim]
        copies = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
        assert copies or len({tensor.device for tensor in tensors}) <= 1, func
        return func(*args, **kwargs or {})


@pytest.fixture
def on_meta(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModelConfig], AnyVideoInr]:
    """Return a function that builds a network there, without what needs values or what torch lacks there."""
    monkeypatch.setattr(VideoInr, "mixed_precision", lambda self: contextlib.nullcontext())
    monkeypatch.setattr(network, "reached", lambda points, grid, window: grid)

    def built(config: ModelConfig) -> AnyVideoInr:
        with torch.device("meta"):
            return build(config)

    return built


def random_batch(lr_size: tuple[int, int]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    height, width = lr_size
    before, first, second, after = torch.rand(4, 2, 3, height, width, generator=generator)
    targets = tuple(torch.rand(1, 2, 3, 2 * height, 2 * width, generator=generator))
    taus = tuple(torch.rand(1, 2, generator=generator))
    flow, still = torch.zeros(2, 2, 2, height // 2, width // 2), torch.zeros(2, 2, 1, height, width)
    return Batch(before, first, second, after, targets, taus, flow, still)


@pytest.mark.parametrize("config", [TINY, TINY_PUBLISHED], ids=lambda config: config.architecture)
def test_all_tensors_are_where_the_weights_are(
    config: ModelConfig, on_meta: Callable[[ModelConfig], AnyVideoInr]
) -> None:
    model = on_meta(config)
    with OneDevice():
        with torch.inference_mode():
            frames = [model.encode_frame(frame) for frame in torch.empty(5, 1, 3, *LR_SIZE, device="meta")]
            pair = model.encode_pair(*frames[1:3], before=frames[0], after=frames[3])
            pair = model.encode_pair(*frames[2:4], before=frames[1], after=frames[4], carry=pair.carry)
            for size in (SIZE, LR_SIZE):  # of points, and of means of points
                assert model.render(pair, 0.3, size, window=Window(3, 0, *LR_SIZE)).is_meta
        batch_loss(model, random_batch((8, 8)).to(torch.device("meta"))).backward()
    assert all(weight.grad is not None and weight.grad.is_meta for weight in model.parameters())


@pytest.mark.parametrize("config", [FastConfig(), PublishedConfig()], ids=lambda config: config.architecture)
@torch.inference_mode()
def test_footprint_counts_what_encoding_holds(
    config: ModelConfig, on_meta: Callable[[ModelConfig], AnyVideoInr]
) -> None:
    model = on_meta(config)
    with HeldTensors() as held:
        frames = [model.encode_frame(torch.empty(1, 3, 272, 480, device="meta")) for _ in range(2)]
        kept = held.bytes
        model.encode_pair(*frames)
    assert held.most - kept < model.footprint().encoding * 272 * 480


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device("cuda")


def golden_network() -> AnyVideoInr:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in PlainVideoInr().state_dict().items()}
    model = build(PublishedConfig())
    model.load_state_dict(from_published_names(golden_state_dict(shapes)))
    return model


def tiny_network() -> AnyVideoInr:
    torch.manual_seed(0)
    model = build(TINY)
    with torch.no_grad():
        for parameter in model.parameters():  # away from the small start, so that every path shows
            parameter.mul_(2)
    return model


@pytest.mark.gpu
@pytest.mark.parametrize("make", [tiny_network, golden_network])
@torch.inference_mode()
def test_a_gpu_renders_what_a_cpu_does(make: Callable[[], AnyVideoInr], cuda: torch.device) -> None:
    given = torch.rand(2, 1, 3, *LR_SIZE, generator=torch.Generator().manual_seed(1))
    pictures = []
    for device in (torch.device("cpu"), cuda):
        model = make().eval().to(device)
        pair = model.encode_pair(*(model.encode_frame(frame) for frame in given.to(device)))
        pictures.append(model.render(pair, 0.3, SIZE).cpu())
    # 2e-4 for another order of sums, as between processors (`test_published`); convolving in bf16 moves
    # the published network's picture by 2e-2, TF32 keeps three bits more
    torch.testing.assert_close(pictures[1], pictures[0], rtol=0, atol=2e-4)


@pytest.mark.gpu
def test_a_gpu_trains_as_a_cpu_does(cuda: torch.device) -> None:
    losses = []
    for device in (torch.device("cpu"), cuda):
        trainer = Trainer(tiny_network(), Schedule(steps=1), device=device, dtype=torch.float32)
        trainer.train_step(random_batch((16, 24)))
        assert all(weight.isfinite().all() for weight in trainer.model.parameters())
        losses.append(trainer.loss)
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)  # a mean of thousands of float32 errors


@pytest.mark.gpu
def test_a_gpus_shortage_is_known_and_its_memory_given_back(cuda: torch.device) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8, device=cuda)
    assert is_out_of_memory(caught.value)
    release_memory(cuda)
    filled = torch.empty(64 << 20, dtype=torch.uint8, device=cuda)
    reserved = torch.cuda.memory_reserved(cuda)
    del filled
    release_memory(cuda)
    assert torch.cuda.memory_reserved(cuda) <= reserved - (64 << 20)
