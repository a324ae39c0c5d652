import pytest
import torch
from torch import nn
from torch.optim import Muon as TorchMuon

from models.training.optimiser import BLOCK, Muon, blocks, orthogonalise


def filters(count, channels, size, scale=1.0):
    drawn = torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0))
    return (drawn * scale).contiguous(memory_format=torch.channels_last)


def orthogonal(given):
    given = [blocks(tensor) for tensor in given]
    return [root @ block for root, block in zip(orthogonalise(given), given, strict=True)]


def step(optimiser, learning_rate):
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    optimiser.step()


def flat(tensor):
    return tensor.permute(0, 2, 3, 1).flatten(1)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_each_block_of_filters_has_nearly_orthonormal_rows(scale):
    given = [filters(2 * BLOCK, 32, 3, scale), filters(BLOCK, 1, 7, scale)]
    given[0][:5] *= 100
    orthonormal = orthogonal(given)
    assert [tuple(t.shape) for t in orthonormal] == [(2, BLOCK, 288), (1, BLOCK, 49)]
    for block in orthonormal[0]:
        values = torch.linalg.svdvals(block)
        assert 0.6 < values.min() <= values.max() < 1.3
    assert torch.linalg.svdvals(orthonormal[1][0])[:49].min() > 0.5  # 49 pixels have rank 49


def test_a_gradient_of_zeros_makes_no_step():
    assert orthogonal([0 * filters(BLOCK, 4, 3)])[0].abs().max() == 0


def test_a_block_is_stepped_as_torch_does_it():
    convolution = nn.Conv2d(16, BLOCK, 3).to(memory_format=torch.channels_last)
    matrix = nn.Parameter(flat(convolution.weight.detach()).clone())
    ours = Muon(convolution, weight_decay=0.1)
    theirs = TorchMuon(
        [matrix], lr=0.02, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw"
    )
    start = matrix.detach().clone()
    for number in (1, 2, 3):
        convolution.weight.grad = filters(BLOCK, 16, 3) * number
        matrix.grad = flat(convolution.weight.grad).clone()
        step(ours, 0.02)
        theirs.step()
    moved = (matrix - start).norm()
    assert (flat(convolution.weight) - matrix).norm() < 0.02 * moved  # torch computes in bf16


def test_what_is_no_filter_is_stepped_by_adamw_and_not_decayed():
    layer = nn.Linear(4, 2)
    expected = nn.Parameter(layer.weight.detach().clone())
    ours = Muon(nn.ModuleList([nn.Conv2d(1, BLOCK, 3), layer]), weight_decay=0.5)
    theirs = torch.optim.AdamW([expected], lr=0.01, weight_decay=0.0)
    layer.weight.grad, expected.grad = torch.ones(2, 4), torch.ones(2, 4)
    layer.bias.grad = torch.zeros(2)
    step(ours, 0.01)
    theirs.step()
    torch.testing.assert_close(layer.weight, expected)
    ours.zero_grad()
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_a_network_without_filters_in_blocks_is_stepped_by_adamw_alone():
    depthwise = nn.Conv2d(24, 24, 3, groups=24, bias=False)
    expected = nn.Parameter(depthwise.weight.detach().clone())
    ours = Muon(depthwise, weight_decay=0.5)
    theirs = torch.optim.AdamW([expected], lr=0.01, weight_decay=0.0)
    for _ in range(2):
        depthwise.weight.grad, expected.grad = (torch.ones(24, 1, 3, 3) for _ in range(2))
        step(ours, 0.01)
        theirs.step()
    torch.testing.assert_close(depthwise.weight, expected)


def test_depthwise_filters_in_blocks_are_stepped_where_they_lie():
    depthwise = nn.Conv2d(BLOCK, BLOCK, 3, groups=BLOCK).to(memory_format=torch.channels_last)
    before = depthwise.weight.detach().clone()
    ours = Muon(depthwise, weight_decay=0.0)
    depthwise.weight.grad = filters(BLOCK, 1, 3)
    step(ours, 0.01)
    assert ((depthwise.weight - before) * depthwise.weight.grad).sum() < 0
