"""A lock file is held by one, is free whatever becomes of its holder, and is gone when nobody needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from videoinr_cli import locks
from videoinr_cli.locks import LockFile


def test_one_holds_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    one, other = LockFile(path), LockFile(path)
    assert not other.is_held()
    assert not path.exists(), "looking at it does not make it"
    assert one.acquire()
    assert other.is_held()
    assert not other.acquire()
    other.release()
    assert other.is_held(), "only its holder lets go of it"
    one.release()
    assert not path.exists()
    assert other.acquire()
    other.release()


def test_it_is_free_when_its_holder_has_died(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = "import os, sys, pathlib; from videoinr_cli.locks import LockFile\n"
    program += "assert LockFile(pathlib.Path(sys.argv[1])).acquire(); os._exit(0)"
    subprocess.run([sys.executable, "-c", program, path], check=True)
    assert path.exists()
    lock = LockFile(path)
    assert not lock.is_held()
    assert lock.acquire()
    lock.release()
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")
def test_a_file_that_its_holder_removes_meanwhile_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    first, second, third = LockFile(path), LockFile(path), LockFile(path)
    assert first.acquire()
    lock = locks.lock

    def let_go_before(file: IO[str]) -> bool:
        first.release()
        return lock(file)

    monkeypatch.setattr(locks, "lock", let_go_before)
    assert second.acquire()
    assert not third.acquire()
    second.release()
