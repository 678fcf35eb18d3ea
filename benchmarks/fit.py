"""Fit a clip in many ways, each for the same time, beside what else there is for the purpose.

    python benchmarks/fit.py examples/clip.mp4 --height 90 --minutes 1
    python benchmarks/fit.py clip.mp4 --start 3 --seconds 2 --parts sizes steps

--minutes are of processor time, for each fit: so many steps are taken as the first ones foretell, so that
rows measured on a busy machine can be compared. PSNR and SSIM are means over frames, PSNR of R'G'B' in 8
bits, against the frames as they were fitted. Bytes are those of the file without other streams. The parts:

    sizes      each architecture at three sizes, beside x265 and SVT-AV1 at no more bytes
    steps      what each step of compression costs and saves, of hinerv at the three sizes
    between    every other frame withheld: the fit at their times, beside blending and `upscale`
    larger     fitted at half the size, shown at the whole one, beside a bicubic enlargement and `upscale`
    filled     pixels left out: a logo in all frames, and a moving scratch under noise
    ablations  parts of the networks and of the loss taken away or replaced, at the same number of parameters
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch.func import functional_call

from videoinr_cli.evaluation.metrics import ssim
from videoinr_cli.fitting.coding import pack, quantised
from videoinr_cli.fitting.file import MATROSKA, FittedFile, Record
from videoinr_cli.fitting.fit import initial_network
from videoinr_cli.fitting.fitted import FittedVideo
from videoinr_cli.fitting.frames import Frames, load_frames
from videoinr_cli.fitting.loop import Fitter
from videoinr_cli.fitting.options import ARCHITECTURES, FitOptions
from videoinr_cli.media.ffmpeg import Needs, find_ffmpeg
from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.options import ReadOptions
from videoinr_cli.render.frames import upscale_frames

Pictures = NDArray[np.uint8]  # (N, H, W, 3)

CODECS = {
    "x265 medium": ("hevc", 51, ("-c:v", "libx265", "-preset", "medium", "-x265-params", "log-level=error")),
    "SVT-AV1": ("ivf", 63, ("-c:v", "libsvtav1", "-preset", "6")),
}
"""Suffix, largest rate factor, and ffmpeg's options of each codec."""

FRAMES_PER_SECOND = 25
"""That the codecs are told, which matters little to them."""

SIZES = (1.0, 1.5, 2.0)
"""Of the networks, in multiples of --bits-per-pixel."""

QUANTISERS = (8, 7, 6, 5, 4)
TRIAL_SECONDS = 1.0
SMOOTHING_PASSES = 400
NOISE_LEVELS = 12
"""Standard deviation of the noise that is added, of 255."""

ABLATIONS: dict[str, tuple[tuple[str, dict[str, Any], dict[str, Any]], ...]] = {
    "hinerv": (
        ("hinerv", {}, {}),
        ("3x3 convolution and pixel shuffle, not bilinear", {"enlargement": "shuffle"}, {}),
        ("MLP, not 3x3 windows", {"window": 1}, {}),
        ("no encoding of places", {"encoding": False}, {}),
    ),
    "nerv": (
        ("nerv", {}, {}),
        ("no encoding of time", {"encoding": False}, {}),
        ("bilinear and 3x3 convolution, not pixel shuffle", {"enlargement": "bilinear"}, {}),
        ("ReLU, not GELU", {"activation": "relu"}, {}),
        ("L1 alone", {}, {"loss": "l1"}),
        ("L2 alone", {}, {"loss": "l2"}),
        ("SSIM alone", {}, {"loss": "ssim"}),
    ),
}
"""Names, fields of `NetworkConfig`, and fields of `FitOptions`."""


@dataclasses.dataclass(frozen=True)
class Made:
    """A fit that is done."""

    fitter: Fitter
    video: FittedVideo  # of its file
    file_bytes: int  # without other streams
    cpu_seconds: float

    @property
    def parameters(self) -> int:
        return self.video.file.parameters


