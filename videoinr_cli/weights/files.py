"""Weights files as safetensors: a network becomes a file, a file becomes a network.

A file carries its network's configuration in its metadata, so it says itself what it is, and nothing in it
can be executed. Whatever else a file claims is doubted before memory or time is spent on it. Knows nothing of
names, of where files come from, or of the command line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.modules.module import register_module_parameter_registration_hook

from videoinr_cli.errors import OutputError, WeightsError
from videoinr_cli.model import AnyVideoInr, ModelConfig, build
from videoinr_cli.model.allocator import keep_memory_mapped
from videoinr_cli.model.devices import choose_device, choose_dtype
from videoinr_cli.weights.manifest import SUFFIX

CONFIG_KEY = "config"
MAX_HEADER_BYTES = 4 << 20
"""Headers of ours take 10 to 60 KB; a file that claims more than this is damaged or hostile."""
MAX_SETTING = 4096
"""No width or depth of a network exceeds this; a file that claims more is damaged or hostile."""
SPARE_TENSORS = 1000
"""How many tensors more than its file a network may have before its building is given up: enough to name the
one that is missing, few enough that a hostile depth costs no time."""
FLOAT_TYPES = ("F32", "F16", "BF16")
PICKLE_STARTS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
SHOWN_CHARACTERS = 80
"""How much of a name or a value from a file a message repeats."""


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """What a weights file says about itself, its tensors' shapes checked against its configuration."""

    path: Path
    config: ModelConfig
    metadata: dict[str, str]  # free-form: licence, training data, measured quality ...
    parameters: int


