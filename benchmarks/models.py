"""The networks that a benchmark measures, and what a table says of which files they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from videoinr_cli.evaluation.methods import ModelMethod
from videoinr_cli.weights import embedded_weights, find_weights, load_model
from videoinr_cli.weights.manifest import sha256_of

DIGITS = 8
"""Of a file's hash, which tell a table's weights from those that came later."""


def models_of(names: Sequence[str]) -> tuple[list[ModelMethod], str]:
    """Load networks by name or file, all embedded ones where there are none; name their files and hashes."""
    names = names or [weights.name for weights in embedded_weights()]
    models = [ModelMethod(Path(name).stem, load_model(name)) for name in names]
    hashes = (sha256_of(find_weights(name))[:DIGITS] for name in names)
    described = (f"`{model.name}` (sha256 {digits}...)" for model, digits in zip(models, hashes, strict=True))
    return models, ", ".join(described)
