"""``videoinr train`` and ``train``: a recipe with what the options say of it, resumed as it was begun."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from click.testing import CliRunner

from tests.command import check_one_line, run
from tests.tiny import TINY_LARGE
from tests.training.test_footage import scene, write_video
from videoinr_cli.cli.train import train as command
from videoinr_cli.errors import OptionError, OutputError, WeightsError
from videoinr_cli.model import FastConfig, build
from videoinr_cli.training.distributed import Team
from videoinr_cli.training.footage import CACHE_VERSION
from videoinr_cli.training.options import DEFAULT_RECIPE, RECIPE_NAMES, TrainOptions
from videoinr_cli.training.recipes import OWN, PAIRS, PAPER, RECIPES
from videoinr_cli.training.train import _adapted, _network, _shared, train
from videoinr_cli.training.trainer import read_run_settings
from videoinr_cli.weights import inspect_weights, save_model


def test_the_recipes_offered_are_those_there_are() -> None:
    assert set(RECIPE_NAMES) == set(RECIPES)
    assert DEFAULT_RECIPE == "own"


def test_nothing_said_leaves_the_recipe_as_it_is() -> None:
    for recipe in (OWN, PAPER):
        assert _adapted(recipe, TrainOptions()) == recipe
        assert _shared(recipe.samples, Team()) == recipe.samples


def test_a_run_to_be_mixed_is_judged_halfway_and_learns_sharper_targets_at_its_end() -> None:
    options = TrainOptions(pairs=("pairs",), init="videoinr-real", halfway=True).completed()
    schedule = _adapted(PAIRS, options).schedule
    assert 0.5 < schedule.halfway_share < 1
    assert schedule.sharpening / 2 == PAIRS.schedule.sharpening > 0  # halfway, see BatchLoss
    with pytest.raises(OptionError, match="--init"):
        TrainOptions(pairs=("pairs",), halfway=True)


def test_a_batch_is_shared_by_the_processes() -> None:
    samples = _adapted(PAPER, TrainOptions(patch=48, degrade=True)).samples
    assert (samples.batch_size, samples.lr_size, samples.degrade) == (24, 48, True)
    assert _shared(samples, Team(rank=3, size=8)).batch_size == 3
    with pytest.raises(OptionError, match="--batch-size 28"):
        _shared(samples, Team(rank=0, size=7))


def test_what_is_not_trained_here_is_refused(tmp_path: Path) -> None:
    save_model(build(TINY_LARGE), tmp_path / "large.safetensors", {})
    options = TrainOptions(init=str(tmp_path / "large.safetensors"))
    with pytest.raises(OptionError, match=r"is a videoinr-large, .* not trained here; try --init"):
        _network(options, OWN, torch.device("cpu"))


def test_the_seed_decides_random_weights() -> None:
    def network(seed: int) -> dict[str, torch.Tensor]:
        options = TrainOptions(seed=seed)
        return _network(options, _adapted(OWN, options), torch.device("cpu")).state_dict()

    one, same, other = map(network, (1, 1, 2))
    assert all(torch.equal(one[name], tensor) for name, tensor in same.items())
    assert any(not torch.equal(one[name], tensor) for name, tensor in other.items())


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """Return the folder of what a run of one step has written."""
    footage, made = tmp_path_factory.mktemp("footage"), tmp_path_factory.mktemp("made")
    write_video(footage / "clip.mp4", scene(1, 6))
    write_video(footage / "held.mp4", scene(2, 7))
    asked = ["--batch-size", 1, "--patch", 16, "--steps", 1, "--seed", 5, "--hold-out", "held*", "-q"]
    output = made / "mine.safetensors"
    assert run("train", "--data", footage, "-o", output, "--init", weights, *asked) == 0
    return made


@pytest.fixture
def begun(first_run: Path, tmp_path: Path) -> Path:
    """Return the output of a run of one step."""
    shutil.copytree(first_run, tmp_path, dirs_exist_ok=True)
    return tmp_path / "mine.safetensors"


def run_settings(output: Path) -> dict[str, Any]:
    return read_run_settings(output.with_name(output.name + ".training"))


def test_a_run_is_resumed_with_the_options_it_was_begun_with(begun: Path) -> None:
    before = run_settings(begun)
    assert run("train", "-o", begun, "--resume", "--steps", 2, "-q") == 0
    after = run_settings(begun)
    assert after["options"] == {**before["options"], "steps": 2}
    assert after["conditions"] == before["conditions"]
    metadata = inspect_weights(begun).metadata
    assert metadata["training"].startswith("2 steps")
    assert metadata["training_data"] == "clip.mp4"


def test_options_of_an_earlier_version_are_known_by_their_former_names(begun: Path) -> None:
    checkpoint = begun.with_name(begun.name + ".training")
    state = torch.load(checkpoint, weights_only=True)
    options = state["run_settings"]["options"]
    options |= {"directories": options.pop("data"), "recipe_name": options.pop("recipe")}
    state["begun_with"] = state.pop("run_settings")
    torch.save(state, checkpoint)
    assert train(begun, TrainOptions(steps=2), resume=True).steps == 2
    del state["begun_with"]["conditions"]["version of decoded frames"]
    torch.save(state, checkpoint)
    with pytest.raises(OptionError, match="version of decoded frames 2, not"):
        train(begun, resume=True)
    state["begun_with"]["options"]["unknown"] = 1
    torch.save(state, checkpoint)
    with pytest.raises(WeightsError, match="another version of videoinr"):
        train(begun, resume=True)


@pytest.mark.parametrize(
    "given",
    [{"steps": 0}, {"batch_size": 0}, {"patch": 15}, {"minutes": 0}, {"recipe": "mine"}, {"config": "mine"}],
)
def test_options_that_the_command_does_not_take_are_refused_in_python_too(given: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        TrainOptions(**given)


def test_a_run_that_is_resumed_otherwise_is_refused(begun: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other = begun.parent / "other"
    other.mkdir()
    write_video(other / "another.mp4", scene(1, 8))
    for asked, said in (
        (["--seed", 6], "--seed is 6 and was 5"),
        (["--batch-size", 2], "--batch-size is 2 and was 1"),
        (["--patch", 24], "--patch is 24 and was 16"),
        (["--learning-rate", 0.1], "--learning-rate is 0.1 and was not given"),
        (["--degrade"], "--degrade is True and was not given"),
        (["--hold-out", "clip*", "--hold-out", "b"], "--hold-out is clip* b and was held*"),
        (["--recipe", "paper"], "--recipe is paper and was own"),
        (["--data", other], "begun with shot 1 clip.mp4 (6 frames), not another.mp4 (8 frames)"),
    ):
        assert run("train", "-o", begun, "--resume", "-q", *asked) == 2
        check_one_line(capfd.readouterr().err, said)


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({}, 1, "of an earlier version"),
        ({"processes": "2"}, 2, "begun with processes 2, not 1"),
        ({"version of decoded frames": "1"}, 2, f"frames 1, not {CACHE_VERSION}"),
        ({"wide_every": "9"}, 2, f"begun with wide_every 9, not {OWN.samples.wide_every}"),
    ],
)
def test_a_checkpoint_of_other_conditions_is_refused(
    begun: Path, capfd: pytest.CaptureFixture[str], changed: dict[str, str], code: int, said: str
) -> None:
    checkpoint = begun.with_name(begun.name + ".training")
    state = torch.load(checkpoint, weights_only=True)
    if changed:
        state["run_settings"]["conditions"] |= changed
    else:
        del state["run_settings"]
    torch.save(state, checkpoint)
    assert run("train", "-o", begun, "--resume", "-q") == code
    check_one_line(capfd.readouterr().err, said)


def test_data_is_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("train", "-o", tmp_path / "a.safetensors") == 2
    check_one_line(capfd.readouterr().err, "--data")


def test_stages_go_by_steps(tmp_path: Path) -> None:
    arguments = ["--data", str(tmp_path), "-o", str(tmp_path / "a.safetensors"), "--recipe", "paper"]
    error = CliRunner().invoke(command, [*arguments, "--minutes", "5"]).exception
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
    error = CliRunner().invoke(command, [*map(str, arguments), *options]).exception
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
        error = CliRunner().invoke(command, arguments).exception
        assert isinstance(error, kind)
        assert words in str(error)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Return a folder of two pairs of clips, x2."""
    folder = tmp_path / "pairs"
    for side, factor in (("lr", 1), ("hr", 2)):
        (folder / side).mkdir(parents=True)
        for name, seed in (("a", 1), ("held", 2)):
            write_video(folder / side / f"{name}.mp4", scene(seed, 3, height=32 * factor, width=48 * factor))
    return folder


