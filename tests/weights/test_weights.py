"""Weights files: what is saved is loaded, published checkpoints convert, and bad files get one clear line."""

from __future__ import annotations

import dataclasses
import os
import pickle
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.oracle.golden_weights import golden_state_dict
from tests.oracle.plain_port import PlainVideoInr
from videoinr_cli.cli.weights import convert_command
from videoinr_cli.errors import OptionError, OutputError, WeightsError
from videoinr_cli.model import AnyVideoInr, FastConfig, PublishedConfig, build
from videoinr_cli.weights import convert_checkpoint, find_weights, inspect_weights, load_model, save_model
from videoinr_cli.weights.files import CONFIG_KEY
from videoinr_cli.weights.manifest import known_weights

TINY = PublishedConfig(channels=8, deformable_groups=2, front_blocks=1, back_blocks=1)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_model(build(TINY), path, {"licence": "CC0"})
    return path


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in PlainVideoInr().state_dict().items()}
    return golden_state_dict(shapes)


def tensors_of(model: AnyVideoInr) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in model.state_dict().items()}


def test_saved_model_is_loaded_ready_for_inference(tmp_path: Path) -> None:
    model = build(TINY)
    save_model(model, tmp_path / "m.safetensors", {"licence": "CC0", "trained on": "nothing"})
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    loaded = load_model(tmp_path / "m.safetensors", device="cpu", precision="bf16")
    assert loaded.config == TINY
    assert loaded.compute_dtype is torch.bfloat16
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    torch.testing.assert_close(tensors_of(loaded), tensors_of(model), rtol=0, atol=0)
    info = inspect_weights(tmp_path / "m.safetensors")
    assert info.metadata == {"licence": "CC0", "trained on": "nothing"}
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.skipif(os.name != "posix", reason="permissions of their own kind")
def test_saved_file_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save_model(build(TINY), tmp_path / "m.safetensors", {})
    finally:
        os.umask(before)
    assert (tmp_path / "m.safetensors").stat().st_mode & 0o777 == 0o644


def test_published_network_computes_in_fp32_on_a_cpu_unless_told(saved: Path) -> None:
    assert load_model(saved, device="cpu").compute_dtype is torch.float32


def test_embedded_weights_are_known_by_name() -> None:
    assert "videoinr-fast" in known_weights()
    assert find_weights("videoinr-fast").stat().st_size <= 8 << 20
    assert load_model(device="cpu", precision="fp32").config.architecture == FastConfig.architecture


def test_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(WeightsError, match=r"'videoinr-slow'.*videoinr-fast"):
        load_model("videoinr-slow")


