"""Castings turned, mirrored, zoomed and lit in other ways."""

import torch
from torch import Tensor
from torch.nn import functional

from models.training.recipe import Recipe

_RIGHT_ANGLE = torch.pi / 2


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Turn castings, mirror half of them, zoom a little, change brightness and contrast.

    Where castings have no upright position, any rotation is a photograph that could have been
    taken; a recipe may say that they have one, or that their mirror images are others.
    """
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle, scale = uniform(0, 2 * torch.pi), 1 + uniform(-recipe.zoom, recipe.zoom)
    upright = uniform(0, 1) < recipe.upright
    angle = torch.where(upright, (angle / _RIGHT_ANGLE).floor() * _RIGHT_ANGLE, angle)
    angle = angle * recipe.turned
    scale = torch.where(upright, 1.0, scale)
    mirror = torch.where(uniform(0, 1) < 0.5 * recipe.mirrored, -1.0, 1.0)
    cosine, sine, zero = angle.cos() * scale, angle.sin() * scale, torch.zeros(count)
    matrix = torch.stack([cosine * mirror, -sine, zero, sine * mirror, cosine, zero], dim=1)
    matrix = matrix.reshape(-1, 2, 3).to(images.device)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    turned = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    contrast = (1 + uniform(-recipe.light, recipe.light)).reshape(-1, 1, 1, 1)
    brightness = uniform(-recipe.light, recipe.light).reshape(-1, 1, 1, 1)
    return turned * contrast.to(images.device) + brightness.to(images.device)
