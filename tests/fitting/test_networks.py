"""The networks: sizes, what they depend on, and which configurations are refused."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from videoinr_cli.errors import OptionError
from videoinr_cli.fitting.networks import NetworkConfig, at, build, sized
from videoinr_cli.fitting.options import ARCHITECTURES, Architecture


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("size", [(64, 48), (31, 17), (320, 180), (100, 360)])
def test_pictures_have_any_size(architecture: Architecture, size: tuple[int, int]) -> None:
    config = sized(architecture, size, 8, 300_000)
    network = build(config)
    shown = network(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert shown.shape == (3, 3, size[1], size[0])
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert sum(parameter.numel() for parameter in network.parameters()) <= 300_000


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "settings",
    [
        {"encoding": False},
        {"enlargement": "shuffle"},
        {"enlargement": "bilinear"},
        {"activation": "relu"},
        {"window": 1},
    ],
)
def test_parts_can_be_taken_away(architecture: Architecture, settings: dict[str, object]) -> None:
    config = sized(architecture, (32, 24), 8, 200_000, **settings)
    network = build(config)
    shown = network(torch.tensor([0.3], dtype=torch.float64))
    shown.mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_grids_are_linear_in_time() -> None:
    grid = torch.tensor([0.0, 2.0, 6.0])[None, :, None, None]
    instants = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 2.0], dtype=torch.float64)
    assert at(grid, instants).flatten().tolist() == [0, 1, 2, 4, 6, 6]


def test_a_size_below_the_smallest_network_is_refused() -> None:
    with pytest.raises(OptionError, match="--bits-per-pixel"):
        sized("hinerv", (320, 180), 50, 100)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "other"},
        {"width": 0},
        {"height": 10**6},
        {"channels": True},
        {"channels": 10**9},
        {"strides": ()},
        {"strides": (8, 8, 8)},
        {"strides": (2.0, 2)},
        {"grid_steps": -1},
        {"enlargement": "none"},
        {"encoding": 1},
        {"window": 2},
        {"activation": "tanh"},
        {"more": 1},
    ],
)
def test_no_other_configuration_is_accepted(changes: dict[str, object]) -> None:
    values = dataclasses.asdict(NetworkConfig("nerv", 64, 48, 8, (2, 2)))
    with pytest.raises(ValueError, match="no network"):
        NetworkConfig.of({**values, **changes})


def test_a_network_that_is_too_large_is_not_built() -> None:
    config = NetworkConfig("hinerv", 16384, 16384, 2048, (2, 2), grid_steps=100_000, grid_channels=2048)
    with pytest.raises(ValueError, match="at most"):
        build(config)