def save_model(model: AnyVideoInr, path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write a network's weights and configuration; the file appears under its name only when complete.

    Args:
        metadata: free-form texts (licence, training data, measured quality), kept beside the configuration.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_tensors(tensors, model.config, Path(path), metadata)


def save_tensors(
    tensors: Mapping[str, Tensor], config: ModelConfig, path: Path, metadata: Mapping[str, str]
) -> None:
    """Write tensors, contiguous and on the CPU, as a weights file of the network `config` describes.

    Raises:
        OutputError: the file cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    try:
        # save_file would leave a temporary file's permissions, which nobody else can read by
        partial.write_bytes(save(dict(tensors), metadata={**metadata, CONFIG_KEY: config.to_json()}))
        partial.replace(path)
    except (SafetensorError, OSError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write weights to {str(path)!r}: {error}") from error


def inspect_file(path: Path) -> WeightsInfo:
    """Read what a weights file says about itself, without loading its tensors.

    Raises:
        WeightsError: not a file of ours, or its tensors do not fit its configuration.
    """
    config, metadata, shapes = _read_header(path)
    expected = expected_shapes(config, path, at_most=len(shapes) + SPARE_TENSORS)
    check_shapes(shapes, expected, path)
    return WeightsInfo(path, config, metadata, sum(math.prod(shape) for shape in expected.values()))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file that `inspect_file` has found right, float32, on the CPU.

    Raises:
        WeightsError: the file cannot be read, or a value in it is not a finite number.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _not_ours(path, error) from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{str(path)!r} is damaged: {_shown(name)} holds values that are not finite")
    return tensors


def read_model(path: Path, *, device: str | torch.device, precision: str) -> AnyVideoInr:
    """Build the network that a file describes, ready for inference.

    Args:
        device: ``auto`` or torch's name of a device.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``: the type convolutions run in.

    Raises:
        WeightsError: see `inspect_file` and `read_tensors`.
        OptionError: no such device or precision.
    """
    chosen = choose_device(device)
    dtype = choose_dtype(precision, chosen)
    info = inspect_file(path)
    tensors = read_tensors(path)
    keep_memory_mapped()
    model = build(info.config)
    model.load_state_dict(tensors)
    if precision == "auto" and chosen.type == "cpu" and not model.rounds_by_itself_on_cpu:
        dtype = torch.float32
    model.compute_dtype = dtype
    return model.to(chosen).eval().requires_grad_(False)


def expected_shapes(
    config: ModelConfig, path: Path, *, at_most: int | None = None
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a network, without allocating any.

    Args:
        path: the file to name in an error.
        at_most: how many parameters to build before giving up.

    Raises:
        WeightsError: no such network can be built, or it has more parameters than `at_most`.
    """
    try:
        with torch.device("meta"), _parameters_at_most(at_most):
            model = build(config)
    except (ValueError, RuntimeError, ZeroDivisionError, TypeError, OverflowError) as error:
        raise WeightsError(
            f"{str(path)!r} cannot be used: no network that fits it can be built as {_shown(config)}"
        ) from error
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def check_shapes(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    """Check that a file's tensors are those of its network.

    Raises:
        WeightsError: they are not; the first difference is named.
    """
    for name, shape in expected.items():
        if name not in found:
            raise WeightsError(f"{str(path)!r} does not fit the network: {name!r} is missing")
        if found[name] != shape:
            raise WeightsError(
                f"{str(path)!r} does not fit the network: {name!r} is {found[name]}, should be {shape}"
            )
    for name in found:
        if name not in expected:
            raise WeightsError(f"{str(path)!r} does not fit the network: it has no tensor {_shown(name)}")


def is_checkpoint(path: Path) -> bool:
    """Return whether a file looks like one of PyTorch's, by its first bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(2)
    return start in PICKLE_STARTS or zipfile.is_zipfile(path)


@contextlib.contextmanager
def _parameters_at_most(count: int | None) -> Iterator[None]:
    """Let the building of a network fail when this thread has made more parameters than `count`."""
    made, thread = itertools.count(1), threading.get_ident()

    def give_up(*_: Any) -> None:
        if count is not None and threading.get_ident() == thread and next(made) > count:
            raise ValueError(f"more than {count} parameters")

    handle = register_module_parameter_registration_hook(give_up)
    try:
        yield
    finally:
        handle.remove()


def _read_header(path: Path) -> tuple[ModelConfig, dict[str, str], dict[str, tuple[int, ...]]]:
    """Return configuration, other metadata and the shapes of a file's tensors."""
    try:
        with path.open("rb") as start:
            header_bytes = int.from_bytes(start.read(8), "little")
        if MAX_HEADER_BYTES < header_bytes <= path.stat().st_size:
            raise SafetensorError(f"a header of {header_bytes} bytes")
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            types = {name: part.get_dtype() for name, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise _not_ours(path, error) from error
    if CONFIG_KEY not in metadata:
        raise WeightsError(
            f"{str(path)!r} does not say which network it is for; write it with videoinr weights convert"
        )
    for name, dtype in types.items():
        if dtype not in FLOAT_TYPES:
            raise WeightsError(f"{str(path)!r} is damaged: {_shown(name)} is of type {dtype}, not a float")
    return _read_config(metadata.pop(CONFIG_KEY), path), metadata, shapes


def _read_config(text: str, path: Path) -> ModelConfig:
    try:
        config = ModelConfig.from_json(text)
    except WeightsError as error:
        raise WeightsError(f"{str(path)!r} cannot be used: {error}") from error
    except RecursionError as error:  # nested deeper than Python reads
        raise WeightsError(f"{str(path)!r} cannot be used: not a model configuration") from error
    defaults = type(config)()
    for name, value in dataclasses.asdict(config).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        may_be_zero = getattr(defaults, name) == 0
        if not (0 < value <= MAX_SETTING or (value == 0 and may_be_zero)):  # also refuses NaN
            raise WeightsError(f"{str(path)!r} cannot be used: its setting {name!r} is {_shown(value)}")
    return config


def _not_ours(path: Path, error: Exception) -> WeightsError:
    """Say what a file is that safetensors cannot read, and what to do about it."""
    try:
        if path.stat().st_size == 0:
            return WeightsError(f"weights {str(path)!r} is empty; copy or download it again")
        checkpoint = is_checkpoint(path)
    except OSError as unreadable:
        return WeightsError(f"cannot read weights {str(path)!r}: {unreadable.strerror or unreadable}")
    if checkpoint:
        return WeightsError(
            f"{str(path)!r} is a PyTorch checkpoint; turn it into our format first: videoinr weights convert"
        )
    reason = str(error).removeprefix("Error while deserializing header: ")
    return WeightsError(
        f"{str(path)!r} is not a weights file, or is damaged ({reason[:SHOWN_CHARACTERS]}); "
        f"copy or download it again (it should be a {SUFFIX} file)"
    )


def _shown(value: object) -> str:
    """Return a file's name or value as a message may repeat it: short, without control characters."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
