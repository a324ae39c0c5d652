"""What is known about the castings that a strategy chooses from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from models.errors import DataError

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Candidates:
    """What is known about N candidates, and M labelled castings; only what is needed is filled in.

    Attributes:
        count: N.
        probs_N_K_C: class probabilities of every pass.
        deterministic_N_C: class probabilities without dropout.
        embeddings_N_F: features before the last layer.
        labelled_embeddings_M_F: those of the labelled castings; at a cold start M is 0.
        labelled_classes_M: index of the class of each labelled casting, int64.
        parts_N: the part of each casting.
        images: pixels, uint8 `[N, channels, side, side]`; 32 per side are plenty.
        labelled_images: the same of the labelled castings, given whenever `images` are.
        picked: the castings that the batch holds already, None for none.
        places_N: place of each casting in the order that a composition chooses from, 0 the best;
            `choose_batch` finds it once for a whole batch.
    """

    count: int
    probs_N_K_C: Tensor | None = None
    deterministic_N_C: Tensor | None = None
    embeddings_N_F: Tensor | None = None
    labelled_embeddings_M_F: Tensor | None = None
    labelled_classes_M: Tensor | None = None
    parts_N: Sequence[str] | None = None
    images: Tensor | None = None
    labelled_images: Tensor | None = None
    picked: "Candidates | None" = None
    places_N: Tensor | None = None

    def __len__(self) -> int:
        return self.count

    def posterior(self) -> Tensor:
        """`probs_N_K_C`, for a strategy that needs it."""
        return _given(self.probs_N_K_C, "probs_N_K_C")

    def deterministic(self) -> Tensor:
        """`deterministic_N_C`, for a strategy that needs it."""
        return _given(self.deterministic_N_C, "deterministic_N_C")

    def embeddings(self) -> Tensor:
        """`embeddings_N_F`, for a strategy that needs it."""
        return _given(self.embeddings_N_F, "embeddings_N_F")

    def classes(self) -> Tensor:
        """`labelled_classes_M`, for a strategy that needs it."""
        return _given(self.labelled_classes_M, "labelled_classes_M")

    def parts(self) -> Sequence[str]:
        """`parts_N`, for a strategy that needs it."""
        return _given(self.parts_N, "parts_N")

    def known_embeddings(self) -> Tensor:
        """Embeddings `[M + picked, F]` of what is labelled or will be, in that order."""
        pool_N_F = self.embeddings()
        labelled_M_F = _given(self.labelled_embeddings_M_F, "labelled_embeddings_M_F")
        if labelled_M_F.shape[1] != pool_N_F.shape[1]:
            raise DataError(
                f"the labelled castings have {labelled_M_F.shape[1]} features, those of the pool "
                f"{pool_N_F.shape[1]}; embed both with one model"
            )
        labelled_M_F = labelled_M_F.to(pool_N_F.dtype)
        return torch.cat([labelled_M_F, *([self.picked.embeddings()] if self.picked else [])])

    def pixels(self) -> tuple[Tensor, Tensor]:
        """`images` and `labelled_images`, for a strategy that needs `images`."""
        return _given(self.images, "images"), _given(self.labelled_images, "images")

    def rows(self, indices: Sequence[int]) -> "Candidates":
        """The candidates at these indices; what is labelled or picked stays."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        per_casting = ("probs_N_K_C", "deterministic_N_C", "embeddings_N_F", "images", "places_N")
        known = {name: getattr(self, name) for name in per_casting}
        rows = {name: tensor[chosen] for name, tensor in known.items() if tensor is not None}
        parts = None if self.parts_N is None else [self.parts_N[i] for i in indices]
        return replace(self, count=len(indices), parts_N=parts, **rows)


def _given(value: _Value | None, name: str) -> _Value:
    if value is None:
        raise DataError(f"the strategy reads {name} but does not name it in its `needs`")
    if isinstance(value, Tensor) and value.is_floating_point():
        missing = int(value.isnan().flatten(1).any(dim=1).sum())
        if missing:
            raise DataError(f"{name} is NaN for {missing} of {len(value)} castings")
    return value
