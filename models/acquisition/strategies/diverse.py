"""A batch spread over the castings that another strategy puts first."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.acquisition.candidates import Candidates
from models.acquisition.clustering import k_means
from models.acquisition.strategy import Strategy, needing, needs_of, wants_members
from models.errors import DataError

TOP = 10  # castings looked at for each that is picked (Zhdanov 2019, section 4, β)


def diverse(name: str, ranking: Strategy) -> Strategy:
    """Cluster the ten times `size` best by `ranking` and take the best of each cluster.

    Castings that the batch holds already are clustered with them, and their clusters come last.

    Raises:
        DataError: `ranking` does not rank: it weighs castings against one another itself.
    """
    if not getattr(ranking, "ranks", False):
        raise DataError(
            f"{name}: only a strategy that scores each casting can be spread; name one that "
            f"ranks, or mark your own function with ranks = True"
        )

    @needing(
        *dict.fromkeys([*needs_of(ranking), "embeddings_N_F"]), members=wants_members(ranking)
    )
    def spread(candidates: Candidates, size: int, generator: torch.Generator) -> Tensor:
        if candidates.places_N is None:
            order = torch.as_tensor(ranking(candidates, len(candidates), generator))
        else:
            order = candidates.places_N.argsort()
        best_T = order[: TOP * size]
        points = [candidates.embeddings()[best_T]]
        if candidates.picked is not None:
            points.append(candidates.picked.embeddings())
        points_N_F = normalize(torch.cat(points))
        clusters = size + len(points_N_F) - len(best_T)
        labels = k_means(points_N_F, clusters, generator).tolist()
        taken = set(labels[len(best_T) :])
        first: list[int] = []
        for place, label in enumerate(labels[: len(best_T)]):
            if label not in taken:
                taken.add(label)
                first.append(place)
        rest = sorted(set(range(len(best_T))) - set(first))
        return best_T[[*first, *rest][:size]]

    spread.__doc__ = f"Best of each cluster among the castings that {ranking.__doc__}"
    spread.__dict__["ranking"] = ranking
    return spread
