"""The pieces in which pictures are rendered: what each choice needs and costs, and the cheapest that fits."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator

from videoinr_cli.errors import MemoryLimitError
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.model.network import DEFAULT_CHUNK_BYTES, DEFAULT_INSTANT_BYTES
from videoinr_cli.options import MIN_TILE_PX
from videoinr_cli.render.memory import free_bytes, held_bytes, release_memory, share_of
from videoinr_cli.render.scenes import WINDOW
from videoinr_cli.render.tiling import ALIGNMENT_PX, BLEND_PX, Tile, axis_spans, tiles

MIN_CHUNK_BYTES = 4 << 20
"""Smallest chunk: one row of the widest output, 16384 pixels, needs half of it in the small network."""

SMALL_CHUNK_SHARE = 8
"""How many times smaller than the usual ones the chunks are that are chosen where memory is short."""

SMALL_CHUNK_EFFORT = 1.1
"""How much longer drawing takes in them: 1.05 to 1.15 times was measured, in processor time."""

MOST_OBLONG = 2
"""How many times longer than wide a tile is at most: motion is searched for within it."""

MAX_TOGETHER = 8
"""Most instants that share the encoding of a tile: with more, hardly any of its time is left to share."""

SHRINKING = 0.75
"""Most memory that smaller tiles may need, of that of the tiles with which memory ran out."""

PICTURE_BYTES = 4 * 3 + 4
"""Bytes for each output pixel while its picture is rendered: float32 RGB, and integer levels for the host."""

QUEUED_PICTURES = 8
"""Frames of the source, and of the output, that the stages hold on the host: three wait in a queue
(`render.pipeline.QUEUED_FRAMES`), and the stages at its two ends hold up to two each. Of the source, those
come on top by which cuts are known (`render.scenes.WINDOW`)."""

LIBRARY_BYTES = 24 << 20
"""What the libraries hold besides the tensors on a CPU, at any size of the picture: compiled code, scratch
memory, and freed pages between live ones. 7 to 22 MiB were measured."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The sizes of the pieces in which pictures are rendered."""

    tile_px: tuple[int, int] | None = None  # most LR (rows, columns) of a tile; None: the whole at once
    halo_px: int | None = None  # LR pixels encoded around a tile; None: what the network asks for
    chunk_bytes: int = DEFAULT_CHUNK_BYTES  # see `VideoInr.render`
    instant_bytes: int = DEFAULT_INSTANT_BYTES  # likewise
    together: int = 1  # instants that share the encoding of a tile
    keeps: bool = True  # whether encodings are kept for the next pair; else every pair is encoded anew

    @classmethod
    def of_tile(cls, tile: int | None, lr_size: tuple[int, int]) -> Sizes:
        """Return the usual sizes for tiles whose longest side is given; None: for the whole picture."""
        return cls(tile_px=None if tile is None or tile >= max(lr_size) else (tile, tile))

    def __str__(self) -> str:
        parts = [] if self.tile_px is None else [f"tiles of {self.tile_px[1]}x{self.tile_px[0]} px"]
        return ", ".join([*parts, f"chunks of {self.chunk_bytes >> 20} MiB"])

    def with_smaller_chunks(self) -> Sizes | None:
        """Return the sizes with chunks half as large; None when they cannot be halved."""
        if self.chunk_bytes // 2 < MIN_CHUNK_BYTES:
            return None
        halves = self.chunk_bytes // 2, self.instant_bytes // 2
        return dataclasses.replace(self, chunk_bytes=halves[0], instant_bytes=halves[1], together=1)

    def tiles(self, model: AnyVideoInr, lr_size: tuple[int, int], size: tuple[int, int]) -> list[Tile]:
        """Cut a picture into tiles, perhaps one; for the arguments see `needed_bytes`."""
        return tiles(lr_size, size, self.tile_px or lr_size, self.halo(model))

    def of_piece(self) -> Sizes:
        """Return the sizes with which a tile is rendered by itself, in the same way."""
        return dataclasses.replace(self, tile_px=None)

    def largest_tile(self, model: AnyVideoInr, lr_size: tuple[int, int]) -> tuple[int, int]:
        """Return (rows, columns) of the largest tile of a picture, its halo included."""
        rows, columns = map(max, self.lengths(model, lr_size))
        return rows, columns

    def lengths(self, model: AnyVideoInr, lr_size: tuple[int, int]) -> list[list[int]]:
        """Return the lengths of a picture's tiles along each axis in LR pixels, their halos included."""
        return [
            [stop - start for start, stop in axis_spans(length, tile_px, halo_px=self.halo(model))]
            for length, tile_px in zip(lr_size, self.tile_px or lr_size, strict=True)
        ]

    def halo(self, model: AnyVideoInr) -> int:
        """Return the LR pixels that are encoded around a tile."""
        return model.halo_px if self.halo_px is None else self.halo_px


DEFAULT_SIZES = Sizes()


