"""What a figure was measured on."""

import os
import platform
from pathlib import Path

import torch


def machine() -> str:
    """Processor, threads and versions, in a line."""
    model = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    return (
        f"{model}, {os.cpu_count()} processors, {torch.get_num_threads()} threads; "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
