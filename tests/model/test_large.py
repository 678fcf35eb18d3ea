"""The large network: BasicVSR against golden data, and what must hold of its pictures anywhere.

The golden data were computed by the authors' own network: with weights that follow from their names
(`oracle/golden_weights.py`), and with two of those they published. Of its pictures, every fifth sample
along both axes is kept.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.oracle.golden_weights import golden_basicvsr
from tests.tiny import TINY_LARGE, scattered
from videoinr_cli.model import FastConfig, LargeConfig, Window, build
from videoinr_cli.model.config import ModelConfig
from videoinr_cli.model.large.names import from_basicvsr_names
from videoinr_cli.model.large.network import Beside, LargeFrame, LargePair, LargeVideoInr
from videoinr_cli.model.spatial.enlarger import HeldTensors
from videoinr_cli.weights import convert_checkpoint, load_model
from videoinr_cli.weights.fetching import fetch_weights
from videoinr_cli.weights.files import read_tensors
from videoinr_cli.weights.manifest import known_by_name
from videoinr_cli.weights.sources import parse_source

GOLDENS = np.load(Path(__file__).parent.parent / "goldens" / "basicvsr_36x40.npz")
SIZE = (36, 40)
ACROSS_MACHINES = 1e-4
"""Other processors sum in other orders; here it is 5e-7."""
ROUNDING = 2e-6
"""Of sums in another order."""


@functools.cache
def golden_network() -> LargeVideoInr:
    network = LargeVideoInr(LargeConfig()).eval().requires_grad_(False)
    encoder = from_basicvsr_names(golden_basicvsr())
    missing, unexpected = network.load_state_dict(encoder, strict=False)
    assert not unexpected
    assert all(name.startswith("motion.") for name in missing)
    return network


@pytest.fixture
def network() -> LargeVideoInr:
    network = scattered(TINY_LARGE)
    assert isinstance(network, LargeVideoInr)
    return network


def golden_frames(network: LargeVideoInr) -> list[LargeFrame]:
    frames = torch.from_numpy(GOLDENS["frames"]).float() / 255
    return [network.encode_frame(frame) for frame in frames.split(1)]


def random_frames(network: LargeVideoInr, count: int, size: tuple[int, int] = (19, 27)) -> list[LargeFrame]:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, 5, 7, generator=generator)
    return [network.encode_frame(frame) for frame in F.interpolate(coarse, size, mode="bicubic").split(1)]


def pictures(network: LargeVideoInr, frames: list[LargeFrame]) -> Tensor:
    """Return the frames' pictures, four samples a pixel and axis, each at every fifth."""
    size = 4 * frames[0].height, 4 * frames[0].width
    pairs = [network.encode_pair_of(frames, place) for place in range(len(frames) - 1)]
    rendered = [network.render(pair, 0.0, size) for pair in pairs]
    return torch.cat([*rendered, network.render(pairs[-1], 1.0, size)])[:, :, 1::5, 1::5]


@torch.inference_mode()
def test_flow_is_golden() -> None:
    frames = golden_frames(golden_network())
    for number, expected in enumerate(GOLDENS["flow"]):
        flow = golden_network().flow(frames[number + 1].rgb, frames[number].rgb)
        torch.testing.assert_close(flow[0], torch.from_numpy(expected), rtol=0, atol=ACROSS_MACHINES)


@torch.inference_mode()
def test_pictures_are_golden() -> None:
    made = pictures(golden_network(), golden_frames(golden_network()))
    torch.testing.assert_close(made, torch.from_numpy(GOLDENS["synthetic"]), rtol=0, atol=ACROSS_MACHINES)


@pytest.mark.network
@torch.inference_mode()
def test_pictures_by_published_weights_are_golden(tmp_path: Path) -> None:
    source = known_by_name()["videoinr-large"].source
    assert source is not None
    for file, name in (("BasicVSR_Vimeo90K_BIx4", "bi"), ("BasicVSR_REDS4", "reds")):
        other = parse_source(source.replace("BasicVSR_Vimeo90K_BIx4", file))
        record = fetch_weights(other, name, folder=tmp_path)
        network = load_model(record.path, device="cpu", precision="fp32")
        assert isinstance(network, LargeVideoInr)
        made = pictures(network, golden_frames(network))
        torch.testing.assert_close(made, torch.from_numpy(GOLDENS[name]), rtol=0, atol=ACROSS_MACHINES)


