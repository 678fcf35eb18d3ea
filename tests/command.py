"""The command line as a user calls it, in the test's own process."""

from __future__ import annotations

import pytest

from videoinr_cli.cli import main


def run(*arguments: object) -> int:
    """Run ``videoinr`` with these arguments and return its exit code."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def check_one_line(said: str, words: str) -> None:
    """Check that what was said is one line with these words in it."""
    assert words in said
    assert said.count("\n") == 1, said