class Bench:
    """Fits, all for the same time."""

    def __init__(self, minutes: float, bits_per_pixel: float, folder: Path) -> None:
        self._seconds, self._bits_per_pixel, self._folder = 60 * minutes, bits_per_pixel, folder

    def fit(
        self,
        frames: Frames,
        architecture: str = "hinerv",
        *,
        share: float = 1.0,
        network: dict[str, Any] | None = None,
        pixels: int | None = None,
        **settings: Any,
    ) -> Made:
        """Fit frames.

        Args:
            frames: of the clip.
            architecture: of the network.
            share: size of the network, in multiples of the usual one.
            network: fields of its configuration.
            pixels: by which the usual size counts; None: the frames' own.
            settings: fields of `FitOptions`.
        """
        pixels = pixels or _pixels(frames)
        size_kb = share * self._bits_per_pixel * pixels / 8000
        options = FitOptions(architecture=architecture, size_kb=size_kb, **settings)  # type: ignore[arg-type]

        def fitter(steps: int) -> Fitter:
            made = initial_network(frames, options, **(network or {}))
            return Fitter(made, frames, dataclasses.replace(options, steps=steps), torch.device("cpu"))

        trial = fitter(10**6)
        trial.train_step()  # what is done once
        began, count = time.process_time(), 0
        while time.process_time() - began < TRIAL_SECONDS:
            trial.train_step()
            count += 1
        steps = max(10, round(self._seconds * count / (time.process_time() - began)))
        began, made = time.process_time(), fitter(steps)
        while made.fraction < 1:
            made.train_step()
        spent = time.process_time() - began
        record = Record(made.psnr(most_frames=len(frames)), made.step, spent)
        file = FittedFile(
            made.network.config, frames.clip, record, pack(made.parameters(), options.bits), MATROSKA
        )
        path = self._folder / "clip.vinr"
        path.write_bytes(file.to_bytes())
        video = FittedVideo(path, device="cpu")
        return Made(made, video, path.stat().st_size - len(MATROSKA), spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--height", type=int, default=90)
    parser.add_argument("--start", type=Fraction, default=Fraction(0))
    parser.add_argument("--seconds", type=Fraction, default=Fraction(3))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--bits-per-pixel", type=float, default=0.3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    torch.set_num_threads(1)  # so that the time of the process is that of the fit
    read = ReadOptions(start=given.start, end=given.start + given.seconds)
    frames = load_frames(prepare(given.source, read), FitOptions(max_height=given.height))
    print(
        f"{Path(given.source).name} from {float(given.start):g} s on: {len(frames)} frames of "
        f"{frames.size[0]}x{frames.size[1]}, {60 * given.minutes:g} s of processor time a fit"
    )
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(given.minutes, given.bits_per_pixel, Path(folder))
        for name in given.parts:
            print(flush=True)
            for row in PARTS[name](bench, frames):
                print(f"| {' | '.join(row)} |", flush=True)


Rows = Iterator[tuple[str, ...]]


def sizes(bench: Bench, frames: Frames) -> Rows:
    truth = _truth(frames)
    yield (
        "",
        "parameters",
        "kB",
        "bits per pixel",
        "PSNR, dB",
        "SSIM",
        "fitting, CPU s",
        "steps",
        "picture, CPU s",
    )
    yield ("---",) * 9
    for share in SIZES:
        largest = 0
        for architecture in ARCHITECTURES:
            made = bench.fit(frames, architecture, share=share)
            largest = max(largest, made.file_bytes)
            began = time.process_time()
            shown = _shown(made.video, frames)
            picture = (time.process_time() - began) / len(frames)
            costs = (f"{made.cpu_seconds:.0f}", str(made.fitter.step), f"{picture:.4f}")
            yield (
                architecture,
                str(made.parameters),
                *_size(made.file_bytes, frames),
                *_likeness(truth, shown),
                *costs,
            )
        for codec in CODECS:
            factor, file_bytes, seconds, shown = _encoded_below(codec, truth, largest)
            name = f"{codec}, crf {factor}"
            costs = (f"{seconds:.1f}", "", "")
            yield (name, "", *_size(file_bytes, frames), *_likeness(truth, shown), *costs)


def steps(bench: Bench, frames: Frames) -> Rows:
    yield ("hinerv", "kB", "bits per pixel", "PSNR, dB")
    yield ("---",) * 4
    for share, prune in itertools.product(SIZES, (0.0, 0.15)):
        made = bench.fit(frames, share=share, prune=prune)
        values, count = made.fitter.parameters(), made.parameters
        name = f"{count} parameters" + (f", {prune:.0%} pruned" if prune else "")
        if not prune:
            whole = _psnr(_truth(frames), _unpacked(made.fitter, values))
            yield (f"{name}, 32 bits each", *_size(4 * count, frames), f"{whole:.2f}")
        for bits in QUANTISERS:
            coded, psnr = (
                pack(values, bits),
                _psnr(_truth(frames), _unpacked(made.fitter, quantised(values, bits))),
            )
            said, halves = f"{name}, {bits} bits each", len(coded.halves)
            if not prune:
                yield (said, *_size(count * bits // 8 + halves, frames), f"{psnr:.2f}")
            yield (f"{said}, range-coded", *_size(len(coded.coded) + halves, frames), f"{psnr:.2f}")


@torch.inference_mode()
def _unpacked(fitter: Fitter, values: dict[str, torch.Tensor]) -> Pictures:
    """Return the clip's frames as a network shows them by these parameters."""
    clip = fitter.frames.clip
    instants = torch.tensor([clip.instant(pts) for pts in clip.pts], dtype=torch.float64)
    shown = torch.cat([functional_call(fitter.network, values, (one,)) for one in instants.split(1)])
    return (shown * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def between(bench: Bench, frames: Frames) -> Rows:
    count = (len(frames) - 1) // 2 * 2 + 1  # the last one is not withheld
    frames = _taken(frames, slice(count))
    even, odd = _taken(frames, slice(0, None, 2)), _taken(frames, slice(1, None, 2))
    truth, given = _truth(odd), _truth(even)
    rendered = [frame.picture for frame in upscale_frames(iter(given), scale=1, fps="2x", input_fps=12)]
    guessed = np.stack(rendered[: len(given) * 2 - 1])[1::2].astype(np.uint8)
    yield ("withheld frames", "PSNR, dB", "SSIM", "PSNR of the others, dB")
    yield ("---",) * 4
    blended = ((given[:-1].astype(int) + given[1:] + 1) // 2).astype(np.uint8)
    yield ("blend of the two beside them", *_likeness(truth, blended), "")
    yield ("`upscale --fps 2x` of the two beside them", *_likeness(truth, guessed), "")
    for name, seen in (
        ("fit of the others", even),
        ("fit of the others and of what `upscale` puts between them", _interleaved(frames, guessed)),
        ("fit of all, none withheld", frames),
    ):
        made = bench.fit(seen, pixels=_pixels(frames))
        others = _psnr(given, _shown(made.video, even))
        yield (name, *_likeness(truth, _shown(made.video, odd)), f"{others:.2f}")


def larger(bench: Bench, frames: Frames) -> Rows:
    truth = _truth(frames)
    size = (frames.size[0] // 2, frames.size[1] // 2)
    reduced = F.interpolate(frames.pictures.float(), size[::-1], mode="bicubic", antialias=True)
    half = dataclasses.replace(frames, pictures=reduced.round().clamp(0, 255).to(torch.uint8))
    made = bench.fit(half, pixels=_pixels(frames))  # as many bytes as at the whole size
    fitted = _shown(made.video, half)
    yield (f"{frames.size[0]}x{frames.size[1]} from {size[0]}x{size[1]}", "PSNR, dB", "SSIM")
    yield ("---",) * 3
    yield ("bicubic enlargement of the frames", *_likeness(truth, _enlarged(_truth(half), frames)))
    yield ("`upscale` of the frames", *_likeness(truth, _upscaled(_truth(half), frames)))
    yield ("fit of them, shown at the size", *_likeness(truth, _shown(made.video, frames)))
    yield ("`upscale` of the fit", *_likeness(truth, _upscaled(fitted, frames)))
    whole = _shown(bench.fit(frames).video, frames)
    yield ("fit of the whole size, of as many bytes", *_likeness(truth, whole))
    kept = _psnr(_truth(half), fitted)
    yield (f"(the fit against the {size[0]}x{size[1]} frames", f"{kept:.2f})", "")


def filled(bench: Bench, frames: Frames) -> Rows:
    truth = _truth(frames)
    count, height, width, _ = truth.shape
    box = (height // 5, width // 5)
    logo = np.zeros((1, height, width), bool)
    logo[:, height // 8 : height // 8 + box[0], -box[1] - width // 16 : -width // 16] = True
    scratch = np.zeros((count, height, width), bool)
    for number in range(count):  # thin, and elsewhere in each frame
        left = (number * 37) % (width - width // 20)
        scratch[number, :, left : left + width // 20] = True
    noise = np.random.default_rng(0).normal(0, NOISE_LEVELS, truth.shape)
    noisy = np.clip(truth + noise, 0, 255).round().astype(np.uint8)
    yield ("", "PSNR where pixels are left out, dB", "PSNR elsewhere, dB")
    yield ("---",) * 3
    for name, given, left_out in (("logo", truth, logo), ("scratch, noise", noisy, scratch)):
        spoilt = np.where(left_out[..., None], np.uint8(255), given)
        regions = np.broadcast_to(left_out, (count, height, width))
        pictures = torch.from_numpy(spoilt).permute(0, 3, 1, 2).contiguous()
        counted = torch.from_numpy(~left_out)[:, None]
        shown = _shown(bench.fit(Frames(frames.clip, pictures, counted)).video, frames)
        for what, seen in (
            ("given", spoilt),
            ("filled smoothly, each frame by itself", _smoothed(spoilt, regions)),
            ("fit", shown),
        ):
            yield (f"{name}: {what}", *_parted(truth, seen, regions))


def ablations(bench: Bench, frames: Frames) -> Rows:
    truth = _truth(frames)
    yield ("", "parameters", "PSNR, dB", "SSIM", "steps")
    yield ("---",) * 5
    for architecture, kinds in ABLATIONS.items():
        for name, network, settings in kinds:
            made = bench.fit(frames, architecture, network=network, **settings)
            likeness = _likeness(truth, _shown(made.video, frames))
            yield (name, str(made.parameters), *likeness, str(made.fitter.step))


PARTS: dict[str, Callable[[Bench, Frames], Rows]] = {
    one.__name__: one for one in (sizes, steps, between, larger, filled, ablations)
}


def _truth(frames: Frames) -> Pictures:
    return frames.pictures.permute(0, 2, 3, 1).contiguous().numpy()


def _pixels(frames: Frames) -> int:
    return len(frames) * math.prod(frames.size)


def _taken(frames: Frames, which: slice) -> Frames:
    """Return some of the frames; the last one lasts no longer than a tick."""
    pts = frames.clip.pts[which]
    clip = dataclasses.replace(frames.clip, pts=pts, end=pts[-1] + 1)
    return Frames(clip, frames.pictures[which].contiguous(), None)


def _interleaved(frames: Frames, odd: Pictures) -> Frames:
    """Return frames of which every other one is replaced."""
    pictures = frames.pictures.clone()
    pictures[1::2] = torch.from_numpy(odd).permute(0, 3, 1, 2)
    return dataclasses.replace(frames, pictures=pictures)


def _shown(video: FittedVideo, frames: Frames) -> Pictures:
    """Return what a fit shows at the times of frames and in their size."""
    return np.stack([video.picture(pts, frames.size) for pts in frames.clip.pts])


def _enlarged(pictures: Pictures, frames: Frames) -> Pictures:
    """Enlarge bicubically to the size of frames."""
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    large = F.interpolate(tensor, frames.size[::-1], mode="bicubic")
    return large.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _upscaled(pictures: Pictures, frames: Frames) -> Pictures:
    return np.stack([frame.picture for frame in upscale_frames(iter(pictures), size=frames.size)])


def _smoothed(pictures: Pictures, left_out: NDArray[np.bool_]) -> Pictures:
    """Fill pixels as smoothly as what is around them allows (Laplace's equation), each frame by itself."""
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    unknown = torch.tensor(left_out)[:, None].expand_as(tensor)
    tensor[unknown] = 128.0
    for _ in range(SMOOTHING_PASSES):
        wide = F.pad(tensor, (1, 1, 1, 1), mode="replicate")
        around = wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1] + wide[..., 1:-1, :-2] + wide[..., 1:-1, 2:]
        tensor = torch.where(unknown, around / 4, tensor)
    return tensor.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _encoded_below(codec: str, truth: Pictures, most_bytes: int) -> tuple[int, int, float, Pictures]:
    """Return the lowest rate factor whose stream is not larger, its bytes, CPU seconds and pictures."""
    low, high = 0, CODECS[codec][1]
    while low < high:
        middle = (low + high) // 2
        if _encoded(codec, truth, middle)[0] <= most_bytes:
            high = middle
        else:
            low = middle + 1
    return low, *_encoded(codec, truth, low)


def _encoded(codec: str, truth: Pictures, factor: int) -> tuple[int, float, Pictures]:
    suffix, _, options = CODECS[codec]
    _, height, width, _ = truth.shape
    command = [find_ffmpeg(Needs(encoders=(options[1],))), "-v", "error", "-y", "-f", "rawvideo"]
    command += ["-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(FRAMES_PER_SECOND), "-i", "-"]
    command += ["-pix_fmt", "yuv420p", *options, "-crf", str(factor)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip.{suffix}"
        began = _children_seconds()
        subprocess.run([*command, str(path)], input=truth.tobytes(), check=True, stderr=subprocess.DEVNULL)
        seconds = _children_seconds() - began
        with av.open(str(path)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
            shown = [frame.to_ndarray(format="rgb24") for packet in packets for frame in packet.decode()]
            shown += [frame.to_ndarray(format="rgb24") for frame in container.streams.video[0].decode(None)]
        return sum(packet.size for packet in packets), seconds, np.stack(shown)


def _children_seconds() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _parted(truth: Pictures, shown: Pictures, regions: NDArray[np.bool_]) -> tuple[str, str]:
    """Return the PSNR within regions and elsewhere, of all frames as one."""
    errors = np.square(truth.astype(float) - shown).mean(axis=3) / 255**2
    return tuple(  # type: ignore[return-value]
        f"{-10 * math.log10(max(errors[where].mean(), 1e-10)):.2f}" for where in (regions, ~regions)
    )


def _likeness(truth: Pictures, shown: Pictures) -> tuple[str, str]:
    both = [torch.from_numpy(one).permute(0, 3, 1, 2).float() / 255 for one in (truth, shown)]
    return f"{_psnr(truth, shown):.2f}", f"{float(ssim(*both).mean()):.4f}"


def _psnr(truth: Pictures, shown: Pictures) -> float:
    errors = np.square(truth.astype(float) - shown).mean(axis=(1, 2, 3)) / 255**2
    return float(np.mean([-10 * math.log10(max(error, 1e-10)) for error in errors]))


def _size(file_bytes: int, frames: Frames) -> tuple[str, str]:
    return f"{file_bytes / 1000:.1f}", f"{8 * file_bytes / _pixels(frames):.3f}"


if __name__ == "__main__":
    main()
