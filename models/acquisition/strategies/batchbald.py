"""BatchBALD: the batch whose labels together tell most about the weights (Kirsch et al. 2019).

What is kept of the castings picked so far is a table of their joint outcomes: how likely each is,
and how likely each pass is once it is seen. Then a further casting's gain is its mutual
information with the weights, given the outcome, expected over outcomes. All outcomes are kept
while they are few; later each is continued by a drawn label, so that the table stays as long.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models import uncertainty
from models.acquisition.candidates import Candidates
from models.acquisition.selection import DECIMALS
from models.acquisition.strategy import needing

OUTCOMES = 1024  # joint outcomes kept: all of them for 10 castings of 2 classes, for 3 of 10
_BLOCK = 256  # castings whose gain is worked out at a time


@dataclass(frozen=True)
class Joint:
    """The joint outcomes of castings, S of them.

    Attributes:
        shares_S: probability of each outcome, or its share of the sample; sums to 1.
        passes_S_K: probability of each pass, given the outcome.
    """

    shares_S: Tensor
    passes_S_K: Tensor

    def gains(self, probs_N_K_C: Tensor) -> Tensor:
        """What each casting's label would still tell about the weights `[N]`, in nats."""
        shares_S, passes_S_K = self.shares_S.to(probs_N_K_C), self.passes_S_K.to(probs_N_K_C)
        gain_N = -uncertainty.expected_entropy(probs_N_K_C)
        for probs_K_N in probs_N_K_C.permute(2, 1, 0).contiguous():
            outcomes_S_N = passes_S_K @ probs_K_N
            gain_N -= shares_S @ torch.special.xlogy(outcomes_S_N, outcomes_S_N)
        return gain_N.clamp_(min=0)

    def with_casting(self, probs_K_C: Tensor, generator: torch.Generator) -> "Joint":
        """The outcomes of one casting more: all of them while few, else a drawn label each."""
        classes = probs_K_C.shape[1]
        if len(self.shares_S) * classes <= OUTCOMES:
            joint_S_C_K = self.passes_S_K.unsqueeze(1) * probs_K_C.T
            labels_S_C = joint_S_C_K.sum(dim=2)
            shares = (self.shares_S.unsqueeze(1) * labels_S_C).flatten()
            passes = (joint_S_C_K / labels_S_C.unsqueeze(2)).flatten(0, 1)
            return Joint(shares[shares > 0], passes[shares > 0])
        copies = OUTCOMES // len(self.shares_S)
        before_S_K = self.passes_S_K.repeat_interleave(copies, dim=0)
        labels_S = torch.multinomial(before_S_K @ probs_K_C, 1, generator=generator)[:, 0]
        passes_S_K = before_S_K * probs_K_C.T[labels_S]
        shares_S = self.shares_S.repeat_interleave(copies) / copies
        return Joint(shares_S, passes_S_K / passes_S_K.sum(dim=1, keepdim=True))


@needing("probs_N_K_C")
def batchbald(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
    """The batch that as a whole tells most about the weights, greedily (Kirsch 2019)."""
    probs_N_K_C = candidates.posterior()
    passes = probs_N_K_C.shape[1]
    one = torch.ones(1, dtype=torch.float64)
    joint = Joint(one, one.expand(1, passes) / passes)
    if candidates.picked is not None:
        for probs_K_C in candidates.picked.posterior():
            joint = joint.with_casting(probs_K_C.double(), generator)
    bounds_N = uncertainty.bald(probs_N_K_C).double().round(decimals=DECIMALS)
    batch: list[int] = []
    for _ in range(size):
        best = _most_informative(joint, probs_N_K_C, bounds_N)
        batch.append(best)
        bounds_N[best] = -torch.inf
        joint = joint.with_casting(probs_N_K_C[best].double(), generator)
    return torch.tensor(batch, dtype=torch.int64)


def _most_informative(joint: Joint, probs_N_K_C: Tensor, bounds_N: Tensor) -> int:
    """The casting of largest gain, by lazy greedy search (Minoux 1978).

    A gain only falls as the batch grows, so the gain found last bounds it, and BALD does before
    any is found: castings are looked at in order of their bounds until none left can be better.
    Bounds are written back.
    """
    order = bounds_N.argsort(descending=True, stable=True)
    best, best_gain = int(order[0]), -1.0
    for rows in order.split(_BLOCK):
        bound, lowest = float(bounds_N[rows[0]]), int(rows[0])
        if bound < best_gain or (bound == best_gain and lowest > best):
            break
        if bound == 0 > best_gain:  # none has anything to tell
            break
        waiting = rows[bounds_N[rows] > -torch.inf]
        gains = joint.gains(probs_N_K_C[waiting]).double().round(decimals=DECIMALS)
        bounds_N[waiting] = gains
        gain = float(gains.max())
        winner = int(waiting[gains == gain].min())
        if (gain, -winner) > (best_gain, -best):
            best, best_gain = winner, gain
    return best
