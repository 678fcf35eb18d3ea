"""``videoinr weights``: lists, descriptions, downloads from files, and checks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from tests.command import check_one_line, run
from tests.tiny import TINY
from videoinr_cli.cli import cli
from videoinr_cli.cli.parameters import model_options
from videoinr_cli.errors import OptionError, WeightsError
from videoinr_cli.model import build
from videoinr_cli.weights import find_weights, save_model
from videoinr_cli.weights.catalogue import locate
from videoinr_cli.weights.manifest import MANIFEST, embedded_folder, sha256_of
from videoinr_cli.weights.sources import HubFile, WebFile, default_name, parse_source

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VIDEOINR_WEIGHTS_DIR", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_model(build(TINY), path, {"licence": "CC0", "odd": "a\x1b[2Jb"})
    return path


@pytest.fixture
def update() -> ModuleType:
    """The script that writes the manifest."""
    script = ROOT / "scripts" / "update_manifest.py"
    spec = importlib.util.spec_from_file_location("update_manifest", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_manifest_is_that_of_the_embedded_files(update: ModuleType) -> None:
    """The hash of an embedded file, its size and its quality are written by a script, never by hand."""
    written = (embedded_folder() / MANIFEST).read_text(encoding="utf-8")
    assert written == update.updated(embedded_folder()), (
        "an embedded file or its measured quality has changed; run: python scripts/update_manifest.py"
    )


def test_the_quality_of_earlier_weights_is_not_taken(update: ModuleType) -> None:
    card = "<!-- quality -->\n`mine` (sha256 12ab...):\n\n| mine | 1.00 / 2.00 |\n<!-- /quality -->"
    assert "1.00 dB of frames given, 2.00 dB" in update.measured_quality(card, "mine", "12ab34")
    with pytest.raises(SystemExit, match="quality of another mine"):
        update.measured_quality(card, "mine", "34cd56")


def test_list_names_what_is_here_and_what_could_be(
    mine: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("weights", "download", mine) == 0
    capsys.readouterr()
    assert run("weights", "list") == 0
    said = capsys.readouterr().out
    assert "videoinr-fast" in said
    assert f"mine                0.2 MB, {mine}" in said
    assert "videoinr-published  not here; videoinr weights download videoinr-published" in said
    assert run("weights", "list", "--json") == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert listed["mine"]["path"] == str(folder / "mine.safetensors")
    assert listed["mine"]["sha256"] == sha256_of(mine)
    assert listed["videoinr-published"]["path"] is None


def test_info_describes_embedded_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "info", "videoinr-fast") == 0
    said = capsys.readouterr().out
    path = find_weights("videoinr-fast")
    for words in (
        str(path.name),
        sha256_of(path),
        "the same",
        "channels 48",
        "Apache-2.0",
        "parameters",
    ):
        assert words in said
    assert max(len(line) for line in said.splitlines() if str(path) not in line) <= 80


def test_info_repeats_nothing_that_a_terminal_obeys(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "info", mine) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "expected      unknown" in said
    assert "CC0" in said


def test_weights_are_traded_by_file_and_hash(
    mine: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = sha256_of(mine)
    assert run("weights", "verify", mine, "--sha256", digest.upper()) == 0
    assert digest in capsys.readouterr().out
    assert run("weights", "verify", mine, "--sha256", "0" * 64) == 1
    assert f"its sha256 is {digest}, not {'0' * 64}" in capsys.readouterr().err
    assert run("weights", "download", "theirs", "--from", mine) == 0
    mine.unlink()
    assert run("weights", "verify", "theirs") == 0
    assert run("weights", "verify") == 0
    said = capsys.readouterr().out
    assert "videoinr-fast: sound" in said
    assert f"theirs: sound, sha256 {digest}, as expected" in said
    folder.rename(folder.with_name("moved"))
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("VIDEOINR_WEIGHTS_DIR", str(folder.with_name("moved")))
        assert find_weights("theirs") == folder.with_name("moved") / "theirs.safetensors"


def test_changed_file_is_noticed(mine: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "download", mine, "-q") == 0
    stored = folder / "mine.safetensors"
    stored.write_bytes(stored.read_bytes()[:-4] + b"\0\0\0\0")
    assert run("weights", "verify", "mine") == 1
    again = f"delete it and download it again: videoinr weights download mine --from {mine}\n"
    check_one_line(capsys.readouterr().err, f"not {sha256_of(mine)}; {again}")
    assert run("weights", "info", "mine") == 0
    assert f"expected      {sha256_of(mine)}" in capsys.readouterr().out


def test_wrong_hash_is_not_the_fault_of_embedded_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "verify", "clean", "--sha256", "abc") == 1
    check_one_line(
        capsys.readouterr().err, "not abc; the file has not changed since it arrived, so check the hash"
    )


def test_weights_trained_further_are_taken_again_from_the_same_file(mine: Path, folder: Path) -> None:
    assert run("weights", "download", mine, "-q") == 0
    save_model(build(TINY), mine, {"training": "more"})
    assert run("weights", "download", mine, "-q") == 0
    assert (folder / "mine.safetensors").read_bytes() == mine.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "no weights named"),
        (["a", "b", "--from", "hf:me/anime"], 2, "2 names"),
        (["nothing"], 1, "no weights are known as 'nothing'"),
        (["x", "--from", "hf:me"], 2, "hf:owner/repository/file"),
        (["x", "--from", "ftp://host/f"], 2, "ftp://host/f"),
        (["x", "--from", "http:///f"], 2, "no host"),
        (["x", "--from", "nowhere.safetensors"], 1, "no such file"),
        (["x", "--from", "nowhere.pth", "--revision", "v1"], 2, "--revision v1"),
        (["../x", "--from", "nowhere.pth"], 2, "'../x'"),
        (["videoinr-fast", "--from", "nowhere.pth"], 2, "embedded"),
        (["clean", "--from", "nowhere.pth"], 2, "embedded"),
    ],
)
def test_wrong_request_is_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("weights", "download", *arguments) == code
    check_one_line(capsys.readouterr().err, words)


def test_damaged_record_is_named(mine: Path, folder: Path) -> None:
    assert run("weights", "download", mine, "-q") == 0
    (folder / "mine.record.json").write_text('{"name": 3}')
    with pytest.raises(WeightsError, match=r"mine\.record\.json' is damaged; delete it"):
        find_weights("mine")


@pytest.mark.parametrize(
    "command",
    [
        "download-weights",
        "weights",
        "weights list",
        "weights info",
        "weights download",
        "weights convert",
        "weights verify",
    ],
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command.split(), "--help") == 0
    assert f"Usage: videoinr {command}" in capsys.readouterr().out


def test_one_command_has_two_names() -> None:
    context = click.Context(cli)
    group = cli.get_command(context, "weights")
    assert isinstance(group, click.Group)
    download = cli.get_command(context, "download-weights")
    assert download is not None
    assert download is group.get_command(context, "download")


def test_a_former_command_names_its_successor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert-weights", "latest_G.pth", "mine.safetensors") == 2
    check_one_line(capsys.readouterr().err, "convert-weights is now videoinr weights convert")


def test_the_models_are_listed_by_what_they_are_called_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "list") == 0
    said = capsys.readouterr().out
    assert "--model clean or fast" in said
    assert "--model real" in said
    assert run("weights", "info", "rael") == 1
    said = capsys.readouterr().err
    check_one_line(said, "the known names are: clean, real, ")
    assert said.rstrip().endswith("; upscale, preview and suggest take auto too")


def test_embedded_weights_are_not_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("weights", "download", "videoinr-fast") == 0
    assert "embedded in the package" in capsys.readouterr().err
    for name, file in (("clean", "videoinr-fast"), ("real", "videoinr-real")):
        assert run("weights", "download", name) == 0
        check_one_line(capsys.readouterr().err, f"{file}.safetensors)")


def test_variable_names_the_weights_of_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @model_options
    def show(**given: object) -> None:
        click.echo(given["weights"])

    monkeypatch.setenv("VIDEOINR_WEIGHTS", "hf:me/anime")
    assert CliRunner().invoke(show).output == "hf:me/anime\n"
    assert CliRunner().invoke(show, ["--weights", "mine"]).output == "mine\n"


@pytest.mark.parametrize(
    ("text", "source", "name"),
    [
        ("hf:me/anime", HubFile("me/anime"), "me--anime"),
        ("hf:me/anime@v2", HubFile("me/anime", None, "v2"), "me--anime--v2"),
        ("hf:me/anime/a/b.safetensors@v2", HubFile("me/anime", "a/b.safetensors", "v2"), "me--anime--b--v2"),
        ("https://host/a%20b.pth?x=1", WebFile("https://host/a%20b.pth?x=1"), "a-b"),
        ("https://host/", WebFile("https://host/"), "weights"),
        ("folder/x.pth", Path("folder/x.pth"), "x"),
    ],
)
def test_sources_are_read_and_named(text: str, source: HubFile | WebFile | Path, name: str) -> None:
    assert parse_source(text) == source
    assert default_name(source) == name
    assert str(parse_source(text)) == text


def test_shorthand_means_a_hub_unless_it_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("me/anime.pth") == (HubFile("me/anime.pth"), None)
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / "anime.pth").touch()
    assert locate("me/anime.pth") == (Path("me/anime.pth"), None)
    with pytest.raises(OptionError, match="revision"):
        parse_source("hf:me/anime@v1", "v2")
