"""Commands that are printed to be copied are read by a shell as they are meant."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from videoinr_cli.texts import command_of

WORDS = ["videoinr", "my clip.mp4", "it's.mp4", "a&b (1).mp4", "100% $x.mp4", 'a"b', "{stem}_2x{ext}", ""]


def test_a_posix_shell_reads_what_is_meant() -> None:
    assert shlex.split(command_of(WORDS, windows=False)) == WORDS


@pytest.mark.parametrize("word", ["my clip.mp4", "C:\\out dir\\", 'say "a b"', "\\\\host\\a b", ""])
def test_windows_programs_read_what_is_meant(word: str) -> None:
    assert command_of([word], windows=True) == subprocess.list2cmdline([word])


@pytest.mark.parametrize("word", ["a&b.mp4", "a(1).mp4", "it's.mp4", "a^b.mp4", "a;b.mp4", "a,b", "{stem}"])
def test_windows_shells_find_nothing_of_theirs_in_it(word: str) -> None:
    assert command_of(["-o", word], windows=True) == f'-o "{word}"'


@pytest.mark.parametrize("word", ["in.mp4", "C:\\videos\\in.mp4", "--fps", "2x", "a-b_c.mkv", "out/big/"])
def test_plain_words_stay_as_they_are(word: str) -> None:
    assert command_of([word], windows=True) == word
