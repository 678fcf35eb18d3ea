"""What a video's numbers mean as colour: matrix, primaries, transfer, range and chroma siting.

Names are ffmpeg's (``bt709``, ``smpte2084``, ``limited``, ``left`` ...): its options take them and its logs
print them unchanged.
"""

from __future__ import annotations

import dataclasses

MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    14: "ictcp",
}
"""Names of H.273's MatrixCoefficients, which PyAV gives as numbers; 2 is "unspecified"."""

PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
"""Names of H.273's ColourPrimaries."""

TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
"""Names of H.273's TransferCharacteristics."""

RANGES = {1: "limited", 2: "full"}
"""Names of ffmpeg's AVColorRange."""

CHROMA_LOCATIONS = ("left", "center", "topleft", "top", "bottomleft", "bottom")
"""Names of ffmpeg's AVChromaLocation."""

HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
"""PQ (HDR10) and HLG."""


@dataclasses.dataclass(frozen=True)
class Colour:
    """What a video states about the meaning of its samples; None where it states nothing."""

    matrix: str | None = None  # from R'G'B' to Y'CbCr; "gbr" when the samples are R'G'B'
    primaries: str | None = None
    transfer: str | None = None
    range: str | None = None  # "limited" (16..235 of 255) or "full"
    chroma_location: str | None = None  # "left", "center", "topleft", "top", "bottomleft", "bottom"

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer is PQ or HLG."""
        return self.transfer in HDR_TRANSFERS

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the properties that the video does not state."""
        return tuple(field.name for field in dataclasses.fields(self) if getattr(self, field.name) is None)

    def resolved(self, width: int, height: int, *, samples: str = "yuv") -> Colour:
        """Return the colour with the usual guess for whatever the video does not state.

        Broadcast practice, as players follow it: at most 1024x576 is standard definition (BT.601, of 625
        lines when the height is 576, else of 525), anything larger BT.709; an HDR transfer or BT.2020
        primaries mean BT.2020. Y'CbCr has limited range, R'G'B' and grey full range, and chroma sits at the
        left, as in H.264's defaults.

        Args:
            width: of the picture, in pixels.
            height: of the picture, in pixels.
            samples: what the pixel format holds: "yuv", "grey" or "rgb". The matrix of R'G'B' pictures is
                that of their Y'CbCr copy.
        """
        wide_gamut = self.is_hdr or self.primaries == "bt2020" or self.matrix in ("bt2020nc", "bt2020c")
        if wide_gamut:
            matrix, primaries, transfer = "bt2020nc", "bt2020", "bt2020-10"
        elif width > 1024 or height > 576 or samples == "rgb":
            matrix, primaries, transfer = "bt709", "bt709", "bt709"
        elif height == 576:
            matrix, primaries, transfer = "bt470bg", "bt470bg", "smpte170m"
        else:
            matrix, primaries, transfer = "smpte170m", "smpte170m", "smpte170m"
        stated = None if samples == "rgb" else self.matrix
        return Colour(
            matrix=stated or matrix,
            primaries=self.primaries or primaries,
            transfer=self.transfer or transfer,
            range=self.range or ("limited" if samples == "yuv" else "full"),
            chroma_location=self.chroma_location or "left",
        )
