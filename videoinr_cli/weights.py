"""Weights files: a name or a path becomes a network, a network becomes a file.

A file is safetensors with the network's configuration in its metadata, so it says itself what it is, and
nothing in it can be executed. Knows nothing of videos or of the command line.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import math
import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from videoinr_cli.errors import OutputError, WeightsError
from videoinr_cli.model import AnyVideoInr, ModelConfig, PublishedConfig, build
from videoinr_cli.model.allocator import keep_memory_mapped
from videoinr_cli.model.devices import choose_device, choose_dtype
from videoinr_cli.options import DEFAULT_WEIGHTS

SUFFIX = ".safetensors"
CONFIG_KEY = "config"
MAX_SETTING = 4096
"""No width or depth of a network exceeds this; a file that claims more is damaged or hostile."""
FLOAT_TYPES = ("F32", "F16", "BF16")
PICKLE_STARTS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """What a weights file says about itself, its tensors' shapes checked against its configuration."""

    path: Path
    config: ModelConfig
    metadata: dict[str, str]  # free-form: licence, training data, measured quality ...
    parameters: int


def embedded_folder() -> Path:
    """Return the folder of the weights that come with the package.

    It lies inside an installed package, and at the top of a source checkout.
    """
    package = Path(str(importlib.resources.files("videoinr_cli")))
    installed = package / "embedded"
    return installed if installed.is_dir() else package.parent / "weights"


def known_weights() -> list[str]:
    """Return the names that `load_model` takes without a path."""
    return sorted(path.stem for path in embedded_folder().glob(f"*{SUFFIX}"))


def find_weights(name_or_path: str | os.PathLike[str]) -> Path:
    """Turn a known name or a path into the path of a file that exists.

    Raises:
        WeightsError: neither; the message lists the known names.
    """
    known = known_weights()
    if name_or_path in known:
        return embedded_folder() / f"{name_or_path}{SUFFIX}"
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.is_dir():
        raise WeightsError(f"weights {str(path)!r} is a folder; give a {SUFFIX} file in it")
    raise WeightsError(
        f"no weights {str(name_or_path)!r}: not a file, and the names known are: {', '.join(known) or 'none'}"
    )


def save_model(model: AnyVideoInr, path: str | os.PathLike[str], metadata: Mapping[str, str]) -> None:
    """Write a network's weights and configuration; the file appears under its name only when complete.

    Args:
        metadata: free-form texts (licence, training data, measured quality), kept beside the configuration.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    _save(tensors, model.config, Path(path), metadata)


def inspect_weights(name_or_path: str | os.PathLike[str]) -> WeightsInfo:
    """Read what a weights file says about itself, without loading its tensors.

    Raises:
        WeightsError: no such weights, not a file of ours, or its tensors do not fit its configuration.
    """
    path = find_weights(name_or_path)
    config, metadata, shapes = _read_header(path)
    expected = _expected_shapes(config, path)
    _check_shapes(shapes, expected, path)
    return WeightsInfo(path, config, metadata, sum(math.prod(shape) for shape in expected.values()))


def load_model(
    name_or_path: str | os.PathLike[str] = DEFAULT_WEIGHTS,
    *,
    device: str | torch.device = "auto",
    precision: str = "auto",
) -> AnyVideoInr:
    """Build the network that a weights file describes, ready for inference.

    Args:
        name_or_path: a name from `known_weights`, or a path.
        device: ``auto`` or torch's name of a device.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``: the type convolutions run in.

    Raises:
        WeightsError: see `inspect_weights`; or a value in the file is not a finite number.
        OptionError: no such device or precision.
    """
    chosen = choose_device(device)
    dtype = choose_dtype(precision, chosen)
    info = inspect_weights(name_or_path)
    try:
        with safe_open(info.path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _not_ours(info.path, error) from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{str(info.path)!r} is damaged: {name!r} holds values that are not finite")
    keep_memory_mapped()
    model = build(info.config)
    model.load_state_dict(tensors)
    if precision == "auto" and chosen.type == "cpu" and not model.gains_from_bf16_on_cpu:
        dtype = torch.float32
    model.compute_dtype = dtype
    return model.to(chosen).eval().requires_grad_(False)


def convert_checkpoint(
    source: str | os.PathLike[str], destination: str | os.PathLike[str], *, rgb_enlargement: int = 1
) -> WeightsInfo:
    """Turn a published PyTorch checkpoint of VideoINR into a weights file of ours.

    Args:
        source: the state_dict's file; it may lie under ``state_dict`` or ``params``, its keys under
            ``module.``. Loaded without executing anything in it.
        rgb_enlargement: 1 decodes as the network was trained, 4 as its authors' demo does.

    Raises:
        WeightsError: not a state_dict, or not of this network: the first difference is named.
        OutputError: the destination cannot be written.
    """
    from videoinr_cli.model.published import from_published_names

    path = Path(source)
    config = PublishedConfig(rgb_enlargement=rgb_enlargement)
    tensors = from_published_names(_read_checkpoint(path))
    expected = _expected_shapes(config, path)
    _check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, expected, path)
    _save(tensors, config, Path(destination), {"source": f"converted from {path.name}"})
    return inspect_weights(destination)


def _save(
    tensors: Mapping[str, Tensor], config: ModelConfig, path: Path, metadata: Mapping[str, str]
) -> None:
    partial = path.with_name(path.name + ".part")
    try:
        save_file(dict(tensors), partial, metadata={**metadata, CONFIG_KEY: config.to_json()})
        partial.replace(path)
    except (SafetensorError, OSError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write weights to {str(path)!r}: {error}") from error


def _read_header(path: Path) -> tuple[ModelConfig, dict[str, str], dict[str, tuple[int, ...]]]:
    """Return configuration, other metadata and the shapes of a file's tensors."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            types = {name: part.get_dtype() for name, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise _not_ours(path, error) from error
    if CONFIG_KEY not in metadata:
        raise WeightsError(
            f"{str(path)!r} does not say which network it is for; write it with videoinr convert-weights"
        )
    for name, dtype in types.items():
        if dtype not in FLOAT_TYPES:
            raise WeightsError(f"{str(path)!r} is damaged: {name!r} is of type {dtype}, not a float")
    return _read_config(metadata.pop(CONFIG_KEY), path), metadata, shapes


