"""What is done to a photograph before the network sees it."""

from dataclasses import dataclass

import torch
from torch import Tensor

FITS = ("stretch", "pad")
EIGHT, SIXTEEN = 8, 16  # bits


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a photograph before the network sees it; part of every model version.

    It is fitted to a square of edge `size`, and of each channel `mean` taken from pixels in 0..1
    before `std` divides them. With `fit` `stretch` both sides are scaled to the square; with `pad`
    the longer one is, and what is left on both sides of the shorter one has the colour `mean`.

    Of 16-bit photographs `bits` are in use, 8 to 16: the largest value of all castings takes so
    many, and 2 ** bits is white. With 8 there was none that says more. `least_bits` is what the
    darkest of them took, 0 where nobody looked.

    Raises:
        ValueError: a number is out of its range.
    """

    size: int = 128
    channels: int = 1  # grey; 3 for colour
    mean: tuple[float, ...] = (0.45,)  # one for all channels, or one for each
    std: tuple[float, ...] = (0.25,)
    bits: int = SIXTEEN
    least_bits: int = 0
    fit: str = "stretch"

    def __post_init__(self) -> None:
        if not EIGHT <= self.bits <= SIXTEEN or not 0 <= self.least_bits <= self.bits:
            raise ValueError(
                f"bits {self.bits}, at the least {self.least_bits}: 8 to 16, and 0 to that"
            )
        if self.fit not in FITS:
            raise ValueError(f"fit {self.fit}: {' or '.join(FITS)}")

    def place(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Where a photograph lies in the square: left, top, width and height in pixels."""
        if self.fit == "stretch":
            return 0, 0, self.size, self.size
        scale = self.size / max(width, height)
        across, down = (max(1, round(side * scale)) for side in (width, height))
        return (self.size - across) // 2, (self.size - down) // 2, across, down

    @property
    def margin(self) -> tuple[int, ...]:
        """The colour beside a padded photograph, 0..255 a channel: `normalise` makes it 0."""
        values = tuple(round(255 * value) for value in self.mean)
        return values if len(values) == self.channels else values[:1] * self.channels


def normalise(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Turn uint8 `[N, channels, size, size]` into the network's float32 input."""
    mean, std = (
        torch.tensor(v).reshape(-1, 1, 1) for v in (preprocessing.mean, preprocessing.std)
    )
    return pixels.float().div_(255).sub_(mean.to(pixels.device)).div_(std.to(pixels.device))
