"""``videoinr evaluate`` on a tiny clip, with a tiny network."""

import errno
import json
import re
import weakref
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from click.testing import CliRunner, Result

from tests.command import check_one_line
from tests.command import run as videoinr
from videoinr_cli.cli.evaluate import evaluate
from videoinr_cli.errors import InputError, OptionError, OutputError, WeightsError
from videoinr_cli.evaluation.clips import find_clips, save_picture
from videoinr_cli.model import FastConfig, build
from videoinr_cli.options import NetworkOptions
from videoinr_cli.weights import load_network, save_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(build(FastConfig(channels=8, pyramid_channels=8)), path, {})
    return str(path)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    wide = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 20, generator=generator), size=(96, 160))[0]
    for index in range(5):
        save_picture(wide[:, :, index : index + 144], tmp_path / "clip" / f"{index}.png")
    return tmp_path / "clip"


def test_json_holds_every_method_in_order(clip: Path, weights: str) -> None:
    arguments = [
        str(clip),
        "--weights",
        weights,
        "--baseline",
        "lanczos+nearest",
        "--baseline",
        "bicubic+blend",
    ]
    run = CliRunner().invoke(evaluate, [*arguments, "--space", "2", "--json"], catch_exceptions=False)
    assert run.exit_code == 0, run.stderr
    results = json.loads(run.stdout)
    assert [result["method"] for result in results] == ["bicubic+blend", "lanczos+nearest", weights]
    assert [result["frames"] for result in results] == [4, 4, 4]
    assert all(result["seconds_per_frame"] > 0 for result in results)


