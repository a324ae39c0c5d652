"""Where networks are run, in which precision, and on how many threads."""

from contextlib import AbstractContextManager, nullcontext

import torch


def precision(device: torch.device) -> str:
    """`bf16` where the device computes in it natively, else `fp32`."""
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else _has("avx512_bf16")
    return "bf16" if native else "fp32"


def _has(instructions: str) -> bool:
    """Whether this processor has them."""
    return bool(torch.cpu.get_capabilities().get(instructions, False))


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """The context in which backbones are run on `device`."""
    if precision(device) == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def use_threads(count: int) -> None:
    """Let the calling thread compute with so many threads, whatever others do.

    Torch takes a thread's number from what the last caller anywhere has set, at the thread's first
    parallel operation; asking for it makes that happen before it is set.
    """
    torch.get_num_threads()
    torch.set_num_threads(count)


def best_device() -> torch.device:
    """CUDA when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
