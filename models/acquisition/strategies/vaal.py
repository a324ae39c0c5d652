"""VAAL: castings that look least like any labelled one (Sinha, Ebrahimi & Darrell 2019).

A variational autoencoder learns to draw labelled and unlabelled castings from one latent space,
and to fool a discriminator that learns to tell the two from the latent; both are trained anew for
each batch. What the discriminator is surest is unlabelled is unlike what has been labelled.
"""

import math

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
    """Least like the labelled castings, by a discriminator on a VAE's latent (Sinha 2019)."""
    images_N, labelled_M = candidates.pixels()
    if not len(labelled_M):
        raise DataError("vaal compares with labelled castings, of which there are 0; start cold "
                        "with typiclust, coreset, probcover or random")  # fmt: skip
    encoder, decoder, discriminator = _networks(images_N.shape[1], generator)
    steps = steps_for(len(images_N) + len(labelled_M))
    draws = [*encoder.parameters(), *decoder.parameters()]
    adams = [torch.optim.Adam(p, _LEARNING_RATE) for p in (draws, discriminator.parameters())]
    for step in range(1, steps + 1):
        labelled, unlabelled = _drawn(labelled_M, generator), _drawn(images_N, generator)
        images = torch.cat([labelled, unlabelled])
        is_labelled = torch.cat([torch.ones(len(labelled)), torch.zeros(len(unlabelled))])
        mean, log_variance = encoder(images).chunk(2, dim=1)
        log_variance = log_variance.clamp(-10, 10)
        noise = torch.randn(mean.shape, generator=generator)
        drawn = decoder(mean + noise * (log_variance / 2).exp())
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
        latents = [encoder(_shrunk(images))[:, :_LATENT] for images in images_N.split(1024)]
        return top_scoring(-discriminator(torch.cat(latents))[:, 0], size)


def _networks(channels: int, generator: torch.Generator) -> list[nn.Sequential]:
    """Encoder and decoder, and a discriminator: the logit of "labelled" from a latent.

    Three halvings down to 4 × 4, and to mean and log variance of the latent; back to pixels in
    0..1 by two plain layers, which cost less.
    """
    corner = SIDE // 8
    with torch.device("meta"):  # constructors would draw from the global generator
        encoder = nn.Sequential(
            nn.Conv2d(channels, 8, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(8, 16, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * corner**2, 2 * _LATENT),
        )  # fmt: skip
        decoder = nn.Sequential(
            nn.Linear(_LATENT, 256), nn.ReLU(),
            nn.Linear(256, channels * SIDE**2), nn.Sigmoid(),
            nn.Unflatten(1, (channels, SIDE, SIDE)),
        )  # fmt: skip
        discriminator = nn.Sequential(
            nn.Linear(_LATENT, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
        )
    networks = [encoder, decoder, discriminator]
    for parameter in nn.ModuleList(networks).to_empty(device="cpu").parameters():
        if parameter.ndim == 1:
            nn.init.zeros_(parameter)
        else:
            bound = 1 / math.sqrt(parameter[0].numel())
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return networks


def _shrunk(images: Tensor) -> Tensor:
    """Pixels `[n, channels, 32, 32]` in 0..1."""
    return functional.interpolate(images.float() / 255, (SIDE, SIDE), mode="area")


def _drawn(images: Tensor, generator: torch.Generator) -> Tensor:
    """A minibatch, drawn with repetition."""
    count = len(images)
    return _shrunk(images[torch.randint(count, (min(count, _MINIBATCH),), generator=generator)])


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
