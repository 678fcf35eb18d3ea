"""Show what the embedded models make of one moment of a video, side by side, for a person to choose one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

from videoinr_cli.media.read.prepare import prepare
from videoinr_cli.media.read.suitability import Suited, suited_model
from videoinr_cli.options import DEFAULT_STRENGTH, MODELS, PreviewOptions, model_name, weights_named
from videoinr_cli.previews.preview import Candidate, Preview, preview
from videoinr_cli.weights import embedded_file

STRENGTHS = (DEFAULT_STRENGTH, 1.0)
"""At which models that have a strength are shown."""


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """What models make of a moment, and which of them suits the source."""

    preview: Preview
    suited: Suited  # what ``--model auto`` takes, and why
    left_out: tuple[str, ...] = ()  # those of `MODELS` that are not embedded, and that nobody has named

    @property
    def suggested(self) -> Candidate | None:
        """The candidate that suits the source; None where it is not shown."""
        candidates = self.preview.candidates
        return next((one for one in candidates if model_name(one.network.weights) == self.suited.model), None)


def suggest(
    source: str | os.PathLike[str],
    picture: str | os.PathLike[str] | None = None,
    options: PreviewOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Suggestion:
    """Render a region of a video at one moment by every embedded model, and say which suits the video.

    Args:
        source: a video file.
        picture: see `preview`.
        options: which moment and region; ``more_weights`` are shown beside the embedded models.
        progress: see `preview`.

    Raises:
        VideoInrError: see `preview`.
    """
    options = options or PreviewOptions()
    embedded = {name: embedded_file(weights) is not None for name, weights in MODELS.items()}
    first, *others = (name for name in MODELS if embedded[name])
    shown = {weights_named(name) for name in options.more_weights}
    left_out = [name for name in MODELS if not embedded[name] and MODELS[name] not in shown]
    more = [name for name in options.more_weights if name not in (first, *others)]
    options = dataclasses.replace(
        options,
        upscale=dataclasses.replace(options.upscale, weights=first),
        more_weights=(*others, *more),
        strengths=options.strengths or STRENGTHS,
    )
    suited = suited_model(prepare(source, options.upscale.read))
    return Suggestion(preview(source, picture, options, progress=progress), suited, tuple(left_out))
