"""The teacher beside a restatement of it in functions, on the tensors' own names."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import batch_norm, conv2d, max_pool2d

from models.network.surface.teacher import DEVIATION, MEAN, STAGES, Teacher


@pytest.fixture(scope="module")
def tensors():
    """Random ones under the names of the ONNX Model Zoo's ResNet-50-v2."""
    generator = torch.Generator().manual_seed(0)
    made = {}

    def norm(name, channels):
        for key, low, high in (("gamma", 0.5, 1), ("beta", -0.2, 0.2),
                               ("running_mean", -0.2, 0.2), ("running_var", 0.5, 2)):  # fmt: skip
            drawn = torch.rand(channels, generator=generator)
            made[f"{name}_{key}"] = low + (high - low) * drawn

    def convolution(name, outer, inner, size):
        spread = (2 / (inner * size**2)) ** 0.5
        drawn = torch.randn(outer, inner, size, size, generator=generator)
        made[f"{name}_weight"] = spread * drawn

    norm("batchnorm0", 3)
    convolution("conv0", 64, 3, 7)
    norm("batchnorm1", 64)
    given = 64
    for stage, (units, inner, outer) in STAGES.items():
        number = 0
        for unit in range(units):
            for index, channels in enumerate((given, inner, inner)):
                norm(f"stage{stage}_batchnorm{3 * unit + index}", channels)
            shapes = [(inner, given, 1), (inner, inner, 3), (outer, inner, 1)]
            for shape in [*shapes, *([(outer, given, 1)] if unit == 0 else [])]:
                convolution(f"stage{stage}_conv{number}", *shape)
                number += 1
            given = outer
    norm("stage2_batchnorm0", 256)
    norm("stage3_batchnorm0", 512)
    norm("stage4_batchnorm0", 1024)
    return made


def restated(t, images):
    """Pre-activation bottlenecks of He et al. 2016b."""

    def norm(name, x):
        return batch_norm(x, t[f"{name}_running_mean"], t[f"{name}_running_var"],
                          t[f"{name}_gamma"], t[f"{name}_beta"])  # fmt: skip

    mean, deviation = (torch.tensor(v).reshape(3, 1, 1) for v in (MEAN, DEVIATION))
    x = norm("batchnorm0", (images - mean) / deviation)
    x = norm("batchnorm1", conv2d(x, t["conv0_weight"], stride=2, padding=3)).relu()
    x = max_pool2d(x, 3, 2, 1)
    for stage, (units, _, _) in STAGES.items():
        number = 0
        for unit in range(units):
            weights = [t[f"stage{stage}_conv{number + i}_weight"] for i in range(3)]
            stride = 2 if unit == 0 and stage > 1 else 1
            names = [f"stage{stage}_batchnorm{3 * unit + i}" for i in range(3)]
            active = norm(names[0], x).relu()
            y = norm(names[1], conv2d(active, weights[0])).relu()
            y = norm(names[2], conv2d(y, weights[1], stride=stride, padding=1)).relu()
            y = conv2d(y, weights[2])
            number += 3
            if unit == 0:
                x = conv2d(active, t[f"stage{stage}_conv{number}_weight"], stride=stride)
                number += 1
            x = x + y
        yield norm(f"stage{stage + 1}_batchnorm0", x).relu()


def test_its_stages_are_those_of_a_resnet_50_v2(tensors, tmp_path):
    save_file(tensors, tmp_path / "teacher.safetensors")
    teacher = Teacher.read(tmp_path / "teacher.safetensors")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    stages = teacher(images)
    assert [tuple(stage.shape[1:]) for stage in stages] == [
        (256, 16, 16), (512, 8, 8), (1024, 4, 4),
    ]  # fmt: skip
    for found, expected in zip(stages, restated(tensors, images), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_a_file_that_lacks_a_tensor_is_no_teacher(tensors, tmp_path):
    less = {k: v for k, v in tensors.items() if k != "stage2_conv3_weight"}
    save_file(less, tmp_path / "teacher.safetensors")
    with pytest.raises(KeyError, match="stage2_conv3_weight"):
        Teacher.read(tmp_path / "teacher.safetensors")
