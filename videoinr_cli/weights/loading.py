"""Load or inspect weights by name, path or hub address."""

from __future__ import annotations

import dataclasses
import os
import weakref
from pathlib import Path
from typing import NamedTuple

import torch

from videoinr_cli.errors import OptionError
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import (
    AUTO_MODEL,
    DEFAULT_STEADINESS,
    DEFAULT_WEIGHTS,
    NetworkOptions,
    UpscaleOptions,
)
from videoinr_cli.weights.catalogue import find_weights
from videoinr_cli.weights.files import WeightsInfo, inspect_file, read_model


class _Origin(NamedTuple):
    """What a network was loaded from; see `load_model`."""

    path: Path
    spatial: str | None
    steady: float


_ORIGINS: weakref.WeakKeyDictionary[AnyVideoInr, _Origin] = weakref.WeakKeyDictionary()


def load_model(
    name_or_path: str | os.PathLike[str] = DEFAULT_WEIGHTS,
    *,
    device: str | torch.device = "auto",
    precision: str = "auto",
    spatial: str | os.PathLike[str] | None = None,
    steady: float = DEFAULT_STEADINESS,
) -> AnyVideoInr:
    """Load weights and return their network, ready for inference.

    Args:
        name_or_path: a known name, a path, or ``hf:owner/repository/file[@revision]``.
        device: ``auto`` or torch's name of a device.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``: the type convolutions run in.
        spatial: file of a single-image model, or ``hf:owner/repository/file[@revision]``, which enlarges the
            frames instead; the network then tells their motion.
        steady: how much of what such a model makes of neighbouring frames is averaged, 0 to 1.

    Raises:
        WeightsError: no such weights; not a weights file; or its tensors do not fit its configuration.
        OptionError: there is no such device or precision, or the network cannot tell the motion alone.
    """
    path = find_weights(name_or_path)
    model = read_model(path, device=device, precision=precision)
    if spatial is not None:
        spatial = os.fspath(spatial)
        model = _with_enlarger(model, name_or_path, spatial, steady)
    _ORIGINS[model] = _Origin(path, spatial, steady)
    return model


def origin_of(model: AnyVideoInr) -> Path | None:
    """Return the file that a network was loaded from; None: it was not loaded by `load_model`."""
    origin = _ORIGINS.get(model)
    return None if origin is None else origin.path


def options_with(model: AnyVideoInr | None, options: UpscaleOptions) -> UpscaleOptions:
    """Return options that name the network which is loaded already, if there is one.

    Raises:
        WeightsError: there are no weights of the name that they had.
    """
    origin = None if model is None else _ORIGINS.get(model)
    if origin is None:
        return options
    is_named = options.weights != AUTO_MODEL and origin.path == find_weights(options.weights)
    weights = options.weights if is_named else str(origin.path)
    return dataclasses.replace(options, weights=weights, spatial=origin.spatial, steady=origin.steady)


def load_network(options: NetworkOptions) -> AnyVideoInr:
    """Load the network that options name; see `load_model`."""
    return load_model(
        options.weights,
        device=options.device,
        precision=options.precision,
        spatial=options.spatial,
        steady=options.steady,
    )


def _with_enlarger(
    model: AnyVideoInr,
    name: str | os.PathLike[str],
    spatial: str | os.PathLike[str],
    steady: float,
) -> AnyVideoInr:
    """Join a network, which tells the motion, and the model that enlarges the frames."""
    from videoinr_cli.model.fast import FastVideoInr
    from videoinr_cli.model.spatial import RestoringVideoInr, SpatialVideoInr
    from videoinr_cli.weights.enlargers import find_enlarger, read_enlarger

    if not isinstance(model, FastVideoInr):
        raise OptionError(
            f"--spatial needs a videoinr-fast network for the motion, not {os.fspath(name)!r}; "
            "leave out --model, or try --model real"
        )
    enlarger = read_enlarger(find_enlarger(spatial))
    joined = (
        RestoringVideoInr(enlarger, model)
        if enlarger.factor == 1
        else SpatialVideoInr(enlarger, model, steady)
    )
    joined.compute_dtype = model.compute_dtype
    return joined.to(model.device).eval().requires_grad_(False)


def inspect_weights(name_or_path: str | os.PathLike[str]) -> WeightsInfo:
    """Read the configuration and metadata of weights, without loading their tensors.

    Raises:
        WeightsError: no such weights; not a weights file; or its tensors do not fit its configuration.
    """
    return inspect_file(find_weights(name_or_path))
