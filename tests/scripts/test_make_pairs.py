"""The scripts that make clips to learn from: any teacher, and what is taken from it."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.training.test_footage import scene, write_picture, write_video
from videoinr_cli.errors import InputError
from videoinr_cli.training.pairs import load_pairs

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

HALF = 0x01306B47


@pytest.fixture
def teachers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    import teachers

    return teachers


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    import targets

    return targets


def write_network(param: Path, layers: list[str], weights: bytes) -> Path:
    param.write_text("\n".join(["7767517", f"{len(layers)} {2 * len(layers)}", *layers, ""]))
    param.with_suffix(".bin").write_bytes(weights)
    return param


def doubling(folder: Path) -> Path:
    """A network that shows each pixel twice as large."""
    layers = [
        "Input    input  0 1 data",
        "Interp   twice  1 1 data output 0=1 1=2.000000e+00 2=2.000000e+00",
    ]
    return write_network(folder / "double.param", layers, b"")


def test_a_network_of_ncnn_is_computed_as_it_says(teachers: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.normal(0, 0.2, shape).astype(np.float32) for shape in ((5, 3, 3, 3), (12, 8, 3, 3)))
    first = first.astype(np.float16).astype(np.float32)  # 135 halves: padded to four bytes
    bias, slopes = (rng.normal(0, 0.1, count).astype(np.float32) for count in (12, 5))
    weights = struct.pack("<I", HALF) + first.astype("<f2").tobytes() + b"\0\0" + bytes(20)
    weights += slopes.tobytes() + struct.pack("<I", 0) + second.tobytes() + bias.tobytes()
    layers = [
        "Input        input    0 1 data",
        "Split        split    1 3 data a b c",
        "Convolution  conv1    1 1 a d 0=5 1=3 4=1 5=1 6=135",
        "PReLU        prelu    1 1 d e 0=5",
        "Concat       concat   2 1 e b f",
        "Convolution  conv2    1 1 f g 0=12 1=3 4=1 5=1 6=864 9=2 -23310=1,2.000000e-01",
        "PixelShuffle shuffle  1 1 g h 0=2",
        "Interp       interp   1 1 c i 0=1 1=2.000000e+00 2=2.000000e+00",
        "Eltwise      sum      2 1 h i output 0=1 -23301=2,2.000000e-01,1.000000e+00",
    ]
    network = teachers.load_teacher(
        write_network(tmp_path / "net.param", layers, weights), dtype=torch.float32
    )
    picture = torch.rand(2, 3, 7, 9)
    hidden = F.prelu(F.conv2d(picture, torch.from_numpy(first), padding=1), torch.from_numpy(slopes))
    both = F.conv2d(
        torch.cat([hidden, picture], 1), torch.from_numpy(second), torch.from_numpy(bias), padding=1
    )
    expected = 0.2 * F.pixel_shuffle(F.leaky_relu(both, 0.2), 2) + F.interpolate(picture, scale_factor=2)
    assert torch.allclose(network(picture), expected.clamp(0, 1), atol=1e-6)


def test_what_is_not_known_is_refused(teachers: ModuleType, tmp_path: Path) -> None:
    strange = write_network(
        tmp_path / "net.param", ["Input input 0 1 data", "Softmax soft 1 1 data output 0=1"], b""
    )
    with pytest.raises(InputError, match="Softmax"):
        teachers.load_teacher(strange)(torch.zeros(1, 3, 4, 4))
    with pytest.raises(InputError, match="no teacher at"):
        teachers.load_teacher(tmp_path / "absent.pth")
    strange.with_suffix(".bin").unlink()
    with pytest.raises(InputError, match="no weights at"):
        teachers.load_teacher(strange)


class Doubling:
    """What spandrel gives for a file: a network that enlarges one picture, in a type of its own."""

    supports_bfloat16 = True
    dtype = torch.float32

    def eval(self) -> Doubling:
        return self

    def to(self, dtype: torch.dtype) -> Doubling:
        self.dtype = dtype
        return self

    def __call__(self, picture: torch.Tensor) -> torch.Tensor:
        assert picture.dtype is self.dtype
        return F.interpolate(picture, scale_factor=2)


class ModelLoader:
    def load_from_file(self, path: str) -> Doubling:
        if not Path(path).read_bytes():
            raise ValueError("no architecture fits")
        return Doubling()


def test_other_files_are_spandrels(
    teachers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(InputError, match="spandrel, which reads others, is not there"):
        teachers.load_teacher(file)
    spandrel = ModuleType("spandrel")
    spandrel.ModelLoader = ModelLoader  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spandrel", spandrel)
    with pytest.raises(InputError, match=r"spandrel does not know what is in .*: no architecture fits"):
        teachers.load_teacher(file)
    file.write_bytes(b"weights")
    picture = torch.rand(1, 3, 5, 6)
    enlarged = teachers.load_teacher(file)(picture)
    assert enlarged.dtype is torch.float32
    assert torch.allclose(enlarged, F.interpolate(picture, scale_factor=2), atol=1e-2)


def texture(seed: int, side: int = 96, cell: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 3, side // cell, side // cell, generator=generator)
    return noise.repeat_interleave(cell, -1).repeat_interleave(cell, -2)


def test_edges_are_the_teachers_and_colours_the_sources(targets: ModuleType) -> None:
    lr = torch.full((1, 3, 24, 24), 0.5)
    fine = 0.1 * (texture(0) - 0.5)
    made = targets.target(lr, 0.56 + fine, None)
    assert float(made.mean()) == pytest.approx(0.5, abs=1e-3)
    assert torch.allclose(made - made.mean(), fine - fine.mean(), atol=5e-3)


def test_texture_may_be_invented_and_structure_not(targets: ModuleType) -> None:
    structure, other = (0.5 + 0.4 * (texture(seed, cell=12) - 0.5) for seed in (1, 2))
    grain, other_grain = (0.05 * (texture(seed) - 0.5) for seed in (3, 4))
    true = structure + grain
    assert float(targets.doubt(structure + other_grain, true).mean()) < 0.01
    assert float(targets.doubt(other, true).mean()) > 0.6
    lr = F.interpolate(true, size=(24, 24), mode="area")
    wrong = float((targets.target(lr, other, true) - true).abs().mean())
    assert wrong < 0.5 * float((targets.target(lr, other, None) - true).abs().mean())


def make(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "make_pairs.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_folder_of_pairs_is_made_and_added_to(tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    write_video(footage / "clip.mp4", scene(1, 9))
    write_video(footage / "held.mp4", scene(2, 9))
    write_picture(footage / "still.png", scene(3, 1)[0])
    asked = ["--teacher", doubling(tmp_path), "--data", footage, "-o", tmp_path / "pairs", "--side", 64]
    done = make(*asked, "--count", 3, "--hold-out", "held*")
    assert done.returncode == 0, done.stderr
    pairs = load_pairs([tmp_path / "pairs"], tmp_path / "cache")
    assert [(pair.lr.shape, pair.hr.shape) for pair in pairs] == [((7, 64, 64, 3), (3, 128, 128, 3))] * 3
    assert {pair.source.partition("-")[2] for pair in pairs} <= {"clip", "still"}
    for pair in pairs:  # the third of seven is the first that is taught
        reduced = pair.hr[0].reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
        assert np.abs(reduced - pair.lr[2])[8:-8, 8:-8].mean() < 12
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "pairs" / "hr").iterdir()}
    assert make(*asked, "--count", 4, "--hold-out", "held*").returncode == 0
    assert len(list((tmp_path / "pairs" / "hr").iterdir())) == 4
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_what_is_true_is_learnt_without_a_teacher(tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    write_picture(footage / "still.png", np.kron(scene(3, 1)[0], np.ones((2, 2, 1), np.uint8)))
    asked = ["--data", footage, "-o", tmp_path / "pairs", "--side", 24, "--count", 2, "--taught", 1]
    done = make(*asked)
    assert done.returncode == 0, done.stderr
    for pair in load_pairs([tmp_path / "pairs"], tmp_path / "cache"):
        assert (len(pair.lr), pair.hr.shape) == (7, (1, 96, 96, 3))
        reduced = pair.hr[0].reshape(24, 4, 24, 4, 3).mean(axis=(1, 3))
        assert np.abs(reduced - pair.lr[3])[4:-4, 4:-4].mean() < 20


def test_a_clip_asked_for_too_large_fails_in_one_line(tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    write_video(footage / "clip.mp4", scene(1, 9))
    asked = ["--data", footage, "-o", tmp_path / "pairs", "--side", 400]
    done = make("--teacher", doubling(tmp_path), *asked)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: no video of 7 frames of 816x816 pixels")
