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
    from videoinr_cli.weights.catalogue import Weights as Weights
    from videoinr_cli.weights.catalogue import all_weights as all_weights
    from videoinr_cli.weights.catalogue import download_weights as download_weights
    from videoinr_cli.weights.catalogue import embedded_weights as embedded_weights
    from videoinr_cli.weights.catalogue import find_weights as find_weights
    from videoinr_cli.weights.catalogue import look_up_weights as look_up_weights
    from videoinr_cli.weights.catalogue import verify_weights as verify_weights
    from videoinr_cli.weights.catalogue import weights_digest as weights_digest
    from videoinr_cli.weights.checkpoints import convert_checkpoint as convert_checkpoint
    from videoinr_cli.weights.enlargers import find_enlarger as find_enlarger
    from videoinr_cli.weights.enlargers import read_enlarger as read_enlarger
    from videoinr_cli.weights.files import WeightsInfo as WeightsInfo
    from videoinr_cli.weights.files import save_model as save_model
    from videoinr_cli.weights.loading import digest_of as digest_of
    from videoinr_cli.weights.loading import inspect_weights as inspect_weights
    from videoinr_cli.weights.loading import load_model as load_model
    from videoinr_cli.weights.loading import load_network as load_network
    from videoinr_cli.weights.loading import options_with as options_with
    from videoinr_cli.weights.manifest import SUFFIX as SUFFIX
    from videoinr_cli.weights.manifest import embedded_file as embedded_file

_HOMES = {
    "catalogue": (
        "Weights",
        "all_weights",
        "download_weights",
        "embedded_weights",
        "find_weights",
        "look_up_weights",
        "verify_weights",
        "weights_digest",
    ),
    "checkpoints": ("convert_checkpoint",),
    "enlargers": ("find_enlarger", "read_enlarger"),
    "files": ("WeightsInfo", "save_model"),
    "loading": ("inspect_weights", "load_model", "load_network", "options_with", "digest_of"),
    "manifest": ("SUFFIX", "embedded_file"),
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
