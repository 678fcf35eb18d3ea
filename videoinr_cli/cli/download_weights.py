"""``videoinr download-weights``: bring weights to this machine and check them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from videoinr_cli.cli.weights import show_list, verify_all
from videoinr_cli.errors import OptionError
from videoinr_cli.options import MODELS


@click.command("download-weights", short_help="Fetch weights from a hub, an address or a file.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--list", "listing", is_flag=True, help="Say which weights there are and which are here.")
@click.option("--verify", "verifying", is_flag=True, help="Check what is here, or NAMEs, against its hash.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder to put files in.  [default: VIDEOINR_WEIGHTS_DIR, or the hub's and our own cache]",
)
@click.option("--revision", help="Branch, tag or commit on the hub.")
@click.option("--from", "source", metavar="SOURCE", help="hf:OWNER/REPO/FILE, an address, or a file.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def download_weights(
    names: Sequence[str],
    listing: bool,
    verifying: bool,
    folder: Path | None,
    revision: str | None,
    source: str | None,
    quiet: bool,
) -> None:
    """Fetch weights by NAME: one of --list, a hub's OWNER/REPO[/FILE], or an address.

    Files are checked by their SHA-256 where it is known, and it is recorded where it is not. PyTorch
    checkpoints of the published VideoINR are converted on arrival; nothing in them is executed. HF_HOME,
    HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE work as they do everywhere.

    \b
    videoinr download-weights videoinr-published
    videoinr download-weights owner/repository/model.safetensors
    videoinr download-weights mine --from https://example.org/model.safetensors
    """  # noqa: D301 -- \b is click's mark for lines to leave alone
    if listing:
        show_list()
        return
    if verifying:
        verify_all(names)
        return
    if not names and source is None:
        raise OptionError("which weights? Give a NAME of: videoinr download-weights --list")
    if source is not None and len(names) > 1:
        raise OptionError(f"--from {source} is one file, which cannot have {len(names)} names; give one NAME")
    for name in names or (None,):
        _fetch(name, source, folder, revision, quiet=quiet)


def _fetch(
    name: str | None, source: str | None, folder: Path | None, revision: str | None, *, quiet: bool
) -> None:
    from videoinr_cli.progress import download_display
    from videoinr_cli.weights import embedded_file, fetch_weights, locate, parse_source

    if source is None and name is not None:
        embedded = embedded_file(MODELS.get(name, name))
        if embedded is not None:
            if not quiet:
                click.echo(f"{name}: comes with the package, nothing to fetch ({embedded})", err=True)
            return
    if source is not None:
        origin = parse_source(source, revision)
    else:
        origin, name = locate(name or "", revision)
    with download_display(name or str(origin), quiet=quiet) as report:
        record = fetch_weights(origin, name, folder=folder, report=report)
    if not quiet:
        use = record.name if folder is None else record.path
        click.echo(f"{record.path}: sha256 {record.sha256}; use it with --weights {use}", err=True)
