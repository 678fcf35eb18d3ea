"""What a job's result depends on, as texts that can be compared: source, weights, options and programs.

Options that only change the speed, such as the device, are left out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping

from videoinr_cli.media.ffmpeg import describe
from videoinr_cli.media.streams import VideoInfo
from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import EncodeOptions, ReadOptions, UpscaleOptions, strength_of
from videoinr_cli.render.plan import Plan
from videoinr_cli.version import __version__
from videoinr_cli.weights import digest_of, find_enlarger, weights_digest
from videoinr_cli.weights.manifest import sha256_of

SAMPLES = 16
SAMPLE_BYTES = 1 << 16
"""Samples of a source that are hashed, evenly spread: enough to recognise it wherever it was moved."""

INDIFFERENT = frozenset(
    {"overwrite", "device", "threads", "weights", "strength", "spatial"}
    | {"strict", "tile", "max_memory_bytes", "audio"}
)
"""Options ignored when comparing jobs: they do not change the pictures, or hardly. A job that ran out of
memory may continue in smaller tiles, and one whose sound does not fit, without sound. Weights are compared by
their content, strengths by what they are."""

_DIGESTS = {"source": "another source", "weights": "other weights", "spatial": "another --spatial model"}
"""How a difference is named where the values are digests."""

Fingerprint = Mapping[str, str]


def fingerprint(plan: Plan, model: AnyVideoInr | None = None) -> Fingerprint:
    """Return what the result depends on, by name.

    Args:
        plan: of the whole video.
        model: the network that renders it; None: the one that the plan's options name.

    Raises:
        WeightsError: there are no such weights.
    """
    options = plan.options
    strength = strength_of(options.weights, options.strength)
    crf = options.encode.rate_factor  # the value that is used, "auto" or not
    return {
        "videoinr": __version__,
        "ffmpeg": describe(plan.format.program).version,
        "source": digest_of_source(plan.source),
        "weights": _digest_of_weights(options.weights, model),
        "spatial": "none" if options.spatial is None else sha256_of(find_enlarger(options.spatial)),
        **dict(_flat(options)),
        **({} if strength is None else {"strength": f"{strength:g}"}),
        "crf": "none" if crf is None else f"{crf:g}",
    }


def difference(was: Fingerprint, now: Fingerprint) -> str | None:
    """Return the first difference of two jobs in words; None when there is none."""
    for name in [*was, *(name for name in now if name not in was)]:
        if was.get(name) == now.get(name):
            continue
        if name in _DIGESTS:
            return _DIGESTS[name]
        return f"{name} {was.get(name, 'unknown')}, not {now.get(name, 'unknown')}"
    return None


def _flat(options: UpscaleOptions | EncodeOptions | ReadOptions) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if isinstance(value, (EncodeOptions, ReadOptions)):
            yield from _flat(value)
        elif field.name not in INDIFFERENT:
            yield field.name, str(value)


def _digest_of_weights(named: str, model: AnyVideoInr | None) -> str:
    if model is None:
        return weights_digest(named)
    if (digest := digest_of(model)) is not None:
        return digest
    hashed = hashlib.sha256(repr(model.config).encode())
    for name, tensor in sorted(model.state_dict().items()):
        hashed.update(name.encode() + tensor.cpu().float().numpy().tobytes())
    return hashed.hexdigest()


def digest_of_source(source: VideoInfo) -> str:
    """Return a hash of a source's files: their sizes and samples of them; of images, also names and times."""
    files = source.files
    hashed = hashlib.sha256()
    for number, path in source.images:  # of which only some are sampled
        status = path.stat()
        hashed.update(f"{number} {status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(path.name))
    for path in files[:: max(1, len(files) // SAMPLES)]:
        size = path.stat().st_size
        hashed.update(f"{len(files)} {size} ".encode())
        with path.open("rb") as file:
            for place in range(SAMPLES):
                file.seek(max(0, size - SAMPLE_BYTES) * place // (SAMPLES - 1))
                hashed.update(file.read(SAMPLE_BYTES))
    return hashed.hexdigest()
