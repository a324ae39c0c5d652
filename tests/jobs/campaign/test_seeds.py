import torch

from jobs.campaign.seeds import generator_for, seed_for


def test_seeds_differ_by_seed_round_and_purpose_and_never_by_strategy():
    seeds = {seed_for(s, r, p) for s in (0, 1) for r in (0, 1) for p in ("train", "acquire")}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    first, again = generator_for(0, 1, "train"), generator_for(0, 1, "train")
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=again))
