"""Train the part of small networks that tells what stands still, and nothing else of them.

    python scripts/train_still.py --data footage/ fonts/ --init videoinr-fast -o trained/
    python scripts/train_still.py --data footage/ fonts/ --init videoinr-real videoinr-vivid -o trained/

Several networks get the same part, which then serves their mixtures too. What it reads is computed once, by
each network for --scenes pairs of frames, and is held in memory, 4.5 MB each. Most pairs have text, logos,
bars or fences over them. The same data and --seed make the same scenes.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli import load_model
from videoinr_cli.errors import OptionError, VideoInrError
from videoinr_cli.model import Window
from videoinr_cli.model.fast import FastVideoInr, telling_still
from videoinr_cli.model.fast.encoder import FastFrame
from videoinr_cli.model.fast.still import StillEstimator
from videoinr_cli.training.batches import Batch
from videoinr_cli.training.footage import load_shots
from videoinr_cli.training.overlays import find_fonts
from videoinr_cli.training.recipes import OWN
from videoinr_cli.training.samples import Sampler
from videoinr_cli.training.trainer import follow
from videoinr_cli.weights import inspect_weights, save_model

SIDE_PX = 128
"""Of a scene, LR pixels."""
CROP_PX = 112
"""Of the part of a scene that a step sees."""
BATCH = 4
LEAST_COST_OF_MISSED = 0.1
LEAST_COST_IN_VAIN = 0.3
"""Of a wrong answer that shows nothing, relative to one that shows most. What is told in vain of a background
that hardly moves cuts to pieces whatever passes before it."""
FULL_COST = 0.1
"""Difference of the rendered errors, of 1, from which on a wrong answer costs most."""
NEAR_PX = 3
"""Side of the squares over which the errors are averaged, LR pixels."""
SURE = 12.0
"""Logit of what is certain."""
REPORT_STEPS = 250
VALIDATION_SHARE = 0.1
"""Of the scenes."""

RECIPE = dataclasses.replace(
    OWN.samples,
    batch_size=1,
    lr_size=SIDE_PX,
    fixed_scale=2.0,
    fixed_scale_share=1.0,
    still_share=0.7,
    overlay_share=0.75,
    lettered_share=0.5,
    tripod_share=0.4,
    wide_every=0,
)
SCHEDULE = dataclasses.replace(OWN.schedule, warmup_steps=50, average=0.995)


class Scene(NamedTuple):
    """What is read of a pair of frames and what should be told of them, in half precision."""

    features: Tensor  # (2, C, H, W): the arguments of `StillEstimator.forward`
    hidden: Tensor  # (2, P, H / 2, W / 2)
    evidence: Tensor  # (2, E, H / 2, W / 2)
    still: Tensor  # (2, 1, H, W) in [0, 1]: where a layer in front stands still
    gain: Tensor  # (2, 1, H, W): by how much standing still shows less error than moving


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of footage and fonts")
    parser.add_argument("--init", nargs="+", default=["videoinr-fast"], help="names of weights, or files")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the trained weights")
    parser.add_argument("--scenes", type=int, default=750)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--hold-out", action="append", default=[], help="file names to leave out")
    parser.add_argument("--cache", type=Path, help="folder for decoded frames")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        train(arguments)
    except VideoInrError as error:
        sys.exit(f"error: {error}")


def train(arguments: argparse.Namespace) -> None:
    networks = [_network(name) for name in arguments.init]
    arguments.output.mkdir(parents=True, exist_ok=True)  # now, and not after all the work
    cache = arguments.cache or arguments.output / "frames"
    shots = [
        shot for shot in load_shots(arguments.data, cache, report=_say) if _is_kept(shot.source, arguments)
    ]
    fonts = [font for font in find_fonts(arguments.data) if _is_kept(font.name, arguments)]
    samplers = [
        Sampler(shots, dataclasses.replace(RECIPE, degrade=spoilt), seed=arguments.seed, fonts=fonts)
        for spoilt in (False, True)
    ]
    scenes = list(scenes_of(networks, samplers, arguments.scenes))
    held_out = max(1, round(VALIDATION_SHARE * len(scenes)))
    estimator = optimise(estimator_of(networks[0]), scenes[held_out:], scenes[:held_out], arguments)
    told = f"{arguments.steps} steps on {len(scenes)} scenes of what stands still"
    for name, network in zip(arguments.init, networks, strict=True):
        estimator_of(network).load_state_dict(estimator.state_dict())
        weights = inspect_weights(name)
        save_model(
            network, arguments.output / weights.path.name, {**weights.metadata, "training_still": told}
        )


def _network(name: str) -> FastVideoInr:
    network = load_model(name, device="cpu")
    if not isinstance(network, FastVideoInr):
        raise OptionError(f"--init {name} has no part that tells what stands still")
    return telling_still(network)


def estimator_of(network: FastVideoInr) -> StillEstimator:
    """Return the part of a network that is trained."""
    estimator = network.encoder.still
    assert estimator is not None  # of `telling_still`
    return estimator


def _is_kept(name: str, arguments: argparse.Namespace) -> bool:
    return not any(fnmatch(name, pattern) for pattern in arguments.hold_out)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


@torch.inference_mode()
def scenes_of(networks: Sequence[FastVideoInr], samplers: Sequence[Sampler], count: int) -> Iterator[Scene]:
    """Draw scenes, from one sampler after the other, and compute what each network's estimator reads."""
    for number in range(count):
        batch = samplers[number % len(samplers)].batch(number)
        for network in networks:
            yield _scene(network, batch)
        if (number + 1) % REPORT_STEPS == 0:
            _say(f"{number + 1} of {count} scenes")


