"""Weights as text for people, and as plain values for JSON."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videoinr_cli.errors import WeightsError

if TYPE_CHECKING:
    from videoinr_cli.weights import Weights

LABEL_COLUMNS = 14
MIN_COLUMNS = 80
"""Room for a SHA-256 on one line."""
MAX_CHARACTERS = 400
"""How much of one text is shown: lists of training data can be long."""


def listing(entries: Sequence[Weights]) -> str:
    """Return a table of weights: where each is, and what it is for."""
    width = max(len(entry.name) for entry in entries)
    lines = []
    for entry in entries:
        if entry.path is None:
            state = f"not here; videoinr weights download {entry.name}"
        else:
            state = f"{entry.path.stat().st_size / 1e6:.1f} MB, {_printable(entry.origin)}"
        lines.append(f"{entry.name:{width}}  {state}")
        if entry.model_names:
            lines.append(f"{'':{width}}  --model {' or '.join(entry.model_names)}")
        if entry.known is not None:
            lines.append(f"{'':{width}}  {entry.known.about}")
    return "\n".join(lines)


def summary(entry: Weights) -> dict[str, Any]:
    """Return what the list says about weights, for JSON."""
    return {
        "name": entry.name,
        "path": None if entry.path is None else str(entry.path),
        "origin": entry.origin,
        "sha256": entry.expected_sha256,
        "licence": None if entry.known is None else entry.known.licence,
    }


def facts(entry: Weights) -> dict[str, Any]:
    """Return all that is known about weights, for JSON; their file's word comes before the manifest's.

    Raises:
        WeightsError: the file is not a weights file, or its tensors do not fit its configuration.
    """
    from videoinr_cli.weights.manifest import sha256_of

    assert entry.path is not None, "look_up_weights returns weights that are on this machine"
    network = _network(entry.path)
    manifest = {} if entry.known is None else dataclasses.asdict(entry.known)
    stated = {key: manifest[key] for key in ("licence", "training_data", "measured") if manifest.get(key)}
    return {
        "name": entry.name,
        "path": str(entry.path),
        "size_bytes": entry.path.stat().st_size,
        "origin": entry.origin,
        "revision": None if entry.record is None else entry.record.revision,
        "sha256": sha256_of(entry.path),
        "expected_sha256": entry.expected_sha256,
        **network,
        "metadata": {**stated, **network["metadata"]},
    }


def _network(path: Path) -> dict[str, Any]:
    """Return what a file's network is: one of ours, or else a single-image model.

    Raises:
        WeightsError: see `facts`; it is what is said of a file that is neither.
    """
    from videoinr_cli.weights import inspect_weights, read_enlarger

    try:
        info = inspect_weights(path)
    except WeightsError as error:
        try:
            model = read_enlarger(path)
        except WeightsError:  # or spandrel is missing
            raise error from None
        return {
            "architecture": model.name,
            "configuration": {"enlargement": model.factor, "channels": model.channels},
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "metadata": {"used with": "--spatial"},
        }
    return {
        "architecture": info.config.architecture,
        "configuration": dataclasses.asdict(info.config),
        "parameters": info.parameters,
        "metadata": info.metadata,
    }


def description(found: dict[str, Any]) -> str:
    """Return the `facts` of weights as lines for people."""
    metadata = dict(found["metadata"])
    expected = {None: "unknown", found["sha256"]: "the same"}
    lines = [
        ("file", f"{found['path']} ({found['size_bytes'] / 1e6:.1f} MB)"),
        ("from", found["origin"] + (f", commit {found['revision']}" if found["revision"] else "")),
        ("sha256", found["sha256"]),
        ("expected", expected.get(found["expected_sha256"], found["expected_sha256"])),
        ("architecture", f"{found['architecture']}, {found['parameters']} parameters"),
        ("configuration", ", ".join(f"{name} {value}" for name, value in found["configuration"].items())),
        ("licence", metadata.pop("licence", "none stated")),
        ("training", metadata.pop("training", "unknown")),
        ("training data", metadata.pop("training_data", "unknown")),
        ("measured", metadata.pop("measured", "unknown")),
        *metadata.items(),
    ]
    return "\n".join([_printable(found["name"]), *(_row(label, value) for label, value in lines)])


def _row(label: str, value: str) -> str:
    if len(value) > MAX_CHARACTERS:
        value = f"{value[:MAX_CHARACTERS]} … ({len(value)} characters; --json prints them all)"
    return textwrap.fill(
        _printable(value),
        max(MIN_COLUMNS, shutil.get_terminal_size().columns),
        initial_indent=f"  {_printable(label):{LABEL_COLUMNS}}",
        subsequent_indent=" " * (2 + LABEL_COLUMNS),
        break_on_hyphens=False,
        break_long_words=False,
    )


def _printable(text: str) -> str:
    """Return a text from a file without control characters, which a terminal would act on."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
