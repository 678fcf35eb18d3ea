"""The range coder: whatever goes in comes out, in about as many bits as theory says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videoinr_cli.fitting.range_coder import TOTAL, best_table, decode, encode, spread_table

TABLES = (spread_table(7, 0.0, 0.9, 2), spread_table(7, 0.5, 0.6, 1), spread_table(7, 0.0, 1e-9, 2))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 2)), max_size=3000))
def test_what_is_coded_comes_back(pairs: list[tuple[int, int]]) -> None:
    symbols = np.array([symbol for symbol, _ in pairs], np.int64)
    table_of = np.array([table for _, table in pairs], np.int64)
    coded = encode(symbols, table_of, TABLES)
    assert np.array_equal(decode(coded, table_of, TABLES), symbols)


def test_the_length_is_near_the_entropy() -> None:
    rng = np.random.default_rng(0)
    integers = np.clip(rng.normal(0, 20, 100_000).round(), -127, 127).astype(np.int64)
    integers[rng.random(len(integers)) < 0.5] = 0  # as pruning leaves them
    table = spread_table(127, *best_table(integers, 127))
    coded = encode(integers + 127, np.zeros(len(integers), np.int64), [table])
    shares = np.bincount(integers + 127, minlength=255) / len(integers)
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum() * len(integers) / 8
    assert len(coded) < 1.03 * entropy  # the table is two numbers, and 195 states take 2 bytes more than none


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("levels", [3, 31, 127])
@pytest.mark.parametrize("ratio", [1e-300, 0.5, 1 - 1e-12])
@pytest.mark.parametrize("zeros", [0.0, 0.999999])
def test_every_table_can_code_every_integer(levels: int, zeros: float, ratio: float, power: int) -> None:
    table = spread_table(levels, zeros, ratio, power)
    assert len(table) == 2 * levels + 1
    assert table.sum() == TOTAL
    assert table.min() > 0


def test_a_table_is_the_same_on_every_machine() -> None:
    assert spread_table(3, 0.1, 0.7, 2).tolist() == [201, 1196, 3485, 6620, 3485, 1196, 201]


@pytest.mark.parametrize(
    "change", [lambda coded: coded[:-2], lambda coded: coded + b"\0\0", lambda coded: b""]
)
def test_damage_is_an_error(change) -> None:  # type: ignore[no-untyped-def]
    symbols = np.arange(3000) % 15
    table_of = np.zeros(3000, np.int64)
    coded = encode(symbols, table_of, TABLES)
    with pytest.raises(ValueError, match="coded parameters"):
        decode(change(coded), table_of, TABLES)
