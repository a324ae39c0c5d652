"""ProbCover: balls that cover most castings."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.acquisition.candidates import Candidates
from models.acquisition.clustering import k_means, nearest
from models.acquisition.selection import spaced
from models.acquisition.strategy import needing

_IMPURE = 0.05  # share of balls that probcover lets hold two pseudo-labels
_QUERIES = 4000  # castings from whose surroundings probcover takes δ
_ROWS = 512  # of probcover's distances at a time; a multiple of 8
_COVERED = 120_000  # castings that probcover tries to cover; evenly spaced ones of more

_Bits = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
_Counts = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@needing("embeddings_N_F", "labelled_embeddings_M_F", "labelled_classes_M")
def probcover(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
    """Balls around the picked that cover most castings not yet covered (Yehuda 2022).

    The radius δ is the largest at which 95 % of the balls hold castings of one pseudo-label:
    k-means with as many clusters as there are classes among the labels, two at a cold start. When
    all are covered, the lowest indices follow.
    """
    pool_N_F, known_P_F = candidates.embeddings(), candidates.known_embeddings()
    both = normalize(torch.cat([pool_N_F, known_P_F]))
    classes_M = candidates.classes()
    pseudo_classes = max(2, int(classes_M.max()) + 1 if len(classes_M) else 0)
    delta = pure_radius(both, k_means(both, pseudo_classes, generator))
    points_N_F, known_P_F = both[: len(pool_N_F)], both[len(pool_N_F) :]
    targets_T_F = points_N_F[spaced(len(points_N_F), _COVERED)]
    within_T_B, gains_N = _balls(points_N_F, targets_T_F, delta)
    open_T = (nearest(targets_T_F, known_P_F).sqrt() >= delta).numpy()
    _take_away(gains_N, within_T_B, np.flatnonzero(~open_T))
    batch: list[int] = []
    for _pick in range(size):
        best = int(gains_N.argmax())
        byte, bit = divmod(best, 8)
        covers_T = (within_T_B[:, byte] >> (7 - bit) & 1).astype(bool) & open_T
        _take_away(gains_N, within_T_B, np.flatnonzero(covers_T))
        open_T &= ~covers_T
        batch.append(best)
        gains_N[best] = -1 - len(targets_T_F)
    return torch.tensor(batch, dtype=torch.int64)


def pure_radius(points_N_F: Tensor, pseudo_labels_N: Tensor) -> float:
    """The largest radius at which 95 % of the balls around points hold one pseudo-label.

    A ball is pure up to the nearest point of another label, so this is the 5 % quantile of those
    distances; taken around at most 4,000 evenly spaced points. With one label every ball is pure:
    infinite.
    """
    queries = spaced(len(points_N_F), _QUERIES)
    distance_Q = torch.full((len(queries),), torch.inf, dtype=points_N_F.dtype)
    for label in pseudo_labels_N.unique().tolist():
        labelled_Q = pseudo_labels_N[queries] == label
        others = points_N_F[pseudo_labels_N != label]
        distance_Q[labelled_Q] = nearest(points_N_F[queries[labelled_Q]], others).sqrt()
    impure = int(_IMPURE * len(queries))
    return float(distance_Q.sort().values[impure])


def _balls(points_N_F: Tensor, targets_T_F: Tensor, delta: float) -> tuple[_Bits, _Counts]:
    """Which points are nearer than δ to each target, bits `[T, N / 8]`; targets per point `[N]`.

    Where every point is a target, each pair is looked at once.
    """
    count, every = len(points_N_F), len(points_N_F) == len(targets_T_F)
    within_T_B = np.zeros((len(targets_T_F), (count + 7) // 8), dtype=np.uint8)
    halves_N = points_N_F.square().sum(dim=1) / 2
    bounds_T = (targets_T_F.square().sum(dim=1, keepdim=True) - delta**2) / 2
    for start in range(0, len(targets_T_F), _ROWS):
        stop, first = start + _ROWS, start if every else 0
        # |x - y| < δ where x · y - |y|² / 2 > (|x|² - δ²) / 2
        near = torch.addmm(
            halves_N[first:], targets_T_F[start:stop], points_N_F[first:].T, beta=-1
        )
        within = (near > bounds_T[start:stop]).numpy()
        within_T_B[start:stop, first // 8 :] = np.packbits(within, axis=1)
        if every and stop < count:
            mirrored = np.ascontiguousarray(within[:, _ROWS:].T)
            within_T_B[stop:, start // 8 : stop // 8] = np.packbits(mirrored, axis=1)
    counts_N = np.zeros(count, dtype=np.int64)
    _take_away(counts_N, within_T_B, np.arange(len(targets_T_F)))
    return within_T_B, -counts_N


def _take_away(counts_N: _Counts, within_T_B: _Bits, targets: _Counts) -> None:
    """These targets are covered: nobody gains by covering them again."""
    for start in range(0, len(targets), 255):  # a sum of 255 bits fits a byte
        bits = np.unpackbits(within_T_B[targets[start : start + 255]], axis=1, count=len(counts_N))
        counts_N -= bits.sum(axis=0, dtype=np.uint8)