@dataclasses.dataclass(frozen=True)
class _Layout:
    """How many LR pixels the tiles of a picture have, each with its halo."""

    count: int
    all_px: int
    largest_px: int
    drawn_share: float  # pixels that are drawn for one of the output's: tiles overlap where they blend

    @classmethod
    def of(cls, model: AnyVideoInr, lr_size: tuple[int, int], sizes: Sizes) -> _Layout:
        lengths = sizes.lengths(model, lr_size)
        overlaps = (
            1 + 2 * BLEND_PX * (len(spans) - 1) / length
            for spans, length in zip(lengths, lr_size, strict=True)
        )
        return cls(
            count=math.prod(map(len, lengths)),
            all_px=math.prod(map(sum, lengths)),
            largest_px=math.prod(map(max, lengths)),
            drawn_share=math.prod(overlaps),
        )

    def tile_bytes(self, model: AnyVideoInr, *, keeps: bool) -> int:
        """Return the memory that encodings need, what is computed on the way to them included."""
        footprint = model.footprint()
        kept = footprint.kept * (self.all_px if keeps else self.largest_px)
        return kept + max(footprint.encoding, footprint.drawing) * self.largest_px


def needed_bytes(model: AnyVideoInr, lr_size: tuple[int, int], size: tuple[int, int], sizes: Sizes) -> int:
    """Estimate what `device_bytes` does; on a CPU, queued frames are included."""
    needed = device_bytes(model, lr_size, size, sizes)
    if model.device.type == "cpu":
        given = (QUEUED_PICTURES + WINDOW) * lr_size[0] * lr_size[1]
        needed += LIBRARY_BYTES + 3 * (QUEUED_PICTURES * size[0] * size[1] + given)
    return needed


def device_bytes(model: AnyVideoInr, lr_size: tuple[int, int], size: tuple[int, int], sizes: Sizes) -> int:
    """Estimate the peak memory that rendering takes on the device.

    Args:
        model: the network; its weights are not counted.
        lr_size: (H, W) of the source.
        size: (Ho, Wo) of the output.
        sizes: of the pieces.
    """
    footprint, layout = model.footprint(), _Layout.of(model, lr_size, sizes)
    pixels = size[0] * size[1]
    held_pictures = sizes.together + (layout.count > 1)  # what is blended, and the tile on top of it
    drawing = sizes.chunk_bytes + min(sizes.instant_bytes, footprint.instant * pixels)
    drawing += footprint.drawing * layout.largest_px
    needed = footprint.kept * (layout.all_px if sizes.keeps else layout.largest_px)
    needed += max(footprint.encoding * layout.largest_px, drawing)
    return needed + PICTURE_BYTES * pixels * held_pictures


def work(
    model: AnyVideoInr,
    lr_size: tuple[int, int],
    size: tuple[int, int],
    sizes: Sizes,
    instants: float = 1.0,
    *,
    shown: float = 1.0,
    within_run: bool = False,
) -> float:
    """Return what rendering a pair of frames costs, in the units of `VideoInr.effort`.

    Args:
        model: the network.
        lr_size: (H, W) of the source.
        size: (Ho, Wo) of the output.
        sizes: of the pieces.
        instants: rendered for each pair.
        shown: share of the output's pixels that are drawn.
        within_run: whether what is done when a run of pairs begins is left out.
    """
    drawing = drawing_work(model, lr_size, size, sizes, shown=shown)
    encoding = encoding_work(model, lr_size, sizes, instants, within_run=within_run)
    return encoding + max(1.0, instants) * drawing


def encoding_work(
    model: AnyVideoInr,
    lr_size: tuple[int, int],
    sizes: Sizes,
    instants: float = 1.0,
    *,
    within_run: bool = False,
) -> float:
    """Return the share of `work` that encodes a pair."""
    effort, layout = model.effort(), _Layout.of(model, lr_size, sizes)
    is_shared = layout.count == 1 and sizes.keeps  # by all instants
    encodings = 1 if is_shared else math.ceil(max(1.0, instants) / sizes.together)
    if sizes.keeps:
        once = effort.following - within_run * effort.ahead + effort.again * (encodings - 1)
    else:  # every encoding begins a run
        once = effort.alone * encodings
    return layout.all_px * once


def drawing_work(
    model: AnyVideoInr, lr_size: tuple[int, int], size: tuple[int, int], sizes: Sizes, *, shown: float
) -> float:
    """Return the share of `work` that draws one instant, or the share `shown` of its pixels."""
    effort, layout = model.effort(), _Layout.of(model, lr_size, sizes)
    points = size[0] * size[1] * layout.drawn_share * math.prod(model.points_per_pixel(lr_size, size))
    is_small = sizes.chunk_bytes < DEFAULT_CHUNK_BYTES
    return layout.all_px * effort.instant + shown * points * effort.point * (
        SMALL_CHUNK_EFFORT if is_small else 1
    )


