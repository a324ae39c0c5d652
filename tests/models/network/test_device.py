from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from models.network.device import autocast, best_device, precision, scoring_precision, use_threads


@pytest.mark.parametrize(
    ("capable", "name"),
    [
        ({"avx512_bf16": True, "avx512_vnni": True}, "int8"),
        ({"avx512_bf16": True}, "bf16"),
        ({"avx512_vnni": True}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_castings_are_scored_in_int8_where_the_processor_has_bytes_and_bf16(
    capable, name, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable)
    assert scoring_precision(torch.device("cpu")) == name


def test_the_backbone_runs_in_bf16_where_the_processor_has_it(monkeypatch):
    cpu = torch.device("cpu")
    for native, name in ((True, "bf16"), (False, "fp32")):
        capable = {"avx512_bf16": native}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda capable=capable: capable)
        assert precision(cpu) == name
        with autocast(cpu):
            product = nn.functional.linear(torch.ones(1, 2), torch.ones(1, 2))
        assert product.dtype == (torch.bfloat16 if native else torch.float32)


def test_a_thread_computes_with_as_many_threads_as_it_was_told():
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1, "", use_threads, (3,)) as other:
        assert other.submit(torch.get_num_threads).result() == 3
    assert torch.get_num_threads() == before


def test_without_cuda_the_best_device_is_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert best_device() == torch.device("cpu")
