"""A model of any architecture that turns one picture into one `factor` times as large, as a value.

It is measured by a trial on a small picture: what it needs of memory and time cannot be known of a network
that others wrote. Knows nothing of files, and of the package that reads them.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from videoinr_cli.model.coords import constants
from videoinr_cli.model.flow import LUMA

TRIAL_PX = 48
"""Side of the picture of the trial."""

HIDDEN_SHARE = 0.5
"""Memory that libraries take beside the tensors they are given, as a share of these: oneDNN reorders what it
convolves. For the peak of ESRGAN, Compact and SwinIR on a CPU, 0.1 to 0.5 was measured."""

HALO_PX = 32
"""LR pixels around a part of a picture that a model is given with it; see docs/any-model.md for what was
measured."""

FAR_HALO_PX = 64
"""Likewise, of a model that looks at all of a picture: as much of it as is affordable."""

PRODUCTS_PER_MICROSECOND = 3e4
"""Multiplications of one processor core: those of the small network's convolutions, see `VideoInr.effort`."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a model takes for each pixel of the picture it is given."""

    peak_bytes: float  # its input and weights excluded
    effort: float  # see `VideoInr.effort`


class Enlarger(nn.Module):
    """Enlarges pictures by a model; half precision is used only if the model bears it."""

    def __init__(
        self,
        network: nn.Module,
        enlarge: Callable[[Tensor], Tensor],
        *,
        name: str,
        factor: int,
        channels: int = 3,
        halves: frozenset[torch.dtype] = frozenset(),
        sees_all: bool = False,
    ) -> None:
        """Wrap a model.

        Args:
            network: the model's module, which is moved to devices.
            enlarge: what computes (1, C, s H, s W) from (1, C, H, W) by it, both in [0, 1].
            name: of its architecture.
            factor: s.
            channels: C: 1 for grey, 3 for RGB, 4 for RGB and opacity.
            halves: types of half precision in which it may be computed.
            sees_all: whether a pixel depends on all of the picture, so that tiles would look different.
        """
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._enlarge = enlarge
        self.name, self.factor, self.channels = name, factor, channels
        self.halves = halves
        self.halo_px = FAR_HALO_PX if sees_all else HALO_PX
        self.dtype = torch.float32
        self._costs: dict[tuple[torch.dtype, torch.device], Cost] = {}

    def use(self, dtype: torch.dtype) -> None:
        """Compute in a type, or in float32 if the model does not bear it."""
        self.dtype = dtype if dtype in self.halves else torch.float32

    def forward(self, rgb: Tensor) -> Tensor:
        """Return (B, 3, s H, s W) float32 in [0, 1] for (B, 3, H, W) float32 RGB in [0, 1]."""
        kind = rgb.device.type
        with torch.autocast(kind, self.dtype, enabled=self.dtype is not torch.float32):
            return torch.cat([self._one(picture) for picture in rgb.split(1)])

    def _one(self, rgb: Tensor) -> Tensor:
        if self.channels == 1:
            return self._with_colour(rgb)
        if self.channels == 4:
            rgb = torch.cat([rgb, torch.ones_like(rgb[:, :1])], dim=1)
        return self._enlarge(rgb)[:, :3].float()

    def _with_colour(self, rgb: Tensor) -> Tensor:
        """Enlarge the luma by the model, and the rest, of which eyes see little detail, bicubically."""
        luma = torch.einsum("bchw,c->bhw", rgb, constants(LUMA, rgb.device))[:, None]
        rest = F.interpolate(rgb - luma, scale_factor=self.factor, mode="bicubic", antialias=True)
        return (self._enlarge(luma).float() + rest).clamp(0, 1)

    @property
    def cost(self) -> Cost:
        """What the model takes, from a trial in the type and on the device at hand."""
        place = next(self.network.parameters()).device
        key = self.dtype, place
        if key not in self._costs:
            self._costs[key] = self._tried(place)
        return self._costs[key]

    @torch.inference_mode()
    def _tried(self, device: torch.device) -> Cost:
        picture = torch.full((1, 3, TRIAL_PX, TRIAL_PX), 0.5, device=device)
        with HeldTensors() as memory, FlopCounterMode(display=False) as counter:
            self(picture)
        products = counter.get_total_flops() / 2
        pixels = TRIAL_PX**2
        return Cost((1 + HIDDEN_SHARE) * memory.most / pixels, products / pixels / PRODUCTS_PER_MICROSECOND)


class HeldTensors(TorchDispatchMode):
    """Counts the bytes that tensors made inside the block hold, and the most that they held at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        for tensor in tree_leaves(result):
            if not isinstance(tensor, Tensor) or tensor.untyped_storage()._cdata in self._known:
                continue
            storage = tensor.untyped_storage()
            self._known.add(storage._cdata)
            self.bytes += storage.nbytes()
            self.most = max(self.most, self.bytes)
            weakref.finalize(storage, self._let_go, storage._cdata, storage.nbytes())
        return result

    def _let_go(self, storage: int, size: int) -> None:
        self._known.remove(storage)
        self.bytes -= size
