"""A source file's tags in the output: which get another name, and which have no place there."""

from __future__ import annotations

import re

from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.media.write.containers import Container

FORM_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands"})
"""Tags that describe the form of an mp4, and are not true of what comes out."""

REWRITTEN = FORM_TAGS | {"creation_time", "duration", "encoder", "timecode"}
"""Tags that describe the file's form, or that the muxer writes in another way than as tags."""

_LANGUAGE = re.compile(r"-[a-z]{3}$")
"""Suffix of a tag that exists in several languages."""

_QUICKTIME = "com.apple.quicktime."
_QUICKTIME_NAMES = {"location.ISO6709": "location", "creationdate": "date"}
"""Tags that differ from the common ones by more than QuickTime's prefix."""


def renamed_tags(info: VideoInfo, container: Container) -> dict[str, str]:
    """Return the file's tags that a container holds under another name, by that name."""
    present = {name.lower() for name, _ in info.file_tags}
    common = {_common_name(name): value for name, value in info.file_tags}
    return {
        name: value
        for name, value in common.items()
        if name in (container.tags or ()) and name not in present
    }


def lost_tags(info: VideoInfo, container: Container) -> list[str]:
    """Return the names of the file's tags that a container holds under no name."""
    if container.tags is None or not info.is_file:
        return []
    held = container.tags | REWRITTEN
    return [name for name, _ in info.file_tags if _LANGUAGE.sub("", _common_name(name).lower()) not in held]


def _common_name(tag: str) -> str:
    """Return the name that other containers than QuickTime use for a tag."""
    name = tag.removeprefix(_QUICKTIME)
    return tag if name == tag else _QUICKTIME_NAMES.get(name, name)