def test_pairs_are_trained_on_and_a_run_of_them_resumed(pairs: Path, weights: Path) -> None:
    output = pairs / "mine.safetensors"
    asked = ["--batch-size", 1, "--patch", 16, "--steps", 1, "--hold-out", "held", "-q"]
    assert run("train", "--pairs", pairs, "-o", output, "--init", weights, *asked) == 0
    assert run_settings(output)["options"]["recipe"] == "pairs"
    assert run("train", "-o", output, "--resume", "--steps", 2, "-q") == 0
    config, metadata = cast(FastConfig, inspect_weights(output).config), inspect_weights(output).metadata
    assert config.restores  # `weights`, which it began from, does not
    assert metadata["training"].startswith("2 steps")
    assert metadata["training_data"] == "a"
    assert metadata["trained_for"] == "what is in its pairs of clips"


@pytest.mark.parametrize("degrade", [False, True])
def test_what_is_trained_on_degraded_footage_restores(weights: Path, degrade: bool) -> None:
    options = TrainOptions(init=str(weights), degrade=degrade)
    model = _network(options, _adapted(OWN, options), torch.device("cpu"))
    assert cast(FastConfig, model.config).restores is degrade


def test_pairs_and_footage_are_not_mixed(
    pairs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for asked, said in (
        (["--pairs", pairs, "--data", pairs], "leave out --data"),
        (["--pairs", pairs, "--degrade"], "leave out --data, --degrade"),
        (["--pairs", pairs, "--recipe", "paper"], "leave out --data, --degrade and --recipe"),
        (["--data", pairs, "--recipe", "pairs"], "name a folder of them with --pairs"),
        (["--pairs", pairs, "--hold-out", "c"], "--hold-out c: no file of this name"),
    ):
        assert run("train", "-o", tmp_path / "mine.safetensors", "-q", *asked) == 2
        check_one_line(capfd.readouterr().err, said)
