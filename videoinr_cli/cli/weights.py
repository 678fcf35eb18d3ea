"""``videoinr weights``: list, describe, download, convert and verify weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from videoinr_cli.cli.messages import show_messages
from videoinr_cli.errors import OptionError


@click.group("weights")
def weights() -> None:
    """List, describe, download, convert and verify weights."""


@weights.command("list", short_help="List known weights and where they are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(as_json: bool) -> None:
    """List all weights: embedded, downloaded, and those that can be downloaded by name."""
    from videoinr_cli.cli.weights_text import listing, summary
    from videoinr_cli.weights import all_weights

    entries = all_weights()
    click.echo(json.dumps([summary(entry) for entry in entries], indent=2) if as_json else listing(entries))


@weights.command("info", short_help="Describe weights: network, hash, licence, quality.")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def info_command(name: str, as_json: bool) -> None:
    """Describe the weights NAME: a listed name, a file, or hf:OWNER/REPO/FILE; or the model of --spatial."""
    from videoinr_cli.cli.weights_text import description, facts
    from videoinr_cli.weights import look_up_weights

    found = facts(look_up_weights(name))
    click.echo(json.dumps(found, indent=2) if as_json else description(found))


@weights.command("download", short_help="Download weights from a hub, a URL or a file.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--from", "source", metavar="SOURCE", help="Where from: hf:OWNER/REPO/FILE, a URL, or a file.")
@click.option("--revision", help="Branch, tag or commit on the hub.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder for the files.  [default: VIDEOINR_WEIGHTS_DIR, or the hub's cache and our own]",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def download_command(
    names: Sequence[str], source: str | None, revision: str | None, folder: Path | None, quiet: bool
) -> None:
    """Download weights by NAME: a listed name, OWNER/REPO[/FILE] on the hub, or a URL.

    With --from, NAME is what to call the weights from SOURCE.

    Each file is checked against its SHA-256 if that is known; otherwise the SHA-256 is recorded. PyTorch
    checkpoints of the published VideoINR are converted on arrival, without executing anything in them.
    HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are respected.

    \b
    videoinr weights download videoinr-published
    videoinr weights download owner/repository/model.safetensors
    videoinr weights download mine --from https://example.org/model.safetensors
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    if source is not None and len(names) > 1:
        raise OptionError(f"--from {source} is one file and cannot have {len(names)} names; give one NAME")
    show_messages(quiet=quiet)
    for name in names or (None,):
        _download(name, source, folder, revision, quiet=quiet)


@weights.command("convert", short_help="Convert a checkpoint of the published VideoINR.")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--enlargement",
    type=click.IntRange(min=1, max=16),
    default=1,
    show_default=True,
    help="Enlarge RGB by this factor before sampling it: 1 as in training, 4 as in the authors' demo.",
)
@click.option("-y", "--overwrite", is_flag=True, help="Replace OUTPUT if it exists.")
def convert_command(checkpoint: Path, output: Path, enlargement: int, overwrite: bool) -> None:
    """Convert CHECKPOINT, a published state_dict of VideoINR (latest_G.pth), to OUTPUT (.safetensors).

    Nothing in the checkpoint is executed. Use the result with --weights OUTPUT.
    """
    from videoinr_cli.weights import convert_checkpoint  # torch takes a second to import

    info = convert_checkpoint(checkpoint, output, rgb_enlargement=enlargement, overwrite=overwrite)
    click.echo(f"{output}: {info.config.architecture}, {info.parameters / 1e6:.1f} M parameters", err=True)


@weights.command("verify", short_help="Check that weights are sound and unchanged.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--sha256", metavar="HEX", help="Expected hash of the one NAME.")
def verify_command(names: Sequence[str], sha256: str | None) -> None:
    """Check that weights are sound and have the expected hash; without NAME, all on this machine."""
    from videoinr_cli.weights import all_weights, look_up_weights, verify_weights

    if sha256 is not None and len(names) != 1:
        raise click.UsageError("--sha256 is the hash of one file; give one NAME")
    entries = [look_up_weights(name) for name in names]
    for entry in entries or [entry for entry in all_weights() if entry.path is not None]:
        found = verify_weights(entry, sha256=sha256)
        basis = "as expected" if sha256 or entry.expected_sha256 else "but no expected hash is known"
        click.echo(f"{entry.name}: sound, sha256 {found}, {basis}")


def _download(
    name: str | None, source: str | None, folder: Path | None, revision: str | None, *, quiet: bool
) -> None:
    from videoinr_cli.progress import download_display
    from videoinr_cli.weights import download_weights

    with download_display(name or source or "", quiet=quiet) as progress:
        made = download_weights(name, source=source, revision=revision, folder=folder, progress=progress)
    if quiet:
        return
    if made.record is None:
        click.echo(f"{name}: embedded in the package, nothing to download ({made.path})", err=True)
    else:
        use = made.name if folder is None else made.path
        click.echo(f"{made.path}: sha256 {made.record.sha256}; use it with --weights {use}", err=True)
