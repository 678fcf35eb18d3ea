"""The names of BasicVSR's published tensors, and what they are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

MARK = "spynet."
"""How names of tensors begin in a published state_dict of BasicVSR, and in no other network's."""

CONSTANTS = frozenset({"spynet.mean", "spynet.std"})
"""By which pictures are normalised: `spynet.MEAN` and `spynet.DEVIATION`."""

_RENAMED = (
    (r"spynet\.basic_module\.(\d+)\.basic_module\.", r"flow.levels.\1."),
    (r"(backward|forward)_trunk\.main\.0\.", r"\1_branch.entry."),
    (r"(backward|forward)_trunk\.main\.2\.", r"\1_branch.blocks."),
    (r"fusion\.", "upsampling.fusion."),
    (r"upconv([12])\.", r"upsampling.layer\1."),
    (r"conv_hr\.", "upsampling.fine."),
    (r"conv_last\.", "upsampling.rgb."),
)


def is_basicvsr(state: Mapping[str, Tensor]) -> bool:
    """Tell whether a published state_dict is BasicVSR's, by its names."""
    return any(name.startswith(MARK) for name in state)


def from_basicvsr_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published state_dict of BasicVSR; names that are none of its stay as they are."""
    return {_renamed(name): tensor for name, tensor in state.items() if name not in CONSTANTS}


def _renamed(name: str) -> str:
    for pattern, here in _RENAMED:
        renamed, count = re.subn(f"^{pattern}", here, name)
        if count:
            return renamed
    return name
