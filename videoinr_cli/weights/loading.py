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
    faithful_of,
    strength_of,
)
from videoinr_cli.weights.catalogue import find_weights, weights_digest
from videoinr_cli.weights.files import WeightsInfo, inspect_file, read_model


class _Origin(NamedTuple):
    """What a network was loaded from; see `load_model`."""

    path: Path
    weights: str  # a name or a path, by which options can name it
    strength: float | None  # None: the weights are those of one file
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
    strength: float | None = None,
) -> AnyVideoInr:
    """Load weights and return their network, ready for inference.

    Args:
        name_or_path: a known name, a path, or ``hf:owner/repository/file[@revision]``.
        device: ``auto`` or torch's name of a device.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``: the type convolutions run in.
        spatial: file of a single-image model, or ``hf:owner/repository/file[@revision]``, which enlarges the
            frames instead; the network then tells their motion.
        steady: how much of what such a model makes of neighbouring frames is averaged, 0 to 1.
        strength: of ``videoinr-vivid``, 0 to 1: the share of its weights in a mixture with those of
            ``videoinr-real``; `DEFAULT_STRENGTH` when None.

    Raises:
        WeightsError: no such weights; not a weights file; or its tensors do not fit its configuration.
        OptionError: there is no such device or precision, the network cannot tell the motion alone, or a
            strength is given for weights that are not mixed.
    """
    path, named = find_weights(name_or_path), os.fspath(name_or_path)
    strength, faithful = strength_of(named, strength), faithful_of(named)
    mixed_with = None if faithful is None or strength is None else (find_weights(faithful), strength)
    model = read_model(path, device=device, precision=precision, mixed_with=mixed_with)
    if spatial is not None:
        spatial = os.fspath(spatial)
        model = _with_enlarger(model, name_or_path, spatial, steady)
    weights = str(path) if faithful is None else named
    _ORIGINS[model] = _Origin(path, weights, strength, spatial, steady)
    return model


def digest_of(model: AnyVideoInr) -> str | None:
    """Return the digest of the weights of a network; None: it was not loaded by `load_model`."""
    origin = _ORIGINS.get(model)
    return None if origin is None else weights_digest(origin.weights)


def options_with(model: AnyVideoInr | None, options: UpscaleOptions) -> UpscaleOptions:
    """Return options that name the network which is loaded already, if there is one.

    Raises:
        WeightsError: there are no weights of the name that they had.
    """
    origin = None if model is None else _ORIGINS.get(model)
    if origin is None:
        return options
    is_named = options.weights != AUTO_MODEL and origin.path == find_weights(options.weights)
    return dataclasses.replace(
        options,
        weights=options.weights if is_named else origin.weights,
        strength=origin.strength,
        spatial=origin.spatial,
        steady=origin.steady,
    )


def load_network(options: NetworkOptions) -> AnyVideoInr:
    """Load the network that options name; see `load_model`."""
    return load_model(
        options.weights,
        device=options.device,
        precision=options.precision,
        spatial=options.spatial,
        steady=options.steady,
        strength=options.strength,
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
