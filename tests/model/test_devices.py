"""Devices and precisions by their names, on a machine that may have none but a CPU."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from videoinr_cli.errors import OptionError
from videoinr_cli.model import devices
from videoinr_cli.model.devices import choose_device, choose_training_dtype, without_tf32


@pytest.mark.parametrize("reads_tables", [True, False])
def test_apples_gpu_serves_where_torch_reads_tables_there(
    reads_tables: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(devices, "_reads_tables", lambda device: reads_tables)
    assert choose_device("auto").type == ("mps" if reads_tables else "cpu")
    if reads_tables:
        assert choose_device("mps").type == "mps"
    else:
        with pytest.raises(OptionError, match=r"lacks operations on device 'mps' .*--device cpu"):
            choose_device("mps")


def test_reading_tables_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    devices._reads_tables.cache_clear()
    assert devices._reads_tables(torch.device("cpu"))

    def lacking(*_: object, **__: object) -> None:
        raise NotImplementedError("The operator 'aten::_embedding_bag' is not currently implemented")

    devices._reads_tables.cache_clear()
    monkeypatch.setattr(F, "embedding_bag", lacking)
    assert not devices._reads_tables(torch.device("cpu"))
    devices._reads_tables.cache_clear()


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_training_rounds_where_the_gpu_computes_in_bf16(
    capability: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_training_dtype("auto", torch.device("cuda")) is dtype


def test_tf32_is_off_for_a_while() -> None:
    def setting() -> object:
        cudnn = torch.backends.cudnn
        return cudnn.conv.fp32_precision if hasattr(cudnn, "conv") else cudnn.allow_tf32

    before = setting()
    with without_tf32():
        exact = setting()
        with without_tf32():
            pass
        assert setting() == exact
    assert exact in ("ieee", False)
    assert setting() == before != exact


def test_tf32_is_not_left_off_by_threads_that_overlap() -> None:
    first, second = without_tf32(), without_tf32()
    before = torch.backends.cudnn.allow_tf32
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32 == before
