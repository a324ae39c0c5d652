"""The draws of a campaign, from its seed, the round and their purpose."""

import hashlib

import torch


def seed_for(seed: int, number: int, purpose: str) -> int:
    """The seed of one purpose in one round, 0 to 2^63 − 1; the strategy plays no part in it.

    So campaigns of one seed share initial labels and initial weights, whatever their strategy.
    """
    digest = hashlib.sha256(f"{seed}:{number}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(seed: int, number: int, purpose: str) -> torch.Generator:
    """The generator of one purpose in one round."""
    return torch.Generator().manual_seed(seed_for(seed, number, purpose))
