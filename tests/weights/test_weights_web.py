"""Weights from plain addresses: whole, broken off and gone on with, changed meanwhile, or not there."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import Hub, serve
from tests.tiny import TINY
from videoinr_cli.errors import OutputError, WeightsError
from videoinr_cli.model import build
from videoinr_cli.weights import fetching as fetching_module
from videoinr_cli.weights import find_weights, save_model
from videoinr_cli.weights import sources as sources_module
from videoinr_cli.weights import web as web_module
from videoinr_cli.weights.fetching import fetch_weights
from videoinr_cli.weights.manifest import Known, known_by_name, sha256_of
from videoinr_cli.weights.sources import WebFile, parse_source
from videoinr_cli.weights.web import ATTEMPTS, download

CONTENT = bytes(range(256)) * 400
NAME = "files/anime.safetensors"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setattr(web_module, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(web_module, "PIECE_BYTES", 1000)
    monkeypatch.setenv("VIDEOINR_WEIGHTS_DIR", str(tmp_path / "weights"))
    with serve() as running:
        yield running


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(build(TINY), path, {})
    return path


def test_file_comes_whole_and_its_progress_is_told(server: Hub, tmp_path: Path) -> None:
    server.files[NAME] = CONTENT
    told: list[tuple[int, int | None]] = []
    download(WebFile(f"{server.url}/{NAME}"), tmp_path / "new" / "f", lambda *call: told.append(call))
    assert (tmp_path / "new" / "f").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["f"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [here for here, _ in told] == sorted(here for here, _ in told)


def test_broken_connection_goes_on_by_itself(server: Hub, tmp_path: Path) -> None:
    server.files[NAME] = CONTENT
    server.cut_bytes, server.cuts = 30_000, 2
    download(WebFile(f"{server.url}/{NAME}"), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.ranges() == [None, "bytes=30000-", "bytes=60000-"]


def test_next_run_goes_on_where_the_last_gave_up(server: Hub, tmp_path: Path) -> None:
    server.files[NAME] = CONTENT
    server.cut_bytes, server.cuts = 10_000, ATTEMPTS
    with pytest.raises(WeightsError, match=r"0\.1 MB are kept; run the command again"):
        download(WebFile(f"{server.url}/{NAME}"), tmp_path / "f")
    assert not (tmp_path / "f").exists()
    download(WebFile(f"{server.url}/{NAME}"), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.ranges()[-1] == f"bytes={ATTEMPTS * 10_000}-"


@pytest.mark.parametrize("size", [len(CONTENT), 20_000], ids=["longer than what came", "shorter"])
def test_file_that_changed_meanwhile_is_begun_again(server: Hub, tmp_path: Path, size: int) -> None:
    server.files[NAME] = CONTENT
    server.cut_bytes, server.cuts = 10_000, ATTEMPTS
    with pytest.raises(WeightsError):
        download(WebFile(f"{server.url}/{NAME}"), tmp_path / "f")
    server.files[NAME] = CONTENT[::-1][:size]
    download(WebFile(f"{server.url}/{NAME}"), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT[::-1][:size]


def test_server_that_marks_no_version_is_asked_for_the_whole_again(server: Hub, tmp_path: Path) -> None:
    server.files[NAME] = CONTENT
    server.headers["ETag"] = 'W/"weak"'
    server.cut_bytes, server.cuts = 10_000, 1
    download(WebFile(f"{server.url}/{NAME}"), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.ranges() == [None, None]


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (403, 1), (503, ATTEMPTS)])
def test_refusal_is_told_and_asked_again_only_where_that_may_help(
    server: Hub, tmp_path: Path, status: int, asked: int
) -> None:
    server.status = status
    with pytest.raises(WeightsError, match=f"status {status}") as caught:
        download(WebFile(f"{server.url}/{NAME}"), tmp_path / "f")
    assert str(caught.value).isprintable()
    assert len(server.asked) == asked
    assert list(tmp_path.iterdir()) == []


def test_server_that_is_not_there_is_named(server: Hub, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"http://127\.0\.0\.1:9/f: the server cannot be reached.*try again later"
    ):
        download(WebFile("http://127.0.0.1:9/f"), tmp_path / "f")


@contextlib.contextmanager
def full_after(size: int) -> Iterator[None]:
    """Let no file grow beyond some bytes, as on a full disk."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_full_disk_is_left_as_it_was(server: Hub, weights: Path, tmp_path: Path) -> None:
    server.files[NAME] = CONTENT
    with full_after(50_500), pytest.raises(OutputError, match="cannot write"):
        download(WebFile(f"{server.url}/{NAME}"), tmp_path / "f")
    with full_after(weights.stat().st_size // 2), pytest.raises(OutputError, match="cannot write"):
        fetch_weights(weights, "mine")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model.safetensors", "weights"]


def test_folder_that_cannot_be_written_is_named(server: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        download(WebFile(f"{server.url}/{NAME}"), tmp_path / "file" / "f")


def test_fetched_weights_have_a_name_and_are_fetched_once(server: Hub, weights: Path) -> None:
    server.files[NAME] = weights.read_bytes()
    record = fetch_weights(parse_source(f"{server.url}/{NAME}"))
    assert record.name == "anime"
    assert record.sha256 == record.fetched_sha256 == sha256_of(weights)
    assert find_weights("anime").read_bytes() == weights.read_bytes()
    assert fetch_weights(parse_source(f"{server.url}/{NAME}")) == record
    assert len(server.asked) == 1


def test_other_weights_do_not_take_a_name_that_is_taken(server: Hub, weights: Path) -> None:
    server.files[NAME] = server.files["files/other.safetensors"] = weights.read_bytes()
    fetch_weights(parse_source(f"{server.url}/{NAME}"))
    with pytest.raises(OutputError, match=r"'anime' is taken by .* from http.*NAME --from"):
        fetch_weights(parse_source(f"{server.url}/files/other.safetensors"), "anime")


def test_unusable_file_is_not_kept(server: Hub, tmp_path: Path) -> None:
    server.files[NAME] = CONTENT
    with pytest.raises(WeightsError, match=r"the file from http.* cannot be used"):
        fetch_weights(parse_source(f"{server.url}/{NAME}"))
    assert list((tmp_path / "weights").iterdir()) == []


@pytest.fixture
def drive(server: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The server as Google Drive, and weights that the manifest knows to be there."""
    monkeypatch.setattr(sources_module, "DRIVE_DOWNLOAD", f"{server.url}/files/{{}}")
    source = "https://drive.google.com/file/d/1a-b_C/view?usp=sharing"
    known = Known("theirs", "of a test", source=source, page="https://example.org/theirs")
    monkeypatch.setattr(fetching_module, "known_by_name", lambda: {"theirs": known})
    return server


DRIVE_SOURCE = "https://drive.google.com/file/d/1a-b_C/view?usp=sharing"


def test_drive_is_asked_for_the_file_itself_and_the_licence_is_told_once(
    drive: Hub, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drive.files["files/1a-b_C"] = weights.read_bytes()
    fetch_weights(parse_source(DRIVE_SOURCE), "theirs")
    assert find_weights("theirs").read_bytes() == weights.read_bytes()
    fetch_weights(parse_source(DRIVE_SOURCE), "theirs")
    licence = [record for record in caplog.records if "no licence" in record.getMessage()]
    assert len(licence) == 1
    assert "https://example.org/theirs" in licence[0].getMessage()


WARNING_PAGE = b"""<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title>
<meta http-equiv="content-type" content="text/html; charset=utf-8"/><style>#gbar{height:22px}</style>
</head><body><p class="uc-warning-caption">Google Drive can&#39;t scan this file for viruses.</p>
<form id="download-form" action="%s" method="get"><input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="1a-b_C"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="5e30-75ae"></form>
</body></html>"""
"""As large files had it in 2024: a hidden field is new each time, so that ``confirm=t`` alone does not do."""

CONFIRMED = "id=1a-b_C&export=download&confirm=t&uuid=5e30-75ae"

QUOTA_PAGE = b"""<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body><p>
Sorry, you can&#39;t view or download this file at this time.</p></body></html>"""


def test_drive_that_asks_whether_a_large_file_is_wanted_is_told_so(
    drive: Hub, weights: Path, tmp_path: Path
) -> None:
    drive.files["files/1a-b_C"] = weights.read_bytes()
    drive.page, drive.page_unless = WARNING_PAGE % b"/files/1a-b_C", CONFIRMED
    half = weights.stat().st_size // 2
    drive.cut_bytes, drive.cuts = half, 2  # the page, which is shorter, and the file
    fetch_weights(parse_source(DRIVE_SOURCE), "theirs")
    assert find_weights("theirs").read_bytes() == weights.read_bytes()
    assert drive.ranges() == [None, None, *2 * [f"bytes={half}-"]], "a page, a part, a page, the rest"


@pytest.mark.parametrize(
    ("page", "title"),
    [
        (QUOTA_PAGE, "Google Drive - Quota exceeded"),
        (WARNING_PAGE % b"/files/1a-b_C", "Google Drive - Virus scan warning"),
        (WARNING_PAGE % b"https://elsewhere.example/files/1a-b_C", "Google Drive - Virus scan warning"),
    ],
    ids=["quota", "asks again and again", "leads elsewhere"],
)
def test_page_instead_of_a_file_says_how_to_fetch_by_hand(
    drive: Hub, tmp_path: Path, page: bytes, title: str
) -> None:
    drive.page = page
    by_hand = r"https://example\.org/theirs.*theirs --from FILE.*--model clean"
    with pytest.raises(WeightsError, match=rf"web page \('{title}'\).*{by_hand}") as caught:
        fetch_weights(parse_source(DRIVE_SOURCE), "theirs")
    assert str(caught.value).isprintable()
    assert len(drive.asked) <= 2
    assert list((tmp_path / "weights").iterdir()) == []


def test_page_that_is_anything_at_all_is_one_line(drive: Hub) -> None:
    drive.page = b"\x80\xff<title>\x1b[31m\nGone\n" + b"<p" * 100
    with pytest.raises(WeightsError, match=r"web page") as caught:
        fetch_weights(parse_source(DRIVE_SOURCE), "theirs")
    assert str(caught.value).isprintable()


def test_hash_that_the_manifest_knows_is_held(
    drive: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = Known("theirs", "of a test", source=DRIVE_SOURCE, sha256="0" * 64)
    monkeypatch.setattr(fetching_module, "known_by_name", lambda: {"theirs": known})
    drive.files["files/1a-b_C"] = weights.read_bytes()
    with pytest.raises(WeightsError, match=f"its sha256 is {sha256_of(weights)}, not {'0' * 64}"):
        fetch_weights(parse_source(DRIVE_SOURCE), "theirs")
    with pytest.raises(WeightsError, match="not 0000"):
        fetch_weights(weights, "theirs")
    assert weights.is_file(), "a person's own file is not ours to delete"
    assert list((tmp_path / "weights").iterdir()) == []
    right = dataclasses.replace(known, sha256=sha256_of(weights))
    monkeypatch.setattr(fetching_module, "known_by_name", lambda: {"theirs": right})
    assert fetch_weights(parse_source(DRIVE_SOURCE), "theirs").sha256 == sha256_of(weights)


def test_published_checkpoint_is_where_its_authors_say() -> None:
    known = known_by_name()["videoinr-published"]
    source = parse_source(known.source or "")
    assert isinstance(source, WebFile)
    assert source.direct_url.startswith("https://drive.usercontent.google.com/download?id=1JW_-ef_")
    assert known.licence is None