def test_tables_and_saved_frames(clip: Path, weights: str, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    arguments = [str(clip), "--weights", weights, "--baseline", "none", "--space", "1.5", "--time", "4"]
    run = CliRunner().invoke(
        evaluate, [*arguments, "--save-frames", str(frames), "--steadiness"], catch_exceptions=False
    )
    assert run.exit_code == 0, run.stderr
    assert run.stdout.count(f"| {weights}") == 3
    assert f"s/frame and peak memory: torch on {torch.get_num_threads()} thread" in run.stdout
    saved = find_clips(frames / "tiny" / "clip")[0]
    assert [path.name for path in saved.paths] == [f"{index:06d}.png" for index in range(4)]
    assert next(saved.frames()).shape == (3, 96, 144)


def test_several_weights_and_pairs_stand_side_by_side(clip: Path, weights: str, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(Path(weights).read_bytes())
    arguments = [str(clip), "--weights", weights, "--weights", str(other), "--baseline", "none"]
    run = CliRunner().invoke(
        evaluate, [*arguments, "--space", "2", "--protocol", "pairs"], catch_exceptions=False
    )
    assert run.exit_code == 0, run.stderr
    head, *rows = run.stdout.splitlines()
    assert head == "space x2, time x2, torch's bicubic, each pair by itself: 2 groups of 1 clip"
    first, second = (
        next(row.split("|")[2:4] for row in rows if name in row) for name in (weights, str(other))
    )
    assert first == second


def test_the_variable_of_all_commands_is_one_name_whatever_spaces_are_in_it(
    clip: Path,
    weights: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    spaced = tmp_path / "my own weights.safetensors"
    spaced.write_bytes(Path(weights).read_bytes())
    arguments = ["evaluate", clip, "--baseline", "none", "--space", "2", "--json"]
    for variable, value, names in (
        ("VIDEOINR_EVALUATE_WEIGHTS", f"{weights} {weights}", [weights, weights]),
        ("VIDEOINR_WEIGHTS", str(spaced), [str(spaced)]),
    ):
        monkeypatch.setenv(variable, value)
        assert videoinr(*arguments) == 0
        assert [result["method"] for result in json.loads(capfd.readouterr().out)] == names


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory"), OSError(errno.ENAMETOOLONG, "too long", "a")]
)
def test_errors_name_no_option_that_the_command_lacks(
    error: Exception,
    clip: Path,
    weights: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(_: object) -> NoReturn:
        raise error

    monkeypatch.setattr("videoinr_cli.evaluation.evaluate.load_network", failing)
    assert videoinr("evaluate", clip, "--weights", weights, "--baseline", "none", "-q") == 1
    named = re.findall(r"(?<!\S)--?[a-z][\w-]*", capfd.readouterr().err.partition("(ulimit")[0])
    assert set(named) <= {name for option in evaluate.params for name in option.opts}


def test_frames_too_small_for_ffmpeg_leave_out_its_baseline(
    clip: Path, weights: str, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", clip, "--weights", weights, "--space", "4", "--json"]  # 24 rows
    why = "ffmpeg's minterpolate needs given frames of 32x32 pixels or more, not 36x24; try a smaller --space"
    assert videoinr(*arguments) == 0
    out, said = capfd.readouterr()
    assert [result["method"] for result in json.loads(out)] == ["bicubic+blend", weights]
    assert f"warning: minterpolate+lanczos is left out: {why}" in said
    assert videoinr(*arguments, "-q") == 0
    assert capfd.readouterr().err == ""
    assert videoinr(*arguments, "--baseline", "minterpolate+lanczos") == 2
    check_one_line(capfd.readouterr().err, f"error: {why}")


def test_an_ffmpeg_that_fails_costs_no_other_result(
    clip: Path, weights: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("videoinr_cli.evaluation.baselines.find_ffmpeg", lambda: "false")
    arguments = ["evaluate", clip, "--weights", weights, "--space", "2", "--json"]
    assert videoinr(*arguments) == 0
    out, said = capfd.readouterr()
    assert [result["method"] for result in json.loads(out)] == ["bicubic+blend", weights]
    assert "warning: minterpolate+lanczos is left out: ffmpeg minterpolate failed" in said
    asked_for = ["--baseline", "bicubic+blend", "--baseline", "minterpolate+lanczos"]
    assert videoinr(*arguments, *asked_for) == 1
    out, said = capfd.readouterr()
    assert [result["method"] for result in json.loads(out)] == ["bicubic+blend"]
    assert "error: ffmpeg minterpolate failed" in said


def test_networks_are_held_one_at_a_time(
    clip: Path, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(Path(weights).read_bytes())
    loaded: list[weakref.ref[object]] = []

    def load_alone(options: NetworkOptions) -> object:
        assert all(earlier() is None for earlier in loaded)
        model = load_network(options)
        loaded.append(weakref.ref(model))
        return model

    monkeypatch.setattr("videoinr_cli.evaluation.evaluate.load_network", load_alone)
    arguments = ["evaluate", clip, "--weights", weights, "--weights", other, "--baseline", "none"]
    assert videoinr(*arguments, "--space", "2", "--steadiness") == 0
    assert len(loaded) == 2


def test_what_is_not_the_benchmark_it_goes_by_is_said(
    clip: Path, weights: str, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", clip, "--weights", weights, "--baseline", "none", "--space", "2"]
    assert videoinr(*arguments, "--dataset", "vid4") == 0
    assert "clip is not vid4, which has 83 groups of 4 clips at time x2" in capfd.readouterr().err
    assert videoinr(*arguments, "--dataset", "vid4", "--max-frames", "5") == 0
    assert "vid4" not in capfd.readouterr().err


def test_pans_too_small_for_ffmpeg_leave_out_its_steadiness(
    clip: Path, weights: str, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", clip, "--weights", weights, "--space", "3", "--json", "--steadiness"]
    assert videoinr(*arguments) == 0
    out, said = capfd.readouterr()
    assert [(result["method"], "steadiness" in result) for result in json.loads(out)] == [
        ("bicubic+blend", True),
        ("minterpolate+lanczos", False),
        (weights, True),
    ]
    assert said.count("warning: minterpolate+lanczos is left out: ") == 1


def test_saved_frames_of_two_weights_do_not_mix(clip: Path, weights: str, tmp_path: Path) -> None:
    arguments = [str(clip), "--weights", weights, "--weights", weights, "--save-frames", str(tmp_path)]
    assert isinstance(CliRunner().invoke(evaluate, arguments).exception, OptionError)


def test_what_cannot_be_done_is_found_before_anything_is_measured(clip: Path, weights: str) -> None:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(evaluate, [str(clip), "--weights", weights, "--space", "2", *arguments])

    for refused, error in (
        (run("--save-frames", str(clip / "0.png")), OutputError),
        (run("--steadiness", "--time", "16", "--max-frames", "17"), InputError),
        (run("--device", "none"), OptionError),
        (run("--weights", f"{weights}.missing"), WeightsError),
    ):
        assert isinstance(refused.exception, error)
        assert refused.stdout == ""


def test_bad_requests_are_errors_of_ours(clip: Path) -> None:
    def error_of(*arguments: str) -> BaseException | None:
        return CliRunner().invoke(evaluate, list(arguments)).exception

    assert isinstance(error_of(str(clip), "--space", "0.5"), OptionError)
    assert isinstance(error_of(str(clip), "--time", "0"), OptionError)
    assert isinstance(error_of(str(clip / "missing")), InputError)