def _read_config(text: str, path: Path) -> ModelConfig:
    try:
        config = ModelConfig.from_json(text)
    except WeightsError as error:
        raise WeightsError(f"{str(path)!r} cannot be used: {error}") from error
    for name, value in dataclasses.asdict(config).items():
        if isinstance(value, (int, float)) and not 0 < value <= MAX_SETTING:  # also refuses NaN
            raise WeightsError(f"{str(path)!r} cannot be used: its setting {name!r} is {value}")
    return config


def _expected_shapes(config: ModelConfig, path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a network, without allocating any."""
    try:
        with torch.device("meta"):
            model = build(config)
    except (ValueError, RuntimeError, ZeroDivisionError) as error:
        raise WeightsError(f"{str(path)!r} cannot be used: no network can be built as {config}") from error
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _check_shapes(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    for name, shape in expected.items():
        if name not in found:
            raise WeightsError(f"{str(path)!r} does not fit the network: {name!r} is missing")
        if found[name] != shape:
            raise WeightsError(
                f"{str(path)!r} does not fit the network: {name!r} is {found[name]}, should be {shape}"
            )
    for name in found:
        if name not in expected:
            raise WeightsError(f"{str(path)!r} does not fit the network: it has no tensor {name!r}")


def _not_ours(path: Path, error: Exception) -> WeightsError:
    """Say what a file is that safetensors cannot read, and what to do about it."""
    try:
        with path.open("rb") as file:
            start = file.read(2)
        is_checkpoint = start in PICKLE_STARTS or zipfile.is_zipfile(path)
    except OSError as unreadable:
        return WeightsError(f"cannot read weights {str(path)!r}: {unreadable.strerror or unreadable}")
    if is_checkpoint:
        return WeightsError(
            f"{str(path)!r} is a PyTorch checkpoint; turn it into our format first: videoinr convert-weights"
        )
    if not start:
        return WeightsError(f"weights {str(path)!r} is empty; copy or download it again")
    reason = str(error).removeprefix("Error while deserializing header: ")
    return WeightsError(
        f"{str(path)!r} is not a weights file, or is damaged ({reason}); copy or download it again"
    )


def _read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a published state_dict with torch's restricted unpickler."""
    if not path.is_file():
        raise WeightsError(f"no checkpoint {str(path)!r}: {'a folder' if path.is_dir() else 'no such file'}")
    try:
        with warnings.catch_warnings():  # what torch warns of is either fine or fails below
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{str(path)!r} is not a plain PyTorch state_dict: it holds other objects, or is damaged; "
            "nothing in it was executed"
        ) from error
    except (
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
    ) as error:
        raise WeightsError(f"cannot read checkpoint {str(path)!r}, which is damaged or truncated") from error
    for wrapper in ("state_dict", "params"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise WeightsError(f"{str(path)!r} holds no state_dict but a {type(content).__name__}")
    state: dict[str, Tensor] = {}
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise WeightsError(f"{str(path)!r} holds no state_dict: {str(name)[:60]!r} is not a float tensor")
        state[name.removeprefix("module.")] = tensor.float().contiguous()
    return state
