"""What the tensors of the authors' checkpoints are called here.

Knows names only; shapes are checked by whoever loads the result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

UNUSED = re.compile(r"(upconv[12]|HRconv|conv_last)\.")
"""Tensors of a published state_dict that its network never uses: an upsampler that the decoder replaced."""

RENAMED = (
    (r"^conv_first\.", "encoder.first."),
    (r"^feature_extraction\.", "encoder.front."),
    (r"^recon_trunk\.", "encoder.trunk."),
    (r"^ConvBLSTM\.conv_1x1\.", "encoder.merge."),
    (r"^ConvBLSTM\.forward_net\.", "encoder.recurrence."),
    (r"^(fea_L|pcd_align|fusion)", r"encoder.\1"),
    (r"\.cell_list\.0\.conv\.", ".gates."),
    (r"\.pcd_h\.", ".align_hidden."),
    (r"\.pcd_c\.", ".align_cell."),
    (r"\.pcd_align\.", ".align."),
    (r"\.fea_L(\d)_conv(\d)\.", r".pyramid.level\1_conv\2."),
    (r"\.L1_(\w+?)_(\d)\.", r".directions.\2.levels.0.\1."),
    (r"\.L2_(\w+?)_(\d)\.", r".directions.\2.levels.1.\1."),
    (r"\.L3_(\w+?)_(\d)\.", r".directions.\2.levels.2.\1."),
    (r"\.directions\.1\.", ".directions.0."),
    (r"\.directions\.2\.", ".directions.1."),
    (r"\.fea_conv\.", ".feature_conv."),
    (r"\.dcnpack\.", ".deform."),
    (r"\.conv_offset_mask\.", ".offset_mask."),
    (r"^feat_imnet\.", "decoder.feature."),
    (r"^flow_imnet\.", "decoder.flow."),
    (r"^encode_imnet\.", "decoder.rgb."),
    (r"\.net\.(\d)\.(linear\.)?", r".layers.\1."),
)
"""Substitutions, applied to a published name in this order."""


def from_published_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published state_dict's tensors, without those that are never used."""
    return {translate(name): tensor for name, tensor in tensors.items() if not UNUSED.match(name)}


def translate(name: str) -> str:
    """Return what the tensor with a published name is called here."""
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
