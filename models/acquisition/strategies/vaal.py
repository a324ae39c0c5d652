"""VAAL: castings that look least like any labelled one (Sinha, Ebrahimi & Darrell 2019).

A variational autoencoder learns to draw labelled and unlabelled castings from one latent space,
and to fool a discriminator that learns to tell the two from the latent; both are trained anew for
each batch. What the discriminator is surest is unlabelled is unlike what has been labelled.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.acquisition.candidates import Candidates
from models.acquisition.selection import top_scoring
from models.acquisition.strategy import OnStep, needing
from models.errors import DataError

SIDE = 32  # pixels per side at which castings are looked at
_LATENT = 16
_MINIBATCH = 64
_LEARNING_RATE = 1e-3
_KL_WEIGHT = 1e-3  # beside a reconstruction error that is a mean over pixels
_ADVERSARY_WEIGHT = 0.1


def steps_for(castings: int) -> int:
    """Steps for labelled castings and pool together."""
    return min(1000, 30 + castings)


@needing("images", ranks=True)
def vaal(
    candidates: Candidates, size: int, generator: torch.Generator, *, on_step: OnStep | None = None
) -> Tensor:
    """Least like the labelled castings, by a discriminator on a VAE's latent (Sinha 2019).

    Args:
        candidates: with uint8 images `[N, channels, side, side]` of pool and labelled castings.
        size: castings wanted.
        generator: draws weights, minibatches and latents.
        on_step: told (step, steps, reconstruction error) after each step of the training.

    Raises:
        DataError: nothing is labelled, so that nothing can be unlike it.
    """
    images_N, labelled_M = candidates.pixels()
    if not len(labelled_M):
        raise DataError("vaal compares with labelled castings, of which there are 0; start cold "
                        "with typiclust, coreset, probcover or random")  # fmt: skip
    with torch.device("meta"):  # constructors would draw from the global generator
        autoencoder, discriminator = _Autoencoder(images_N.shape[1]), _discriminator()
    for network in (autoencoder.to_empty(device="cpu"), discriminator.to_empty(device="cpu")):
        _initialise(network, generator)
    steps = steps_for(len(images_N) + len(labelled_M))
    draws = zip(_rows(len(labelled_M), generator), _rows(len(images_N), generator), strict=True)
    adams = [
        torch.optim.Adam(network.parameters(), _LEARNING_RATE)
        for network in (autoencoder, discriminator)
    ]
    for step in range(1, steps + 1):
        labelled, unlabelled = next(draws)
        images = torch.cat([_shrunk(labelled_M[labelled]), _shrunk(images_N[unlabelled])])
        is_labelled = torch.cat([torch.ones(len(labelled)), torch.zeros(len(unlabelled))])
        mean, log_variance = autoencoder.encode(images)
        noise = torch.randn(mean.shape, generator=generator)
        drawn = autoencoder.decode(mean + noise * (log_variance / 2).exp())
        error = functional.mse_loss(drawn, images)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).mean() / 2
        fooled = functional.binary_cross_entropy_with_logits(
            discriminator(mean)[:, 0], torch.ones_like(is_labelled)
        )
        _descend(adams[0], error + _KL_WEIGHT * divergence + _ADVERSARY_WEIGHT * fooled)
        logits = discriminator(mean.detach())[:, 0]
        _descend(adams[1], functional.binary_cross_entropy_with_logits(logits, is_labelled))
        if on_step is not None:
            on_step(step, steps, error.item())
    with torch.no_grad():
        latents = [autoencoder.encode(_shrunk(images))[0] for images in images_N.split(1024)]
        return top_scoring(-discriminator(torch.cat(latents))[:, 0], size)


class _Autoencoder(nn.Module):
    """Three halvings down to 4 × 4 and a latent; back by two plain layers, which cost less."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        corner = SIDE // 8
        self.down = nn.Sequential(
            nn.Conv2d(channels, 8, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(8, 16, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * corner**2, 2 * _LATENT),
        )  # fmt: skip
        self.up = nn.Sequential(
            nn.Linear(_LATENT, 256), nn.ReLU(),
            nn.Linear(256, channels * SIDE**2), nn.Sigmoid(),
            nn.Unflatten(1, (channels, SIDE, SIDE)),
        )  # fmt: skip

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent."""
        mean, log_variance = self.down(images).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def decode(self, latent: Tensor) -> Tensor:
        """Pixels in 0..1."""
        pixels: Tensor = self.up(latent)
        return pixels


def _discriminator() -> nn.Module:
    """Logit of "labelled" from a latent."""
    return nn.Sequential(
        nn.Linear(_LATENT, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )


def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _shrunk(images: Tensor) -> Tensor:
    """Pixels `[n, channels, 32, 32]` in 0..1."""
    pixels = images.float() / 255
    if pixels.shape[2:] == (SIDE, SIDE):
        return pixels
    return functional.interpolate(pixels, (SIDE, SIDE), mode="area")


def _rows(count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Minibatches without end, drawn with repetition."""
    while True:
        yield torch.randint(count, (min(count, _MINIBATCH),), generator=generator)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
