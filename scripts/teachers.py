"""Enlarge pictures by a network that others trained, in whatever format it is: what ours learns from.

A teacher is called on (B, 3, h, w) RGB in [0, 1] and returns (B, 3, s h, s w). Knows nothing of videos.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.errors import InputError
from videoinr_cli.model.devices import choose_dtype

Teacher = Callable[[Tensor], Tensor]

HALF_WEIGHTS = 0x01306B47
"""Tag of weights kept as float16, padded to four bytes, in an ncnn .bin; 0 marks float32."""


def load_teacher(path: Path, *, dtype: torch.dtype | None = None) -> Teacher:
    """Return the network that a file holds.

    Args:
        path: an ncnn `.param` with its `.bin` beside it, which needs no other package, or any file that the
            package `spandrel` knows.
        dtype: what it is computed in; None: what the processor is quick at.

    Raises:
        InputError: the file is missing, or has a layer not known here, or needs `spandrel`.
    """
    if not path.is_file():
        raise InputError(f"no teacher at {path}; give a .param with its .bin, or a file that spandrel reads")
    dtype = dtype or choose_dtype("auto", torch.device("cpu"))
    if path.suffix == ".param":
        return NcnnNetwork(path, dtype)
    try:
        from spandrel import ModelLoader
    except (ImportError, RuntimeError) as error:  # torchvision raises the second where torch is another one
        raise InputError(
            f"{path} is not an ncnn .param, and spandrel, which reads others, is not there: {error}"
        ) from error
    try:
        model = ModelLoader().load_from_file(str(path)).eval()
    except Exception as error:  # of spandrel's own and of pickle's many kinds
        raise InputError(f"spandrel does not know what is in {path}: {error}") from error
    if model.supports_bfloat16 and dtype is torch.bfloat16:
        model = model.to(torch.bfloat16)

    def teacher(pictures: Tensor) -> Tensor:
        result: Tensor = model(pictures.to(model.dtype))
        return result.float().clamp(0, 1)

    return teacher


@dataclasses.dataclass(frozen=True)
class Layer:
    """One line of a .param file."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: dict[int, str]

    def number(self, key: int, default: float = 0.0) -> float:
        return float(self.settings.get(key, default))

    def numbers(self, key: int) -> list[float]:
        """Return an array: it is kept under -23300 less its key, its length first."""
        return [float(text) for text in self.settings[-23300 - key].split(",")[1:]]


class NcnnNetwork:
    """A plain convolutional network in ncnn's format, run by torch, which on a CPU is faster.

    Knows the layers of enlarging networks (those of ESRGAN and of SRVGG), and refuses others.

    Source: ncnn's own documents `docs/developer-guide/operators.md` and `param-and-model-file-structure.md`.
    """

    def __init__(self, param: Path, dtype: torch.dtype) -> None:
        self.layers = [_parsed(line) for line in param.read_text().splitlines()[2:] if line.strip()]
        self.dtype = dtype
        weights = _Weights(param.with_suffix(".bin"))
        self.tensors = [tuple(self._ready(t) for t in _read(layer, weights)) for layer in self.layers]
        # a tensor is let go of after the last layer that takes it
        self.last_use = {name: number for number, layer in enumerate(self.layers) for name in layer.inputs}

    def _ready(self, tensor: Tensor) -> Tensor:
        tensor = tensor.to(self.dtype)
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        known: dict[str, Tensor] = {}
        for number, (layer, tensors) in enumerate(zip(self.layers, self.tensors, strict=True)):
            if layer.kind == "Input":
                given = pictures.to(self.dtype).contiguous(memory_format=torch.channels_last)
                known[layer.outputs[0]] = given
                continue
            taken = [known[name] for name in layer.inputs]
            for name in layer.inputs:
                if self.last_use[name] == number:
                    known.pop(name, None)
            result = _run(layer, taken, tensors)
            known |= dict.fromkeys(layer.outputs, result)
        return result.float().clamp(0, 1)


class _Weights:
    """A .bin file, read in the order of the layers."""

    def __init__(self, path: Path) -> None:
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise InputError(f"no weights at {path}: {error.strerror}") from error
        self.at = 0

    def plain(self, count: int) -> Tensor:
        values = np.frombuffer(self.data, "<f4", count, self.at)
        self.at += 4 * count
        return torch.from_numpy(values.copy())

    def tagged(self, count: int) -> Tensor:
        """Return weights that a tag precedes, which says how they are kept."""
        (tag,) = np.frombuffer(self.data, "<u4", 1, self.at)
        self.at += 4
        if tag == 0:
            return self.plain(count)
        if tag != HALF_WEIGHTS:
            raise InputError(f"weights of a kind not known here (tag {tag:#010x})")
        values: npt.NDArray[np.float16] = np.frombuffer(self.data, "<f2", count, self.at)
        self.at += -(-2 * count // 4) * 4
        return torch.from_numpy(values.astype(np.float32))


def _parsed(line: str) -> Layer:
    kind, _, inputs, outputs, *rest = line.split()
    names, settings = rest[: int(inputs) + int(outputs)], rest[int(inputs) + int(outputs) :]
    found = (re.fullmatch(r"(-?\d+)=(.*)", setting) for setting in settings)
    return Layer(
        kind,
        tuple(names[: int(inputs)]),
        tuple(names[int(inputs) :]),
        {int(match[1]): match[2] for match in found if match},
    )


def _read(layer: Layer, weights: _Weights) -> Iterator[Tensor]:
    """Yield what a layer keeps in the .bin."""
    if layer.kind == "Convolution":
        filters, kernel, total = (int(layer.number(key)) for key in (0, 1, 6))
        yield weights.tagged(total).view(filters, -1, kernel, kernel)
        if layer.number(5):
            yield weights.plain(filters)
    elif layer.kind == "PReLU":
        yield weights.plain(int(layer.number(0)))


def _run(layer: Layer, inputs: list[Tensor], tensors: tuple[Tensor, ...]) -> Tensor:
    first = inputs[0]
    match layer.kind:
        case "Split":
            return first
        case "Concat":
            return torch.cat(inputs, dim=1)
        case "Convolution":
            result = F.conv2d(first, *tensors, padding=int(layer.number(4)))
            if not (activation := layer.number(9)):
                return result
            if activation == 2:
                return F.leaky_relu_(result, layer.numbers(10)[0])
        case "PReLU":
            return F.prelu(first, *tensors)
        case "PixelShuffle":
            return F.pixel_shuffle(first, int(layer.number(0)))
        case "Interp" if layer.number(0) == 1:
            return F.interpolate(first, scale_factor=layer.number(1), mode="nearest")
        case "Eltwise" if layer.number(0) == 1:
            one, other = layer.numbers(1) if -23301 in layer.settings else (1.0, 1.0)
            return one * first + other * inputs[1]
        case "BinaryOp" if layer.number(0) == 0 and len(inputs) == 2:
            return first + inputs[1]
    raise InputError(f"a teacher's layer {layer.kind} {layer.settings} is not known here; try spandrel")