def test_a_checkpoint_becomes_weights_with_the_embedded_networks_motion(tmp_path: Path) -> None:
    constants = {"spynet.mean": torch.ones(1, 3, 1, 1), "spynet.std": torch.ones(1, 3, 1, 1)}
    state = golden_basicvsr() | constants
    torch.save({"params": state}, tmp_path / "published.pth")
    info = convert_checkpoint(tmp_path / "published.pth", tmp_path / "ours.safetensors")
    assert info.config == LargeConfig(motion=load_model(device="cpu").config)
    tensors = read_tensors(info.path)
    torch.testing.assert_close(tensors["upsampling.rgb.weight"], state["conv_last.weight"])
    embedded = load_model(device="cpu").state_dict()
    assert {name for name in tensors if name.startswith("motion.")} == {f"motion.{name}" for name in embedded}
    assert torch.equal(tensors["motion.encoder.stem.weight"], embedded["encoder.stem.weight"])


def test_configuration_comes_back_from_json() -> None:
    assert ModelConfig.from_json(TINY_LARGE.to_json()) == TINY_LARGE


@torch.inference_mode()
def test_what_the_pair_before_left_changes_nothing(network: LargeVideoInr) -> None:
    frames = random_frames(network, 6)
    carry = None
    for place in range(1, 5):
        pair = network.encode_pair_of(frames, place, carry=carry)
        carry = pair.carry
        alone = network.encode_pair_of(frames, place)
        for tau in (0.0, 0.3, 1.0):
            assert torch.equal(network.render(pair, tau, (40, 50)), network.render(alone, tau, (40, 50)))
    for other in (random_frames(network, 6), frames[:5]):  # of another run: nothing is taken over
        assert torch.equal(
            network.encode_pair_of(other, 3, carry=carry).pictures[0],
            network.encode_pair_of(other, 3).pictures[0],
        )


@torch.inference_mode()
def test_a_picture_depends_on_all_of_its_run(network: LargeVideoInr) -> None:
    frames = random_frames(network, 6)
    whole = network.encode_pair_of(frames, 2).pictures[0]
    assert not torch.equal(network.encode_pair_of(frames[1:], 1).pictures[0], whole)
    assert not torch.equal(network.encode_pair_of(frames[:-1], 2).pictures[0], whole)


