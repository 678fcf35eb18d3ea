"""Modules that belong to the repository and not to the package: benchmarks and scripts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent


def load(name: str) -> ModuleType:
    """Return the module of a file such as ``benchmarks/reach.py``, which may import those beside it."""
    spec = importlib.util.spec_from_file_location(f"outside_{Path(name).stem}", ROOT / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where dataclasses look for it
    sys.path.insert(0, str((ROOT / name).parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module
