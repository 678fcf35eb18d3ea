"""Entropy coding of small integers: interleaved rANS in integers alone, the same on every machine.

Many independent states share one stream of 16-bit words, so that numpy codes a symbol of each at once.

**Source**: Duda, "Asymmetric numeral systems", 2013; Giesen, "Interleaved entropy coders", 2014.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

TABLE_BITS = 14
TOTAL = 1 << TABLE_BITS
"""Sum of a table's frequencies."""

LOWEST = 1 << 16
"""Of a state between two symbols; it is below 2^32."""

SYMBOLS_PER_STATE, MAX_STATES = 512, 256
"""A state costs 4 bytes and holds two."""

Integers = npt.NDArray[np.int64]


def encode(symbols: Integers, table_of: Integers, tables: Sequence[Integers]) -> bytes:
    """Code symbols, each by one of the tables.

    Args:
        symbols: (N,), each an index into its table.
        table_of: (N,) numbers of tables.
        tables: frequencies above 0, with the sum `TOTAL`, all of one length.
    """
    if not len(symbols):
        return b""
    frequencies, starts = _stacked(tables)
    rows, states = _shape(len(symbols))
    padding = rows * states - len(symbols)
    symbols = np.concatenate([symbols, np.full(padding, tables[table_of[-1]].argmax())])
    table_of = np.concatenate([table_of, np.full(padding, table_of[-1])])
    share = frequencies[table_of, symbols].reshape(rows, states)
    start = starts[table_of, symbols].reshape(rows, states)
    state = np.full(states, LOWEST, np.uint64)
    words = []
    for f, c in zip(share[::-1], start[::-1], strict=True):
        is_full = state >= f << np.uint64(32 - TABLE_BITS)
        words.append((state[is_full] & np.uint64(0xFFFF)).astype("<u2"))
        state[is_full] >>= np.uint64(16)
        whole, rest = np.divmod(state, f)
        state = (whole << np.uint64(TABLE_BITS)) + rest + c
    return state.astype("<u4").tobytes() + b"".join(part.tobytes() for part in reversed(words))


def decode(coded: bytes, table_of: Integers, tables: Sequence[Integers]) -> Integers:
    """Return the symbols that `encode` coded.

    Raises:
        ValueError: nothing encodes to this.
    """
    if not len(table_of):
        return np.zeros(0, np.int64)
    rows, states = _shape(len(table_of))
    if len(coded) < 4 * states or len(coded) % 2:
        raise ValueError("coded parameters are cut short")
    frequencies, starts = _stacked(tables)
    lookup = np.stack([np.repeat(np.arange(len(table)), table) for table in tables])
    state = np.frombuffer(coded[: 4 * states], "<u4").astype(np.uint64)
    words = np.frombuffer(coded[4 * states :], "<u2").astype(np.uint64)
    padding = rows * states - len(table_of)
    which = np.concatenate([table_of, np.full(padding, table_of[-1])]).reshape(rows, states)
    symbols = np.empty((rows, states), np.int64)
    position = 0
    for row, table in enumerate(which):
        slot = state & np.uint64(TOTAL - 1)
        symbols[row] = symbol = lookup[table, slot.astype(np.int64)]
        state = frequencies[table, symbol] * (state >> np.uint64(TABLE_BITS)) + slot - starts[table, symbol]
        is_low = state < LOWEST
        end = position + int(is_low.sum())
        if end > len(words):
            raise ValueError("coded parameters are cut short")
        state[is_low] = (state[is_low] << np.uint64(16)) | words[position:end]
        position = end
    if position != len(words) or (state != LOWEST).any():
        raise ValueError("coded parameters do not end where they should")
    return symbols.reshape(-1)[: len(table_of)]


def spread_table(levels: int, zeros: float, ratio: float, power: int) -> Integers:
    """Return the frequencies of integers from -`levels` to `levels`.

    They are products and an exact sum, which come out alike on every machine.

    Args:
        levels: the largest integer.
        zeros: share of zeros beyond the others' shape, in [0, 1).
        ratio: in (0, 1): by which they fall from zero on.
        power: 1: as ratio^|k| (Laplace); 2: as ratio^(k^2) (Gauss).
    """
    side, value, factor = [], 1.0, ratio
    for _ in range(levels):
        value *= factor
        side.append(value)
        if power == 2:
            factor *= ratio * ratio
    shape = [*reversed(side), 1.0, *side]
    room = (TOTAL - len(shape)) * (1 - zeros) / math.fsum(shape)
    table = np.array([1 + int(value * room) for value in shape])
    table[levels] += TOTAL - table.sum()
    return table


def best_table(integers: Integers, levels: int) -> tuple[float, float, int]:
    """Return the arguments of `spread_table` that code (N,) integers in the fewest bits, or nearly so."""
    counts = np.bincount(integers + levels, minlength=2 * levels + 1)
    others = np.abs(integers[integers != 0])
    found: tuple[float, tuple[float, float, int]] | None = None
    spread = float(np.sqrt(np.square(others).mean())) if len(others) else 0.25
    for zeros in sorted({0.0, round(0.95 * counts[levels] / max(1, len(integers)), 4)}):
        for factor in (0.7, 0.85, 1.0, 1.15):
            for power in (1, 2):
                wide = max(0.2, factor * spread)
                ratio = math.exp(-math.sqrt(2) / wide if power == 1 else -0.5 / wide**2)
                table = spread_table(levels, zeros, ratio, power)
                cost = -float((counts * np.log2(table / TOTAL)).sum())
                if found is None or cost < found[0]:
                    found = cost, (zeros, ratio, power)
    assert found is not None
    return found[1]


def _stacked(tables: Sequence[Integers]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return frequencies and the sums of those before each, (tables, symbols)."""
    frequencies = np.stack(tables)
    return frequencies.astype(np.uint64), (frequencies.cumsum(axis=1) - frequencies).astype(np.uint64)


def _shape(count: int) -> tuple[int, int]:
    """Return (rows, states) of so many symbols."""
    states = max(1, min(MAX_STATES, count // SYMBOLS_PER_STATE))
    return -(-count // states), states
