"""Pieces that fit in memory: chosen before the start, halved when memory runs out, and hardly to be seen."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.oracle.blend import BlendFrame, BlendPair, BlendVideoInr
from tests.oracle.golden_weights import golden_state_dict
from tests.oracle.plain_port import PlainVideoInr
from tests.outside import load
from tests.tiny import SHORT_RUNS, scattered
from videoinr_cli import control_groups
from videoinr_cli.errors import MemoryLimitError, is_out_of_memory
from videoinr_cli.model import AnyVideoInr, FastConfig, PublishedConfig, Window, build
from videoinr_cli.model.published import from_published_names
from videoinr_cli.render import memory, pieces
from videoinr_cli.render.pieces import (
    DEFAULT_SIZES,
    MIN_CHUNK_BYTES,
    Sizes,
    choose_sizes,
    needed_bytes,
    smaller_tiles,
)
from videoinr_cli.render.renderer import GivenFrame, Renderer
from videoinr_cli.weights import load_model

ladder = load("benchmarks/ladder.py")

TAUS = [Fraction(0), Fraction(1, 3), Fraction(2, 3)]
GIB = 1 << 30


def clip(height: int, width: int, count: int = 4, step: int = 2) -> list[GivenFrame]:
    """Make frames of a texture with detail at all scales that moves by (`step`, 2 `step`) pixels each."""
    rng = np.random.default_rng(0)
    rows, columns = height + count * step, width + 2 * count * step
    texture = np.zeros((rows, columns, 3))
    for size in (1, 2, 4, 8, 16):
        noise = rng.standard_normal((rows // size + 1, columns // size + 1, 3)) * size**0.7
        texture += noise.repeat(size, 0).repeat(size, 1)[:rows, :columns]
    texture = 255 * (texture - texture.min()) / np.ptp(texture)
    places = [(step * number, 2 * step * number) for number in range(count)]
    return [
        GivenFrame(np.ascontiguousarray(texture[y : y + height, x : x + width].astype(np.uint8)), pts)
        for pts, (y, x) in enumerate(places)
    ]


def rendered(
    model: AnyVideoInr,
    frames: list[GivenFrame],
    scale: float,
    sizes: Sizes = DEFAULT_SIZES,
    taus: list[Fraction] = TAUS,
    **options: Any,
) -> NDArray[np.float64]:
    """Render a clip as the pipeline does; (N, Ho, Wo, 3) in levels of 8 bits."""
    height, width, _ = frames[0].rgb.shape
    size = round(width * scale), round(height * scale)
    renderer = Renderer(model, size, sizes=sizes, bit_depth=16, **options)
    pictures = []
    for number, first in enumerate(frames):
        second, *following = [*frames[number + 1 :], None]
        renderer.advance(first, second, *following[: renderer.lookahead])
        pictures += [rendering.rgb for rendering in renderer.render_all(taus if second else taus[:1])]
    return np.stack(pictures) / 257


def published() -> AnyVideoInr:
    """Return the published network with weights under which every part of it shows."""
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in PlainVideoInr().state_dict().items()}
    model = build(PublishedConfig()).eval()
    model.load_state_dict(from_published_names(golden_state_dict(shapes)))
    return model.requires_grad_(False)


# Tiles


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("together", [1, 2, 8])
@pytest.mark.parametrize("scale", [1, 2, 3.7])
def test_tiles_of_what_has_no_context_are_exact(scale: float, together: int, keeps: bool) -> None:
    frames = clip(70, 101)
    sizes = Sizes(tile_px=(32, 40), halo_px=8, together=together, keeps=keeps)
    whole = rendered(BlendVideoInr(), frames, scale)
    tiled = rendered(BlendVideoInr(), frames, scale, sizes)
    # shares are float32: a level of 16 bits is 1/257
    np.testing.assert_allclose(tiled, whole, atol=1.01 / 257)


def test_a_window_is_rendered_from_the_tiles_it_shows() -> None:
    frames = clip(70, 101, 2)
    window = Window(0, 100, 30, 200)
    whole = rendered(BlendVideoInr(), frames, 2)
    model = BlendVideoInr()
    part = rendered(model, frames, 2, Sizes(tile_px=(32, 40), halo_px=8, together=3), window=window)
    np.testing.assert_allclose(part, whole[:, :30, 100:200], atol=1.01 / 257)
    assert model.pairs_encoded == 2 * 2, "two of nine tiles, for the pair and for its end"


def test_kept_tiles_encode_a_frame_once_and_forgotten_ones_for_every_pair() -> None:
    frames = clip(64, 40)
    encoded = {}
    for keeps in (True, False):
        model = BlendVideoInr()
        rendered(model, frames, 1, Sizes(tile_px=(32, 40), halo_px=8, together=8, keeps=keeps))
        encoded[keeps] = model.frames_encoded, model.pairs_encoded
        assert any(carry is not None for carry in model.carried) == keeps
    pairs = [(0, 1, 2), (0, 1, 2, 3), (1, 2, 3), (2, 3)]  # and the frames beside them
    assert encoded == {True: (2 * 4, 2 * 4), False: (2 * sum(map(len, pairs)), 2 * 4)}


def test_one_tile_is_held_at_a_time() -> None:
    """What is forgotten is gone when the next tile is encoded."""
    encodings: list[weakref.ref[BlendFrame]] = []

    class Watched(BlendVideoInr):
        def encode_frame(self, frame: torch.Tensor) -> BlendFrame:
            encoding = super().encode_frame(frame)
            encodings.append(weakref.ref(encoding))
            return encoding

        def encode_pair(self, *frames: BlendFrame, **beside: Any) -> Any:
            mine = {id(frame) for frame in (*frames, beside["before"], beside["after"])}
            assert {id(frame) for ref in encodings if (frame := ref()) is not None} <= mine
            return super().encode_pair(*frames, **beside)

    rendered(Watched(), clip(64, 96), 1, Sizes(tile_px=(32, 32), halo_px=8, together=8, keeps=False))


def test_tiles_of_a_run_of_frames_are_the_same_kept_or_not() -> None:
    model, frames = scattered(SHORT_RUNS), clip(40, 64, count=6)
    kept, forgotten = (
        rendered(model, frames, 2, Sizes(tile_px=(40, 32), together=2, keeps=keeps), TAUS[1:])
        for keeps in (True, False)
    )
    np.testing.assert_array_equal(kept, forgotten)


@pytest.mark.parametrize("name", ["embedded", "published"])
def test_seams_are_not_to_be_seen(name: str) -> None:
    """The mean difference from the whole is small even where tiles meet.

    That of the embedded network is everywhere: fast motion is first looked for in all of a tile.
    """
    if name == "embedded":
        model, frames = load_model(device="cpu", precision="fp32"), clip(40, 152, 3)
        sizes, most = Sizes(tile_px=(40, 56), together=2), 1.0
    else:
        model, frames = published(), clip(16, 112, 2)
        sizes, most = Sizes(tile_px=(32, 48), together=2), 0.1
    taus = [Fraction(1, 2)]
    whole = rendered(model, frames, 2, taus=taus)
    assert whole.std() > 10, "a picture that shows what becomes of it"
    difference = np.abs(rendered(model, frames, 2, sizes, taus=taus) - whole).mean((0, 1, 3))  # of a column
    assert difference.max() < most
    rough = dataclasses.replace(sizes, halo_px=8)
    if name == "embedded":
        assert np.abs(rendered(model, frames, 2, rough, taus=taus) - whole).max() > 1, "a halo is needed"


# Running out of memory

SHORTAGES = [
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    RuntimeError("std::bad_alloc"),
    RuntimeError("could not create a primitive"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=str)
def test_shortages_are_known(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_out_of_memory(ValueError(str(error) or "out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_library_that_raises_nothing_lacks_memory_where_it_is_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import resource

    error = SystemError("<method 'x'> returned NULL without setting an exception")
    for limit, is_known in ((resource.RLIM_INFINITY, False), (1 << 30, True)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        assert is_out_of_memory(error) == is_known


class Hungry(BlendVideoInr):
    """Runs out of memory at sizes above those given, from the `calm`-th attempt on."""

    PIXEL_BYTES = 12 << 10  # that a point is said to need: so that few make a chunk

    def __init__(self, *, encoded_px: int = 10**9, query_px: int = 10**9, calm: int = 0) -> None:
        super().__init__()
        self._encoded_px, self._query_px = encoded_px, query_px
        self._attempts = itertools.count(-calm)
        self.shortages = 0

    def _allocate(self, pixels: int, most: int) -> None:
        if next(self._attempts) >= 0 and pixels > most:
            self.shortages += 1
            raise SHORTAGES[self.shortages % len(SHORTAGES)]

    def encode_frame(self, frame: torch.Tensor) -> BlendFrame:
        self._allocate(frame.shape[2] * frame.shape[3], self._encoded_px)
        return super().encode_frame(frame)

    def query_bytes(self, pair: BlendPair) -> int:
        return self.PIXEL_BYTES

    def query(self, instant: torch.Tensor, window: Window) -> torch.Tensor:
        self._allocate(window.height * window.width, self._query_px)
        return super().query(instant, window)


def test_chunks_are_halved_where_rendering_needs_too_much(caplog: pytest.LogCaptureFixture) -> None:
    frames = clip(40, 48)
    start = Sizes(chunk_bytes=4 * MIN_CHUNK_BYTES)
    most = start.chunk_bytes // Hungry.PIXEL_BYTES // 3
    model = Hungry(query_px=most)
    pictures = rendered(model, frames, 2, start)
    assert model.shortages == 2, "a half is too much, a quarter is not"
    np.testing.assert_array_equal(pictures, rendered(BlendVideoInr(), frames, 2))
    assert ["out of memory" in record.message for record in caplog.records] == [True], "it is said once"


@pytest.mark.parametrize("calm", [0, 3, 7])
def test_tiles_are_halved_where_encoding_needs_too_much(calm: int, caplog: pytest.LogCaptureFixture) -> None:
    """From that frame on, pictures are those of a run that began with the smaller tiles."""
    frames = clip(64, 160, 6)
    model = Hungry(encoded_px=64 * 130, calm=calm)
    pictures = rendered(model, frames, 2, Sizes(halo_px=8))
    assert model.shortages == 1
    smaller = smaller_tiles(model, (64, 160), (128, 320), Sizes(halo_px=8))
    assert smaller is not None
    np.testing.assert_array_equal(
        pictures, rendered(BlendVideoInr(), frames, 2, smaller)
    )  # the shares of two tiles add up to 1 exactly here: their ramps are of sixteenths
    assert len(caplog.records) == 1
    assert "tiles of 80x64 px" in caplog.text
    assert "--tile" in caplog.text


def test_below_the_floor_it_is_given_up() -> None:
    with pytest.raises(MemoryLimitError, match=r"40x64 to 80x128 .* smallest tiles; .*--scale") as caught:
        rendered(Hungry(encoded_px=1), clip(64, 40), 2)
    assert caught.value.__cause__ in SHORTAGES


def test_other_errors_are_not_retried() -> None:
    class Broken(BlendVideoInr):
        def encode_frame(self, frame: torch.Tensor) -> BlendFrame:
            self.frames_encoded += 1
            raise RuntimeError("shapes do not match")

    model = Broken()
    with pytest.raises(RuntimeError, match="shapes"):
        rendered(model, clip(40, 40), 1)
    assert model.frames_encoded == 1


def test_pieces_shrink_to_an_end() -> None:
    model, sizes = BlendVideoInr(), Sizes()
    needs = []
    while (smaller := smaller_tiles(model, (1080, 1920), (1080, 1920), sizes)) is not None:
        assert smaller.tile_px is not None
        assert min(smaller.tile_px) >= 32
        needs.append(needed_bytes(model, (1080, 1920), (1080, 1920), smaller))
        sizes = smaller
    assert needs == sorted(set(needs), reverse=True)
    assert (sizes.tile_px, sizes.keeps) == ((32, 32), False)


# Choosing before the start

HD, UHD = (1080, 1920), (2160, 3840)


@pytest.fixture(scope="module", params=[FastConfig(), PublishedConfig()], ids=lambda c: c.architecture)
def network(request: pytest.FixtureRequest) -> AnyVideoInr:
    return build(request.param)


def test_what_fits_is_done_at_once(network: AnyVideoInr) -> None:
    assert choose_sizes(network, (90, 160), (360, 640), limit_bytes=16 * GIB) == DEFAULT_SIZES


def test_less_memory_means_smaller_pieces_that_fit(network: AnyVideoInr) -> None:
    held = memory.held_bytes(torch.device("cpu"))
    needs = []
    for gibibytes in (64, 16, 8, 4, 3):
        limit = gibibytes * GIB
        sizes = choose_sizes(network, HD, UHD, limit_bytes=limit)
        needs.append(needed_bytes(network, HD, UHD, sizes))
        assert held + needs[-1] <= limit * 1.02, "what is held varies a little"
    assert needs == sorted(needs, reverse=True)
    assert needs[0] > needs[-1]


def test_processes_share_a_limit(network: AnyVideoInr) -> None:
    alone = choose_sizes(network, HD, UHD, limit_bytes=4 * GIB)
    assert choose_sizes(network, HD, UHD, limit_bytes=8 * GIB, processes=2) == alone


@pytest.mark.parametrize(("room", "fits"), [(3.1, True), (2.9, False)])
def test_processes_share_a_gpu_alike_whatever_the_others_hold_already(
    room: float, fits: bool, network: AnyVideoInr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of them, on a GPU that has room for so many."""
    monkeypatch.setattr(type(network), "device", torch.device("cuda"))
    one = needed_bytes(network, HD, UHD, DEFAULT_SIZES)
    total = round(room * one / memory.FREE_SHARE)
    for name in ("memory_allocated", "memory_reserved"):
        monkeypatch.setattr(torch.cuda, name, lambda device: 0)
    for others in range(3):
        free = total - others * one
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, total))
        assert (choose_sizes(network, HD, UHD, processes=3) == DEFAULT_SIZES) == fits


