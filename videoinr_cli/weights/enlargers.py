"""Single-image models of any architecture, as `spandrel` loads them: from a file or a hub to an `Enlarger`.

A `.pth` is read by torch's restricted unpickler, so that nothing in it is executed.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from videoinr_cli.errors import WeightsError
from videoinr_cli.model.spatial import Enlarger
from videoinr_cli.weights.checkpoints import unpickle
from videoinr_cli.weights.fetching import fetch_unchanged
from videoinr_cli.weights.files import is_checkpoint
from videoinr_cli.weights.manifest import SUFFIX
from videoinr_cli.weights.sources import HubFile, parse_source

INSTALL = "pip install 'videoinr[models]'"

COLOURS = ((1, 1), (3, 3), (4, 4))
"""Channels that go in and come out: grey, RGB, RGB with opacity."""


def find_enlarger(text: str | os.PathLike[str]) -> Path:
    """Return the local file of a single-image model, for a path or ``hf:owner/repository/file[@revision]``.

    Raises:
        WeightsError: there is no such file, or it cannot be fetched.
        OptionError: the text cannot be read as any of these.
    """
    text = os.fspath(text)
    source = parse_source(text)
    if isinstance(source, HubFile):
        return fetch_unchanged(source)
    if not isinstance(source, Path):
        raise WeightsError(f"model {text!r} is not on this machine; download it and give the file")
    if not source.is_file():
        what = "it is a folder; give a file in it" if source.is_dir() else "no such file"
        raise WeightsError(f"no model {text!r}: {what}")
    return source


def read_enlarger(path: Path) -> Enlarger:
    """Load a single-image model, on the CPU.

    Raises:
        WeightsError: `spandrel` is missing; or the file is damaged, is none of the models that it knows, or
            is no model that makes a picture of a picture.
    """
    model = _described(_read_tensors(path), path)
    shown = f"the {model.architecture.name} model {str(path)!r}"
    if (model.input_channels, model.output_channels) not in COLOURS or not hasattr(model, "purpose"):
        raise WeightsError(f"{shown} does not make a picture of a picture; --spatial needs one that does")
    if model.purpose not in ("SR", "Restoration"):
        kind = {"FaceSR": "portraits", "Inpainting": "holes in pictures"}.get(model.purpose, model.purpose)
        raise WeightsError(f"{shown} is for {kind}; --spatial needs one that enlarges or restores pictures")
    halves = {torch.float16: model.supports_half, torch.bfloat16: model.supports_bfloat16}
    model.model.eval().requires_grad_(False)
    return Enlarger(
        model.model,
        model,
        name=model.architecture.name,
        factor=model.scale,
        channels=model.input_channels,
        halves=frozenset(dtype for dtype, is_borne in halves.items() if is_borne),
        sees_all=model.tiling.name != "SUPPORTED",
    )


def _described(state: dict[str, Any], path: Path) -> Any:
    """Return spandrel's description of the model that a state_dict is of."""
    try:
        from spandrel import ModelLoader, UnsupportedModelError
    except ModuleNotFoundError as error:
        raise WeightsError(f"--spatial needs the package {error.name}; install it: {INSTALL}") from error
    except (ImportError, RuntimeError) as error:  # torchvision raises the second beside another torch
        raise WeightsError(
            f"--spatial needs spandrel, which cannot be used here ({_first_line(error)}); "
            f"install torch and torchvision of one release: {INSTALL}"
        ) from error
    try:
        with warnings.catch_warnings():  # what others' code is warned of, a user can do nothing about
            warnings.simplefilter("ignore")
            return ModelLoader().load_from_state_dict(state)
    except UnsupportedModelError as error:
        raise WeightsError(
            f"{str(path)!r} holds no model that spandrel knows; the networks of videoinr go to --model"
        ) from error
    except Exception as error:  # of many kinds: it builds what the tensors' names and shapes say
        raise WeightsError(f"the model {str(path)!r} cannot be built: {_first_line(error)}") from error


def _read_tensors(path: Path) -> dict[str, Any]:
    """Return what a file holds, tensors in dicts."""
    try:
        content: Any = unpickle(path) if is_checkpoint(path) else load_file(path)
    except SafetensorError as error:
        raise WeightsError(
            f"{str(path)!r} is no model, or is damaged; --spatial takes .pth and {SUFFIX} files"
        ) from error
    except OSError as error:
        raise WeightsError(f"cannot read the model {str(path)!r}: {error.strerror or error}") from error
    if not isinstance(content, dict) or not content:
        raise WeightsError(f"{str(path)!r} holds a {type(content).__name__} instead of a state_dict")
    for name, tensor in _tensors(content):
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{str(path)!r} is damaged: {name[:80]!r} holds values that are not finite")
    return content


def _tensors(content: dict[str, Any]) -> list[tuple[str, Tensor]]:
    found: list[tuple[str, Tensor]] = []
    for name, value in content.items():
        if isinstance(value, dict):
            found += _tensors(value)
        elif isinstance(value, Tensor) and value.is_floating_point():
            found.append((str(name), value))
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
