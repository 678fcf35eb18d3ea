"""A fitted clip that is open: the picture of any moment, at any size up from its own."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from videoinr_cli.errors import InputError, OptionError
from videoinr_cli.fitting.file import FittedFile, read_file, unusable
from videoinr_cli.model.devices import choose_device, without_tf32
from videoinr_cli.options import MAX_SIDE_PX


class FittedVideo:
    """A fitted clip. A picture costs one pass of a small network, wherever in the clip it lies.

    Attributes:
        size: (width, height) of the fitted pictures, in pixels.
        seconds: how long the clip lasts.
        times: when its frames are shown, in seconds from the first one.
        psnr: of its frames against the source's as they were fitted, in dB.
    """

    def __init__(self, path: str | os.PathLike[str], *, device: str | torch.device = "auto") -> None:
        """Open a file that `fit_video` wrote.

        Args:
            path: the file.
            device: ``auto`` or torch's name of a device.

        Raises:
            InputError: the file cannot be read, or is damaged.
            OptionError: there is no such device.
        """
        self._device = choose_device(device)
        self.file: FittedFile = read_file(Path(path))
        try:
            self._network = self.file.load().to(self._device)
        except ValueError as error:
            raise unusable(Path(path), error) from error
        clip, network = self.file.clip, self.file.network
        self.size = network.width, network.height
        self.seconds = clip.seconds
        self.times = tuple(float((pts - clip.pts[0]) * clip.time_base) for pts in clip.pts)
        self.psnr = self.file.record.psnr

    def frame(self, seconds: float | Fraction, size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
        """Return the picture at a moment.

        Args:
            seconds: from the clip's first frame, in [0, `seconds`]; between two frames the network blends.
            size: (width, height) in pixels, not below the fitted pictures'; None: theirs. Larger pictures are
                enlarged bicubically.

        Returns:
            (height, width, 3), full-range R'G'B'.

        Raises:
            OptionError: the moment lies outside of the clip, or the size below the fitted pictures'.
        """
        clip = self.file.clip
        if not 0 <= seconds <= self.seconds:
            raise OptionError(
                f"{float(seconds):g} s lies outside of the clip; try a moment from 0 to {self.seconds:g} s"
            )
        return self.picture(clip.pts[0] + Fraction(seconds) / clip.time_base, size or self.size)

    @torch.inference_mode()
    def picture(self, ticks: int | Fraction, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Return the picture at a time on the clip's clock; see `frame`."""
        width, height = size
        if not (self.size[0] <= width <= MAX_SIDE_PX and self.size[1] <= height <= MAX_SIDE_PX):
            raise OptionError(
                f"a picture of {width}x{height} is smaller than the fitted {self.size[0]}x{self.size[1]}, "
                f"or has a side above {MAX_SIDE_PX} px"
            )
        instant = torch.tensor([self.file.clip.instant(ticks)], dtype=torch.float64)
        with without_tf32():
            shown = self._network(instant.to(self._device))
        if not bool(shown.isfinite().all()):
            raise InputError(
                f"the fit of {self.file.clip.name!r} is damaged: it shows no numbers; fit it again"
            )
        if size != self.size:
            shown = F.interpolate(shown, (height, width), mode="bicubic")
        levels: npt.NDArray[np.uint8] = (
            (shown[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        )
        return levels
