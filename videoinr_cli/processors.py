"""How many processor cores this process may use, and how the threads that share its work wait.

Both go to OpenMP, on which torch computes, by environment variables that it reads once: when torch is loaded.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from videoinr_cli.control_groups import Group, own_groups

THREADS_VARIABLE = "OMP_NUM_THREADS"

WAITING_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Each of them says how long a thread that waits for others keeps its core busy."""

SPINS = "1000"
"""How often GNU's OpenMP looks whether the others are done before a thread sleeps. By default 300,000 times,
milliseconds at the end of each of a network's operations: on a busy machine the others wait for that core."""


def openmp_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for OpenMP, without those that the user has set."""
    settings = {}
    if not any(name in environment for name in WAITING_VARIABLES):
        settings["GOMP_SPINCOUNT"] = SPINS
    if THREADS_VARIABLE not in environment and (cores := quota_cores()) is not None:
        settings[THREADS_VARIABLE] = str(cores)
    return settings


def usable_cores() -> int:
    """Return how many cores this process may use at once."""
    return quota_cores() or _allowed_cores()


def quota_cores() -> int | None:
    """Return how many cores a control group's quota of processor time amounts to; None: it limits nothing.

    Part of a core counts as one.
    """
    quotas = map(_quota, own_groups("cpu"))
    cores = min((math.ceil(quota) for quota in quotas if quota is not None), default=None)
    return None if cores is None or cores >= _allowed_cores() else cores


def _allowed_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota(group: Group) -> float | None:
    """Return a group's seconds of processor time for each second; None: as many as there are."""
    try:
        if group.is_unified:
            most, period = (group.folder / "cpu.max").read_text().split()
        else:
            most, period = ((group.folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return None if most == "max" or int(most) <= 0 else int(most) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or one without the controller
        return None
