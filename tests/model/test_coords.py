"""How values are read between a table's pixels, and what that passes back to training."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoinr_cli.model.coords import Padding, bilinear_taps, gather, gather_bilinear, interpolate_along


@pytest.fixture
def table() -> Tensor:
    return torch.randn(2, 6, 7, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def positions() -> tuple[Tensor, Tensor]:
    """Some points inside the table, some beyond each of its borders."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(2, 40, generator=generator) * 12 - 3 for _ in "yx")  # type: ignore[return-value]


def read_by_grid_sample(table: Tensor, y: Tensor, x: Tensor, padding: Padding) -> Tensor:
    height, width = table.shape[1:3]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)[:, None]
    sampled = F.grid_sample(table.permute(0, 3, 1, 2), grid, padding_mode=padding, align_corners=False)
    return sampled[:, :, 0].permute(0, 2, 1)


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_reads_and_learns_as_grid_sample_does(
    table: Tensor, positions: tuple[Tensor, Tensor], padding: Padding
) -> None:
    results = []
    for read in (gather_bilinear, read_by_grid_sample):
        inputs = [tensor.clone().requires_grad_() for tensor in (table, *positions)]
        values, y, x = inputs
        sampled = read(values, y, x, padding)
        sampled.cos().sum().backward()
        results.append([sampled.detach(), *(tensor.grad for tensor in inputs)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


def test_the_gradient_of_a_table_is_that_of_the_sums_it_was_read_into(table: Tensor) -> None:
    y, x = (torch.full((2, 3), 2.5), torch.full((2, 3), 1.0))  # one point thrice: its pixels add up
    taps = bilinear_taps(y, x, 6, 7, "border")
    table.requires_grad_()
    gather(table, taps).sum().backward()
    assert table.grad is not None
    expected = torch.zeros_like(table)
    expected[:, 2:4, 1] = 1.5
    torch.testing.assert_close(table.grad, expected)


def test_what_is_read_may_be_overwritten_in_training(table: Tensor) -> None:
    y, x = torch.full((2, 3), 2.5), torch.full((2, 3), 1.25)
    table.requires_grad_()
    gather_bilinear(table, y, x, "border").mul_(2).sum().backward()
    assert table.grad is not None
    assert float(table.grad.sum()) == pytest.approx(2 * 2 * 3 * 5)


@pytest.mark.parametrize("dim", [2, 3])
def test_values_between_two_of_a_line_lie_on_it(table: Tensor, dim: int) -> None:
    position = torch.tensor([-3.0, 0.0, 1.25, 4.0, 90.0])  # beyond the borders is the outermost value
    line = torch.arange(table.shape[dim]).float().view(-1, *[1] * (3 - dim))
    expected = position.clamp(0, table.shape[dim] - 1).view(-1, *[1] * (3 - dim))
    torch.testing.assert_close(
        interpolate_along(table + 2 * line, position, dim) - interpolate_along(table, position, dim),
        (2 * expected).expand_as(interpolate_along(table, position, dim)),
    )
