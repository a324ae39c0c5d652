from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from models.network.spec import NetworkSpec
from models.network.start import header, read_start
from models.network.surface import teach as module
from models.network.surface.teach import Lesson, Student, teach, write
from models.network.surface.teacher import STAGES

LESSON = Lesson(images=6, minibatch=2)  # three steps


class Small(nn.Module):
    """A teacher whose stages are of the right shape, and cheap."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        for number, (_, _, outer) in STAGES.items():
            self.register_buffer(f"mix{number}", torch.randn(outer, 3, generator=generator))

    def forward(self, images):
        outputs = []
        for number in STAGES:
            cells = nn.functional.avg_pool2d(images, 2 ** (number + 1))
            mixed = torch.einsum("of,nfhw->nohw", getattr(self, f"mix{number}"), cells)
            outputs.append(mixed.relu())
        return outputs


@pytest.fixture(autouse=True)
def cheaply(monkeypatch):
    monkeypatch.setattr(module, "_STANDARDISED_ON", 32)


@pytest.fixture(scope="module")
def crops():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (6, 128, 128, 3), dtype=np.uint8)


@pytest.fixture
def taught(crops, tmp_path):
    return teach(crops, Small(), LESSON, tmp_path / "taught.pt", begin=None)


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_a_lesson_that_was_cut_off_is_resumed_as_if_it_had_not_been(
    crops, taught, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "EVERY", 1)
    checkpoint, save, kept = tmp_path / "cut.pt", torch.save, []

    def dies_after_two(*given):
        kept.append(save(*given))
        if len(kept) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", dies_after_two)
        with pytest.raises(KeyboardInterrupt):
            teach(crops, Small(), LESSON, checkpoint, begin=None)
    assert torch.load(checkpoint, weights_only=True)["step"] == 2
    assert same(teach(crops, Small(), LESSON, checkpoint, begin=None), taught)


def test_a_finished_lesson_is_given_again(crops, taught, tmp_path):
    assert same(teach(crops, Small(), LESSON, tmp_path / "taught.pt", begin=None), taught)


def test_a_student_comes_nearer_to_its_teacher(crops, tmp_path):
    lesson = Lesson(images=80, minibatch=4)
    teach(crops, Small(), Lesson(images=4, minibatch=4), tmp_path / "short.pt", begin=None)
    teach(crops, Small(), lesson, tmp_path / "long.pt", begin=None)
    short, long = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True)["losses"]
        for name in ("short", "long")
    )
    assert (long < 0.95 * short).all()


def test_what_is_written_is_a_start(taught, tmp_path):
    write(taught, tmp_path / "start.safetensors")
    start = read_start(str(tmp_path / "start.safetensors"), NetworkSpec("resnet18", 1, 2))
    assert (start.mean, start.std) == ((module.GREY_MEAN,), (module.GREY_DEVIATION,))
    assert set(header(tmp_path / "start.safetensors")) == {"mean", "std"}
    summed = taught["conv1.weight"].bfloat16().float().sum(dim=1, keepdim=True)
    torch.testing.assert_close(start.backbone.stages.conv1.weight.detach(), summed)
    kept = load_file(tmp_path / "start.safetensors")
    assert {str(v.dtype) for v in kept.values() if v.ndim == 4} == {"torch.bfloat16"}
    assert {str(v.dtype) for v in kept.values() if v.ndim < 4} == {"torch.float32"}


def test_a_lesson_may_go_on_from_a_start_that_was_written(crops, taught, tmp_path):
    write(taught, tmp_path / "start.safetensors")
    student = Student(torch.Generator().manual_seed(9))
    student.take(tmp_path / "start.safetensors")
    found = student.backbone.state_dict()["layer2.0.conv1.weight"]
    assert torch.equal(found, taught["layer2.0.conv1.weight"].bfloat16().float())
    later = teach(crops, Small(), LESSON, tmp_path / "later.pt",
                  begin=tmp_path / "start.safetensors")  # fmt: skip
    assert not same(later, taught)


def test_tensors_of_another_network_are_no_start_to_go_on_from(tmp_path):
    write({"layer9.weight": torch.zeros(1)}, tmp_path / "w")
    with pytest.raises(ValueError, match=r"is no start of this kind.*layer9\.weight"):
        Student(torch.Generator()).take(tmp_path / "w")


def test_the_learning_rate_goes_up_in_a_line_and_down_to_almost_nothing():
    shares = [module._share(step, 200) for step in range(200)]  # noqa: SLF001
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[4] == 1
    assert all(after <= before for before, after in pairwise(shares[4:]))
    assert 0 < shares[-1] < 1e-3


def test_images_follow_from_the_generator_and_lie_in_0_to_1(crops):
    first, again, other = (
        module._images(crops, 5, module._generator(0, step))  # noqa: SLF001
        for step in (1, 1, 2)
    )
    assert first.shape == (5, 3, 112, 112)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1
