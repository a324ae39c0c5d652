"""A trained network with what its numbers need: pixels in, answers out.

One answer is the row that service and packed model give for a casting. The numbers are a pure
function of weights, pixels, passes and seed: the same in any minibatch, order and process.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import TypedDict, cast

import torch
from torch import Tensor
from torch.nn.functional import pad

from models import uncertainty
from models.evaluation.operating_point import OperatingPoint, verdicts
from models.images import Preprocessing, normalise
from models.network import mc_dropout
from models.network.network import Network

MINIBATCH = 64


class Answer(TypedDict):
    """The service's row for one casting; entropies in nats."""

    casting: str
    label: str
    probabilities: dict[str, float]
    entropy: float
    least_confidence: float
    margin: float
    mc_probabilities: dict[str, float]
    predictive_entropy: float
    expected_entropy: float
    bald: float
    bald_standard_error: float | None
    variation_ratio: float


@dataclass(frozen=True)
class Scores:
    """What one call computes for N castings."""

    embeddings_N_F: Tensor  # features before the last layer, float32
    deterministic_N_C: Tensor  # probabilities of the pass without dropout, float64
    probs_N_K_C: Tensor  # probabilities of every pass, float64


@dataclass(frozen=True)
class Predictor:
    """A network in eval mode and everything that turns its output into answers."""

    network: Network
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    operating: OperatingPoint
    start: Mapping[str, str] = field(default_factory=dict)  # `name` and `sha256` of its start

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return self.network.device

    @property
    def precision(self) -> str:
        """`bf16` or `fp32`: what the backbone computes in on this machine."""
        return self._twin.precision

    @property
    def good(self) -> int | None:
        """Index of the good class."""
        good = self.operating.good
        return None if good is None else self.classes.index(good)

    def pool(self, pixels_N: Tensor) -> Tensor:
        """Pooled stages `[N, P]` on the CPU of uint8 `[N, channels, size, size]`.

        They depend on the backbone and the preprocessing alone, hence are kept (`space`).
        """
        with torch.inference_mode():
            chunks = pixels_N.split(MINIBATCH) if len(pixels_N) else ()
            minibatches = [self._pooled(chunk) for chunk in chunks]
        return torch.cat([torch.empty(0, self.network.pooled_count), *minibatches])

    def features(self, pooled_N_P: Tensor) -> Tensor:
        """Features before the head, float32 `[N, F]`, of pooled stages."""
        with torch.inference_mode():
            return self.network.features(pooled_N_P).cpu()

    def embed(self, pixels_N: Tensor) -> Tensor:
        """Features `[N, F]` on the CPU of uint8 `[N, channels, size, size]`."""
        return self.features(self.pool(pixels_N))

    @cached_property
    def space(self) -> str:
        """What pooled stages of this kind are kept under, in hexadecimal.

        Backbones, preprocessing and precision: whatever has all of them in common shares them.
        """
        spec = self.network.spec
        digests = [backbone.sha256 for backbone in self._twin.backbones]
        facts = (digests, spec.strides, spec.statistics, self.preprocessing, self.precision)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def deterministic(self, embeddings_N_F: Tensor) -> Tensor:
        """Class probabilities `[N, C]` without dropout; of an ensemble, its members' mean."""
        heads = self.network.plain_heads()
        with torch.inference_mode():
            probs_N_P_C = mc_dropout.posterior(embeddings_N_F, *heads, self.operating.temperature)
            return probs_N_P_C.mean(dim=1)

    def score(self, pixels_N: Tensor, passes: int, seed: int) -> Scores:
        """Everything about N castings, uint8 `[N, channels, size, size]`."""
        return self.score_embeddings(self.embed(pixels_N), passes, seed)

    def score_embeddings(self, embeddings_N_F: Tensor, passes: int, seed: int) -> Scores:
        """Everything about N castings whose features are known."""
        packed_KC_F, bias_K_C, plain = self._pass_heads(passes, seed)
        with torch.inference_mode():
            probs_N_PK_C = mc_dropout.posterior_of(
                embeddings_N_F, packed_KC_F, bias_K_C, self.operating.temperature
            )
            plain_N_P_C, probs_N_K_C = probs_N_PK_C[:, :plain], probs_N_PK_C[:, plain:]
            return Scores(embeddings_N_F, plain_N_P_C.mean(dim=1), probs_N_K_C)

    @torch.inference_mode()
    def answers(self, castings: Sequence[str], results: Scores) -> list[Answer]:
        """The service's row for each casting, by id, in the order given."""
        probs_N_K_C, probs_N_C = results.probs_N_K_C, results.deterministic_N_C
        verdict_N = verdicts(probs_N_C, self.good, self.operating.threshold)
        errors = uncertainty.bald_standard_error(probs_N_K_C).tolist()
        columns: dict[str, list[object]] = {
            "casting": list(castings),
            "label": [self.classes[c] for c in verdict_N.tolist()],
            "probabilities": self._by_class(probs_N_C),
            "entropy": uncertainty.entropy(probs_N_C).tolist(),
            "least_confidence": uncertainty.least_confidence(probs_N_C).tolist(),
            "margin": uncertainty.margin(probs_N_C).tolist(),
            "mc_probabilities": self._by_class(probs_N_K_C.mean(dim=1)),
            "predictive_entropy": uncertainty.predictive_entropy(probs_N_K_C).tolist(),
            "expected_entropy": uncertainty.expected_entropy(probs_N_K_C).tolist(),
            "bald": uncertainty.bald(probs_N_K_C).tolist(),
            "bald_standard_error": [None if math.isnan(error) else error for error in errors],
            "variation_ratio": uncertainty.variation_ratio(probs_N_K_C).tolist(),
        }
        rows = zip(*columns.values(), strict=True)
        return [cast("Answer", dict(zip(columns, row, strict=True))) for row in rows]

    def _by_class(self, probs_N_C: Tensor) -> list[object]:
        return [dict(zip(self.classes, row, strict=True)) for row in probs_N_C.tolist()]

    def _pooled(self, pixels_N: Tensor) -> Tensor:
        """Pooled stages of a minibatch; in fp32 a lone casting is doubled, or it rounds apart."""
        count = len(pixels_N)
        images = normalise(pixels_N, self.preprocessing).to(self.device)
        if count == 1 and self.precision == "fp32":
            images = pad(images, (0, 0, 0, 0, 0, 0, 0, 1))
        return self._twin.pooled(images)[:count].cpu()

    @cached_property
    def _twin(self) -> Network:
        """Runs the backbones: before a version is written as after it has been read."""
        return self.network.for_inference()

    @cached_property
    def _pass_heads(self) -> Callable[[int, int], tuple[Tensor, Tensor, int]]:
        """The heads of a request's passes; those of the latest requests are kept."""
        return lru_cache(maxsize=2)(partial(_heads, self.network))


def _heads(network: Network, passes: int, seed: int) -> tuple[Tensor, Tensor, int]:
    """The heads without dropout and with it, packed, their biases, how many are without."""
    plain, drawn = network.plain_heads(), network.pass_heads(passes, seed)
    weight_PK_C_F, bias_PK_C = (torch.cat(pair) for pair in zip(plain, drawn, strict=True))
    return mc_dropout.packed(weight_PK_C_F), bias_PK_C, len(plain[0])
