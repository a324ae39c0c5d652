from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from models.network.device import autocast, best_device, precision, use_threads


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
