"""Convolutions and matrix products at every pixel, by the fastest way the machine offers.

On a CPU in float32 the fastest 3x3 convolution is Winograd's (Lavin and Gray, CVPR 2016): where the direct
one already runs at the processor's peak, only fewer multiplications help. NNPACK implements it and comes with
torch's CPU builds; measured at 64 to 256 channels and 320x180 pixels, it is 1.8 to 3 times as fast as oneDNN,
with a rounding error of about 1e-5 of the result's range instead of 1e-6.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIN_DENSE_OUTPUTS = 16
"""With fewer outputs per pixel, a plain matrix product is faster."""


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution with padding 1."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride=stride, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        if self.stride != (1, 1):
            return super().forward(input)
        return convolve3x3(input, self.weight, self.bias)


def convolve3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve (B, C, H, W) with a (K, C, 3, 3) weight, zero-padded to the same size."""
    if _nnpack is None or not winograd_serves(x):
        return F.conv2d(x, weight, bias, padding=1)
    # One picture at a time: NNPACK's batches are no faster here, and need memory for all pictures.
    images = [_nnpack(image, weight, bias, (1, 1)) for image in x.split(1)]
    return images[0] if len(images) == 1 else torch.cat(images)


def residual_block(x: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """Return x + second(relu(first(x))) of 3x3 convolutions; without gradients `x` may be overwritten.

    In bf16 on a CPU, oneDNN rectifies and adds within its convolutions, before it rounds: measured with 64
    channels and 320x180 pixels, that takes 0.56 of the time. torch has it for what `torch.compile` makes.
    """
    if (
        x.dtype is torch.bfloat16
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and _onednn_fuses(x.dtype)
    ):
        return _fused_block(x, first, second)
    residual: Tensor = second(F.relu(first(x), inplace=True))
    return x + residual if torch.is_grad_enabled() else x.add_(residual)


def _fused_block(x: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """Add to `x` what the layers make of it, in its type."""
    weights = [
        tensor.to(x.dtype)
        for layer in (first, second)
        for tensor in (layer.weight, layer.bias)
        if tensor is not None
    ]
    convolve = torch.ops.mkldnn._convolution_pointwise
    sizes: tuple[list[int], list[int], list[int], int] = [1, 1], [1, 1], [1, 1], 1
    hidden = convolve(x, *weights[:2], *sizes, "relu", [], "")
    add = torch.ops.mkldnn._convolution_pointwise_.binary
    return add(x, hidden, *weights[2:], *sizes, "add", 1.0, None, [], None)  # type: ignore[no-any-return]


def winograd_serves(x: Tensor) -> bool:
    """Return whether `convolve3x3` uses Winograd for `x`; NCHW in memory is best then, else NHWC."""
    return (
        x.device.type == "cpu"
        and x.dtype is torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()  # which has its own ways
        and _nnpack_available()
    )


def dense(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply (B, h, w, C) by a matrix (K, C) at every pixel: (B, h, w, K).

    Computed in the inputs' dtype; with gradients or on a GPU, in autocast's if that is on. Autocast must be
    off where sines follow, which amplify rounding.
    """
    if (
        x.device.type != "cpu"  # no convolution there: cuDNN would round its inputs to TF32
        or torch.is_grad_enabled()
        or torch.compiler.is_compiling()
        or weight.shape[0] < MIN_DENSE_OUTPUTS
        or not _onednn_convolves(x.dtype)
    ):
        return F.linear(x, weight, bias)
    # oneDNN beats the matrix product that F.linear calls by a fifth. F.conv2d would call it too, but not
    # with a single thread.
    planes = torch.mkldnn_convolution(
        x.permute(0, 3, 1, 2), weight[:, :, None, None], bias, (0, 0), (1, 1), (1, 1), 1
    )
    return planes.permute(0, 2, 3, 1)


@functools.cache
def _onednn_convolves(dtype: torch.dtype) -> bool:
    """Return whether oneDNN has convolutions in `dtype` on this CPU."""
    if not torch.backends.mkldnn.is_available():
        return False
    if dtype is torch.bfloat16:  # not without AVX-512, for one
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype is torch.float32


@functools.cache
def _onednn_fuses(dtype: torch.dtype) -> bool:
    """Return whether this torch has oneDNN's fused convolutions in `dtype` here, and they are right."""
    if not _onednn_convolves(dtype):
        return False
    layers = [nn.Conv2d(16, 16, 3, padding=1) for _ in range(2)]
    ones = torch.ones(1, 16, 4, 4, dtype=dtype).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for layer in layers:
            nn.init.constant_(layer.weight, 1 / 64)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        try:
            fused = _fused_block(ones.clone(), *layers)
        except (AttributeError, RuntimeError, TypeError):  # not in this version, or called otherwise there
            return False
        expected = ones + layers[1].to(dtype)(F.relu(layers[0].to(dtype)(ones)))
    return bool(torch.allclose(fused, expected, rtol=0.02))


# Reached by its private name, because F.conv2d takes it for batches of 16 and more only.
_nnpack: Callable[..., Tensor] | None = getattr(torch, "_nnpack_spatial_convolution", None)


@functools.cache
def _nnpack_available() -> bool:
    # Asking is what initialises NNPACK.
    return _nnpack is not None and bool(torch.backends.nnpack.is_available())
