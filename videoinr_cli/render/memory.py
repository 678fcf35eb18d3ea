"""How much memory there is, how much rendering needs, and the sizes of pieces that fit."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from videoinr_cli.control_groups import OWN, ROOT, Group, own_groups
from videoinr_cli.errors import MemoryLimitError
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.model.network import DEFAULT_CHUNK_BYTES, DEFAULT_INSTANT_BYTES
from videoinr_cli.options import MIN_TILE_PX
from videoinr_cli.render.tiling import ALIGNMENT_PX, Tile, tiles

FREE_SHARE = 0.8
"""Share of the free memory that is used when no limit is given. The rest is for ffmpeg's encoder, for
fragmentation, and for programs that start later."""

MIN_CHUNK_BYTES = 4 << 20
"""Smallest chunk: one row of the widest output, 16384 pixels, needs half of it in the small network."""

GOOD_TILE_PX = 128
"""Tiles are not made smaller than this while that saves memory only because encodings are kept."""

MAX_TOGETHER = 8
"""Most instants that share the encoding of a tile: with more, hardly any of its time is left to share."""

PICTURE_BYTES = 4 * 3 + 4
"""Bytes for each output pixel while its picture is rendered: float32 RGB, and integer levels for the host."""

QUEUED_PICTURES = 8
"""Frames of the source, and of the output, that the stages hold on the host: three wait in a queue
(`render.pipeline.QUEUED_FRAMES`), and the stages at its two ends hold up to two each."""

LIBRARY_BYTES = 24 << 20
"""What the libraries hold besides the tensors on a CPU, at any size of the picture: compiled code, scratch
memory, and freed pages between live ones. 7 to 22 MiB were measured."""

SHORTAGE = re.compile(
    r"out of memory|(not enough|can't allocate) memory|bad_alloc|ALLOC(ATION)?_FAILED"
    r"|could not create a (primitive|memory)"  # oneDNN, where there is no room for its code or its scratch
    r"|can't start new thread"  # Python, where there is no room for its stack
)
"""Matches out-of-memory messages of allocators, CUDA's libraries, oneDNN and Python."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The sizes of the pieces in which pictures are rendered."""

    tile_px: tuple[int, int] | None = None  # most LR (rows, columns) of a tile; None: the whole at once
    halo_px: int | None = None  # LR pixels encoded around a tile; None: what the network asks for
    chunk_bytes: int = DEFAULT_CHUNK_BYTES  # see `VideoInr.render`
    instant_bytes: int = DEFAULT_INSTANT_BYTES  # likewise
    together: int = 1  # instants that share the encoding of a tile
    keeps: bool = True  # whether encodings are kept for the next pair; else every pair is encoded anew

    def __str__(self) -> str:
        parts = [] if self.tile_px is None else [f"tiles of {self.tile_px[1]}x{self.tile_px[0]} px"]
        return ", ".join([*parts, f"chunks of {self.chunk_bytes >> 20} MiB"])

    def order(self, lr_size: tuple[int, int]) -> tuple[int, bool, int]:
        """Return a sort key that is less for smaller pieces; for the argument see `with_smaller_tiles`."""
        rows, columns = (min(pair) for pair in zip(self.tile_px or lr_size, lr_size, strict=True))
        return rows * columns, self.keeps, self.chunk_bytes

    def with_smaller_chunks(self) -> Sizes | None:
        """Return the sizes with chunks half as large; None when they cannot be halved."""
        if self.chunk_bytes // 2 < MIN_CHUNK_BYTES:
            return None
        halves = self.chunk_bytes // 2, self.instant_bytes // 2
        return dataclasses.replace(self, chunk_bytes=halves[0], instant_bytes=halves[1], together=1)

    def with_smaller_tiles(self, lr_size: tuple[int, int]) -> Sizes | None:
        """Return the sizes with tiles half as large; None when they cannot be halved.

        Tiles that are small already first stop keeping encodings for the next pair: then only one tile is
        held at a time, however large the picture is.

        Args:
            lr_size: (H, W) of the whole picture.
        """
        rows, columns = (min(pair) for pair in zip(self.tile_px or lr_size, lr_size, strict=True))
        if self.tile_px is not None and self.keeps and max(rows, columns) <= GOOD_TILE_PX:
            return dataclasses.replace(self, keeps=False, together=1)
        if max(rows, columns) <= MIN_TILE_PX:
            return None
        half = (_half(rows), columns) if rows > columns else (rows, _half(columns))
        return dataclasses.replace(self, tile_px=half, together=1)

    def tiles(self, model: AnyVideoInr, lr_size: tuple[int, int], size: tuple[int, int]) -> list[Tile]:
        """Cut a picture into tiles, perhaps one; for the arguments see `needed_bytes`."""
        halo_px = model.halo_px if self.halo_px is None else self.halo_px
        return tiles(lr_size, size, self.tile_px or lr_size, halo_px)


DEFAULT_SIZES = Sizes()