def _scene(network: FastVideoInr, batch: Batch) -> Scene:
    read: list[Tensor] = []
    hook = estimator_of(network).register_forward_pre_hook(lambda _, inputs: read.extend(inputs))
    frames = [network.encode_frame((frame * 255).round() / 255) for frame in (batch.first, batch.second)]
    moving = _error(network, batch, *frames, told=-SURE)
    hook.remove()
    gain = (moving - _error(network, batch, *frames, told=SURE)).expand(2, -1, -1, -1)
    return Scene(*(part.half() for part in (*read, batch.still.flatten(0, 1), gain)))


def _error(
    network: FastVideoInr, batch: Batch, first: FastFrame, second: FastFrame, *, told: float
) -> Tensor:
    """Return (1, 1, H, W): the error of an instant, every point standing still by the logit `told`."""
    hook = estimator_of(network).register_forward_hook(lambda _, __, logit: torch.full_like(logit, told))
    pair = network.encode_pair(first, second)
    hook.remove()
    target, tau = batch.targets[-1], batch.taus[-1]
    height, width = target.shape[-2:]
    window = Window(0, 0, height, width)
    shown = network.query(network.prepare_instant(pair, tau, (height, width), window, 0), window)
    error = F.adaptive_avg_pool2d((shown - target).abs().mean(1, keepdim=True), batch.first.shape[-2:])
    return F.avg_pool2d(error, NEAR_PX, 1, NEAR_PX // 2, count_include_pad=False)


def optimise(
    estimator: StillEstimator,
    scenes: Sequence[Scene],
    held_out: Sequence[Scene],
    arguments: argparse.Namespace,
) -> StillEstimator:
    """Train an estimator, in place, and return the average of its weights."""
    rng = np.random.default_rng(arguments.seed)
    estimator.requires_grad_()
    averaged = copy.deepcopy(estimator)
    rate = arguments.learning_rate
    schedule = dataclasses.replace(SCHEDULE, learning_rate=rate, final_learning_rate=0.001 * rate)
    optimiser = torch.optim.AdamW(
        estimator.parameters(), betas=schedule.betas, weight_decay=schedule.weight_decay
    )
    started, total = time.monotonic(), 0.0
    _say(f"before: {_described(averaged, held_out)}")
    for step in range(arguments.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(step, step / arguments.steps)
        batch = _crops(rng, scenes)
        loss = loss_of(estimator(*batch[:3]), batch.still, batch.gain)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(estimator.parameters(), schedule.gradient_clip)
        optimiser.step()
        follow(averaged, estimator, schedule.average, step + 1)
        total += float(loss.detach())
        if (step + 1) % REPORT_STEPS == 0:
            said = f"loss {total / REPORT_STEPS:.4f}, {_described(averaged, held_out)}"
            _say(f"step {step + 1}, {time.monotonic() - started:.0f} s: {said}")
            total = 0.0
    return averaged


def loss_of(logit: Tensor, still: Tensor, gain: Tensor) -> Tensor:
    """Return the mean cross entropy, weighted by what an error shows."""
    errors = F.binary_cross_entropy_with_logits(logit, still, reduction="none")
    return (errors * cost_of_error(still, gain)).mean()


def cost_of_error(still: Tensor, gain: Tensor) -> Tensor:
    """Return what a wrong answer costs at each point.

    Where motion is hard, standing still may show less error although nothing does. It is not learnt: it comes
    out as patches with sharp borders.
    """
    missed = (gain / FULL_COST).clamp(LEAST_COST_OF_MISSED, 1)
    in_vain = (-gain / FULL_COST).clamp(LEAST_COST_IN_VAIN, 1)
    return torch.where(still > 0.5, missed, in_vain)


def _crops(rng: np.random.Generator, scenes: Sequence[Scene]) -> Scene:
    """Cut a batch out of scenes: (2 B, ...), the first frames' first."""
    crops = []
    for number in rng.choice(len(scenes), BATCH, replace=len(scenes) < BATCH):
        height, width = scenes[number].still.shape[-2:]
        top, left = (2 * int(rng.integers(0, (side - CROP_PX) // 2 + 1)) for side in (height, width))
        whole, half = (
            (..., slice(top // by, (top + CROP_PX) // by), slice(left // by, (left + CROP_PX) // by))
            for by in (1, 2)
        )
        places = (whole, half, half, whole, whole)  # of the parts of a `Scene`
        crops.append([part[place] for part, place in zip(scenes[number], places, strict=True)])
    return Scene(*(torch.stack(parts, dim=1).flatten(0, 1).float() for parts in zip(*crops, strict=True)))


@torch.no_grad()
def _described(estimator: StillEstimator, scenes: Sequence[Scene]) -> str:
    """Say what is missed and what is told in vain, by its cost, as shares of what stands still."""
    missed = vain = due = 0.0
    for scene in scenes:
        features, hidden, evidence, still, gain = (part.float() for part in scene)
        told, true, cost = estimator(features, hidden, evidence) > 0, still > 0.5, cost_of_error(still, gain)
        due += float((cost * true).sum())
        missed += float((cost * (true & ~told)).sum())
        vain += float((cost * (told & ~true)).sum())
    due = max(due, 1.0)  # where nothing stands still
    return f"missed {missed / due:.1%}, in vain {vain / due:.1%}"


if __name__ == "__main__":
    main()
