import pytest

from jobs.datasets.synthetic.spec import SyntheticSpec
from models.errors import DataError


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"parts": 0}, "parts is 0: synthetic castings need 1 or more"),
        ({"shots": 0}, "shots is 0: synthetic castings need 1 or more"),
        ({"size": 31}, "size is 31: synthetic castings need 32 or more"),
        ({"seed": -1}, "seed is -1: synthetic castings need 0 or more"),
        ({"defect_share": 1.5}, "defect_share is 1.5, .* a number from 0 to 1"),
        ({"defect_share": -0.1}, "defect_share is -0.1, .* a number from 0 to 1"),
        ({"hardness": 1.5}, "hardness is 1.5, .* from 0, blatant defects, to 1, small"),
        ({"hardness": -0.1}, "hardness is -0.1, but"),
        ({"hardness": float("nan")}, "hardness is nan, but"),
        ({"defect_share": float("nan")}, "defect_share is nan, .* a number from 0 to 1"),
    ],
)
def test_an_impossible_spec_is_refused_with_the_way_out(value, message):
    with pytest.raises(DataError, match=message):
        SyntheticSpec(**value)
