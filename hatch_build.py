"""Lets the wheel carry man pages, made from the commands as they are at that moment.

They are installed below the environment's share/ folder, where ``man`` looks for those of a program on PATH.
Needs click, and of the package only what ``--help`` needs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualHook(BuildHookInterface):
    """Adds share/ to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the files, and name them to the builder."""
        sys.path[:0] = [self.root, str(Path(self.root, "scripts"))]
        from manual import manual

        from videoinr_cli.cli import cli

        for path, text in manual(cli, self.metadata.version).items():
            file = Path(self.root, "build", "share", path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            build_data["shared_data"][str(file)] = f"share/{path}"
