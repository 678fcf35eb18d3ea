"""Weights: from a name, a path or a URL to a network, and from a network to a file.

    sources ─▶ hub, web, packages ─▶ fetching ─▶ catalogue ─▶ loading     from the user's text to a network
    manifest, records                                           weights known by name, and downloaded ones
    checkpoints ─▶ files                                        PyTorch's format, and ours
    enlargers                                                   single-image models of others

Names are imported when they are first used (PEP 562), so that listing weights needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videoinr_cli.weights.catalogue import (
        Weights,
        all_weights,
        download_weights,
        embedded_weights,
        find_weights,
        locate,
        look_up_weights,
        verify_weights,
        weights_digest,
    )
    from videoinr_cli.weights.checkpoints import convert_checkpoint
    from videoinr_cli.weights.enlargers import EnlargerInfo, find_enlarger, inspect_enlarger
    from videoinr_cli.weights.fetching import fetch_weights
    from videoinr_cli.weights.files import CONFIG_KEY, WeightsInfo, save_model
    from videoinr_cli.weights.loading import (
        digest_of,
        inspect_weights,
        load_model,
        load_network,
        options_with,
    )
    from videoinr_cli.weights.manifest import SUFFIX, embedded_file, embedded_folder, known_weights
    from videoinr_cli.weights.sources import parse_source

__all__ = [
    "CONFIG_KEY",
    "SUFFIX",
    "EnlargerInfo",
    "Weights",
    "WeightsInfo",
    "all_weights",
    "convert_checkpoint",
    "digest_of",
    "download_weights",
    "embedded_file",
    "embedded_folder",
    "embedded_weights",
    "fetch_weights",
    "find_enlarger",
    "find_weights",
    "inspect_enlarger",
    "inspect_weights",
    "known_weights",
    "load_model",
    "load_network",
    "locate",
    "look_up_weights",
    "options_with",
    "parse_source",
    "save_model",
    "verify_weights",
    "weights_digest",
]

_MODULES = {
    "catalogue": (
        "Weights",
        "all_weights",
        "download_weights",
        "embedded_weights",
        "find_weights",
        "locate",
        "look_up_weights",
        "verify_weights",
        "weights_digest",
    ),
    "checkpoints": ("convert_checkpoint",),
    "enlargers": ("EnlargerInfo", "find_enlarger", "inspect_enlarger"),
    "fetching": ("fetch_weights",),
    "files": ("CONFIG_KEY", "WeightsInfo", "save_model"),
    "loading": ("inspect_weights", "load_model", "load_network", "options_with", "digest_of"),
    "manifest": ("SUFFIX", "embedded_file", "embedded_folder", "known_weights"),
    "sources": ("parse_source",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
