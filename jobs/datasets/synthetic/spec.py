"""How many synthetic castings to draw, and which."""

from dataclasses import dataclass

from models.errors import DataError

_SMALLEST = 32  # pixels per side below which a casting is no longer recognisable


@dataclass(frozen=True)
class SyntheticSpec:
    """How many castings to draw, and which; DataError where a value is out of its range."""

    parts: int = 320  # physical objects, at least 1
    shots: int = 4  # the most photographs of a part; each has 1 to `shots`, uniformly
    defect_share: float = 0.3  # 0 to 1: exactly `round(parts * share)` parts are defective
    hardness: float = 0.1  # 0 to 1: small, faint defects and strong look-alikes grow commoner
    size: int = 160  # pixels per side
    seed: int = 0  # at least 0

    def __post_init__(self) -> None:
        for name, least in {"parts": 1, "shots": 1, "size": _SMALLEST, "seed": 0}.items():
            if (value := getattr(self, name)) < least:
                raise DataError(f"{name} is {value}: synthetic castings need {least} or more")
        if not 0 <= self.defect_share <= 1:
            raise DataError(
                f"defect_share is {self.defect_share}, but it is a share of the parts: "
                "give a number from 0 to 1, such as 0.3"
            )
        if not 0 <= self.hardness <= 1:
            raise DataError(
                f"hardness is {self.hardness}, but it goes from 0, blatant defects, "
                "to 1, small and faint ones"
            )
