"""From the tensor names of a published checkpoint to ours.

Knows nothing of shapes or values: nothing has to be permuted, only renamed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

UNUSED = ("upconv1.", "upconv2.", "HRconv.", "conv_last.")
"""Left in the checkpoint from Zooming Slow-Mo's own upsampling; the decoder took its place."""

RULES = (
    (r"ConvBLSTM\.forward_net\.cell_list\.0\.conv\.", "encoder.recurrence.gates."),
    (r"ConvBLSTM\.forward_net\.pcd_h\.", "encoder.recurrence.align_hidden."),
    (r"ConvBLSTM\.forward_net\.pcd_c\.", "encoder.recurrence.align_cell."),
    (r"ConvBLSTM\.conv_1x1\.", "encoder.merge."),
    (r"^conv_first\.", "encoder.first."),
    (r"^feature_extraction\.", "encoder.front."),
    (r"^recon_trunk\.", "encoder.trunk."),
    (r"^(?=fea_L|pcd_align\.|fusion\.)", "encoder."),
    (r"\bfea_L([23])_conv([12])\.", r"pyramid.level\1_conv\2."),
    (r"\bpcd_align\.L([123])_(\w+)_([12])\.", r"align.directions.{\3}.levels.{\1}.\2."),
    (r"\.dcnpack\.conv_offset_mask\.", ".deform.offset_mask."),
    (r"\.dcnpack\.", ".deform."),
    (r"\.fea_conv\.", ".feature_conv."),
    (r"^feat_imnet\.net\.", "decoder.feature.layers."),
    (r"^flow_imnet\.net\.", "decoder.flow.layers."),
    (r"^encode_imnet\.net\.", "decoder.colour.layers."),
    (r"\.linear\.", "."),
)


def from_published_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published state_dict's tensors and leave out the unused; unknown names stay as they are."""
    return {_renamed(name): tensor for name, tensor in tensors.items() if not name.startswith(UNUSED)}


def _renamed(name: str) -> str:
    for pattern, replacement in RULES:
        name = re.sub(pattern, replacement, name)
    return re.sub(r"\{(\d)\}", lambda number: str(int(number[1]) - 1), name)  # levels and sides count from 1
