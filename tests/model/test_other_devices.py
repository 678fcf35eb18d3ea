"""Networks on other devices than the CPU: on torch's meta device, which has no values, and on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.oracle.golden_weights import golden_state_dict
from tests.oracle.plain_port import PlainVideoInr
from tests.tiny import TINY
from videoinr_cli.errors import is_out_of_memory
from videoinr_cli.model import AnyVideoInr, FastConfig, ModelConfig, PublishedConfig, Window, build
from videoinr_cli.model.published import from_published_names
from videoinr_cli.model.spatial.enlarger import HeldTensors
from videoinr_cli.render.memory import release_memory
from videoinr_cli.render.transfers import to_device, to_host
from videoinr_cli.training.batches import Batch
from videoinr_cli.training.footage import Shot
from videoinr_cli.training.loss import batch_loss
from videoinr_cli.training.recipes import SampleRecipe, Schedule
from videoinr_cli.training.samples import CPU, Sampler
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


def on_meta(config: ModelConfig) -> AnyVideoInr:
    with torch.device("meta"):
        return build(config)


def random_batch(lr_size: tuple[int, int]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    height, width = lr_size
    before, first, second, after = torch.rand(4, 2, 3, height, width, generator=generator)
    targets = tuple(torch.rand(1, 2, 3, 2 * height, 2 * width, generator=generator))
    taus = tuple(torch.rand(1, 2, generator=generator))
    flow, still = torch.zeros(2, 2, 2, height // 2, width // 2), torch.zeros(2, 2, 1, height, width)
    return Batch(before, first, second, after, targets, taus, flow, still)


@pytest.mark.parametrize("config", [TINY, TINY_PUBLISHED], ids=lambda config: config.architecture)
def test_all_tensors_are_where_the_weights_are(config: ModelConfig) -> None:
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
def test_footprint_counts_what_encoding_holds(config: ModelConfig) -> None:
    model = on_meta(config)
    with HeldTensors() as held:
        frames = [model.encode_frame(torch.empty(1, 3, 272, 480, device="meta")) for _ in range(2)]
        kept = held.bytes
        model.encode_pair(*frames)
    assert held.most - kept < model.footprint().encoding * 272 * 480


def photograph(seed: int) -> NDArray[np.uint8]:
    small = np.random.default_rng(seed).integers(0, 256, (1, 50, 50, 3), dtype=np.uint8)
    return small.repeat(4, axis=1).repeat(4, axis=2)


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


@pytest.mark.gpu
def test_a_gpu_gets_pictures_and_gives_them_back(cuda: torch.device) -> None:
    """Also parts of them, as tiles are, while it still has other things to do."""
    levels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    for part in (levels, levels[8:40, 16:80]):
        busy = torch.randn(2048, 2048, device=cuda)
        for _ in range(20):
            busy = busy @ busy / 2048
        sent = to_device(part, cuda)
        np.testing.assert_array_equal(to_host(sent), part)
        np.testing.assert_array_equal(to_host(sent.permute(2, 0, 1)), part.transpose(2, 0, 1))


@pytest.mark.gpu
@torch.inference_mode()
def test_a_gpu_records_what_the_small_network_does(cuda: torch.device) -> None:
    """Played again on other frames, it gives their picture: nothing was looked at while it was recorded."""
    model = tiny_network().eval().to(cuda)
    given = torch.rand(2, 1, 3, *LR_SIZE, device=cuda)

    def rendered() -> Tensor:
        return model.render(model.encode_pair(*map(model.encode_frame, given)), 0.3, SIZE)

    rendered()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        picture = rendered()
    given.copy_(torch.rand_like(given))
    graph.replay()
    torch.testing.assert_close(picture, rendered(), rtol=0, atol=1e-4)


@pytest.mark.gpu
def test_a_gpu_makes_batches_as_a_cpu_does(cuda: torch.device) -> None:
    shots = [Shot(str(seed), photograph(seed)) for seed in range(3)]
    recipe = SampleRecipe(batch_size=8, lr_size=16, wide_size=64)
    one, other = (Sampler(shots, recipe, seed=0, device=device).batch(0) for device in (CPU, cuda))
    for name in ("first", "second", "flow", "still"):
        made = getattr(other, name)
        assert made.device.type == "cuda"
        # edges of layers, where rounding decides which one is seen
        assert ((made.cpu() - getattr(one, name)).abs().nan_to_num() > 1e-3).float().mean() < 1e-2
