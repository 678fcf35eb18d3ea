"""Weights from a hub: the real client, as the command runs it, against a hub of our own on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.loopback import COMMIT, TOKEN, Hub, serve
from tests.oracle.golden_weights import golden_state_dict
from tests.oracle.plain_port import PlainVideoInr
from tests.tiny import TINY
from videoinr_cli.model import build
from videoinr_cli.weights import save_model
from videoinr_cli.weights.manifest import sha256_of

FILE = "me/anime/model.safetensors"
SOURCE = f"hf:{FILE}"
PIECE_BYTES = 4096

CHILD = f"""
import contextlib, io, json, os, sys
from huggingface_hub import constants
from videoinr_cli.cli import main

constants.DOWNLOAD_CHUNK_SIZE = {PIECE_BYTES}  # what the client goes on by: 10 MB, more than our files have
for line in sys.stdin:
    arguments, variables = json.loads(line)
    before = dict(os.environ)
    os.environ.update(variables)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as left:
            code = left.code
    os.environ.clear()
    os.environ.update(before)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""
"""Runs commands one after the other: the client reads its variables once, and torch is slow to import."""


class Said(NamedTuple):
    code: int
    stdout: str
    stderr: str


class Machine:
    """A computer with a hub's cache and a folder of weights, and a person who types commands."""

    def __init__(self, home: Path, hub: Hub, **variables: str) -> None:
        self.cache, self.folder = home / "hf" / "hub", home / "weights"
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **{
                    key: value
                    for key, value in os.environ.items()
                    if not key.startswith(("HF_", "VIDEOINR_"))
                },
                "OMP_NUM_THREADS": "1",
                "COLUMNS": "200",
                "HF_ENDPOINT": hub.url,
                "HF_HOME": str(home / "hf"),
                "VIDEOINR_WEIGHTS_DIR": str(self.folder),
                **variables,
            },
        )

    def run(self, *arguments: object, **variables: str) -> Said:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([list(map(str, arguments)), variables]), file=self.process.stdin, flush=True)
        return Said(*json.loads(self.process.stdout.readline()))

    def forget(self) -> None:
        for folder in (self.cache, self.folder):
            shutil.rmtree(folder, ignore_errors=True)

    def cached(self) -> list[Path]:
        return sorted(self.cache.rglob("model.safetensors"))

    def close(self) -> None:
        self.process.terminate()  # it waits for a command, and would take its time to leave
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def online(home: Path, server: Hub) -> Iterator[Machine]:
    with contextlib.closing(Machine(home, server)) as machine:
        yield machine


@pytest.fixture(scope="module")
def offline(home: Path, server: Hub) -> Iterator[Machine]:
    """The same computer without a connection."""
    with contextlib.closing(Machine(home, server, HF_HUB_OFFLINE="1")) as machine:
        yield machine


@pytest.fixture
def hub(server: Hub) -> Hub:
    server.reset()
    return server


@pytest.fixture
def machine(online: Machine) -> Machine:
    online.forget()
    return online


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(build(TINY), path, {"licence": "CC0"})
    return path


def one_line(done: Said) -> str:
    """Return what a failed command said, which is one line."""
    assert done.code == 1, done
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_download_arrives_in_the_hubs_cache_and_is_recorded(
    hub: Hub, machine: Machine, weights: Path
) -> None:
    hub.files[FILE] = weights.read_bytes()
    done = machine.run("weights", "download", FILE)
    assert done.code == 0, done.stderr
    (path,) = machine.cached()
    assert path.read_bytes() == weights.read_bytes()
    assert sha256_of(weights) in done.stderr
    assert any("videoinr" in agent for agent in hub.agents)

    facts = json.loads(machine.run("weights", "info", SOURCE, "--json").stdout)
    assert (facts["origin"], facts["revision"]) == (SOURCE, COMMIT)
    assert facts["sha256"] == facts["expected_sha256"] == sha256_of(weights)
    assert facts["metadata"] == {"licence": "CC0"}

    path.resolve().write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")  # sound, but other bytes
    assert f"its sha256 is {sha256_of(path)}, not {sha256_of(weights)}" in one_line(
        machine.run("weights", "verify", "me--anime--model")
    )


def test_weights_are_fetched_when_a_command_needs_them_and_used_offline_later(
    hub: Hub, machine: Machine, offline: Machine, weights: Path
) -> None:
    hub.files[FILE] = weights.read_bytes()
    done = machine.run("weights", "info", SOURCE)
    assert done.code == 0, done.stderr
    assert f"note: downloading {SOURCE} from {hub.url}" in done.stderr
    assert "licence       CC0" in done.stdout

    asked = len(hub.asked)
    again = offline.run("weights", "info", SOURCE)
    assert again.code == 0, again.stderr
    assert again.stdout == done.stdout
    assert again.stderr == ""
    assert len(hub.asked) == asked


