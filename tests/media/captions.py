"""Put closed captions into an H.264 stream, where broadcasters and discs have them: within its frames."""

from __future__ import annotations

from pathlib import Path

SLICES = (1, 5)  # kinds of NAL units that hold pictures


def add_captions(stream: Path, captioned: Path, *, first: int = 0) -> None:
    """Copy a raw H.264 stream of one slice a frame, with the pairs of bytes of "HI" from a frame on.

    Supplemental information as ATSC A/53 part 4 lays it out: country, provider, "GA94", captions (3), one
    pair of EIA-608's first field, each byte with odd parity.
    """
    pair = bytes((0xFC, _odd(ord("H")), _odd(ord("I"))))
    captions = b"\xb5\x00\x31GA94\x03" + bytes((0x40 | 1, 0xFF)) + pair + b"\xff"
    unit = b"\x00\x00\x00\x01\x06\x04" + bytes((len(captions),)) + captions + b"\x80"
    content = stream.read_bytes()
    units = content.split(b"\x00\x00\x01")
    slices = [number for number, body in enumerate(units) if body and body[0] & 31 in SLICES]
    captioned_slices = frozenset(slices[first:])
    marked = [unit + b"\x00" if number in captioned_slices else b"" for number in range(len(units))]
    # The start code of a unit ends the piece before it: what is put before a slice goes there.
    captioned.write_bytes(
        units[0]
        + b"".join(mark + b"\x00\x00\x01" + body for mark, body in zip(marked[1:], units[1:], strict=True))
    )


def _odd(byte: int) -> int:
    return byte | (0 if byte.bit_count() % 2 else 0x80)
