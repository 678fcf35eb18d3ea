"""Cores that a process may use, and threads that wait without keeping others from them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from videoinr_cli import control_groups, processors
from videoinr_cli.model.devices import compute_threads, on_threads
from videoinr_cli.processors import openmp_settings, quota_cores


def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise() -> None:
    assert openmp_settings({"OMP_NUM_THREADS": "3"}) == {"GOMP_SPINCOUNT": processors.SPINS}
    for name in processors.WAITING_VARIABLES:
        assert openmp_settings({"OMP_NUM_THREADS": "3", name: "7"}) == {}


def test_a_quota_of_processor_time_counts_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "quota_cores", lambda: 2)
    assert openmp_settings({"GOMP_SPINCOUNT": "7"}) == {"OMP_NUM_THREADS": "2"}


def own_groups_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have control groups looked for in a folder, and return the file that is to name this process's own."""
    monkeypatch.setattr(control_groups, "ROOT", folder)
    monkeypatch.setattr(control_groups, "OWN", folder / "own")
    return folder / "own"


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("50000 100000", 1), ("150000 100000", 2), ("800000 100000", None), ("max 100000", None), ("odd", None)],
)
def test_quotas_are_read(
    limit: str, cores: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "_allowed_cores", lambda: 4)
    own = own_groups_in(tmp_path, monkeypatch)
    assert quota_cores() is None, "no such thing"
    own.write_text("0::/outer/inner\n")
    (tmp_path / "outer/inner").mkdir(parents=True)
    (tmp_path / "outer/cpu.max").write_text(f"{limit}\n")
    (tmp_path / "outer/inner/cpu.max").write_text("max 100000\n")
    assert quota_cores() == cores


def test_quotas_of_the_older_kind_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_allowed_cores", lambda: 4)
    own, group = own_groups_in(tmp_path, monkeypatch), tmp_path / "cpu/box"
    own.write_text("3:memory:/box\n4:cpu,cpuacct:/box\n")
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text("250000\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    assert quota_cores() == 3
    (group / "cpu.cfs_quota_us").write_text("-1\n")
    assert quota_cores() is None


COMMAND = """
import os, sys
from videoinr_cli.cli import main
try:
    main(["--version"])
except SystemExit:
    print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        (COMMAND, f"{processors.SPINS} False"),
        ("import os, videoinr_cli.jobs.pool; print(os.environ.get('GOMP_SPINCOUNT'))", "None"),
    ],
    ids=["command", "library"],
)
def test_only_the_command_changes_its_environment(program: str, printed: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines()[-1] == printed


def test_threads_are_those_asked_for_only_while_something_is_computed() -> None:
    before = torch.get_num_threads()
    seen = []
    for number in on_threads(before + 1, iter([torch.get_num_threads, torch.get_num_threads])):
        seen.append(torch.get_num_threads())
        del number
    assert seen == [before, before]
    computed = list(on_threads(before + 1, (torch.get_num_threads() for _ in range(2))))
    assert computed == [before + 1] * 2
    with compute_threads(None):
        assert torch.get_num_threads() == before
