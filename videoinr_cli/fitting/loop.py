"""Fit a network to the frames of a clip, step by step, so that it can be interrupted and resumed exactly."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.func import functional_call

from videoinr_cli.errors import OptionError, WeightsError
from videoinr_cli.fitting.coding import integers_of, levels_of, quantised, steps_of
from videoinr_cli.fitting.file import write_whole
from videoinr_cli.fitting.frames import Frames
from videoinr_cli.fitting.networks import FittedNetwork
from videoinr_cli.fitting.options import DEFAULT_MINUTES, FitOptions, Loss
from videoinr_cli.model.devices import without_tf32

LEARNING_RATES, LOWEST_RATE = {"hinerv": 6e-3, "nerv": 2e-3}, 1e-5
"""Highest and lowest learning rates of Adam. The papers' are 2e-3 and 5e-4, for many times the steps."""

WARM_UP = 0.03
"""Share of the schedule in which the learning rate rises."""

PRUNE_AT, QUANTISE_AT = 0.6, 0.85
"""Shares of the schedule from which pruned weights are zero, and from which quantisation is simulated."""

NOISE_SHARE = 0.9
"""Share of a tensor's values that are quantised in a step. **Source**: Quant-Noise, as HiNeRV uses it."""

L1_SHARE = 0.7
"""Of the loss; the rest is 1 - SSIM. **Source**: NeRV, section 3.3."""

SSIM_WINDOW_PX = 5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2

PIXELS_A_STEP, MOST_A_STEP = 16_384, 4
"""Small pictures are fitted several a step, as each step costs time of its own."""

MEASURED_FRAMES = 32
"""Frames, evenly spread, by which files are compared while the fit is under way."""

STATE = "fit"


