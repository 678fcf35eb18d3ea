"""Convert published PyTorch checkpoints of VideoINR into our weights files.

A checkpoint is a pickle. It is read by torch's restricted unpickler, which builds tensors and plain
containers and runs nothing else, and only if its table of contents claims no more bytes than the file has.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from videoinr_cli.errors import OptionError, OutputError, WeightsError
from videoinr_cli.model import FastConfig, LargeConfig, ModelConfig, PublishedConfig
from videoinr_cli.model.large.names import from_basicvsr_names, is_basicvsr
from videoinr_cli.model.published import from_published_names
from videoinr_cli.options import DEFAULT_WEIGHTS
from videoinr_cli.weights.files import (
    WeightsInfo,
    check_shapes,
    expected_shapes,
    inspect_file,
    read_tensors,
    save_tensors,
)
from videoinr_cli.weights.manifest import SUFFIX, embedded_file

WRAPPERS = ("state_dict", "params")
"""Keys under which training frameworks put the state_dict itself."""


def convert_checkpoint(
    source: str | Path,
    destination: str | Path,
    *,
    rgb_enlargement: int = 1,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> WeightsInfo:
    """Convert a published PyTorch checkpoint of VideoINR into a weights file.

    Args:
        source: file of the state_dict, which may be nested under ``state_dict`` or ``params``, with keys
            that start with ``module.``. Nothing in it is executed.
        rgb_enlargement: 1 decodes as the network was trained, 4 as its authors' demo does.
        metadata: texts to store in the new file, such as its licence.
        overwrite: whether `destination` is replaced if it exists.

    Raises:
        OptionError: the destination's name does not end as weights do.
        WeightsError: the file is not a state_dict of this network; the message names the first difference.
        OutputError: the destination cannot be written, or exists.
    """
    path, output = Path(source), Path(destination)
    if output.suffix != SUFFIX:
        raise OptionError(f"weights are written as {SUFFIX}, not {output.suffix or 'without a suffix'!r}")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; use -y to replace it")
    state = _read_state(path)
    config: ModelConfig
    if is_basicvsr(state):
        config, tensors = _with_motion(from_basicvsr_names(state))
    else:
        config, tensors = PublishedConfig(rgb_enlargement=rgb_enlargement), from_published_names(state)
    expected = expected_shapes(config, path)
    # Check before copying: a tensor with zero strides takes its full size only when it is written out.
    check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, expected, path)
    plain = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    save_tensors(plain, config, output, {"source": f"converted from {path.name}", **(metadata or {})})
    return inspect_file(output)


def _with_motion(encoder: dict[str, Tensor]) -> tuple[LargeConfig, dict[str, Tensor]]:
    """Return an encoder's tensors and those of the embedded network, which tells the motion."""
    path = embedded_file(DEFAULT_WEIGHTS)
    if path is None:
        raise WeightsError(f"the embedded weights {DEFAULT_WEIGHTS!r} are missing; install videoinr again")
    motion = inspect_file(path).config
    assert isinstance(motion, FastConfig)
    tensors = {f"motion.{name}": tensor for name, tensor in read_tensors(path).items()}
    return LargeConfig(motion=motion), {**encoder, **tensors}


def _read_state(path: Path) -> dict[str, Tensor]:
    """Read a published state_dict with torch's restricted unpickler."""
    if not path.is_file():
        raise WeightsError(
            f"no checkpoint {str(path)!r}: {'it is a folder' if path.is_dir() else 'no such file'}"
        )
    content = unpickle(path)
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise WeightsError(f"{str(path)!r} holds a {type(content).__name__} instead of a state_dict")
    state: dict[str, Tensor] = {}
    for name, tensor in content.items():
        if not isinstance(name, str) or not _is_plain(tensor):
            raise WeightsError(f"{str(path)!r} holds no state_dict: {str(name)[:60]!r} is not a float tensor")
        state[name.removeprefix("module.")] = tensor
    return state


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.layout is torch.strided
        and value.device.type == "cpu"
    )


def unpickle(path: Path) -> object:
    """Return what a checkpoint holds: tensors, numbers, texts and containers of them.

    Raises:
        WeightsError: it holds anything else, of which nothing was executed, or is damaged.
    """
    damaged = f"cannot read checkpoint {str(path)!r}: it is damaged or truncated"
    try:
        if zipfile.is_zipfile(path) and _unpacked_bytes(path) > path.stat().st_size:
            raise WeightsError(f"{damaged} (it claims more bytes than it has)")
        with warnings.catch_warnings():  # whatever torch warns about is either harmless or fails below
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{str(path)!r} is not a plain PyTorch state_dict: it holds other objects or is damaged; "
            "nothing in it was executed"
        ) from error
    except Exception as error:  # a damaged file can raise nearly anything in an unpickler
        raise WeightsError(damaged) from error


def _unpacked_bytes(path: Path) -> int:
    """Return the total size of an archive's members; torch writes them uncompressed."""
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist())