@pytest.mark.parametrize(
    ("prefix", "wrap"),
    [
        ("", dict),
        ("module.", lambda state: {"state_dict": state}),
        ("module.", lambda state: {"params": state}),
    ],
)
def test_published_checkpoint_converts(
    tmp_path: Path, checkpoint: dict[str, Tensor], prefix: str, wrap: Callable[[object], object]
) -> None:
    torch.save(
        wrap({prefix + name: tensor for name, tensor in checkpoint.items()}), tmp_path / "latest_G.pth"
    )
    output = tmp_path / "videoinr.safetensors"
    arguments = [str(tmp_path / "latest_G.pth"), str(output), "--enlargement", "4"]
    result = CliRunner().invoke(convert_command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    model = load_model(output, device="cpu")
    assert model.config == PublishedConfig(rgb_enlargement=4)
    ours = tensors_of(model)
    assert len(ours) == len(checkpoint) - 8  # the published network never uses eight of its tensors
    torch.testing.assert_close(
        ours["encoder.recurrence.align_cell.align.directions.1.levels.2.deform.offset_mask.bias"],
        checkpoint["ConvBLSTM.forward_net.pcd_c.pcd_align.L3_dcnpack_2.conv_offset_mask.bias"],
    )


def test_conversion_replaces_nothing_unasked(tmp_path: Path, checkpoint: dict[str, Tensor]) -> None:
    source, output = tmp_path / "latest_G.pth", tmp_path / "videoinr.safetensors"
    torch.save(checkpoint, source)
    output.write_bytes(b"precious")
    with pytest.raises(OutputError, match="-y"):
        CliRunner().invoke(convert_command, [str(source), str(output)], catch_exceptions=False)
    assert output.read_bytes() == b"precious"
    with pytest.raises(OptionError, match=r"\.safetensors"):
        CliRunner().invoke(convert_command, [str(source), "out.pth"], catch_exceptions=False)


class Payload:
    """An object whose unpickling would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def missing(state: dict[str, Tensor]) -> object:
    return {name: tensor for name, tensor in state.items() if name != "fusion.weight"}


def misshapen(state: dict[str, Tensor]) -> object:
    return state | {"conv_first.weight": torch.zeros(64, 6, 3, 3)}


def foreign(state: dict[str, Tensor]) -> object:
    return state | {"extra.weight": torch.zeros(1)}


def no_state(state: dict[str, Tensor]) -> object:
    return [1, 2, 3]


def not_tensors(state: dict[str, Tensor]) -> object:
    return {"epoch": 3}


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (missing, "'encoder.fusion.weight' is missing"),
        (misshapen, r"\(64, 6, 3, 3\) and should be \(64, 3, 3, 3\)"),
        (foreign, "extra.weight"),
        (no_state, "a list instead of a state_dict"),
        (not_tensors, "'epoch' is not a float tensor"),
    ],
)
def test_checkpoint_of_another_network_is_refused(
    tmp_path: Path,
    checkpoint: dict[str, Tensor],
    damage: Callable[[dict[str, Tensor]], object],
    named: str,
) -> None:
    torch.save(damage(checkpoint), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=named) as caught:
        convert_checkpoint(tmp_path / "other.pth", tmp_path / "out.safetensors")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path, save: Callable[[object, Path], object]) -> None:
    save({"conv_first.weight": Payload(tmp_path / "executed")}, tmp_path / "evil.pth")
    for attempt in (convert_checkpoint, lambda source, _: load_model(source)):
        with pytest.raises(WeightsError, match=r"evil\.pth"):
            attempt(tmp_path / "evil.pth", tmp_path / "out.safetensors")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 5000])
def test_truncated_checkpoint_is_refused(tmp_path: Path, kept: int) -> None:
    torch.save({"a": torch.zeros(4096)}, tmp_path / "whole.pth")
    path = tmp_path / "cut.pth"
    path.write_bytes((tmp_path / "whole.pth").read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"cut\.pth") as caught:
        convert_checkpoint(path, tmp_path / "out.safetensors")
    assert "\n" not in str(caught.value)


def test_checkpoint_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(path, "w") as bomb:
        for member in plain.namelist():  # 4 MB of zeros in 4 KB
            bomb.writestr(member, plain.read(member), zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="claims more bytes"):
        convert_checkpoint(path, tmp_path / "out.safetensors")


def test_checkpoint_tensor_without_strides_is_not_written_out(
    tmp_path: Path, checkpoint: dict[str, Tensor]
) -> None:
    huge = torch.zeros(1).expand(1 << 40)  # a terabyte and more, from four bytes
    torch.save(checkpoint | {"conv_first.weight": huge}, tmp_path / "huge.pth")
    with pytest.raises(WeightsError, match="should be"):
        convert_checkpoint(tmp_path / "huge.pth", tmp_path / "out.safetensors")


def rewritten(path: Path, change: Callable[[dict[str, Tensor]], None], config: str) -> bytes:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={CONFIG_KEY: config})
    return path.read_bytes()


def with_config(config: str) -> Callable[[Path], bytes]:
    return lambda path: rewritten(path, lambda tensors: None, config)


def with_tensors(change: Callable[[dict[str, Tensor]], None]) -> Callable[[Path], bytes]:
    return lambda path: rewritten(path, change, TINY.to_json())


BAD_FILES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda path: b"", "is empty"),
    "text": (lambda path: b"not weights at all\n" * 9, "copy or download it again"),
    "truncated": (lambda path: path.read_bytes()[:-100], "copy or download it again"),
    "cut header": (lambda path: path.read_bytes()[:40], "copy or download it again"),
    "huge header": (lambda path: struct.pack("<Q", 1 << 60) + path.read_bytes()[8:], "copy or download"),
    "pickle": (lambda path: pickle.dumps({"a": 1}, protocol=2), "weights convert"),
    "no tensors": (with_tensors(dict.clear), "is missing"),
    "one missing": (with_tensors(lambda tensors: tensors.__delitem__("encoder.first.bias")), "first.bias"),
    "one too many": (with_tensors(lambda tensors: tensors.update(x=torch.zeros(1))), "'x'"),
    "integers": (with_tensors(lambda tensors: tensors.update(x=torch.zeros(1).int())), "I32"),
    "shape": (
        with_tensors(lambda tensors: tensors.update({"encoder.first.bias": torch.zeros(9)})),
        "should be",
    ),
    "not a number": (with_tensors(lambda tensors: tensors["encoder.first.bias"].fill_(torch.nan)), "finite"),
    "no config": (lambda path: rewritten(path, lambda tensors: None, ""), "not a model configuration"),
    "unknown network": (with_config('{"architecture": "gan"}'), "not a model configuration"),
    "unknown setting": (with_config('{"architecture": "videoinr", "wings": 2}'), "wings"),
    "wrong type": (with_config('{"architecture": "videoinr", "channels": "64"}'), "channels"),
    "huge network": (with_config('{"architecture": "videoinr", "back_blocks": 100000000}'), "back_blocks"),
    "negative": (with_config('{"architecture": "videoinr", "channels": -1}'), "channels"),
    "no channels": (with_config('{"architecture": "videoinr", "channels": 0}'), "channels"),
    "deep network": (
        with_config('{"architecture": "videoinr", "back_blocks": 4000}'),
        "no network that fits",
    ),
    "deep nesting": (with_config("[" * 100_000), "not a model configuration"),
    "long header": (
        lambda path: rewritten(path, lambda tensors: None, " " * (5 << 20) + TINY.to_json()),
        "a header of",
    ),
    "control characters": (
        with_tensors(lambda tensors: tensors.update({"\x1b[2J" * 99: torch.zeros(1)})),
        r"\\x1b\[2J.*…",
    ),
    "another network": (with_config(FastConfig().to_json()), "does not fit"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_is_refused_in_one_line(saved: Path, kind: str) -> None:
    make, named = BAD_FILES[kind]
    saved.write_bytes(make(saved))
    with pytest.raises(WeightsError, match=named) as caught:
        load_model(saved, device="cpu")
    assert str(caught.value).isprintable()
    assert "tiny.safetensors" in str(caught.value)


def test_hostile_depth_costs_no_time(saved: Path) -> None:
    rewritten(saved, lambda tensors: None, PublishedConfig(front_blocks=4096, back_blocks=4096).to_json())
    start = time.process_time()
    with pytest.raises(WeightsError, match="no network that fits"):
        inspect_weights(saved)
    assert time.process_time() - start < 2  # all of it would take 10 s and more


def test_setting_of_zero_is_right_only_where_it_is_the_default(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PublishedConfig, "rgb_enlargement", 0)
    monkeypatch.setattr(PublishedConfig.__init__, "__defaults__", (64, 8, 5, 40, 30.0, 0))
    rewritten(saved, lambda tensors: None, dataclasses.replace(TINY, rgb_enlargement=0).to_json())
    assert inspect_weights(saved).config == dataclasses.replace(TINY, rgb_enlargement=0)


def test_folder_and_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is a folder"):
        load_model(tmp_path)
    with pytest.raises(WeightsError, match="no checkpoint"):
        convert_checkpoint(tmp_path / "nothing.pth", tmp_path / "out.safetensors")


def test_unwritable_destination_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        save_model(build(TINY), tmp_path / "nowhere" / "m.safetensors", {})


def test_devices_and_precisions_are_checked(saved: Path) -> None:
    with pytest.raises(OptionError, match="abacus"):
        load_model(saved, device="abacus")
    with pytest.raises(OptionError, match="fp16"):
        load_model(saved, device="cpu", precision="fp16")
    with pytest.raises(OptionError, match="fp8"):
        load_model(saved, device="cpu", precision="fp8")
