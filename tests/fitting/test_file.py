"""The file: round trip bit for bit; nothing that is damaged or hostile does more than fail in one line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.command import check_one_line, run
from videoinr_cli.errors import InputError
from videoinr_cli.fitting.coding import quantised, unpack
from videoinr_cli.fitting.file import MAGIC, FittedFile, read_file
from videoinr_cli.fitting.fitted import FittedVideo
from videoinr_cli.media.read.fitted import is_fitted


def test_a_file_comes_back_bit_for_bit(fitted: Path) -> None:
    data = fitted.read_bytes()
    assert FittedFile.from_bytes(data).to_bytes() == data


@pytest.mark.parametrize("bits", [3, 6, 8])
def test_parameters_come_back_as_they_were_measured(fitted: Path, bits: int) -> None:
    from videoinr_cli.fitting.coding import pack

    network = read_file(fitted).load()
    parameters = dict(network.state_dict())
    expected = quantised(parameters, bits)
    shapes = {name: tuple(value.shape) for name, value in parameters.items()}
    found = unpack(pack(parameters, bits), shapes)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_another_number_of_threads_shows_the_same(fitted: Path) -> None:
    shown = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            shown.append(FittedVideo(fitted, device="cpu").frame(0.1).astype(int))
        finally:
            torch.set_num_threads(before)
    assert np.abs(shown[0] - shown[1]).max() <= 1  # floats are summed in another order


@settings(max_examples=60)
@given(data=st.data())
def test_damage_is_noticed(fitted: Path, data: st.DataObject) -> None:
    whole = bytearray(fitted.read_bytes())
    kind = data.draw(st.sampled_from(["flip", "cut", "add"]))
    place = data.draw(st.integers(0, len(whole) - 1))
    if kind == "flip":
        whole[place] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del whole[place:]
    else:
        whole[place:place] = data.draw(st.binary(min_size=1, max_size=9))
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        FittedFile.from_bytes(bytes(whole))


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5),
    st.lists(st.integers(-2, 2), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=60)
@given(data=st.data())
def test_a_hostile_header_is_an_error_or_a_file(fitted: Path, data: st.DataObject) -> None:
    header, rest = _split(fitted.read_bytes())
    record: Any = header
    for _ in range(data.draw(st.integers(1, 3))):
        if not isinstance(record, (dict, list)) or not record:
            break
        place = data.draw(st.sampled_from(sorted(record) if isinstance(record, dict) else range(len(record))))
        parent, key, record = record, place, record[place]
    parent[key] = data.draw(VALUES)
    with contextlib.suppress(ValueError):  # and nothing else
        FittedFile.from_bytes(_joined(header, rest)).load()


def test_a_hostile_header_cannot_unpack_without_end(fitted: Path, tmp_path: Path) -> None:
    packed = zlib.compress(b" " * (65 << 20), 9)
    hostile = tmp_path / "hostile.vinr"
    hostile.write_bytes(_sealed(packed, b""))
    with pytest.raises(InputError, match="header cannot be read"):
        read_file(hostile)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("record", "seconds", float("inf")),
        ("record", "psnr", float("nan")),
        ("record", "steps", -1),
        ("clip", "frame_rate", "1e999999999"),  # would be computed for hours
        ("clip", "content_light", "1000,400:csv=/tmp/x"),  # x265 would write that file
        ("clip", "mastering_display", 3),
    ],
)
def test_numbers_without_sense_are_refused(fitted: Path, part: str, name: str, value: object) -> None:
    header, rest = _split(fitted.read_bytes())
    with pytest.raises(ValueError, match=r"no sense|no fraction"):
        FittedFile.from_bytes(_joined({**header, part: {**header[part], name: value}}, rest))


def test_streams_are_matroska_and_no_playlist(fitted: Path) -> None:
    header, rest = _split(fitted.read_bytes())
    halves, coded, streams = header["bytes"]
    playlist = b"ffconcat version 1.0\nfile other.mkv\n".ljust(streams)
    with pytest.raises(ValueError, match="no Matroska file"):
        FittedFile.from_bytes(_joined(header, rest[: halves + coded] + playlist))


def test_a_later_version_says_so(fitted: Path) -> None:
    header, rest = _split(fitted.read_bytes())
    with pytest.raises(ValueError, match="version '2'"):
        FittedFile.from_bytes(_joined({**header, "version": 2}, rest))


@pytest.mark.skipif(os.name != "posix", reason="there are no named pipes")
def test_only_a_file_that_begins_so_is_a_fit(fitted: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.vinr"
    os.mkfifo(pipe)
    assert is_fitted(fitted)
    for other in (pipe, tmp_path, tmp_path / "no.vinr", "a\0b"):
        assert not is_fitted(other)


@pytest.mark.parametrize("content", [b"", MAGIC, b"something else"])
def test_the_command_says_it_in_one_line(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.vinr"
    path.write_bytes(content)
    assert run("render", path, "-o", tmp_path / "out.mp4") == 1
    check_one_line(capsys.readouterr().err, "bad.vinr' cannot be used")


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    start = len(MAGIC) + 4
    end = start + int.from_bytes(data[start - 4 : start], "little")
    header: dict[str, Any] = json.loads(zlib.decompress(data[start:end]))
    return header, data[end:-32]


def _joined(header: dict[str, Any], rest: bytes) -> bytes:
    return _sealed(zlib.compress(json.dumps(header).encode()), rest)


def _sealed(packed: bytes, rest: bytes) -> bytes:
    whole = MAGIC + len(packed).to_bytes(4, "little") + packed + rest
    return whole + hashlib.sha256(whole).digest()
