"""``videoinr weights``: what weights there are, what they say of themselves, and whether they are sound."""

from __future__ import annotations

import dataclasses
import json
import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from videoinr_cli.cli.convert_weights import convert_weights

if TYPE_CHECKING:
    from videoinr_cli.weights import Weights

LABEL_COLUMNS = 14
MIN_COLUMNS = 80
"""Room for a SHA-256 on one line."""
MAX_CHARACTERS = 400
"""How much of one text is shown: lists of training data can be long."""


@click.group("weights")
def weights() -> None:
    """List, describe, convert and verify weights."""


weights.add_command(convert_weights, "convert")


@weights.command("list", short_help="Say which weights there are, and which are here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(as_json: bool) -> None:
    """Say which weights there are: embedded, fetched, or known and still to be fetched."""
    show_list(as_json=as_json)


@weights.command("info", short_help="Describe weights: network, hash, licence, quality.")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def info_command(name: str, as_json: bool) -> None:
    """Describe the weights NAME: a known name, a file, or hf:OWNER/REPO/FILE."""
    from videoinr_cli.weights import look_up

    facts = _facts(look_up(name))
    click.echo(json.dumps(facts, indent=2) if as_json else _text(facts))


@weights.command("verify", short_help="Check that weights are sound and unchanged.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--sha256", metavar="HEX", help="What the hash of the one NAME should be.")
def verify_command(names: Sequence[str], sha256: str | None) -> None:
    """Check that weights are sound, and the very bytes they should be; without NAME, all that are here."""
    if sha256 is not None and len(names) != 1:
        raise click.UsageError("--sha256 is the hash of one file; give one NAME")
    verify_all(names, sha256=sha256)


def show_list(*, as_json: bool = False) -> None:
    """Print a table of the weights there are."""
    from videoinr_cli.weights import all_weights

    entries = all_weights()
    if as_json:
        click.echo(json.dumps([_summary(entry) for entry in entries], indent=2))
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        if entry.path is None:
            state = f"not here; videoinr download-weights {entry.name}"
        else:
            state = f"{entry.path.stat().st_size / 1e6:.1f} MB, {_printable(entry.origin)}"
        about = f"\n{'':{width}}  {entry.known.about}" if entry.known is not None else ""
        click.echo(f"{entry.name:{width}}  {state}{about}")


def verify_all(names: Sequence[str], *, sha256: str | None = None) -> None:
    """Check weights, or all of this machine, and print the hash of each.

    Raises:
        WeightsError: one of them is not what it should be.
    """
    from videoinr_cli.weights import all_weights, look_up, verify

    entries = [look_up(name) for name in names] or [each for each in all_weights() if each.path is not None]
    for entry in entries:
        found = verify(entry, sha256=sha256)
        basis = "as it should be" if sha256 or entry.expected_sha256 else "of which nothing is known"
        click.echo(f"{entry.name}: sound, sha256 {found}, {basis}")


def _summary(entry: Weights) -> dict[str, Any]:
    return {
        "name": entry.name,
        "path": None if entry.path is None else str(entry.path),
        "origin": entry.origin,
        "sha256": entry.expected_sha256,
        "licence": None if entry.known is None else entry.known.licence,
    }


def _facts(entry: Weights) -> dict[str, Any]:
    """Return what is known of weights: from their file first, then from the manifest."""
    from videoinr_cli.weights import inspect_weights
    from videoinr_cli.weights.manifest import sha256_of

    assert entry.path is not None, "weights that were looked up are here"
    info = inspect_weights(entry.path)
    manifest = {} if entry.known is None else dataclasses.asdict(entry.known)
    told = {key: manifest[key] for key in ("licence", "training_data", "measured") if manifest.get(key)}
    return {
        "name": entry.name,
        "path": str(entry.path),
        "size_bytes": entry.path.stat().st_size,
        "origin": entry.origin,
        "revision": None if entry.record is None else entry.record.revision,
        "sha256": sha256_of(entry.path),
        "expected_sha256": entry.expected_sha256,
        "architecture": info.config.architecture,
        "configuration": dataclasses.asdict(info.config),
        "parameters": info.parameters,
        "metadata": {**told, **info.metadata},
    }


def _text(facts: dict[str, Any]) -> str:
    metadata = dict(facts["metadata"])
    expected = {None: "nothing is known", facts["sha256"]: "the same"}
    lines = [
        ("file", f"{facts['path']} ({facts['size_bytes'] / 1e6:.1f} MB)"),
        ("from", facts["origin"] + (f", commit {facts['revision']}" if facts["revision"] else "")),
        ("sha256", facts["sha256"]),
        ("expected", expected.get(facts["expected_sha256"], facts["expected_sha256"])),
        ("architecture", f"{facts['architecture']}, {facts['parameters']} parameters"),
        ("configuration", ", ".join(f"{name} {value}" for name, value in facts["configuration"].items())),
        ("licence", metadata.pop("licence", "none stated")),
        ("training", metadata.pop("training", "nothing known")),
        ("training data", metadata.pop("training_data", "nothing known")),
        ("measured", metadata.pop("measured", "nothing known")),
        *metadata.items(),
    ]
    return "\n".join([_printable(facts["name"]), *(_row(label, value) for label, value in lines)])


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
    """Return a text from a file without what a terminal would obey."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
