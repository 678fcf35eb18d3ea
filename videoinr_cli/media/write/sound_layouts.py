"""Which channels an encoder of sound is given: those of its layouts that lose none of the source's.

An encoder refuses a layout that it has no number for, or stores it in a way that few players read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import av

_VORBIS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
_AC3: tuple[str, ...] = ("mono", "stereo", "2.1", "3.0", "3.1", "quad", "quad(side)", "4.0", "4.1")
_AC3 += ("5.0", "5.0(side)", "5.1", "5.1(side)")

LAYOUTS: dict[str, tuple[str, ...]] = {
    "aac": ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1"),
    "ac3": _AC3,
    "alac": ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1(back)", "7.1(wide)"),
    "eac3": _AC3,
    "flac": (*_VORBIS, "5.0(side)", "5.1(side)"),
    "libmp3lame": ("mono", "stereo"),
    "libopus": ("mono", "stereo", "3.0", "quad", "5.1", "7.1"),  # ffmpeg 5 to 9 mix up the others' channels
    "libvorbis": _VORBIS,
    "mp2": ("mono", "stereo"),
}
"""ffmpeg's names of the layouts that encoders store by a number; an encoder that is not here takes any.

Source: ISO/IEC 14496-3, table 1.19 (AAC: channel configurations 1 to 7); RFC 7845, section 5.1.1.2 (Opus: as
Vorbis); RFC 9639, section 9.1.3 (FLAC); ffmpeg's lists of the others."""

UNNAMED = _VORBIS
"""Layouts of sound that only counts its channels, from one on. Source: RFC 9639, section 9.1.3."""

_SUBSTITUTES = {
    **{"SL": ("BL",), "SR": ("BR",), "BL": ("SL",), "BR": ("SR",), "BC": ("BL", "BR")},
    **{"DL": ("FL",), "DR": ("FR",)},
}
"""Channels that take another's place where there is no such place."""


def encoded_layout(encoder: str, layout: str) -> str | None:
    """Return the layout in which an encoder gets sound: one that has a place for most of its channels.

    Args:
        encoder: ffmpeg's name.
        layout: of the sound, in ffmpeg's words: "5.1(side)", "9 channels"; "": not known.

    Returns:
        ffmpeg's name of a layout, `layout` itself where the encoder takes it, or None where the channels have
        no names (as those of ambisonics) and are too many to guess.
    """
    if not layout or encoder not in LAYOUTS:
        return layout
    guessed = named_layout(layout)
    if guessed is None or guessed in LAYOUTS[encoder]:
        return guessed
    given = _channels(guessed)
    candidates = [(name, _channels(name)) for name in LAYOUTS[encoder]]
    return min(candidates, key=lambda target: (_places(given, target[1]).count(()), len(target[1])))[0]


def named_layout(layout: str) -> str | None:
    """Return a layout's name, which is guessed for up to 8 channels without names; None if there is none."""
    names = _channels(layout)
    if not any(name == "NONE" or name.startswith("AMBI") for name in names):
        return layout
    return UNNAMED[len(names) - 1] if names[0] == "NONE" and len(names) <= len(UNNAMED) else None


def has_other_channels(layout: str, encoded: str) -> bool:
    """Whether an encoder gets more channels than the sound has, or fewer."""
    return layout != encoded and len(_channels(layout)) != len(_channels(encoded))


def layout_filters(layout: str, encoded: str) -> tuple[str, ...]:
    """Return ffmpeg's filters that bring sound from its layout into the encoder's.

    Where each channel has a place, it goes there unchanged, or at half of its power into each of two. Else
    ffmpeg mixes them, once they have names.
    """
    named = named_layout(layout) if layout else None
    if named is None or encoded == layout:
        return ()
    given, target = _channels(named), _channels(encoded)
    labels = given if named == layout else [f"c{number}" for number in range(len(given))]
    places = _places(given, target)
    if all(places):
        return (_panned(encoded, target, dict(zip(labels, places, strict=True))),)
    naming = dict(zip(labels, [(name,) for name in given], strict=True))
    first = () if named == layout else (_panned(named, given, naming),)
    return (*first, f"aformat=channel_layouts={encoded}")


def _panned(layout: str, target: Sequence[str], places: Mapping[str, tuple[str, ...]]) -> str:
    """Return the filter that puts channels, by their names or numbers, into places of a layout."""
    gains = {label: f"{(1 / len(into)) ** 0.5:.6g}*{label}" for label, into in places.items()}
    filled = {name: [gains[label] for label, into in places.items() if name in into] for name in target}
    return "|".join([f"pan={layout}", *(f"{name}={'+'.join(sums)}" for name, sums in filled.items() if sums)])


def _channels(layout: str) -> list[str]:
    return [channel.name for channel in av.AudioLayout(layout).channels]


def _places(given: Sequence[str], target: Sequence[str]) -> list[tuple[str, ...]]:
    """Return where each channel goes in a target, each place being taken once; (): nowhere."""
    free = set(target).difference(given)
    places = []
    for name in given:
        into = (name,) if name in target else _SUBSTITUTES.get(name, ())
        if name not in target:
            into = into if free.issuperset(into) else ()
            free.difference_update(into)
        places.append(into)
    return places
