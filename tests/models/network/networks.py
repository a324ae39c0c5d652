"""Networks that several test modules share."""

import torch
from torch import nn

from models.network.start import read_start


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def from_scratch(spec, seed=0):
    """A network drawn from a seed: head, too, small enough that no probability saturates."""
    network = read_start("scratch", spec, seed).network(spec)
    with torch.no_grad():
        nn.init.normal_(network.head.weight, std=0.02, generator=seeded(seed + 100))
    return network.requires_grad_(requires_grad=False)


def shaken(network, seed=0):
    """The same network, as if its batch norms had seen something."""
    generator = seeded(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return network
