"""A network's parameters as few bytes: quantised with a step for each channel, and entropy-coded.

Parameters of one axis (biases, normalisation) are kept in half precision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videoinr_cli.fitting.options import MAX_BITS, MIN_BITS
from videoinr_cli.fitting.range_coder import best_table, decode, encode, spread_table

Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Coded:
    """Parameters as they are in a file."""

    bits: int  # of an integer before entropy coding
    tables: tuple[tuple[float, float, int], ...]  # of each quantised tensor: arguments of `spread_table`
    halves: bytes  # float16: steps of the quantised tensors and values of the others, in their order
    coded: bytes  # the integers


def levels_of(bits: int) -> int:
    """Return the largest integer that a quantised parameter becomes."""
    return (1 << bits - 1) - 1


def steps_of(parameter: Tensor, levels: int) -> Tensor:
    """Return the quantiser's step of each channel of (C, ...), broadcast to it, in half precision's values.

    **Source**: symmetric, by the channel's largest value, as in HiNeRV, section 3.4.
    """
    largest = parameter.detach().abs().flatten(1).amax(dim=1)
    steps = (largest / levels).clamp(max=60_000).half().float()
    return steps.view(-1, *[1] * (parameter.dim() - 1))


def integers_of(parameter: Tensor, steps: Tensor, levels: int) -> Tensor:
    """Return the integers that a parameter becomes, as floats."""
    return (parameter / steps.clamp(min=1e-12)).round().clamp(-levels, levels)


def quantised(parameters: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """Return parameters as decoding will give them back."""
    levels, result = levels_of(bits), {}
    for name, parameter in parameters.items():
        if parameter.dim() > 1:
            steps = steps_of(parameter, levels)
            result[name] = integers_of(parameter, steps, levels) * steps
        else:
            result[name] = parameter.half().float()
    return result


def pack(parameters: Mapping[str, Tensor], bits: int) -> Coded:
    """Code parameters (float32, on the CPU)."""
    levels = levels_of(bits)
    halves, tables, symbols = [], [], []
    for parameter in parameters.values():
        if parameter.dim() > 1:
            steps = steps_of(parameter, levels)
            integers = integers_of(parameter, steps, levels).flatten().numpy().astype(np.int64)
            tables.append(best_table(integers, levels))
            symbols.append(integers + levels)
            parameter = steps
        halves.append(parameter.detach().flatten().numpy().astype("<f2").tobytes())
    coded = encode(
        np.concatenate(symbols),
        _table_of(map(len, symbols)),
        [spread_table(levels, *arguments) for arguments in tables],
    )
    return Coded(bits, tuple(tables), b"".join(halves), coded)


def unpack(coded: Coded, shapes: Shapes) -> dict[str, Tensor]:
    """Return the parameters that `pack` was given, as `quantised` has them.

    Args:
        coded: of a file, which may hold anything.
        shapes: of a network's parameters, in their order.

    Raises:
        ValueError: it does not hold these parameters.
    """
    levels = levels_of(coded.bits)
    sizes = [int(np.prod(shape)) for shape in shapes.values() if len(shape) > 1]
    if len(coded.tables) != len(sizes):
        raise ValueError(f"{len(coded.tables)} tables for {len(sizes)} tensors")
    if len(coded.halves) != halves_bytes(shapes):
        raise ValueError(f"{len(coded.halves)} bytes of steps and biases, not {halves_bytes(shapes)}")
    tables = [spread_table(levels, *arguments) for arguments in coded.tables]
    symbols = torch.from_numpy(decode(coded.coded, _table_of(sizes), tables) - levels)
    values = torch.from_numpy(np.frombuffer(coded.halves, "<f2").astype(np.float32))
    if not bool(values.isfinite().all()):
        raise ValueError("a value is not finite")
    halves, integers = values.split([shape[0] for shape in shapes.values()]), iter(symbols.split(sizes))
    result = {}
    for (name, shape), half in zip(shapes.items(), halves, strict=True):
        if len(shape) > 1:
            steps = half.view(-1, *[1] * (len(shape) - 1))
            result[name] = next(integers).view(shape).float() * steps
        else:
            result[name] = half
    return result


def halves_bytes(shapes: Shapes) -> int:
    """Return the length of `Coded.halves` for parameters of these shapes."""
    return 2 * sum(shape[0] for shape in shapes.values())


def read_tables(values: Any, bits: Any) -> tuple[tuple[float, float, int], ...]:
    """Check tables of a header.

    Raises:
        ValueError: they are none.
    """
    is_known = type(bits) is int and MIN_BITS <= bits <= MAX_BITS and isinstance(values, list)
    if not is_known or not all(map(_is_table, values)):
        raise ValueError("parameters are not coded in a known way")
    return tuple((float(zeros), float(ratio), int(power)) for zeros, ratio, power in values)


def _is_table(value: Any) -> bool:
    if not isinstance(value, list) or [type(one) in (int, float) for one in value] != [True] * 3:
        return False
    zeros, ratio, power = map(float, value)
    return 0 <= zeros < 1 and 0 < ratio < 1 and power in (1, 2)


def _table_of(sizes: Iterable[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    counts = list(sizes)
    return np.repeat(np.arange(len(counts)), counts)