@torch.inference_mode()
def test_strips_of_a_picture_do_not_show(network: LargeVideoInr, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = random_frames(network, 2)
    whole = network.encode_pair_of(frames, 0).pictures[0]
    monkeypatch.setattr("videoinr_cli.model.large.propagation.STRIP_PX", 27 * 4)
    strips = network.encode_pair_of(frames, 0).pictures[0]
    torch.testing.assert_close(strips, whole, rtol=0, atol=ROUNDING)


def pair_of(network: LargeVideoInr, frames: Tensor, across_px: float) -> LargePair:
    """Return a pair whose pictures are (2, 3, 4 H, 4 W) frames themselves, as is what tells their motion."""
    reduced = F.interpolate(frames, scale_factor=0.25, mode="bicubic", antialias=True)
    pair = network.encode_pair(*(network.encode_frame(frame) for frame in reduced.split(1)))
    first, second = frames.split(1)
    onward = torch.zeros(1, 2, pair.height, pair.width)
    onward[:, 0] = across_px / 4
    return dataclasses.replace(pair, pictures=(first, second), flows=(onward, -onward))


@pytest.mark.parametrize("size", [(38, 54), (50, 33), (76, 108), (100, 120)])
@torch.inference_mode()
def test_pixels_are_means_of_samples(network: LargeVideoInr, size: tuple[int, int]) -> None:
    picture = torch.rand(1, 3, 76, 108, generator=torch.Generator().manual_seed(4))
    pair = network.encode_pair_of(random_frames(network, 2), 0)
    rendered = network.render(dataclasses.replace(pair, pictures=(picture, picture)), 0.0, size)
    expected = F.interpolate(picture, size, mode="bicubic", antialias=True)
    # torch's weights are float32, and leave out what lies beyond the border, where here the border goes on
    inner = (..., slice(6, -6), slice(6, -6))
    torch.testing.assert_close(rendered[inner], expected[inner], rtol=0, atol=2e-5)


@pytest.mark.parametrize("tau", [0.0, 0.3])
@pytest.mark.parametrize("size", [(19, 27), (38, 54), (61, 99), (76, 108), (130, 150)])
@torch.inference_mode()
def test_windows_and_chunks_do_not_show(network: LargeVideoInr, size: tuple[int, int], tau: float) -> None:
    pair = network.encode_pair_of(random_frames(network, 2), 0)
    whole = network.render(pair, tau, size)
    rows = network.render(pair, tau, size, chunk_bytes=1)
    torch.testing.assert_close(rows, whole, rtol=0, atol=ROUNDING)
    window = Window(top=3, left=5, bottom=14, right=21)
    part = network.render(pair, tau, size, window=window)
    torch.testing.assert_close(part, whole[:, :, 3:14, 5:21], rtol=0, atol=ROUNDING)


def network_that_sees_motion() -> LargeVideoInr:
    motion = load_model(device="cpu")
    assert isinstance(motion.config, FastConfig)
    network = build(LargeConfig(motion=motion.config))
    assert isinstance(network, LargeVideoInr)
    network.motion.load_state_dict(motion.state_dict())
    return network


def moved_texture(*across_px: int) -> list[Tensor]:
    """Return pictures of a texture, (1, 3, 192, 256), that lies as far to the left in each as is said."""
    generator = torch.Generator().manual_seed(1)
    texture = F.interpolate(torch.rand(1, 3, 40, 60, generator=generator), (320, 480), mode="bicubic")
    return [texture[..., 40:232, 40 + step : 296 + step] for step in across_px]


def difference(a: Tensor, b: Tensor) -> float:
    """Return how far two pictures differ on average, away from their borders."""
    return (a - b)[..., 32:-32, 32:-32].abs().mean().item()


@pytest.mark.parametrize("across_px", [-8, 40])
@torch.inference_mode()
def test_an_instant_lies_where_motion_has_come(across_px: float) -> None:
    """Whether the encoder's flows are right or wrong: there the small network's alone count."""
    network = network_that_sees_motion()
    first, truth, second = moved_texture(0, 4, 8)
    pair = pair_of(network, torch.cat([first, second]), across_px)
    halfway = network.render(pair, 0.5, (192, 256))
    # 0.0038 measured; the small network is told the motion by pictures of a quarter of the size
    assert difference(halfway, truth) < 0.005
    assert difference((first + second) / 2, truth) > 0.02


def with_beside(pair: LargePair, before: tuple[Tensor, float], after: tuple[Tensor, float]) -> LargePair:
    """Return a pair with the frames beside it, of four times the size, and the flows to them, so reduced."""

    def beside(picture: Tensor, across_px: float) -> Beside:
        flow = torch.zeros_like(pair.flows[0])
        flow[:, 0] = across_px / 4
        return Beside(F.interpolate(picture, scale_factor=0.25, mode="bicubic", antialias=True), flow)

    return dataclasses.replace(pair, beside=(beside(*before), beside(*after)))


@pytest.mark.parametrize("tau", [0.25, 0.5, 0.75])
@torch.inference_mode()
def test_motion_gathers_speed_between_frames(tau: float) -> None:
    """The texture has come 16 t^2 + 4 t samples at the time t; the frames beside the pair show it."""
    network = network_that_sees_motion()
    before, first, truth, second, after = moved_texture(12, 0, round(16 * tau**2 + 4 * tau), 20, 72)
    steady = pair_of(network, torch.cat([first, second]), -20)
    both = with_beside(steady, (before, -12), (after, -52))
    one = dataclasses.replace(both, beside=(None, both.beside[1]))
    uniform, *faster = (network.render(pair, tau, (192, 256)) for pair in (steady, both, one))
    for picture in faster:
        assert difference(picture, truth) < 0.6 * difference(uniform, truth)


@pytest.mark.parametrize(
    ("come_px", "to_before_px", "to_after_px"),
    [
        ((0, 0, 0, 32), 0, -32),  # still until the second frame
        ((-8, 0, 16, 24), 8, -8),  # of even steps, one was left out between the two frames
        ((-16, 0, 16, 32), 16, -16),  # even
        ((-16, 0, 16, 32), -24, 40),  # even, but the encoder's flows are wrong
    ],
)
@torch.inference_mode()
def test_no_speed_is_made_up(come_px: tuple[int, ...], to_before_px: float, to_after_px: float) -> None:
    network = network_that_sees_motion()
    before, first, second, after = moved_texture(*come_px)
    alone = pair_of(network, torch.cat([first, second]), come_px[1] - come_px[2])
    pair = with_beside(alone, (before, to_before_px), (after, to_after_px))
    made, expected = (network.motion_at(each, torch.full((1, 1, 1, 1), 0.5)) for each in (pair, alone))
    inner = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(made[inner], expected[inner], rtol=0, atol=0.05)


@torch.inference_mode()
def test_each_pair_of_a_batch_has_its_own_instant(network: LargeVideoInr) -> None:
    frames = [network.encode_frame(frame.rgb.expand(2, -1, -1, -1)) for frame in random_frames(network, 2)]
    pair, window = network.encode_pair_of(frames, 0), Window(0, 0, 38, 54)
    both = network.query(network.prepare_instant(pair, torch.tensor([0.2, 0.9]), (38, 54), window, 0), window)
    for number, tau in enumerate((0.2, 0.9)):
        alone = network.render(pair, tau, (38, 54))[number]
        torch.testing.assert_close(both[number], alone, rtol=0, atol=ROUNDING)


@torch.inference_mode()
def test_footprint_counts_what_is_held() -> None:
    with torch.device("meta"):
        network = LargeVideoInr(LargeConfig())
    config, pixels = LargeConfig(), 144 * 256
    count = config.run_pairs + 1 + 2 * config.context_frames
    footprint = network.footprint()
    carry = None
    with HeldTensors() as held:
        frames = [network.encode_frame(torch.empty(1, 3, 144, 256, device="meta")) for _ in range(count)]
        for place in range(config.context_frames, config.context_frames + 3):
            pair = network.encode_pair_of(frames, place, carry=carry)
            carry = pair.carry
            del pair
            assert 0.8 * footprint.kept * pixels < held.bytes <= footprint.kept * pixels
    assert held.most <= (footprint.kept + footprint.encoding) * pixels
    assert held.most >= 0.7 * (footprint.kept + footprint.encoding) * pixels


def test_what_is_done_ahead_for_a_run_is_in_its_effort() -> None:
    """Counted on short runs: each frame of a longer one adds a step of a branch."""
    model = build(LargeConfig()).eval()
    assert isinstance(model, LargeVideoInr)
    frames = [model.encode_frame(torch.rand(1, 3, 32, 32)) for _ in range(4)]

    def counted(count: int, place: int, carry: object = None) -> tuple[LargePair, float]:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            pair = model.encode_pair_of(frames[:count], place, carry=carry)  # type: ignore[arg-type]
        return pair, counter.get_total_flops()

    (_, least), (pair, longer), (_, later) = counted(3, 0), counted(4, 0), counted(4, 1)
    _, onward = counted(4, 1, pair.carry)
    pairs, context = model.config.run_pairs, model.config.context_frames
    backward, forward = longer - least, later - least
    begin = least - onward + (pairs + 1 + context - 3) * backward + context * forward
    effort = model.effort()
    assert effort.ahead / effort.following == pytest.approx(begin / (begin + pairs * onward), rel=0.05)