def test_what_other_programs_hold_of_a_gpu_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    assert memory.share_of(GIB // 2, gpu, 2) == GIB // 2
    assert memory.share_of(GIB // 2, torch.device("cpu"), 2) == GIB // 4


def test_a_tile_that_is_asked_for_is_used(network: AnyVideoInr) -> None:
    assert choose_sizes(network, HD, UHD, tile=200).tile_px == (200, 200)
    assert choose_sizes(network, HD, UHD, tile=4000, limit_bytes=640 * GIB).tile_px is None


def test_an_impossible_limit_is_refused_with_what_is_needed(network: AnyVideoInr) -> None:
    with pytest.raises(MemoryLimitError, match=r"1920x1080 to 3840x2160 needs about (\d+)M") as caught:
        choose_sizes(network, HD, UHD, limit_bytes=300 << 20)
    stated = int(str(caught.value).split("about ")[1].split("M")[0]) << 20
    assert choose_sizes(network, HD, UHD, limit_bytes=stated + (64 << 20)).tile_px is not None


def test_without_a_limit_it_is_tried(network: AnyVideoInr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "free_bytes", lambda device: 1)
    assert choose_sizes(network, HD, UHD).keeps is False


# The work that a choice costs, counted


@pytest.fixture(scope="module")
def operations() -> Any:
    return ladder.operations()


@pytest.mark.parametrize("instants", [1, 2, 8])
@pytest.mark.parametrize(("lr_size", "gibibytes"), ladder.LADDER)
def test_no_choice_that_fits_costs_much_less(
    lr_size: tuple[int, int],
    gibibytes: int,
    instants: int,
    operations: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What measured times choose is compared, by counted operations, with all that --tile could name."""
    monkeypatch.setattr(pieces, "held_bytes", lambda device: 0)
    model, size, limit = build(FastConfig()), (2 * lr_size[0], 2 * lr_size[1]), gibibytes * GIB
    chosen = choose_sizes(model, lr_size, size, limit_bytes=limit, instants=instants)
    assert needed_bytes(model, lr_size, size, chosen) <= limit
    best = ladder.least(model, lr_size, size, limit, instants, operations)
    assert ladder.operations_of(chosen, model, lr_size, size, instants, operations) <= 1.2 * best


def test_measured_times_are_in_the_ratio_of_counted_operations(operations: Any) -> None:
    effort = build(FastConfig()).effort()
    for name in ("alone", "again"):
        measured = getattr(effort, name) / effort.following
        assert measured == pytest.approx(getattr(operations, name) / operations.following, rel=0.2)


def test_control_groups_are_heeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    own = tmp_path / "own"
    monkeypatch.setattr(control_groups, "ROOT", tmp_path / "fs")
    monkeypatch.setattr(control_groups, "OWN", own)
    assert memory._free_in_groups() is None, "no such thing"
    own.write_text("0::/outer/inner\n")
    assert memory._free_in_groups() is None, "no limit"
    for group, most, used, cache in (("outer", "9000", 5000, 1000), ("outer/inner", "max", 4000, 0)):
        write(f"fs/{group}/memory.max", f"{most}\n")
        write(f"fs/{group}/memory.current", f"{used}\n")
        write(f"fs/{group}/memory.stat", f"anon 7\ninactive_file {cache}\nactive_file 3\n")
    assert memory._free_in_groups() == 9000 - 5000 + 1000, "of the one around it"
    write("fs/outer/inner/memory.max", "4500")
    assert memory._free_in_groups() == 500
    own.write_text("5:cpu,memory:/old\n0::/nothing\n")
    write("fs/memory/old/memory.limit_in_bytes", "100")
    write("fs/memory/old/memory.usage_in_bytes", "30")
    write("fs/memory/old/memory.stat", "cache 9\ntotal_inactive_file 5\n")
    assert memory._free_in_groups() == 75, "the older kind"


# Real memory, in processes of their own


def in_child(program: str, *arguments: object) -> Any:
    """Run a program in a fresh interpreter and return what it prints last, from JSON."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def peak_bytes() -> int:
    """Return the most that this process has held, since it last wrote 5 into /proc/self/clear_refs."""
    return counted_bytes("VmHWM")


def counted_bytes(kind: str) -> int:
    """Return what Linux counts for this process under a name such as VmPeak."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{kind}:"))


PEAK = """
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
import psutil
import torch
from tests.render.test_memory import Sizes, clip, needed_bytes, peak_bytes, rendered
from videoinr_cli.render.memory import release_memory
from videoinr_cli.weights import load_model

model = load_model(device="cpu", precision="fp32")
frames, half = clip(96, 256, 3), [Fraction(1, 2)]
rendered(model, clip(32, 32, 3), 2)
found = []
small = Sizes(tile_px=(96, 64), halo_px=16, chunk_bytes=8 << 20)
for sizes in (replace(small, keeps=False), small, replace(small, tile_px=None)):
    release_memory(torch.device("cpu"))
    Path("/proc/self/clear_refs").write_text("5")
    before = psutil.Process().memory_info().rss
    rendered(model, frames, 1, sizes, half)
    found.append((peak_bytes() - before, needed_bytes(model, (96, 256), (96, 256), sizes)))
print(json.dumps(found))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells")
def test_estimates_are_honest_and_tiles_save_memory() -> None:
    one, kept, whole = in_child(PEAK)
    for measured, estimate in (one, kept, whole):
        assert measured < 1.15 * estimate
    assert measured > 0.5 * estimate, "of the whole, where little is left unused"
    assert one[0] < 0.8 * kept[0]
    assert kept[0] < 0.8 * whole[0]


SHORT = """
import json, logging, os, resource
from fractions import Fraction
import numpy as np
from tests.render.test_memory import Sizes, counted_bytes, clip, rendered
from videoinr_cli.errors import MemoryLimitError
from videoinr_cli.weights import load_model

said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("videoinr_cli").addHandler(handler)
model = load_model(device="cpu", precision="fp32")
frames, half = clip(64, 1024, 2), [Fraction(1, 2)]
rendered(model, clip(32, 32, 3), 2)
before = counted_bytes("VmSize")
if not (child := os.fork()):
    rendered(model, frames, 1, taus=half)
    os._exit((counted_bytes("VmPeak") - before) >> 24)
needed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) + 1  # by 16 MiB; it differs from run to run
for room in range(before + (needed << 24), before, -(16 << 20)):
    if not (child := os.fork()):
        resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
        try:
            short = rendered(model, frames, 1, taus=half)
        except MemoryLimitError:  # by chance the heap holds all the room, and none is left for code
            os._exit(0)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if said:
            whole = rendered(model, frames, 1, taus=half)
            print(json.dumps([said, float(np.abs(short - whole).mean())]), flush=True)
        os._exit(bool(said))
    if os.waitpid(child, 0)[1]:  # it was short of memory, or failed and printed nothing
        break
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux keeps to RLIMIT_AS")
def test_a_real_shortage_is_survived() -> None:
    said, difference = in_child(SHORT)
    assert len(said) == 1
    assert "tiles of" in said[0]
    assert difference < 1


LENGTH = """
import json, subprocess, sys
from pathlib import Path
from tests.oracle.blend import BlendVideoInr
from tests.render.test_memory import peak_bytes
from videoinr_cli.media.ffmpeg import find_ffmpeg
from videoinr_cli.options import EncodeOptions, UpscaleOptions
from videoinr_cli.jobs.upscale import upscale_video

class Forgetful(BlendVideoInr):  # what the network counts for other tests grows with length
    def render(self, *arguments, **options):
        for counted in (self.rendered, self.windows, self.context, self.carried):
            counted.clear()
        return super().render(*arguments, **options)

folder, peaks = Path(sys.argv[1]), []
options = UpscaleOptions(scale=1.0, encode=EncodeOptions(codec="libx264", preset="ultrafast"))
for seconds in (360, 3600):
    source, output = folder / f"{seconds}.mp4", folder / f"{seconds}.mkv"
    picture = f"testsrc2=size=256x192:rate=1/6:duration={seconds}"
    made = ["-f", "lavfi", "-i", picture, "-preset", "ultrafast", str(source)]
    subprocess.run([find_ffmpeg(), "-v", "error", *made], check=True)
    summary = upscale_video(source, output, options, model=Forgetful())
    assert summary.frames_written == seconds // 6
    peaks.append(peak_bytes())
print(json.dumps(peaks))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_an_hour_needs_no_more_memory_than_its_tenth(tmp_path: Path) -> None:
    """Pictures that it kept would take 80 MB."""
    tenth, hour = in_child(LENGTH, tmp_path)
    assert hour < 1.1 * tenth
