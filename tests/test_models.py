"""Models by what they are for."""

from __future__ import annotations

import click
import pytest

from videoinr_cli.cli.evaluate import evaluate
from videoinr_cli.cli.upscale import upscale
from videoinr_cli.options import DEFAULT_WEIGHTS, MODELS
from videoinr_cli.weights import embedded_file, find_weights, load_model


@pytest.mark.parametrize("name", ["clean", "real"])
def test_embedded_models_are_found(name: str) -> None:
    assert find_weights(name) == embedded_file(MODELS[name])
    load_model(name, device="cpu")


def test_the_default_is_one_of_them() -> None:
    assert DEFAULT_WEIGHTS in MODELS.values()


@pytest.mark.parametrize("command", [upscale, evaluate])
def test_model_and_weights_are_one_option(command: click.Command) -> None:
    (option,) = (parameter for parameter in command.params if "--model" in parameter.opts)
    assert "--weights" in option.opts
