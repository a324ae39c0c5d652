"""How many synthetic castings to draw, and which."""

from dataclasses import dataclass

from models.errors import DataError

_SMALLEST = 32  # pixels per side below which a casting is no longer recognisable


@dataclass(frozen=True)
class SyntheticSpec:
    """How many castings to draw, and which.

    Attributes:
        parts: Physical objects, at least 1.
        shots: The most photographs of a part, at least 1; each part has 1 to `shots`, uniformly.
        defect_share: Share of parts that are defective, 0 to 1: exactly `round(parts * share)`.
        size: Pixels per side, at least 32.
        seed: At least 0.

    Raises:
        DataError: A value is out of its range.
    """

    parts: int = 320
    shots: int = 4
    defect_share: float = 0.3
    size: int = 160
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in {"parts": 1, "shots": 1, "size": _SMALLEST, "seed": 0}.items():
            if (value := getattr(self, name)) < least:
                raise DataError(f"{name} is {value}: synthetic castings need {least} or more")
        if not 0 <= self.defect_share <= 1:
            raise DataError(
                f"defect_share is {self.defect_share}, but it is a share of the parts: "
                "give a number from 0 to 1, such as 0.3"
            )
