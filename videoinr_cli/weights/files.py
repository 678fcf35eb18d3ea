"""Write and read weights files, which are safetensors with the network's configuration in their metadata.

Nothing in such a file can be executed, and what it claims is checked before memory or time is spent on it.
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
from videoinr_cli.sidecars import whole
from videoinr_cli.weights.manifest import SUFFIX

CONFIG_KEY = "config"
MAX_HEADER_BYTES = 4 << 20
"""Our headers take 10 to 60 KB; a file that claims more than this is damaged or hostile."""
MAX_SETTING = 4096
"""No width or depth of a network exceeds this; a file that claims more is damaged or hostile."""
SPARE_TENSORS = 1000
"""How many more tensors than its file a network may have before building it is abandoned: enough to name the
missing one, few enough that a hostile depth costs no time."""
FLOAT_TYPES = ("F32", "F16", "BF16")
PICKLE_STARTS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
SHOWN_CHARACTERS = 80
"""How much of a name or a value from a file is repeated in a message."""


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """Configuration and metadata of a weights file whose tensors have the right shapes."""

    path: Path
    config: ModelConfig
    metadata: dict[str, str]  # any texts: licence, training data, measured quality ...
    parameters: int


def save_model(model: AnyVideoInr, path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write a network's weights and configuration; the file appears under its name only when it is complete.

    Args:
        model: the network.
        path: where to write it.
        metadata: texts such as licence, training data and measured quality, stored beside the configuration.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_tensors(tensors, model.config, Path(path), metadata)


def save_tensors(
    tensors: Mapping[str, Tensor], config: ModelConfig, path: Path, metadata: Mapping[str, str]
) -> None:
    """Write tensors, contiguous and on the CPU, as a weights file for the network that `config` describes.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with whole(path) as partial:
            # save_file would leave the permissions of a temporary file, which others cannot read
            partial.write_bytes(save(dict(tensors), metadata={**metadata, CONFIG_KEY: config.to_json()}))
    except (SafetensorError, OSError) as error:
        raise OutputError(f"cannot write weights to {str(path)!r}: {error}") from error


def inspect_file(path: Path) -> WeightsInfo:
    """Read the configuration and metadata of a weights file, without loading its tensors.

    Raises:
        WeightsError: the file is not a weights file, or its tensors do not fit its configuration.
    """
    config, metadata, shapes = _read_header(path)
    expected = expected_shapes(config, path, at_most=len(shapes) + SPARE_TENSORS)
    check_shapes(shapes, expected, path)
    return WeightsInfo(path, config, metadata, sum(math.prod(shape) for shape in expected.values()))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file that `inspect_file` has accepted, float32, on the CPU.

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


def read_model(
    path: Path,
    *,
    device: str | torch.device,
    precision: str,
    mixed_with: tuple[Path, float] | None,
) -> AnyVideoInr:
    """Load a weights file and return its network, ready for inference.

    Args:
        device: ``auto`` or torch's name of a device.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``: the type convolutions run in.
        mixed_with: another file, and the share of this one, in [0, 1]: each weight is their weighted mean.

    Raises:
        WeightsError: see `inspect_file` and `read_tensors`; or the other file is of another network.
        OptionError: there is no such device or precision.
    """
    chosen = choose_device(device)
    dtype = choose_dtype(precision, chosen)
    info = inspect_file(path)
    tensors = read_tensors(path)
    if mixed_with is not None:
        other, share = mixed_with
        if inspect_file(other).config != info.config:
            raise WeightsError(f"{str(path)!r} cannot be mixed with {str(other)!r}: their networks differ")
        # exact at 0 and at 1
        tensors = {
            name: torch.lerp(tensor, tensors[name], share) for name, tensor in read_tensors(other).items()
        }
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
        config: of the network.
        path: the file to name in an error.
        at_most: abandon a network with more parameters than this.

    Raises:
        WeightsError: the network cannot be built, or has more parameters than `at_most`.
    """
    try:
        with torch.device("meta"), _parameters_at_most(at_most):
            model = build(config)
    except (ValueError, RuntimeError, ZeroDivisionError, TypeError, OverflowError) as error:
        raise WeightsError(
            f"{str(path)!r} cannot be used: no network that fits its tensors can be built as {_shown(config)}"
        ) from error
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def check_shapes(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    """Check that a file has exactly the tensors of its network.

    Raises:
        WeightsError: it does not; the message names the first difference.
    """
    for name, shape in expected.items():
        if name not in found:
            raise WeightsError(f"{str(path)!r} does not fit the network: {name!r} is missing")
        if found[name] != shape:
            raise WeightsError(
                f"{str(path)!r} does not fit the network: {name!r} is {found[name]} and should be {shape}"
            )
    for name in found:
        if name not in expected:
            raise WeightsError(f"{str(path)!r} does not fit the network, which has no tensor {_shown(name)}")


def is_checkpoint(path: Path) -> bool:
    """Return whether a file looks like a PyTorch checkpoint, by its first bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(2)
    return start in PICKLE_STARTS or zipfile.is_zipfile(path)


@contextlib.contextmanager
def _parameters_at_most(count: int | None) -> Iterator[None]:
    """Make building a network fail when this thread has created more parameters than `count`."""
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
    """Return a file's configuration, its other metadata and the shapes of its tensors."""
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
            f"{str(path)!r} does not state its network; convert its checkpoint with videoinr weights convert"
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
        may_be_zero = 0 in (getattr(defaults, name), config.formerly.get(name))
        if not (0 < value <= MAX_SETTING or (value == 0 and may_be_zero)):  # also refuses NaN
            raise WeightsError(f"{str(path)!r} cannot be used: its setting {name!r} is {_shown(value)}")
    return config


def _not_ours(path: Path, error: Exception) -> WeightsError:
    """Return an error that says why safetensors cannot read a file, and what to do about it."""
    try:
        if path.stat().st_size == 0:
            return WeightsError(f"weights file {str(path)!r} is empty; copy or download it again")
        checkpoint = is_checkpoint(path)
    except OSError as unreadable:
        return WeightsError(f"cannot read weights {str(path)!r}: {unreadable.strerror or unreadable}")
    if checkpoint:
        return WeightsError(
            f"{str(path)!r} is a PyTorch checkpoint; convert it first: videoinr weights convert"
        )
    reason = str(error).removeprefix("Error while deserializing header: ")
    return WeightsError(
        f"{str(path)!r} is not a weights file or is damaged ({reason[:SHOWN_CHARACTERS]}); "
        f"copy or download it again (it should be a {SUFFIX} file)"
    )


def _shown(value: object) -> str:
    """Return a name or value from a file for a message: short, without control characters."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
