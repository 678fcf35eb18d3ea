"""What ``videoinr train`` asks of its parts: the recipe, with what the command line says of it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from videoinr_cli.cli import train as command
from videoinr_cli.errors import OptionError
from videoinr_cli.training.distributed import Team
from videoinr_cli.training.recipes import OWN, PAPER, RECIPES


def test_the_recipes_offered_are_those_there_are() -> None:
    assert set(command.RECIPES) == set(RECIPES)
    assert command.RECIPES[0] == "own"
    (option,) = (p for p in command.train.params if isinstance(p, click.Option) and p.name == "recipe_name")
    assert option.default == "own"


def test_nothing_said_leaves_the_recipe_as_it_is() -> None:
    for recipe in (OWN, PAPER):
        assert command._adapted(recipe.of_length(recipe.schedule.steps), None, None, 0) == recipe
        assert command._samples(recipe.samples, None, None, False, Team()) == recipe.samples


def test_a_batch_is_shared_by_the_processes() -> None:
    samples = command._samples(PAPER.samples, None, 48, True, Team(rank=3, size=8))
    assert (samples.batch_size, samples.lr_size, samples.degrade) == (3, 48, True)
    with pytest.raises(OptionError, match="--batch-size 28"):
        command._samples(PAPER.samples, None, None, False, Team(rank=0, size=7))


def test_stages_go_by_steps(tmp_path: Path) -> None:
    arguments = ["--data", str(tmp_path), "-o", str(tmp_path / "a.safetensors"), "--recipe", "paper"]
    error = CliRunner().invoke(command.train, [*arguments, "--minutes", "5"]).exception
    assert isinstance(error, OptionError)
    assert "--steps" in str(error)
