"""The networks that a benchmark measures, and how its tables identify their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from videoinr_cli.evaluation.methods import ModelMethod
from videoinr_cli.weights import embedded_weights, find_weights, load_model
from videoinr_cli.weights.manifest import sha256_of

DIGITS = 8
"""Digits shown of a file's hash."""


def models_of(names: Sequence[str]) -> tuple[list[ModelMethod], str]:
    """Load networks by name or file, by default all embedded ones; return them and their hashes."""
    names = names or [weights.name for weights in embedded_weights()]
    models = [ModelMethod(Path(name).stem, load_model(name)) for name in names]
    hashes = (sha256_of(find_weights(name))[:DIGITS] for name in names)
    described = (f"`{model.name}` (sha256 {digits}...)" for model, digits in zip(models, hashes, strict=True))
    return models, ", ".join(described)
