"""Where ground truth is found, and that it arrives unchanged."""

from pathlib import Path

import pytest
import torch

from videoinr_cli.errors import InputError, OutputError
from videoinr_cli.evaluation.clips import find_clips, make_folder, save_picture


def picture(seed: int = 0, size: tuple[int, int] = (12, 16)) -> torch.Tensor:
    levels = torch.randint(0, 256, (3, *size), generator=torch.Generator().manual_seed(seed))
    return levels / 255


def test_pictures_come_back_exactly_and_in_natural_order(tmp_path: Path) -> None:
    for index in (10, 9, 100):
        save_picture(picture(index), tmp_path / "city" / f"frame{index}.png")
    (clip,) = find_clips(tmp_path / "city")
    assert clip.name == "city"
    assert clip.length() == 3
    for index, frame in zip((9, 10, 100), clip.frames(), strict=True):
        torch.testing.assert_close(frame, picture(index), atol=1e-7, rtol=0)


def test_a_benchmark_is_a_folder_of_clips(tmp_path: Path) -> None:
    for name in ("walk", "city"):
        save_picture(picture(), tmp_path / name / "0.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("not a clip")
    assert [clip.name for clip in find_clips(tmp_path)] == ["city", "walk"]


def test_a_benchmarks_download_is_entered_by_itself(tmp_path: Path) -> None:
    save_picture(picture(), tmp_path / "test" / "GOPR0001" / "000001.png")
    save_picture(picture(), tmp_path / "train" / "GOPR0002" / "000001.png")
    assert [clip.name for clip in find_clips(tmp_path, "test")] == ["GOPR0001"]
    assert [clip.name for clip in find_clips(tmp_path / "train", "test")] == ["GOPR0002"]


def test_clips_of_one_stem_keep_their_suffixes(tmp_path: Path) -> None:
    save_picture(picture(), tmp_path / "b" / "0.png")
    for name in ("a.avi", "a.mkv", "c.mp4"):
        (tmp_path / name).touch()
    assert [clip.name for clip in find_clips(tmp_path)] == ["a.avi", "a.mkv", "b", "c.mp4"]
    (tmp_path / "a.avi").rename(tmp_path / "b.avi")
    assert [clip.name for clip in find_clips(tmp_path)] == ["a.mkv", "b", "b.avi", "c.mp4"]
    (tmp_path / "b.avi").unlink()
    assert [clip.name for clip in find_clips(tmp_path)] == ["a", "b", "c"]


def test_a_picture_beside_videos_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.mkv").touch()
    assert [clip.name for clip in find_clips(tmp_path)] == ["a"]
    assert not caplog.records
    save_picture(picture(), tmp_path / "cover.png")
    assert [clip.name for clip in find_clips(tmp_path)] == ["a"]
    assert "cover.png' and other pictures beside videos are left out" in caplog.text


def test_values_are_clamped_and_rounded_when_saved(tmp_path: Path) -> None:
    save_picture(torch.tensor([-0.5, 0.5, 1.5]).view(3, 1, 1).expand(3, 4, 4), tmp_path / "clip" / "0.png")
    frame = next(find_clips(tmp_path / "clip")[0].frames())
    assert (frame[:, 0, 0] * 255).round().tolist() == [0, 128, 255]


def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    save_picture(picture(), tmp_path / "a" / "0.png")
    save_picture(picture(size=(12, 20)), tmp_path / "a" / "1.png")
    with pytest.raises(InputError, match=r"20x12, but 0\.png 16x12"):
        list(find_clips(tmp_path / "a")[0].frames())


def test_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clips"):
        find_clips(tmp_path)
    with pytest.raises(InputError, match="neither a file nor a folder"):
        find_clips(tmp_path / "missing")


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"0\.png"):
        list(find_clips(tmp_path / "a")[0].frames())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    make_folder(tmp_path / "new" / "one")
    assert not list((tmp_path / "new" / "one").iterdir())
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "within"):
        with pytest.raises(OutputError, match="no pictures can be saved in"):
            make_folder(path)
    with pytest.raises(OutputError, match="cannot write"):
        save_picture(picture(), tmp_path / "file" / "0.png")