class Fitter:
    """A network on its way, and all that its next step depends on."""

    def __init__(
        self, network: FittedNetwork, frames: Frames, options: FitOptions, device: torch.device
    ) -> None:
        self.network = network.to(device).train()
        self.frames, self.options, self.device = frames, options, device
        self.step, self.seconds, self.loss = 0, 0.0, math.nan
        self.best_psnr = -math.inf
        self._masks: dict[str, Tensor] | None = None
        self._parameters = dict(self.network.named_parameters())
        self._optimizer = torch.optim.Adam(self._parameters.values(), lr=0.0, betas=(0.9, 0.99))
        clip = frames.clip
        self._instants = torch.tensor([clip.instant(pts) for pts in clip.pts], dtype=torch.float64)
        self._batch = min(MOST_A_STEP, len(frames), max(1, PIXELS_A_STEP // math.prod(frames.size)))

    @property
    def fraction(self) -> float:
        """Share of the schedule that is done, in [0, 1]."""
        if self.options.steps is not None:
            return min(1.0, self.step / self.options.steps)
        return min(1.0, self.seconds / (60 * (self.options.minutes or DEFAULT_MINUTES)))

    def train_step(self) -> None:
        """Take one step. Its frames and its noise follow from the seed and the step's number alone."""
        started = time.monotonic()
        self._set_rate()
        if self.options.prune and self._masks is None and self.fraction >= PRUNE_AT:
            self._masks = pruned(self._parameters, self.options.prune)
        index = self._drawn()
        target, counted = self.frames.filled_target(index, self.device)
        with without_tf32():
            shown = functional_call(self.network, self._noised(), (self._instants[index].to(self.device),))
            loss = picture_loss(shown, target, counted, self.options.loss)
            self._optimizer.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), 1.0)
        self._optimizer.step()
        self._apply_masks()
        self.step += 1
        latest = loss.item()
        self.loss = latest if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * latest
        self.seconds += time.monotonic() - started

    def parameters(self) -> dict[str, Tensor]:
        """Return the parameters, on the CPU."""
        return {name: value.detach().cpu().contiguous() for name, value in self._parameters.items()}

    @torch.inference_mode()
    def psnr(self, *, most_frames: int = MEASURED_FRAMES) -> float:
        """Return the PSNR of what a file with these parameters would show: see `Record`."""
        kept = quantised(dict(self._parameters), self.options.bits)
        count = min(most_frames, len(self.frames))
        total = 0.0
        for index in torch.linspace(0, len(self.frames) - 1, count).round().long().split(1):
            target, counted = self.frames.target(index, self.device)
            shown = functional_call(self.network, kept, (self._instants[index].to(self.device),))
            error = ((shown * 255).round() / 255 - target).square()
            if counted is not None:
                error = error[counted.expand_as(error)]
            total += -10 * math.log10(max(float(error.double().mean()), 1e-10)) if error.numel() else 0.0
        return total / count

    def save(self, path: Path) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: it cannot be written.
        """
        tensors = {f"value.{name}": value for name, value in self.parameters().items()}
        for name, parameter in self._parameters.items():
            for moment, value in self._optimizer.state.get(parameter, {}).items():
                tensors[f"{moment}.{name}"] = value.detach().cpu().contiguous()
        if self._masks is not None:
            tensors |= {f"mask.{name}": mask.cpu().contiguous() for name, mask in self._masks.items()}
        state = {
            "options": described(self.options),
            "frames": self.frames.digest,
            "network": dataclasses.asdict(self.network.config),
            "numbers": [self.step, self.seconds, self.loss, self.best_psnr],
        }
        write_whole(path, save(tensors, metadata={STATE: json.dumps(state)}))

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            WeightsError: it cannot be read.
            OptionError: it is of a run with other options or frames.
        """
        try:
            with safe_open(path, framework="pt") as file:
                state = json.loads((file.metadata() or {})[STATE])
                saved = (dict(state["options"]), state["frames"], state["network"])
                numbers = state["numbers"]
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            what = "no checkpoint of a fit" if isinstance(error, KeyError) else error
            raise WeightsError(
                f"{str(path)!r} cannot be resumed from: {what}; begin again with -y"
            ) from error
        current = json.loads(json.dumps(dataclasses.asdict(self.network.config)))
        options = described(self.options)
        same = (options, self.frames.digest, current)
        others = ", ".join(name for name in options if options[name] != saved[0].get(name))
        whats = (f"other options ({others})", "other frames", "another size")
        for was, now, what in zip(saved, same, whats, strict=True):
            if was != now:
                raise OptionError(
                    f"{str(path)!r} is of a run with {what}; go on as it was begun, or begin again with -y"
                )
        self.step, self.seconds, self.loss, self.best_psnr = numbers
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(tensors[f"value.{name}"])
                moments = {
                    moment: tensors.get(f"{moment}.{name}") for moment in ("step", "exp_avg", "exp_avg_sq")
                }
                if moments["step"] is not None:
                    self._optimizer.state[parameter] = {
                        moment: value if moment == "step" else value.to(self.device)
                        for moment, value in moments.items()
                        if value is not None
                    }
        masks = {name[5:]: mask.to(self.device) for name, mask in tensors.items() if name.startswith("mask.")}
        self._masks = masks or None

    def _set_rate(self) -> None:
        """**Source**: warm-up and cosine, as in both papers."""
        done = self.fraction
        wave = 0.5 * (1 + math.cos(math.pi * done))
        highest = LEARNING_RATES[self.options.architecture]
        rate = min(done / WARM_UP, 1.0) * (LOWEST_RATE + (highest - LOWEST_RATE) * wave)
        for group in self._optimizer.param_groups:
            group["lr"] = max(rate, LOWEST_RATE)

    def _drawn(self) -> Tensor:
        """Return which frames this step sees: each one once an epoch, in an order of its own."""
        count = len(self.frames)
        positions = range(self.step * self._batch, (self.step + 1) * self._batch)
        return torch.stack([self._order(place // count)[place % count] for place in positions])

    def _order(self, epoch: int) -> Tensor:
        return torch.randperm(len(self.frames), generator=self._generator(0, epoch))

    def _generator(self, kind: int, number: int) -> torch.Generator:
        """Return a generator that follows from the seed, what it is for, and a number."""
        return torch.Generator().manual_seed((2 * self.options.seed + kind << 32) + number)

    def _noised(self) -> dict[str, Tensor]:
        """Return the parameters; towards the end, most values as they would be quantised."""
        if self.fraction < QUANTISE_AT:
            return dict(self._parameters)
        generator = self._generator(1, self.step)
        levels = levels_of(self.options.bits)
        result: dict[str, Tensor] = {}
        for name, parameter in self._parameters.items():
            result[name] = parameter
            if parameter.dim() > 1:
                steps = steps_of(parameter, levels)
                rounded = integers_of(parameter.detach(), steps, levels) * steps
                chosen = torch.rand(parameter.shape, generator=generator).to(self.device) < NOISE_SHARE
                result[name] = parameter + torch.where(chosen, rounded - parameter.detach(), 0)
        return result

    def _apply_masks(self) -> None:
        if self._masks is not None:
            with torch.no_grad():
                for name, mask in self._masks.items():
                    self._parameters[name].mul_(mask)


def described(options: FitOptions) -> dict[str, str]:
    """Return the options as a checkpoint holds them: how long the run is may change."""
    fields = {name: str(value) for name, value in dataclasses.asdict(options).items()}
    return {name: value for name, value in fields.items() if name not in ("minutes", "steps")}


def picture_loss(shown: Tensor, target: Tensor, counted: Tensor | None, kind: Loss = "l1-ssim") -> Tensor:
    """Return the loss of (B, 3, H, W) pictures, by default 0.7 L1 + 0.3 (1 - SSIM).

    Pixels that do not count, where `counted` (B or 1, 1, H, W) is False, equal whatever is shown.
    """
    if counted is not None:
        target = torch.where(counted, target, shown.detach())
    if kind in ("l1", "l2"):
        return F.l1_loss(shown, target) if kind == "l1" else F.mse_loss(shown, target)
    share = L1_SHARE if kind == "l1-ssim" else 0.0
    return share * F.l1_loss(shown, target) + (1 - share) * (1 - ssim(shown, target))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean structural similarity of pictures in [0, 1], over 5x5 means, which are cheap.

    Pictures with a side below 5 px are compared over means of that side.
    """
    count = a.shape[1]
    window = [min(SSIM_WINDOW_PX, side) for side in a.shape[-2:]]
    means = F.avg_pool2d(torch.cat([a, b, a * a, b * b, a * b], dim=1), window, stride=1)
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = means.split(count, dim=1)
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    covariance = mean_ab - mean_a * mean_b
    variances = mean_aa - mean_a**2 + mean_bb - mean_b**2
    similarity: Tensor = luminance * (2 * covariance + SSIM_C2) / (variances + SSIM_C2)
    return similarity.mean()


def pruned(parameters: dict[str, torch.nn.Parameter], share: float) -> dict[str, Tensor]:
    """Return masks that leave out a share of the weights, the least important ones of all layers.

    **Source**: HiNeRV, section 3.4: by |w| / sqrt(layer's weights); grids and biases stay.
    """
    weights = {name: value.detach() for name, value in parameters.items() if name.endswith(".weight")}
    weights = {name: value for name, value in weights.items() if value.dim() > 1}
    scores = {name: value.abs() / math.sqrt(value.numel()) for name, value in weights.items()}
    everything = torch.cat([score.flatten() for score in scores.values()])
    limit = everything.kthvalue(max(1, round(share * len(everything)))).values
    return {name: score > limit for name, score in scores.items()}