def choose_sizes(
    model: AnyVideoInr,
    lr_size: tuple[int, int],
    size: tuple[int, int],
    *,
    tile: int | None = None,
    limit_bytes: int | None = None,
    processes: int = 1,
    instants: float = 1.0,
) -> Sizes:
    """Choose the pieces that cost the least work among those that fit in memory.

    Args:
        model: the network, on the device to be used.
        lr_size: (H, W) of the source.
        size: (Ho, Wo) of the output.
        tile: longest side of a tile in LR pixels; None to choose it too.
        limit_bytes: the most memory that all processes hold, on a CPU in total, else on the device; None:
            most of what is free.
        processes: how many processes share the memory.
        instants: rendered for each pair.

    Raises:
        MemoryLimitError: a limit is given, and even the smallest pieces need more.
    """
    device = model.device
    release_memory(device)  # else what earlier work freed still counts as used
    held = held_bytes(device)
    if limit_bytes is None:
        budget = share_of(free_bytes(device), device, processes)
    else:
        budget = limit_bytes // processes - held
    choices = list(_choices(lr_size, tile, instants))
    needs = {sizes: needed_bytes(model, lr_size, size, sizes) for sizes in choices}
    fitting = (sizes for sizes in choices if needs[sizes] <= budget)
    if (chosen := _cheapest(model, lr_size, size, fitting, instants)) is not None:
        return chosen
    smallest = min(choices, key=needs.__getitem__)
    if limit_bytes is None:  # the estimate may be wrong; running out of memory is dealt with
        return smallest
    least = processes * (held + needs[smallest])
    raise MemoryLimitError(
        f"enlarging {lr_size[1]}x{lr_size[0]} to {size[1]}x{size[0]} needs about {_mebibytes(least)} even in "
        f"{smallest}, more than --max-memory {_mebibytes(limit_bytes)}; raise it, or try a smaller --scale"
    )


def smaller_tiles(
    model: AnyVideoInr, lr_size: tuple[int, int], size: tuple[int, int], sizes: Sizes
) -> Sizes | None:
    """Return the pieces that cost the least work and need clearly less memory for their tiles.

    Args:
        model: the network.
        lr_size: (H, W) of the source.
        size: (Ho, Wo) of the output.
        sizes: those with which memory ran out.

    Returns:
        Sizes with the same halo and chunks; None when no tiles are smaller.
    """

    def tile_bytes(one: Sizes) -> int:
        return _Layout.of(model, lr_size, one).tile_bytes(model, keeps=one.keeps)

    alike = {"halo_px": sizes.halo_px, "chunk_bytes": sizes.chunk_bytes, "instant_bytes": sizes.instant_bytes}
    grids = {(one.tile_px, one.keeps) for one in _choices(lr_size, None, 1.0) if one.tile_px is not None}
    choices = [Sizes(tile_px=tile_px, keeps=keeps, **alike) for tile_px, keeps in sorted(grids)]  # type: ignore[arg-type]
    most = SHRINKING * tile_bytes(sizes)
    return _cheapest(model, lr_size, size, (one for one in choices if tile_bytes(one) <= most))


def _cheapest(
    model: AnyVideoInr,
    lr_size: tuple[int, int],
    size: tuple[int, int],
    choices: Iterable[Sizes],
    instants: float = 1.0,
) -> Sizes | None:
    return min(choices, key=lambda sizes: work(model, lr_size, size, sizes, instants), default=None)


def _choices(lr_size: tuple[int, int], tile: int | None, instants: float) -> Iterator[Sizes]:
    """Yield every choice of pieces, those of one tile first."""
    grids = _grids(lr_size) if tile is None else iter([Sizes.of_tile(tile, lr_size).tile_px])
    for tile_px in grids:
        for share in (1, SMALL_CHUNK_SHARE):
            sizes = Sizes(
                tile_px=tile_px,
                chunk_bytes=DEFAULT_CHUNK_BYTES // share,
                instant_bytes=DEFAULT_INSTANT_BYTES // share,
            )
            if tile_px is None:  # its encoding is shared by all instants anyway
                yield sizes
                continue
            for together, keeps in itertools.product(_shares(instants), (True, False)):
                yield dataclasses.replace(sizes, together=together, keeps=keeps)


def _shares(instants: float) -> list[int]:
    """Return how many instants may share an encoding, so that each number saves one."""
    count = max(1, math.ceil(instants))
    fair = {math.ceil(count / encodings) for encodings in range(1, count + 1)}
    return sorted((number for number in fair if number <= MAX_TOGETHER), reverse=True)


def _grids(lr_size: tuple[int, int]) -> Iterator[tuple[int, int] | None]:
    """Yield the sizes of tiles into which a picture can be cut evenly; None: the whole."""
    yield None
    for rows, columns in itertools.product(*map(_even_lengths, lr_size)):
        is_oblong = max(rows, columns) > MOST_OBLONG * min(rows, columns)
        if (rows, columns) != lr_size and not (is_oblong and rows < lr_size[0] and columns < lr_size[1]):
            yield rows, columns


def _even_lengths(length: int) -> list[int]:
    """Return the lengths of tiles that cut an axis evenly, the whole axis first."""
    lengths = {
        -(-length // (count * ALIGNMENT_PX)) * ALIGNMENT_PX
        for count in range(2, -(-length // MIN_TILE_PX) + 1)
    }
    return [length, *sorted((one for one in lengths if MIN_TILE_PX <= one < length), reverse=True)]


def _mebibytes(size: int) -> str:
    return f"{-(-size // (1 << 20))}M"
