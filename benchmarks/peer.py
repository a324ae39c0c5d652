"""The peer: baal's cached MC dropout on the same network and images; run in its own environment.

    PEER_PYTHON -m benchmarks.peer FOLDER SIZE PASSES

Prints images per second. Its cache keeps the output of each convolution and linear layer as long
as the input is the same, so a further pass costs the layers between them.
"""

import sys
import time
import warnings
from pathlib import Path

import structlog
import torch
from baal import ModelWrapper
from baal.bayesian.caching_utils import MCCachingModule
from baal.bayesian.dropout import patch_module
from baal.modelwrapper import TrainingArgs
from PIL import Image
from torch import nn
from torch.utils.data import Dataset
from torchvision import models, transforms


class Folder(Dataset):
    """Images of a folder as tensors."""

    def __init__(self, folder: Path, size: int) -> None:
        self._files = sorted(folder.iterdir())
        self._look = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._look(Image.open(self._files[index]).convert("L")), 0


def main() -> None:
    """Time `predict_on_dataset`, the first minibatch apart.

    Raises:
        SystemExit: it has not predicted every image.
    """
    folder, size, passes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    network = models.resnet18()
    network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    network.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 2))
    args = TrainingArgs(batch_size=32, use_cuda=False, workers=0, replicate_in_memory=False)
    cached = MCCachingModule(patch_module(network.eval(), inplace=True))
    wrapper = ModelWrapper(cached, args)
    data = Folder(folder, size)
    wrapper.predict_on_batch(data[0][0][None], 2)
    start = time.perf_counter()
    probs_N_C_K = wrapper.predict_on_dataset(data, iterations=passes, verbose=False)
    seconds = time.perf_counter() - start
    if probs_N_C_K.shape != (len(data), 2, passes):
        raise SystemExit(f"unexpected shape {probs_N_C_K.shape}")
    print(len(data) / seconds)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