def _half(length: int) -> int:
    """Return half of a tile's side, rounded up to the alignment, but not below the smallest side."""
    return max(MIN_TILE_PX, -(-length // (2 * ALIGNMENT_PX)) * ALIGNMENT_PX)


def needed_bytes(model: AnyVideoInr, lr_size: tuple[int, int], size: tuple[int, int], sizes: Sizes) -> int:
    """Estimate the peak memory of rendering on the device; on a CPU, queued frames are included.

    Args:
        model: the network; its weights are not counted.
        lr_size: (H, W) of the source.
        size: (Ho, Wo) of the output.
        sizes: of the pieces.
    """
    footprint = model.footprint()
    crops = [
        (tile.rows.stop - tile.rows.start) * (tile.columns.stop - tile.columns.start)
        for tile in sizes.tiles(model, lr_size, size)
    ]
    most = max(crops)
    pixels = size[0] * size[1]
    held_pictures = sizes.together + (len(crops) > 1)  # what is blended, and the tile on top of it
    drawing = (
        footprint.drawing * most + sizes.chunk_bytes + min(sizes.instant_bytes, footprint.instant * pixels)
    )
    needed = footprint.kept * (sum(crops) if sizes.keeps else most)
    needed += max(footprint.encoding * most, drawing)
    needed += PICTURE_BYTES * pixels * held_pictures
    if model.device.type == "cpu":
        needed += LIBRARY_BYTES + QUEUED_PICTURES * 3 * (pixels + lr_size[0] * lr_size[1])
    return needed


def choose_sizes(
    model: AnyVideoInr,
    lr_size: tuple[int, int],
    size: tuple[int, int],
    *,
    tile: int | None = None,
    limit_bytes: int | None = None,
    processes: int = 1,
) -> Sizes:
    """Choose the largest pieces that fit in memory.

    Args:
        model: the network, on the device to be used.
        lr_size: (H, W) of the source.
        size: (Ho, Wo) of the output.
        tile: longest side of a tile in LR pixels; None to choose it too.
        limit_bytes: the most memory that all processes hold, on a CPU in total, else on the device; None:
            most of what is free.
        processes: how many processes share the memory.

    Raises:
        MemoryLimitError: a limit is given, and even the smallest pieces need more.
    """
    device = model.device
    release_memory(device)  # else what earlier work freed still counts as used
    held = _held_bytes(device)
    if limit_bytes is None:
        budget = _free_bytes(device) // processes
    else:
        budget = limit_bytes // processes - held
    ladder = list(_ladder(lr_size, tile))
    for sizes in ladder:
        most = MAX_TOGETHER if sizes.tile_px is not None else 1
        for together in range(most, 0, -1):
            chosen = dataclasses.replace(sizes, together=together)
            if needed_bytes(model, lr_size, size, chosen) <= budget:
                return chosen
    if limit_bytes is None:  # the estimate may be wrong; running out of memory is dealt with
        return ladder[-1]
    least = processes * (held + needed_bytes(model, lr_size, size, ladder[-1]))
    raise MemoryLimitError(
        f"enlarging {lr_size[1]}x{lr_size[0]} to {size[1]}x{size[0]} needs about {_mebibytes(least)} even in "
        f"{ladder[-1]}, more than --max-memory {_mebibytes(limit_bytes)}; raise it, or try a smaller --scale"
    )


def _ladder(lr_size: tuple[int, int], tile: int | None) -> Iterator[Sizes]:
    """Yield sizes from large to small, that is, from fast to slow."""
    sizes: Sizes | None = Sizes(tile_px=None if tile is None or tile >= max(lr_size) else (tile, tile))
    while sizes is not None:
        yield sizes
        small = dataclasses.replace(
            sizes, chunk_bytes=DEFAULT_CHUNK_BYTES // 8, instant_bytes=DEFAULT_INSTANT_BYTES // 8
        )
        yield small
        if tile is not None:
            yield dataclasses.replace(small, keeps=sizes.tile_px is None)
            return
        sizes = sizes.with_smaller_tiles(lr_size)


def _mebibytes(size: int) -> str:
    return f"{-(-size // (1 << 20))}M"


def _held_bytes(device: torch.device) -> int:
    """Return what is used already: by the whole process on a CPU, else by torch on the device."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.current_allocated_memory()
    return psutil.Process().memory_info().rss


def _free_bytes(device: torch.device) -> int:
    """Return how much of the free memory may be used."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(FREE_SHARE * free)
    if device.type == "mps":
        return int(FREE_SHARE * torch.mps.recommended_max_memory()) - torch.mps.driver_allocated_memory()
    return int(FREE_SHARE * free_ram_bytes())


def free_ram_bytes() -> int:
    """Return how much this process can still allocate."""
    rooms = psutil.virtual_memory().available, _free_in_groups(), _free_addresses()
    return min(room for room in rooms if room is not None)


def _free_in_groups(root: Path = ROOT, own: Path = OWN) -> int | None:
    """Return how much memory this process's control groups, which limit containers, leave to it."""
    rooms = map(_room, own_groups("memory", root, own))
    return min((room for room in rooms if room is not None), default=None)


def _room(group: Group) -> int | None:
    """Return how much memory one control group leaves; reclaimable page cache counts as free."""
    if group.is_unified:
        limit, used, cache = "memory.max", "memory.current", "inactive_file "
    else:
        limit, used, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "
    folder = group.folder
    try:
        most, now = (folder / limit).read_text().strip(), int((folder / used).read_text())
        remembered = re.search(rf"^{cache}(\d+)", (folder / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):  # no such group, or one without the controller
        return None
    return None if most == "max" else max(0, int(most) - now + (int(remembered[1]) if remembered else 0))


def _free_addresses() -> int | None:
    """Return how much a limit on the address space (``ulimit -v``) leaves."""
    if sys.platform != "linux":  # others do not enforce it
        return None
    process = psutil.Process()
    limit = process.rlimit(psutil.RLIMIT_AS)[0]
    return None if limit == psutil.RLIM_INFINITY else max(0, limit - process.memory_info().vms)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out: torch and its libraries have many for it."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and SHORTAGE.search(str(error)) is not None


def release_memory(device: torch.device) -> None:
    """Return freed memory to the system or the device, so that it is not fragmented."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
        if trim is not None:
            trim(0)