def test_offline_without_a_copy_is_one_line_with_every_way_on(
    hub: Hub, machine: Machine, offline: Machine
) -> None:
    said = one_line(offline.run("weights", "info", SOURCE))
    assert f"{hub.url}/me/anime/resolve/main/model.safetensors" in said
    assert str(machine.cache / "models--me--anime") in said
    assert "HF_HUB_OFFLINE" in said
    assert "--model clean" in said
    published = one_line(offline.run("weights", "info", "videoinr-published"))
    assert "drive.google.com" in published
    assert str(machine.folder / "videoinr-published.safetensors") in published
    assert "--from FILE" in published
    assert hub.asked == []


def test_interrupted_download_goes_on_where_it_stopped(hub: Hub, machine: Machine, weights: Path) -> None:
    hub.files[FILE] = weights.read_bytes()
    hub.cut_bytes, hub.cuts = 2 * PIECE_BYTES + 100, 1
    done = machine.run("weights", "download", SOURCE)
    assert done.code == 0, done.stderr
    assert "Error while downloading" not in done.stderr
    assert hub.ranges() == [None, f"bytes={2 * PIECE_BYTES}-"]
    assert [path.read_bytes() for path in machine.cached()] == [weights.read_bytes()]


def test_wrong_bytes_are_refused_and_not_kept(hub: Hub, machine: Machine, weights: Path) -> None:
    hub.files[FILE] = weights.read_bytes()
    hub.corrupt = True
    said = one_line(machine.run("weights", "download", SOURCE))
    assert f"not {sha256_of(weights)}" in said
    assert machine.cached() == []
    assert not machine.folder.exists()

    hub.corrupt = False
    assert machine.run("weights", "download", SOURCE).code == 0
    assert [path.read_bytes() for path in machine.cached()] == [weights.read_bytes()]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("hf:nobody/nothing/model.safetensors", "no repository"),
        ("hf:me/anime/other.safetensors", "no file 'other.safetensors'"),
        (f"{SOURCE}@v9", "no revision 'v9'"),
        ("hf:me/anime", "several weights files"),
        ("hf:me/empty", "no weights file"),
        ("hf:nobody/nothing", "no repository"),
        ("hf:me/a--name--/f.safetensors", "check the name"),
        ("hf:me/anime/../../../f.safetensors", "cannot download"),
    ],
)
def test_what_is_not_there_is_named(hub: Hub, machine: Machine, source: str, words: str) -> None:
    hub.files.update({FILE: b"x", "me/anime/second.safetensors": b"y", "me/empty/README.md": b"z"})
    assert words in one_line(machine.run("weights", "download", source))


def test_private_repository_wants_a_token(hub: Hub, machine: Machine, weights: Path) -> None:
    hub.files[FILE] = weights.read_bytes()
    hub.private = frozenset({"me/anime"})
    assert "HF_TOKEN" in one_line(machine.run("weights", "download", SOURCE))
    assert "HF_TOKEN" in one_line(machine.run("weights", "download", SOURCE, HF_TOKEN="hf_wrong"))
    done = machine.run("weights", "download", "me/anime", HF_TOKEN=TOKEN)
    assert done.code == 0, done.stderr


def test_files_that_are_no_weights_are_refused(hub: Hub, machine: Machine) -> None:
    hub.files[FILE] = b"not weights at all\n" * 9
    said = one_line(machine.run("weights", "download", SOURCE))
    assert SOURCE in said
    assert "not a weights file" in said


def test_published_checkpoint_on_a_hub_is_converted_on_arrival(
    hub: Hub, machine: Machine, tmp_path: Path
) -> None:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in PlainVideoInr().state_dict().items()}
    torch.save(golden_state_dict(shapes), tmp_path / "latest_G.pth")
    hub.files["mirror/videoinr/latest_G.pth"] = (tmp_path / "latest_G.pth").read_bytes()
    done = machine.run(
        "weights", "download", "videoinr-published", "--from", "hf:mirror/videoinr/latest_G.pth"
    )
    assert done.code == 0, done.stderr
    assert done.stderr.count("state no licence") == 1
    assert (machine.folder / "videoinr-published.safetensors").is_file()

    asked = len(hub.asked)
    info = machine.run("weights", "info", "videoinr-published")
    assert "hf:mirror/videoinr/latest_G.pth" in info.stdout
    assert "Adobe240" in info.stdout
    assert "none stated by the authors" in info.stdout
    assert "state no licence" not in info.stderr
    assert len(hub.asked) == asked


def test_folder_and_revision_are_as_asked(hub: Hub, machine: Machine, weights: Path, tmp_path: Path) -> None:
    hub.files[FILE] = weights.read_bytes()
    folder = tmp_path / "mine"
    done = machine.run(
        "weights", "download", "anime", "--from", SOURCE, "--revision", COMMIT, "--dir", folder
    )
    assert done.code == 0, done.stderr
    assert (folder / "anime.safetensors").read_bytes() == weights.read_bytes()
    assert ("HEAD", f"me/anime/resolve/{COMMIT}/model.safetensors", None) in hub.asked
    assert machine.run("weights", "verify", "anime", VIDEOINR_WEIGHTS_DIR=str(folder)).code == 0
    assert "no weights 'anime'" in one_line(machine.run("weights", "verify", "anime"))
