"""Calls beside the one that runs: in threads that are used again, and never waited for in vain."""

from __future__ import annotations

import _thread
import threading

import pytest

from videoinr_cli import threads
from videoinr_cli.threads import run_beside


def test_a_call_runs_in_another_thread_which_is_used_again() -> None:
    seen: list[int] = []
    for _ in range(3):
        assert run_beside(lambda: seen.append(threading.get_ident())).wait(60)
    assert seen[0] != threading.get_ident()
    assert len(set(seen)) == 1


def test_calls_that_overlap_have_threads_of_their_own() -> None:
    both = threading.Barrier(2, timeout=60)
    tasks = [run_beside(lambda: both.wait() and None) for _ in range(2)]
    assert all(task.wait(60) for task in tasks)


def test_waiting_ends_before_a_call_does() -> None:
    may_end = threading.Event()
    task = run_beside(lambda: may_end.wait(60) and None)
    assert not task.wait(0)
    may_end.set()
    assert task.wait(60)


def test_a_thread_that_has_no_memory_to_begin_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "START_SECONDS", 0.1)
    monkeypatch.setattr(threads, "_idle", [])
    monkeypatch.setattr(_thread, "start_new_thread", lambda *_: 0)
    with pytest.raises(MemoryError, match="thread"):
        run_beside(lambda: None)
