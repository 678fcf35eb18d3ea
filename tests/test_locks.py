"""A lock file is held by one, is free whatever becomes of its holder, and is gone when nobody needs it."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from videoinr_cli.locks import LockFile

HOLDER = """
import pathlib, sys
from videoinr_cli.locks import LockFile
lock = LockFile(pathlib.Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""

CONTENDER = """
import pathlib, sys
from videoinr_cli.locks import LockFile
path, held = pathlib.Path(sys.argv[1]), 0
lock = LockFile(path)
while held < 20:
    if lock.acquire():
        path.with_name("alone").touch(exist_ok=False)
        assert LockFile(path).is_held()
        path.with_name("alone").unlink()
        lock.release()
        held += 1
"""


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


def test_it_is_free_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = LockFile(path)
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        assert lock.is_held()
        assert not lock.acquire()
        holder.kill()
    assert path.exists()
    assert not lock.is_held()
    assert lock.acquire()
    lock.release()
    assert not path.exists()


def test_processes_that_contend_for_it_hold_it_in_turn(tmp_path: Path) -> None:
    """Also while its holder removes it."""
    path = tmp_path / "lock"
    command = [sys.executable, "-c", CONTENDER, path]
    contenders = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    said = [contender.communicate(timeout=120)[1].decode() for contender in contenders]
    assert [contender.returncode for contender in contenders] == [0, 0, 0], said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_where_there_are_no_locks_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(lock: FileLock) -> None:
        Path(lock.lock_file).touch()
        raise OSError(code, "none here")

    monkeypatch.setattr(FileLock, "_acquire", refuse)
    path = tmp_path / "lock"
    lock = LockFile(path)
    assert lock.acquire()
    assert not lock.is_held()
    lock.release()
    assert not path.exists()
