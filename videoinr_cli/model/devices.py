"""Which device a network runs on, and in which dtype its convolutions run there: names to torch's values."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.errors import OptionError

T = TypeVar("T")

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str | torch.device) -> torch.device:
    """Turn a device's name into a device that is there.

    Args:
        name: ``auto`` (CUDA, then Apple's MPS, then the CPU) or a name torch knows, such as ``cuda:1``.

    Raises:
        OptionError: torch knows no such device, this machine has none, or networks cannot run there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if mps_serves() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"unknown device {str(name)!r}; try --device auto, cpu, cuda or mps") from error
    present = {
        "cpu": True,
        "cuda": (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise OptionError(f"device {str(name)!r} is not available on this machine; try --device auto")
    if device.type == "mps" and not mps_serves():
        raise OptionError(
            f"torch {torch.__version__} lacks operations on device {str(name)!r} that networks need; "
            "try torch 2.10 or later, or --device cpu"
        )
    return device


def mps_serves() -> bool:
    """Return whether there is an Apple GPU on which torch has every operation that networks need."""
    return torch.backends.mps.is_available() and _reads_tables(torch.device("mps"))


@functools.cache
def _reads_tables(device: torch.device) -> bool:
    """Try the operation that `coords.gather` uses, which torch has on MPS since 2.10 (pytorch#162270)."""
    table = torch.zeros(1, 1, device=device)
    try:
        F.embedding_bag(table.int(), table, mode="sum", per_sample_weights=table)
    except NotImplementedError:
        return False
    return True


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Turn a precision's name into the type in which convolutions run on `device`.

    ``auto`` takes half precision where the device computes it twice as fast: fp16 on CUDA, bf16 on a CPU with
    instructions for it.

    Raises:
        OptionError: an unknown name, or a type the device cannot compute in at a useful speed.
    """
    if precision == "auto":
        if device.type == "cuda":
            return torch.float16
        return torch.bfloat16 if device.type == "cpu" and _cpu_multiplies_bf16() else torch.float32
    if precision not in PRECISIONS:
        raise OptionError(f"unknown precision {precision!r}; try auto, {', '.join(PRECISIONS)}")
    if precision == "fp16" and device.type == "cpu":
        raise OptionError("precision 'fp16' needs a GPU; try --precision bf16 or fp32 on a CPU")
    return PRECISIONS[precision]


def choose_training_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Do what `choose_dtype` does, for convolutions whose gradients are wanted.

    Raises:
        OptionError: as there; or the type is fp16, in which small gradients vanish.
    """
    if precision == "fp16":
        raise OptionError("precision 'fp16' loses gradients in training; try --precision bf16")
    if precision == "auto" and device.type == "cuda":
        # GPUs before Ampere emulate bf16
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    return choose_dtype(precision, device)


def has_values(tensor: Tensor) -> bool:
    """Whether a tensor can be looked at: not where it has a shape alone, nor while a graph is recorded.

    What is left out where a picture does not need it belongs to a graph, which serves for other pictures too.
    """
    return not (
        tensor.is_meta
        or torch.compiler.is_compiling()
        or (tensor.is_cuda and torch.cuda.is_current_stream_capturing())
    )


@contextlib.contextmanager
def without_tf32() -> Iterator[None]:
    """Have cuDNN convolve float32 as it is, not rounded to TF32, which has no more digits than fp16.

    torch has the setting for the process alone. A thread that ends first undoes it for others, which then
    round as torch does unless told; none leaves it behind.
    """
    setting: tuple[object, str, object] = torch.backends.cudnn, "allow_tf32", False
    if hasattr(torch.backends.cudnn, "conv"):  # since torch 2.9, where the other cannot always be read
        setting = torch.backends.cudnn.conv, "fp32_precision", "ieee"
    owner, name, exact = setting
    before = getattr(owner, name)
    setattr(owner, name, exact)
    try:
        yield
    finally:
        if before != exact:  # else it is for another to undo
            setattr(owner, name, before)


def _cpu_multiplies_bf16() -> bool:
    """Whether the CPU has AVX-512 or AMX instructions for bf16; without them it would be emulated."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older torch
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@contextlib.contextmanager
def compute_threads(count: int | None) -> Iterator[None]:
    """Compute on so many threads of the CPU inside the block; None: as torch is set."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_threads(count: int | None, items: Iterator[T]) -> Iterator[T]:
    """Yield what is computed by an iterator, which alone runs on so many threads; see `compute_threads`."""
    while True:
        with compute_threads(count):
            item = next(items, None)
        if item is None:
            return
        yield item
