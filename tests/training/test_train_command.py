"""What ``videoinr train`` asks of its parts: the recipe, with what the command line says of it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.command import check_one_line, run
from tests.training.test_footage import scene, write_video
from videoinr_cli.cli import train as command
from videoinr_cli.errors import OptionError, OutputError
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


def test_a_length_on_the_command_line_replaces_one_of_the_environment(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", "--data", tmp_path, "-o", tmp_path / "a.safetensors", "--recipe", "paper"]
    monkeypatch.setenv("VIDEOINR_TRAIN_STEPS", "9")
    assert run(*arguments, "--minutes", 5) == 2
    check_one_line(capfd.readouterr().err, "stages")  # not that they exclude each other
    assert run(*arguments, "--minutes", 5, "--steps", 9) == 2
    check_one_line(capfd.readouterr().err, "exclude each other")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--minutes", "nan"], "--minutes nan"),
        (["--minutes", "inf"], "--minutes inf"),
        (["--learning-rate", "nan"], "--learning-rate nan"),
        (["--hold-out", "a"], "--hold-out a: no file of this name; there is 'clip.mp4'"),
        (["--hold-out", "clip*"], "leaves nothing to train on"),
        (["--hold-out", "short*"], "--hold-out short* holds out no 7 frames"),
        (["--init", "videoinr-fast", "--config", "videoinr"], "not the videoinr of --config"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, options: list[str], said: str) -> None:
    write_video(tmp_path / "clip.mp4", scene(1, 6))
    if "short*" in options:
        write_video(tmp_path / "short.mp4", scene(2, 6))
    arguments = ["--data", tmp_path, "-o", tmp_path / "a.safetensors", "--steps", 1][
        : 4 if "--minutes" in options else 6
    ]
    error = CliRunner().invoke(command.train, [*map(str, arguments), *options]).exception
    assert isinstance(error, OptionError)
    assert said in str(error)
    assert not (tmp_path / "a.safetensors").exists()


def test_only_what_can_be_trained_in_is_offered(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--help") == 0
    assert "fp16" not in capfd.readouterr().out.replace("bf16", "")
    assert run("train", "--data", ".", "-o", "a.safetensors", "--precision", "fp16") == 2
    check_one_line(capfd.readouterr().err, "'fp16'")


def test_where_weights_cannot_be_written_is_found_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, kind, words in (
        ("m.pt", OptionError, "m.safetensors"),
        ("", OutputError, "a folder"),
        ("missing/m.safetensors", OutputError, "no folder"),
        ("file/m.safetensors", OutputError, "no folder"),
        ("/proc/m.safetensors", OutputError, "/proc"),  # seems writable to root; missing on some systems
    ):
        arguments = ["--data", str(tmp_path / "missing"), "-o", str(tmp_path / name)]
        error = CliRunner().invoke(command.train, arguments).exception
        assert isinstance(error, kind)
        assert words in str(error)
