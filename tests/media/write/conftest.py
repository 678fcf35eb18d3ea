"""The source that most tests of writing have."""

from __future__ import annotations

import pytest

from tests.conftest import MakeClip
from videoinr_cli.media.read.probe import probe
from videoinr_cli.media.streams import VideoInfo


@pytest.fixture
def source(make_clip: MakeClip) -> VideoInfo:
    return probe(make_clip("source.mp4", filters="format=yuv420p"))
